#include "tokenizer/decode/decode_steps.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/decode/sentencepiece_start.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Text with `content` around and between all of its characters.
std::string spread(std::string_view text, std::string_view content) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* end = p + text.size();
  std::string out;
  while (p < end) {
    out += content;
    const std::uint8_t* from = p;
    next_char(p, end);
    out.append(reinterpret_cast<const char*>(from), static_cast<std::size_t>(p - from));
  }
  return out += content;
}

// How often `content` stands at the front of `text`, `most` at most.
std::uint64_t count_front(std::string_view text, std::string_view content, std::uint64_t most) {
  std::uint64_t count = 0;
  for (; count < most && text.starts_with(content); ++count) text.remove_prefix(content.size());
  return count;
}

std::uint64_t count_back(std::string_view text, std::string_view content, std::uint64_t most) {
  std::uint64_t count = 0;
  for (; count < most && text.ends_with(content); ++count) text.remove_suffix(content.size());
  return count;
}

}  // namespace

void replace_all(std::string& text, std::string_view pattern, std::string_view content) {
  if (pattern.empty()) {
    if (!content.empty()) text = spread(text, content);
    return;
  }
  std::size_t at = text.find(pattern);
  if (at == std::string::npos) return;
  std::string out;
  out.reserve(text.size());
  std::size_t from = 0;
  for (; at != std::string::npos; at = text.find(pattern, from)) {
    out.append(text, from, at - from) += content;
    from = at + pattern.size();
  }
  out.append(text, from);
  text = std::move(out);
}

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = token[3] == '+' ? 0 : hex_digit(token[3]);
  const int low = hex_digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void DecodeStep::decode(std::vector<std::string>& pieces) const {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    rewrite(pieces[i], {i == 0, i + 1 == pieces.size()});
  }
}

void StripStep::rewrite(std::string& piece, Place) const {
  piece.erase(0, count_front(piece, content, start) * content.size());
  piece.resize(piece.size() - count_back(piece, content, stop) * content.size());
}

SentencePieceStep::Kind SentencePieceStep::kind(std::string_view piece, std::uint8_t& byte) const {
  if (byte_fallback_) {
    const int value = byte_of_token(piece);
    byte = static_cast<std::uint8_t>(value);
    if (value >= 0) return Kind::kByte;
  }
  if (piece == unknown_) return Kind::kUnknown;
  const bool is_control = std::binary_search(control_.begin(), control_.end(), piece);
  return is_control ? Kind::kControl : Kind::kText;
}

std::string SentencePieceStep::surface(std::string_view piece) const {
  std::uint8_t byte = 0;
  const Kind kind = this->kind(piece, byte);
  if (kind == Kind::kControl) return "";
  if (kind == Kind::kUnknown) return unk_surface_;
  std::string text(piece);
  replace_all(text, kSpaceMark, " ");
  return text;
}

void SentencePieceStep::decode(std::vector<std::string>& pieces) const {
  SentencePieceStart start(*this);
  std::string text, run;
  for (const std::string& piece : pieces) {
    std::uint8_t byte = 0;
    if (kind(piece, byte) == Kind::kByte) {
      push_run_byte(run, byte, text);
      continue;
    }
    end_run(run, text);
    text += start.is_over(!text.empty()) ? surface(piece) : start.surface(piece);
  }
  end_run(run, text);
  pieces.clear();
  pieces.push_back(std::move(text));
}

SentencePieceStep::SentencePieceStep(const Json& component, const std::string& where)
    : add_dummy_prefix_(component["add_dummy_prefix"].as_bool(where + ".add_dummy_prefix")),
      remove_extra_whitespaces_(
          component["remove_extra_whitespaces"].as_bool(where + ".remove_extra_whitespaces")),
      byte_fallback_(component["byte_fallback"].as_bool(where + ".byte_fallback")),
      unknown_(component["unknown"].as_string(where + ".unknown")),
      unk_surface_(" \xE2\x81\x87 ") {
  const Json& surface = component["unk_surface"];
  if (!surface.is_null()) unk_surface_ = surface.as_string(where + ".unk_surface");
  for (const Json& piece : component["control"].as_items(where + ".control")) {
    control_.emplace_back(piece.as_string(where + ".control"));
  }
  std::sort(control_.begin(), control_.end());
}

}  // namespace llmcore::tokenizer
