// The pieces under training. A piece is a place in the text; the pieces that begin at a position
// are the longest of them and, link by link, its prefixes: no trie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmcore::tokenizer {

struct UnigramPiece {
  double score = 0;          // log-probability, or what the step in hand needs
  std::uint32_t prefix = 0;  // the longest shorter piece that this one begins with
  std::uint32_t length = 0;  // in symbols
};

struct UnigramPieces {
  static constexpr std::uint32_t kNone = ~0u;

  // In lexicographic order, so that a prefix comes before what it begins.
  std::vector<UnigramPiece> pieces;
  std::vector<std::uint32_t> begins;   // of an occurrence in the text, by piece
  std::vector<std::uint32_t> longest;  // by position in the text: the longest piece there, or kNone

  // Of a vocabulary that is extended: its ids by piece, kNone for the new ones; its scores by id,
  // which stay as they are; and the logarithm of its pieces' summed probabilities.
  std::vector<std::uint32_t> old_ids;
  std::vector<double> old_scores;
  double log_old_mass = 0;

  bool is_old(std::size_t piece) const { return !old_ids.empty() && old_ids[piece] != kNone; }

  // Keeps the pieces flagged; shorter ones take the place of those that go.
  void keep(const std::vector<char>& flags);
};

}  // namespace llmcore::tokenizer
