#include "tokenizer/models/unigram_lattice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

#include "core/philox.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr std::uint32_t kSegmentationPurpose = 3;  // see core/philox.h

// A suffix of a path in the A* search: the arc it starts with, and the rest.
struct Hypothesis {
  double score;  // of the best whole path with this suffix, rounded: see nbest
  double suffix_score;
  std::uint32_t begin;
  std::size_t arc, next;
};

// Of equal scores the one nearer to its completion is taken first, so ties cost no breadth.
struct IsWorse {
  bool operator()(const Hypothesis& a, const Hypothesis& b) const {
    if (a.score != b.score) return a.score < b.score;
    if (a.begin != b.begin) return a.begin > b.begin;
    return a.arc > b.arc;
  }
};

double log_sum_exp(const std::vector<double>& values) {
  const double top = *std::max_element(values.begin(), values.end());
  if (!std::isfinite(top)) return top;
  double sum = 0;
  for (const double value : values) sum += std::exp(value - top);
  return top + std::log(sum);
}

}  // namespace

std::size_t draw_index(const std::vector<double>& logits, std::uint64_t seed,
                       std::uint64_t counter) {
  const PhiloxWords words =
      philox4x32({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0,
                  kSegmentationPurpose},
                 seed);
  const std::uint64_t bits = (std::uint64_t{words[1]} << 32 | words[0]) >> 11;
  const double top = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const double logit : logits) total += std::exp(logit - top);
  double left = static_cast<double>(bits) * 0x1p-53 * total;
  for (std::size_t i = 0; i + 1 < logits.size(); ++i) {
    left -= std::exp(logits[i] - top);
    if (left < 0) return i;
  }
  return logits.size() - 1;
}

UnigramLattice::UnigramLattice(const UnigramModel& model, Text text) {
  const std::uint8_t* p = text.data();
  const std::size_t n = text.size();
  const ByteTrie& trie = *model.trie_;
  const std::vector<double>& scores =
      model.lattice_scores_.empty() ? model.scores_ : model.lattice_scores_;
  for (std::size_t i = 0; i < n;) {
    std::uint32_t c = 0;
    const std::size_t next = i + std::max(1u, decode_utf8(p + i, p + n, c));
    bool has_single = false;
    std::uint32_t at = ByteTrie::kRoot;
    for (std::size_t j = i; j < n && trie.step(at, p[j]);) {
      ++j;
      const std::uint32_t id = trie.value(at);
      if (id == ByteTrie::kNoValue) continue;
      add(i, j, id, scores[id]);
      has_single |= j == next;
    }
    if (!has_single) {
      if (model.unknown_.id == ByteTrie::kNoValue) UnigramModel::fail_unknown();
      add(i, next, model.unknown_.id, model.unk_score_);
    }
    i = next;
  }
  group_by_end(n);
}

void UnigramLattice::add(std::size_t begin, std::size_t end, std::uint32_t id, double score) {
  added_.push_back(
      {static_cast<std::uint32_t>(end), {static_cast<std::uint32_t>(begin), id, score}});
}

void UnigramLattice::group_by_end(std::size_t num_bytes) {
  first_.assign(num_bytes + 2, 0);
  for (const auto& [end, arc] : added_) ++first_[end + 1];
  for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  arcs_.resize(added_.size());
  std::vector<std::size_t> next = first_;
  for (const auto& [end, arc] : added_) arcs_[next[end]++] = arc;
  added_ = {};
}

UnigramLattice::Path UnigramLattice::sample(double alpha, std::uint64_t seed) const {
  const std::size_t n = first_.size() - 2;
  // filtered[i]: log of the summed weight of all paths that end at byte i.
  std::vector<double> filtered(n + 1, kNever), logits;
  filtered[0] = 0;
  const auto weigh = [&](std::size_t end) {
    logits.clear();
    for (std::size_t k = first_[end]; k < first_[end + 1]; ++k) {
      logits.push_back(filtered[arcs_[k].begin] + alpha * arcs_[k].score);
    }
  };
  for (std::size_t end = 1; end <= n; ++end) {
    weigh(end);
    if (!logits.empty()) filtered[end] = log_sum_exp(logits);
  }
  Path path;
  for (std::size_t end = n; end > 0;) {
    weigh(end);
    const Arc& arc = arcs_[first_[end] + draw_index(logits, seed, path.size())];
    path.push_back({arc.id, arc.begin, static_cast<std::uint32_t>(end)});
    end = arc.begin;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<double> UnigramLattice::viterbi() const {
  std::vector<double> best(first_.size() - 1, kNever);
  best[0] = 0;
  for (std::size_t end = 1; end < best.size(); ++end) {
    for (std::size_t k = first_[end]; k < first_[end + 1]; ++k) {
      best[end] = std::max(best[end], best[arcs_[k].begin] + arcs_[k].score);
    }
  }
  return best;
}

std::vector<std::pair<double, UnigramLattice::Path>> UnigramLattice::nbest(
    std::size_t count) const {
  const std::vector<double> best = viterbi();
  const std::size_t n = best.size() - 1;
  constexpr std::size_t kEnd = static_cast<std::size_t>(-1);
  // Sums of one path in two orders differ in their last bits; rounded, they tie, and a tie is
  // taken depth first. Otherwise the search could wander among paths that are equally good.
  const double quantum = std::max(std::abs(best[n]), 1.0) * 0x1p-40;
  std::vector<Hypothesis> closed;
  std::priority_queue<Hypothesis, std::vector<Hypothesis>, IsWorse> open;
  const auto expand = [&](std::size_t end, double suffix_score, std::size_t next) {
    for (std::size_t k = first_[end]; k < first_[end + 1]; ++k) {
      if (best[arcs_[k].begin] == kNever) continue;
      const double score = suffix_score + arcs_[k].score;
      const double whole = std::round((best[arcs_[k].begin] + score) / quantum);
      open.push({whole, score, arcs_[k].begin, k, next});
    }
  };
  std::vector<std::pair<double, Path>> results;
  expand(n, 0, kEnd);
  while (!open.empty() && results.size() < count) {
    const Hypothesis top = open.top();
    open.pop();
    closed.push_back(top);
    if (top.begin > 0) {
      expand(top.begin, top.suffix_score, closed.size() - 1);
      continue;
    }
    Path path;
    for (std::size_t at = closed.size() - 1; at != kEnd; at = closed[at].next) {
      const Arc& arc = arcs_[closed[at].arc];
      const std::size_t next = closed[at].next;
      const std::size_t end = next == kEnd ? n : closed[next].begin;
      path.push_back({arc.id, arc.begin, static_cast<std::uint32_t>(end)});
    }
    results.emplace_back(top.suffix_score, std::move(path));
  }
  std::stable_sort(results.begin(), results.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  return results;
}

}  // namespace llmcore::tokenizer
