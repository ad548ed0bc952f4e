// The steps that a decoder is made of, one class per `type` of tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/decode/decoder.h"
#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {

// What a step does to the list of pieces; token_bytes.h builds its table by this.
enum class StepRole : std::uint8_t {
  kEach,           // rewrites each piece by itself
  kEachByFirst,    // so too, but the first piece otherwise
  kEachByLast,     // so too, but the last piece otherwise
  kStrip,          // kEach, and can follow a stream
  kRepeats,        // drops a piece that equals the one before, then rewrites each
  kBytes,          // the pieces are stand-ins for bytes; one piece comes out
  kByteRuns,       // joins runs of <0xAB>
  kFuse,           // one piece comes out
  kSentencePiece,  // the whole of SentencePiece's rules
};

struct Place {
  bool is_first = false, is_last = false;
};

class DecodeStep : public Decoder {
 public:
  virtual StepRole role() const = 0;
  // The new text of one piece: of kEach..., kStrip and kRepeats.
  virtual void rewrite(std::string&, Place) const {}
  void decode(std::vector<std::string>& pieces) const override;
};

// At most `start` characters `content` go at the front of a text and `stop` at its back.
class StripStep final : public DecodeStep {
 public:
  StripStep(std::string character, std::uint64_t most_front, std::uint64_t most_back)
      : content(std::move(character)), start(most_front), stop(most_back) {}
  StepRole role() const override { return StepRole::kStrip; }
  void rewrite(std::string& piece, Place) const override;
  const std::string content;  // one character
  const std::uint64_t start, stop;
};

// What sentencepiece's DecodeIds does. Source: Kudo & Richardson 2018, arXiv:1808.06226; its
// sentencepiece_processor.cc.
class SentencePieceStep final : public DecodeStep {
 public:
  enum class Kind : std::uint8_t { kText, kControl, kUnknown, kByte };

  SentencePieceStep(const Json& component, const std::string& where);
  StepRole role() const override { return StepRole::kSentencePiece; }
  void decode(std::vector<std::string>& pieces) const override;

  // `byte` is set for kByte.
  Kind kind(std::string_view piece, std::uint8_t& byte) const;
  bool trims_start() const { return add_dummy_prefix_ || remove_extra_whitespaces_; }
  // A leading mark taken off ends the trimming, whether or not text follows it.
  bool trims_once() const { return !remove_extra_whitespaces_; }
  // Text of a piece that is no byte, marks as spaces.
  std::string surface(std::string_view piece) const;

 private:
  bool add_dummy_prefix_, remove_extra_whitespaces_, byte_fallback_;
  std::string unknown_, unk_surface_;
  std::vector<std::string> control_;  // sorted
};

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

// Steps in order; what make_decoder returns.
class DecoderChain final : public Decoder {
 public:
  explicit DecoderChain(std::vector<std::unique_ptr<DecodeStep>> steps)
      : steps_(std::move(steps)) {}
  void decode(std::vector<std::string>& pieces) const override {
    for (const auto& step : steps_) step->decode(pieces);
  }
  const std::vector<std::unique_ptr<DecodeStep>>& steps() const { return steps_; }

 private:
  std::vector<std::unique_ptr<DecodeStep>> steps_;
};

// Sequences flattened; JSON null as the step that joins tokens by spaces. Throws DataError.
std::unique_ptr<DecoderChain> make_decoder_chain(const Json& component, const std::string& where);

// The byte that a token <0xAB> means, or -1. "+" and a digit are taken too, as in `tokenizers`.
int byte_of_token(std::string_view token);

// All places of `pattern` in `text`, left to right, become `content`. An empty pattern stands
// before each character and at the end.
void replace_all(std::string& text, std::string_view pattern, std::string_view content);

}  // namespace llmcore::tokenizer
