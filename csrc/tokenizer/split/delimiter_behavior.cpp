#include "tokenizer/split/delimiter_behavior.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {
namespace {

using enum DelimiterBehavior;

constexpr std::array<std::pair<std::string_view, DelimiterBehavior>, 5> kNames{{
    {"Removed", kRemoved},
    {"Isolated", kIsolated},
    {"MergedWithPrevious", kMergedWithPrevious},
    {"MergedWithNext", kMergedWithNext},
    {"Contiguous", kContiguous},
}};

void append(Piece piece, std::vector<Piece>& pieces) {
  if (piece.end > piece.begin) pieces.push_back(piece);
}

// Joins a stretch to the one before it, in the order of `stretches`, where joins(stretch, before).
template <class Stretches, class Joins>
std::vector<Piece> fold(const Stretches& stretches, Joins&& joins) {
  std::vector<Piece> folded;
  bool before = false;
  for (const Stretch& s : stretches) {
    if (joins(s.is_match, before) && !folded.empty()) {
      folded.back() = {std::min(folded.back().begin, s.begin), std::max(folded.back().end, s.end)};
    } else {
      folded.push_back({s.begin, s.end});
    }
    before = s.is_match;
  }
  return folded;
}

}  // namespace

DelimiterBehavior parse_behavior(const Json& value, const std::string& where) {
  const std::string_view name = value.as_string(where);
  for (const auto& [known, behavior] : kNames) {
    if (name == known) return behavior;
  }
  throw DataError(where +
                  ": must be Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, "
                  "got " +
                  value.describe());
}

void append_pieces(std::span<const Stretch> stretches, DelimiterBehavior behavior,
                   std::vector<Piece>& pieces) {
  const auto match_after_other = [](bool is_match, bool before) { return is_match && !before; };
  const auto alike = [](bool is_match, bool before) { return is_match == before; };
  std::vector<Piece> folded;
  switch (behavior) {
    case kRemoved:
    case kIsolated:
      for (const Stretch& s : stretches) {
        if (!s.is_match || behavior == kIsolated) append({s.begin, s.end}, pieces);
      }
      return;
    case kContiguous:
      folded = fold(stretches, alike);
      break;
    case kMergedWithPrevious:
      folded = fold(stretches, match_after_other);
      break;
    case kMergedWithNext: {
      std::vector<Stretch> reversed(stretches.rbegin(), stretches.rend());
      folded = fold(reversed, match_after_other);
      std::ranges::reverse(folded);
      break;
    }
  }
  for (const Piece& piece : folded) append(piece, pieces);
}

}  // namespace llmcore::tokenizer
