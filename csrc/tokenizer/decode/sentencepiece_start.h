// The front of a text in SentencePiece's decoding, where marks are taken off, and its byte runs.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/decode/decode_steps.h"
#include "tokenizer/decode/utf8_gate.h"

namespace llmcore::tokenizer {

class SentencePieceStart {
 public:
  explicit SentencePieceStart(const SentencePieceStep& step) : step_(&step) {}

  // Ask before each piece that is no byte; once true, pieces read alike wherever they stand.
  bool is_over(bool has_text) {
    is_over_ = is_over_ || mark_seen_ || has_text || !step_->trims_start();
    return is_over_;
  }
  // Text of a piece while !is_over().
  std::string surface(std::string_view piece) {
    mark_seen_ = false;
    std::uint8_t byte = 0;
    if (step_->kind(piece, byte) != SentencePieceStep::Kind::kText) return step_->surface(piece);
    std::string text(piece);
    if (piece.starts_with(kSpaceMark)) {
      mark_seen_ = step_->trims_once();
      text.erase(0, kSpaceMark.size());
    }
    replace_all(text, kSpaceMark, " ");
    return text;
  }

 private:
  const SentencePieceStep* step_;
  bool is_over_ = false, mark_seen_ = false;
};

// Adds `byte` to an open run; text that is now certain goes to `out`. Each byte that belongs to no
// well-formed character becomes one U+FFFD.
inline void push_run_byte(std::string& run, std::uint8_t byte, std::string& out) {
  run += static_cast<char>(byte);
  while (!run.empty()) {
    const Utf8Head head = utf8_head(run);
    if (head.is_cut) return;
    const std::size_t size = head.is_whole ? head.size : 1;
    head.is_whole ? out.append(run, 0, size) : out += kReplacementText;
    run.erase(0, size);
  }
}

inline void end_run(std::string& run, std::string& out) {
  for (std::size_t i = 0; i < run.size(); ++i) out += kReplacementText;
  run.clear();
}

}  // namespace llmcore::tokenizer
