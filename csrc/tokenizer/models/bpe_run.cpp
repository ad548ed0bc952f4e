// Ladder, cl100k's vocabulary, one character a million times, MB/s for space, newline, a and ^, by
// `bench_tokenizers.py --parts worst_cases`, one thread of a two-core AMD EPYC (Zen 4) that others
// shared:
//   windows that fail, then a heap of all pairs (wall clock)      2.5, 7.2, 14, 19
//   the run in phases, as here (--clock cpu)                      190, 188, 568, 442
#include <algorithm>
#include <vector>

#include "tokenizer/models/bpe_merge.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kMostEnds = 8;  // other symbols before the run, and after it

struct Token {
  std::uint32_t id = 0, len = 0;
};

// A row that is one symbol over and over between a few others.
struct Run {
  std::vector<Token> head, tail;
  Token token;
  std::size_t count = 0;

  bool read(const std::uint32_t* ids, const std::uint32_t* lens, std::size_t size) {
    const auto same = [&](std::size_t i, std::size_t j) {
      return ids[i] == ids[j] && (lens == nullptr || lens[i] == lens[j]);
    };
    std::size_t begin = kMostEnds, end = size - kMostEnds;
    for (std::size_t i = begin + 1; i < end; ++i) {
      if (!same(i, begin)) return false;
    }
    while (begin > 0 && same(begin - 1, kMostEnds)) --begin;
    while (end < size && same(end, kMostEnds)) ++end;
    const auto at = [&](std::size_t i) { return Token{ids[i], lens == nullptr ? 0 : lens[i]}; };
    for (std::size_t i = 0; i < begin; ++i) head.push_back(at(i));
    for (std::size_t i = end; i < size; ++i) tail.push_back(at(i));
    token = at(begin);
    count = end - begin;
    return true;
  }
  std::size_t write(std::uint32_t* ids, std::uint32_t* lens) const {
    std::size_t at = 0;
    const auto put = [&](const Token& t, std::size_t times) {
      std::fill_n(ids + at, times, t.id);
      if (lens != nullptr) std::fill_n(lens + at, times, t.len);
      at += times;
    };
    for (const Token& t : head) put(t, 1);
    put(token, count);
    for (const Token& t : tail) put(t, 1);
    return at;
  }
  // One that is left is as good as in the head.
  void settle() {
    if (count > 1) return;
    if (count == 1) head.push_back(token);
    count = 0;
    head.insert(head.end(), tail.begin(), tail.end());
    tail.clear();
  }
};

void fuse_at(std::vector<Token>& tokens, std::size_t i, std::uint32_t merged) {
  tokens[i] = {merged, tokens[i].len + tokens[i + 1].len};
  tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1);
}

}  // namespace

// All pairs of a run are equally good and merge from left to right before anything worse, so it
// stays a run between a short head and tail: a phase halves it. 0 if the row has no run, or if a
// merge makes a pair that comes no later than itself.
std::size_t MergeRules::merge_run(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                                  MergeScratch& scratch) const {
  Run run;
  if (!run.read(ids, lens, size)) return 0;
  scratch.num_steps += size;
  for (run.settle();; run.settle()) {
    enum class Place : std::uint8_t { kHead, kBeforeRun, kRun, kAfterRun, kTail } place{};
    std::uint32_t rank = kNoRank;
    std::size_t at = 0;
    const auto offer = [&](Place where, std::size_t i, const Token& left, const Token& right) {
      const std::uint32_t found = find(left.id, right.id);
      if (order(found) < order(rank)) rank = found, place = where, at = i;
    };
    for (std::size_t i = 1; i < run.head.size(); ++i) {
      offer(Place::kHead, i - 1, run.head[i - 1], run.head[i]);
    }
    if (run.count > 0) {
      if (!run.head.empty()) offer(Place::kBeforeRun, 0, run.head.back(), run.token);
      offer(Place::kRun, 0, run.token, run.token);
      if (!run.tail.empty()) offer(Place::kAfterRun, 0, run.token, run.tail[0]);
    }
    for (std::size_t i = 1; i < run.tail.size(); ++i) {
      offer(Place::kTail, i - 1, run.tail[i - 1], run.tail[i]);
    }
    if (rank == kNoRank) break;
    const std::uint32_t merged = merged_[rank];
    ++scratch.num_steps;
    if (place == Place::kHead || place == Place::kTail) {
      fuse_at(place == Place::kHead ? run.head : run.tail, at, merged);
    } else if (place != Place::kRun) {
      Token& end = place == Place::kBeforeRun ? run.head.back() : run.tail[0];
      end = {merged, end.len + run.token.len};
      --run.count;
    } else {
      const auto comes_later = [&](std::uint32_t left, std::uint32_t right) {
        return order(find(left, right)) > order(rank);
      };
      if (!comes_later(merged, run.token.id) || !comes_later(merged, merged) ||
          (!run.head.empty() && !comes_later(run.head.back().id, merged)) ||
          (!run.tail.empty() && !comes_later(merged, run.tail[0].id))) {
        return 0;
      }
      if (run.count % 2 == 1) run.tail.insert(run.tail.begin(), run.token);
      run.token = {merged, 2 * run.token.len};
      run.count /= 2;
    }
  }
  return run.write(ids, lens);
}

// A row of one symbol all of whose merges are equally good (the spaces of Llama 2): the leftmost
// pair merges first, so a stack that takes symbol after symbol does it. 0, and the row as it was,
// if the row is another or a pair is better or worse than the first.
std::size_t MergeRules::merge_level_run(std::uint32_t* ids, std::uint32_t* lens, std::size_t size,
                                        MergeScratch& scratch) const {
  const Token one{ids[0], lens == nullptr ? 0 : lens[0]};
  for (std::size_t i = 1; i < size; ++i) {
    if (ids[i] != one.id || (lens != nullptr && lens[i] != one.len)) return 0;
  }
  const std::uint32_t first = find(one.id, one.id);
  if (first == kNoRank) return 0;
  scratch.num_steps += size;
  bool is_level = true;
  const auto look_up = [&](std::uint32_t left, std::uint32_t right) {
    const std::uint32_t rank = find(left, right);
    is_level = is_level && (rank == kNoRank || order(rank) == order(first));
    return rank;
  };
  std::vector<Token> stack;
  for (std::size_t taken = 0; taken < size && is_level; ++taken) {
    stack.push_back(one);
    while (stack.size() > 1) {
      const Token right = stack.back(), left = stack[stack.size() - 2];
      const std::uint32_t rank = look_up(left.id, right.id);
      if (rank == kNoRank) break;
      // What is behind it must not come before it.
      if (taken + 1 < size) look_up(right.id, one.id);
      stack.pop_back();
      stack.back() = {merged_[rank], left.len + right.len};
    }
  }
  if (!is_level) return 0;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    ids[i] = stack[i].id;
    if (lens != nullptr) lens[i] = stack[i].len;
  }
  return stack.size();
}

}  // namespace llmcore::tokenizer
