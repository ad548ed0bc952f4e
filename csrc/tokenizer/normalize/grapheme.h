// Extended grapheme clusters (UAX #29) without pairs of regional indicators, which no cluster of up
// to five bytes depends on, and without GB9c: a conjunct's last consonant starts a cluster here.
#pragma once

#include "tokenizer/normalize/char_data.h"
#include "tokenizer/text/aligned_text.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

struct GraphemeChar {
  std::uint32_t c = 0;
  unsigned length = 1;
  bool is_valid = false;  // false for an ill-formed byte
  GraphemeClass kind = GraphemeClass::kControl;
};

inline GraphemeChar read_grapheme_char(Text text, std::size_t at) {
  std::uint32_t c = 0;
  const unsigned length = decode_utf8(text.data() + at, text.data() + text.size(), c);
  if (length == 0) return {};
  return {c, length, true, static_cast<GraphemeClass>(char_record(c).grapheme_class)};
}

// Whether two neighbours are in one cluster; `after_pictograph`: a pictograph, joiners and a
// zero-width joiner end at the boundary.
inline bool joins(GraphemeClass left, GraphemeClass right, bool after_pictograph) {
  using enum GraphemeClass;
  if (left == kControl || right == kControl) return false;
  if (right == kJoiner || left == kPrepend) return true;
  if (left == kL) return right == kL || right == kV || right == kLV || right == kLVT;
  if (left == kLV || left == kV) return right == kV || right == kT;
  if (left == kLVT || left == kT) return right == kT;
  return after_pictograph && right == kPictograph;
}

struct Grapheme {
  std::size_t end = 0;
  std::uint32_t first = 0;
  bool is_char = true;  // one well-formed character or one ill-formed byte
};

// The cluster that starts at `at`.
inline Grapheme read_grapheme(Text text, std::size_t at) {
  GraphemeChar left = read_grapheme_char(text, at);
  Grapheme cluster{at + left.length, left.c, true};
  if (left.c == '\r' && cluster.end < text.size() && text[cluster.end] == '\n') {
    return {cluster.end + 1, left.c, false};
  }
  bool in_pictograph = left.kind == GraphemeClass::kPictograph;
  while (cluster.end < text.size()) {
    const GraphemeChar right = read_grapheme_char(text, cluster.end);
    if (!joins(left.kind, right.kind, in_pictograph && left.c == 0x200D)) break;
    if (right.kind != GraphemeClass::kJoiner) {
      in_pictograph = right.kind == GraphemeClass::kPictograph;
    }
    cluster.end += right.length;
    cluster.is_char = false;
    left = right;
  }
  return cluster;
}

}  // namespace llmcore::tokenizer
