// Text to ids: added tokens, pre-tokens, a per-thread cache of merged pre-tokens, batches.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "tokenizer/id_buffer.h"
#include "tokenizer/models/bpe_model.h"
#include "tokenizer/models/piece_cache.h"
#include "tokenizer/parallel.h"
#include "tokenizer/pipeline/bpe_scanner.h"
#include "tokenizer/pipeline/special_tokens.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// Ids of a batch laid end to end: text i owns ids[offsets[i], offsets[i + 1]).
struct BatchIds {
  IdBuffer ids;
  std::vector<std::int64_t> offsets;
};

// What one thread needs to encode: the piece cache and the merge buffers.
struct Workspace {
  PieceCache cache;
  MergeScratch scratch;
  std::vector<Segment> segments, plain_segments;
};

// Appends the ids of `text`, which holds no added token: the scanner's pieces, each through the
// cache of `work`, which belongs to one thread and one model.
void encode_pieces(const BpeModel& model, const PieceScanner& scanner, Text text, Workspace& work,
                   IdBuffer& out);

class BpeEncoder {
 public:
  // `scanner` must outlive the encoder.
  explicit BpeEncoder(std::shared_ptr<const BpeModel> model,
                      const PieceScanner& scanner = gpt2_piece_scanner());
  ~BpeEncoder();
  BpeEncoder(const BpeEncoder&) = delete;
  BpeEncoder& operator=(const BpeEncoder&) = delete;

  const BpeModel& model() const { return *model_; }

  // `allowed[i]` lets the i-th added token be found in text; the others are ordinary text.
  IdBuffer encode(Text text, const std::vector<char>& allowed) const;
  BatchIds encode_batch(const std::vector<Text>& texts, const std::vector<char>& allowed,
                        unsigned num_threads, const Tick& tick) const;
  // Merge candidates looked at while encoding `text` with an empty cache.
  std::uint64_t count_steps(Text text) const;

 private:
  void encode_text(Text text, const std::vector<char>& allowed, Workspace& work,
                   IdBuffer& out) const;
  void encode_plain(const std::uint8_t* p, const std::uint8_t* end, Workspace& work,
                    IdBuffer& out) const;
  bool may_cut(const std::vector<char>& allowed) const;
  std::unique_ptr<Workspace> acquire() const;
  void release(std::unique_ptr<Workspace> work) const;

  std::shared_ptr<const BpeModel> model_;
  const PieceScanner& scanner_;
  AddedTokenMatcher literal_;     // found before the text is normalised
  AddedTokenMatcher normalized_;  // found after it
  mutable std::array<std::atomic<Workspace*>, 16> idle_{};
};

}  // namespace llmcore::tokenizer
