// A whole tokenizer: added tokens, normaliser, pre-tokenizer, model, post-processor; and back.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/decode/post_processor.h"
#include "tokenizer/decode/token_bytes.h"
#include "tokenizer/formats/spec.h"
#include "tokenizer/id_buffer.h"
#include "tokenizer/models/bpe.h"
#include "tokenizer/models/bpe_model.h"
#include "tokenizer/models/unigram.h"
#include "tokenizer/normalize/normalizer.h"
#include "tokenizer/parallel.h"
#include "tokenizer/pipeline/added_tokens.h"
#include "tokenizer/pipeline/batch.h"
#include "tokenizer/pipeline/chunk_encoder.h"
#include "tokenizer/pipeline/encode_pieces.h"
#include "tokenizer/pipeline/workspace_pool.h"
#include "tokenizer/split/pre_tokenizer.h"

namespace llmcore::tokenizer {

struct EncodeOptions {
  // One flag per added token of the spec: whether it is looked for in the text.
  std::vector<char> allowed;
  bool add_special_tokens = false;
  bool tracks = false;  // also where each id came from
  // Bytes of the text, in order and apart, where a special token is ordinary text, and one that
  // reaches into them too. An empty one lies between two bytes.
  std::vector<Origin> guarded = {};
};

struct Encoded {
  IdBuffer ids;
  std::vector<Origin> origins;  // one per id where asked for
  // With them: by place, what added tokens matched where that is not their own text.
  std::vector<std::pair<std::size_t, std::string>> matched = {};
};

class Pipeline {
 public:
  // Throws DataError where the spec contradicts itself or names an unknown component.
  explicit Pipeline(TokenizerSpec spec);
  ~Pipeline();

  const TokenizerSpec& spec() const { return spec_; }
  // Ids of the model and of the added tokens are below this.
  std::size_t size() const { return texts_.size(); }
  // As the vocabulary spells it; empty where the id has no token.
  std::string_view token_text(std::uint32_t id) const { return texts_[id]; }
  std::optional<std::uint32_t> find(std::string_view token) const;
  const std::shared_ptr<const TokenBytes>& token_bytes() const { return token_bytes_; }

  Encoded encode(Text text, const EncodeOptions& options) const;
  BatchIds encode_batch(const std::vector<Text>& texts, const EncodeOptions& options,
                        unsigned num_threads, const Tick& tick) const;
  // One random segmentation; equal seeds, equal draws. BPE-dropout with probability `strength` per
  // merge, or Unigram sampling with alpha = `strength`. Throws ConfigError for other models.
  Encoded sample(Text text, const EncodeOptions& options, double strength,
                 std::uint64_t seed) const;
  // The most likely segmentations with their scores, best first. Throws ConfigError for models
  // other than Unigram, and where the pre-tokenizer cuts the text.
  std::vector<UnigramModel::ScoredIds> nbest(Text text, std::size_t count) const;
  // Merges done while encoding `text` with an empty cache: the work, for tests of its growth.
  std::uint64_t count_steps(Text text) const;

 private:
  struct Workspace;
  struct Random;
  void add_texts();
  void make_components();
  void make_model();
  void check_allowed(const EncodeOptions& options) const;
  bool may_cut(const EncodeOptions& options) const;
  void encode_text(Text text, const EncodeOptions& options, Workspace& work, Encoded& out) const;
  void encode_fast(Text text, const EncodeOptions& options, Workspace& work, Encoded& out) const;
  void encode_segment(Text text, std::size_t at, const EncodeOptions& options, Workspace& work,
                      Encoded& out) const;
  void encode_normalized(AlignedText& text, bool is_start, std::size_t at, Workspace& work,
                         Encoded& out) const;
  void encode_piece(const AlignedText& text, const Piece& piece, std::size_t at, Workspace& work,
                    Encoded& out) const;
  void add_added(const AddedSpan& span, Text text, const EncodeOptions& options, Origin origin,
                 Encoded& out) const;
  void finish(Text text, const EncodeOptions& options, Encoded& out) const;

  TokenizerSpec spec_;
  std::vector<std::string> hidden_;      // texts of ids that the model does not look for
  std::vector<std::string_view> texts_;  // by id
  bool is_sentencepiece_ = false;
  std::unique_ptr<AddedTokens> literal_;     // found in the text as it is
  std::unique_ptr<AddedTokens> normalized_;  // found after the normaliser
  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<PostProcessor> post_processor_;
  std::optional<SpecialFrame> frame_;
  std::shared_ptr<const TokenBytes> token_bytes_;

  std::unique_ptr<Model> model_;
  const Bpe* bpe_ = nullptr;               // model_, where it is one
  const UnigramModel* unigram_ = nullptr;  // so too
  // Byte-level BPE whose pieces a scanner finds: no normaliser, no list of pieces.
  const BpeModel* fast_model_ = nullptr;  // bpe_'s
  std::unique_ptr<const PieceScanner> fast_scanner_;
  std::unique_ptr<const ChunkEncoder> chunks_;  // other models, where spaces part a text

  // Made at the first find(); no lock, since a fork could inherit it held.
  using IdsByText = std::unordered_map<std::string_view, std::uint32_t>;
  mutable std::atomic<const IdsByText*> ids_by_text_{nullptr};
  mutable std::unique_ptr<WorkspacePool<Workspace>> pool_;
};

}  // namespace llmcore::tokenizer
