#include "tokenizer/train/piece_cutter.h"

#include "tokenizer/errors.h"
#include "tokenizer/split/known_pretokenizer.h"

namespace llmcore::tokenizer {

PieceCutter::PieceCutter(std::string normalizer, std::string pre_tokenizer)
    : normalizer_json_(std::move(normalizer)), pre_tokenizer_json_(std::move(pre_tokenizer)) {
  const JsonDocument rewriting(normalizer_json_, "normalizer");
  const JsonDocument cutting(pre_tokenizer_json_, "pre_tokenizer");
  normalizer_ = make_normalizer(rewriting.root(), "normalizer");
  pre_tokenizer_ = make_pre_tokenizer(cutting.root(), "pre_tokenizer");
  if (!normalizer_) pattern_ = find_known_pattern(cutting.root());
}

void PieceCutter::cut(Text text, Scratch& scratch) const {
  scratch.text.start(text, false);
  if (normalizer_) {
    normalizer_->apply(scratch.text, scratch.other);
    scratch.text.swap(scratch.other);
  }
  const std::size_t size = scratch.text.size();
  if (size > UINT32_MAX) {
    throw DataError("train: a text must be below 4 GiB once normalised, got " +
                    std::to_string(size) + " bytes");
  }
  scratch.pieces.clear();
  if (size > 0) scratch.pieces.push_back({0, static_cast<std::uint32_t>(size)});
  if (pre_tokenizer_) pre_tokenizer_->split(scratch.text, scratch.pieces, true);
}

}  // namespace llmcore::tokenizer
