// Every file format of tokenizers: which one a file is, and its way to and from a TokenizerSpec.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/formats/spec.h"

namespace llmcore::tokenizer {

using FileBytes = std::span<const std::uint8_t>;

enum class Format : std::uint8_t {
  kUnknown,
  kTiktoken,       // base64 rank lines
  kTokenizerJson,  // Hugging Face
  kSentencePiece,  // .model
  kGguf,
  kVocabTxt,   // BERT
  kVocabJson,  // GPT-2; needs its merges
  kMergesTxt,  // GPT-2; needs its vocabulary
  kMetadata    // llmcore_tokenizer.json: what tokenizer.json has no place for
};

// "tiktoken", "tokenizer.json", "sentencepiece", "gguf", "vocab.txt", "vocab.json", "merges.txt",
// "llmcore"; "unknown".
std::string_view format_name(Format format);
// Throws ConfigError for a name that is none of these.
Format format_of_name(std::string_view name);

// By content. The start of a file is enough for all but SentencePiece, which is walked to its end.
Format detect_format(FileBytes bytes);

struct ReadOptions {
  // Tiktoken, GGUF of an unknown pre-tokenizer: a known name ("gpt2", "cl100k_base", ...) or a
  // regular expression. Empty: as the file is known.
  std::string pattern;
  // Tiktoken, vocab.json: added to, or instead of, those of a known file.
  std::vector<std::pair<std::string, std::uint32_t>> special_tokens;
  bool has_special_tokens = false;
  FileBytes merges;                // vocab.json: its merges.txt
  std::string end_of_word_suffix;  // vocab.json: "</w>" for CLIP's
  std::optional<bool> lowercase;   // vocab.txt: else lower case if no token has a capital letter
  FileBytes metadata;              // tokenizer.json: the llmcore_tokenizer.json beside it
};

// `name` stands in messages. Throws DataError for a file that is damaged, of no known format, or
// that needs what this library lacks; ConfigError for options that do not fit.
TokenizerSpec read_tokenizer(FileBytes bytes, const std::string& name, const ReadOptions& options);

// The file's bytes. Throws DataError that says why if the format cannot express the tokenizer.
// kMetadata: empty if tokenizer.json alone expresses it.
std::string write_tokenizer(const TokenizerSpec& spec, Format format);

// The readers and writers, one file each.
TokenizerSpec read_tiktoken(FileBytes bytes, const std::string& name, const ReadOptions& options);
std::string write_tiktoken(const TokenizerSpec& spec);

TokenizerSpec read_tokenizer_json(FileBytes bytes, const std::string& name);
std::string write_tokenizer_json(const TokenizerSpec& spec);
// Metadata changes `spec`, as read from the tokenizer.json beside it.
void apply_metadata(TokenizerSpec& spec, FileBytes bytes, const std::string& name);
std::string write_metadata(const TokenizerSpec& spec);

TokenizerSpec read_sentencepiece(FileBytes bytes, const std::string& name);
std::string write_sentencepiece(const TokenizerSpec& spec);

TokenizerSpec read_gguf(FileBytes bytes, const std::string& name, const ReadOptions& options);
std::string write_gguf(const TokenizerSpec& spec);

TokenizerSpec read_vocab_txt(FileBytes bytes, const std::string& name, const ReadOptions& options);
std::string write_vocab_txt(const TokenizerSpec& spec);
TokenizerSpec read_vocab_json(FileBytes bytes, const std::string& name, const ReadOptions& options);
std::string write_vocab_json(const TokenizerSpec& spec);
std::string write_merges_txt(const TokenizerSpec& spec);

}  // namespace llmcore::tokenizer
