// A tokenizer as data, whatever file it came from: what every reader returns and every writer
// takes. Components keep the schema of Hugging Face's tokenizer.json, which names all that others
// have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {

enum class ModelKind : std::uint8_t { kBpe, kWordPiece, kUnigram };

// How token texts spell bytes.
enum class Spelling : std::uint8_t {
  kText,      // UTF-8 as it is; byte fallback writes <0xAB>
  kByteChars  // GPT-2's printable stand-ins
};

struct AddedTokenSpec {
  std::uint32_t id = 0;
  std::string content;
  bool special = false, normalized = false, single_word = false, lstrip = false, rstrip = false;
};

struct BpeOptions {
  bool by_rank = false;        // tiktoken: merge the pair whose union has the lowest id; no merges
  bool byte_fallback = false;  // unknown characters as <0xAB> tokens
  bool fuse_unk = false;
  bool ignore_merges = false;  // a whole piece that is a token stays one
  float dropout = 0;
  std::string unk_token, continuing_subword_prefix, end_of_word_suffix;  // empty: none
};

struct WordPieceOptions {
  std::string unk_token = "[UNK]", continuing_subword_prefix = "##";
  std::uint64_t max_input_chars_per_word = 100;
};

struct UnigramOptions {
  std::int64_t unk_id = -1;  // -1: none
  bool byte_fallback = false;
  bool fuse_unk = true;
};

struct TokenizerSpec {
  ModelKind kind = ModelKind::kBpe;
  Spelling spelling = Spelling::kText;
  // By id: of the model, not added ones that it lacks. Empty: the id has no token.
  std::vector<std::string> tokens;
  std::vector<double> scores;  // Unigram log-probabilities; SentencePiece BPE: as in its file
  std::vector<std::pair<std::uint32_t, std::uint32_t>> merges;  // ids, best first
  BpeOptions bpe;
  WordPieceOptions wordpiece;
  UnigramOptions unigram;
  std::vector<AddedTokenSpec> added;
  // Components as JSON texts; "null" where there is none.
  std::string normalizer = "null", pre_tokenizer = "null", post_processor = "null",
              decoder = "null";
  // JSON object of what the pipeline does not need but a writer can use (chat template, special
  // roles bos/eos/unk/pad, SentencePiece trainer and normalizer specs, GGUF metadata).
  std::string extra = "{}";
};

}  // namespace llmcore::tokenizer
