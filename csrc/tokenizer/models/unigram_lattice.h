// All segmentations of one text, for draws and for the best few.
// Source: Kudo 2018, arXiv:1804.10959, section 3; forward filtering, backward sampling.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tokenizer/models/unigram.h"

namespace llmcore::tokenizer {

class UnigramLattice {
 public:
  using Path = std::vector<PathStep>;

  // Memory in proportion to the text times the tokens that begin at one byte.
  UnigramLattice(const UnigramModel& model, Text text);

  // One path with probability proportional to exp(alpha * score).
  Path sample(double alpha, std::uint64_t seed) const;
  // The `count` best paths by score, best first: exact, by A* from the end of the text.
  std::vector<std::pair<double, Path>> nbest(std::size_t count) const;

 private:
  struct Arc {
    std::uint32_t begin, id;
    double score;
  };

  void add(std::size_t begin, std::size_t end, std::uint32_t id, double score);
  void group_by_end(std::size_t num_bytes);
  std::vector<double> viterbi() const;

  std::vector<std::pair<std::uint32_t, Arc>> added_;  // with the byte where the arc ends
  std::vector<Arc> arcs_;
  std::vector<std::size_t> first_;  // arcs that end at byte i: [first_[i], first_[i + 1])
};

// Index i with probability proportional to exp(logits[i]); `counter` tells the draws of one seed
// apart.
std::size_t draw_index(const std::vector<double>& logits, std::uint64_t seed,
                       std::uint64_t counter);

}  // namespace llmcore::tokenizer
