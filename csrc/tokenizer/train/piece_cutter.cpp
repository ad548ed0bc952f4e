#include "tokenizer/train/piece_cutter.h"

#include "tokenizer/errors.h"
#include "tokenizer/split/known_pretokenizer.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kWordStart = "\xE2\x96\x81";  // U+2581, SentencePiece's

// The text before every occurrence of which, and nowhere else, the pre-tokenizer cuts.
std::string find_word_start(const Json& pre_tokenizer) {
  const auto is = [](const Json& value, std::string_view text) {
    return value.is_string() && value.string() == text;
  };
  const Json& pattern = pre_tokenizer["pattern"]["String"];
  if (!is(pre_tokenizer["type"], "Split") || !is(pre_tokenizer["behavior"], "MergedWithNext") ||
      !pattern.is_string() || pattern.string() != kWordStart) {
    return "";
  }
  const Json& invert = pre_tokenizer["invert"];
  return invert.kind() == Json::Kind::kBool && invert.boolean() ? "" : std::string(kWordStart);
}

}  // namespace

PieceCutter::PieceCutter(std::string normalizer, std::string pre_tokenizer)
    : normalizer_json_(std::move(normalizer)), pre_tokenizer_json_(std::move(pre_tokenizer)) {
  const JsonDocument rewriting(normalizer_json_, "normalizer");
  const JsonDocument cutting(pre_tokenizer_json_, "pre_tokenizer");
  normalizer_ = make_normalizer(rewriting.root(), "normalizer");
  pre_tokenizer_ = make_pre_tokenizer(cutting.root(), "pre_tokenizer");
  if (!normalizer_) pattern_ = find_known_pattern(cutting.root());
  word_start_ = find_word_start(cutting.root());
}

void PieceCutter::normalize(Text text, Scratch& scratch) const {
  scratch.text.start(text, false);
  if (normalizer_) {
    normalizer_->apply(scratch.text, scratch.other);
    scratch.text.swap(scratch.other);
  }
}

void PieceCutter::cut(Text text, Scratch& scratch) const {
  normalize(text, scratch);
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
