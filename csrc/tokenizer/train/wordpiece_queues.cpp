#include "tokenizer/train/wordpiece_queues.h"

#include <algorithm>
#include <utility>

namespace llmcore::tokenizer {

void CountQueue::push(Entry&& entry) {
  heap_.push_back(std::move(entry));
  std::push_heap(heap_.begin(), heap_.end());
}

void CountQueue::update(std::uint32_t, std::uint32_t, std::uint32_t) {
  for (const std::uint32_t index : words_.touched()) {
    WordPieceWords::Pair& pair = words_.pairs()[index];
    std::vector<std::uint32_t> found = std::exchange(pair.found, {});
    if (pair.count > 0) push({pair.count, pair.tokens, index, step_, std::move(found)});
  }
  words_.touched().clear();
  ++step_;
}

std::optional<WordPieceMerge> CountQueue::next() {
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end());
    Entry top = std::move(heap_.back());
    heap_.pop_back();
    const WordPieceWords::Pair& pair = words_.pairs()[top.pair];
    if (top.count != pair.count) {
      top.count = pair.count;
      push(std::move(top));
      continue;
    }
    if (top.count < 1 || top.count < min_count_) break;
    return WordPieceMerge{pair.left(), pair.right(), std::move(top.words)};
  }
  return std::nullopt;
}

void LikelihoodQueue::update(std::uint32_t left, std::uint32_t right, std::uint32_t id) {
  // The merge leaves the pair's own count as it was.
  if (merged_ != kAbsent && words_.pairs()[merged_].found.empty()) {
    words_.pairs()[merged_].count = 0;
  }
  take_touched();
  // The new token's pairs hold its count; those of its parts hold counts that fell.
  for (const std::uint32_t token : {left, right, id}) rescore_pairs_of(token);
}

void LikelihoodQueue::take_touched() {
  items_.resize(words_.pairs().size());
  for (const std::uint32_t index : words_.touched()) {
    WordPieceWords::Pair& pair = words_.pairs()[index];
    Item& item = items_[index];
    item.words.insert(item.words.end(), pair.found.begin(), pair.found.end());
    pair.found = {};
    const std::size_t most = std::max(pair.left(), pair.right()) + std::size_t{1};
    if (pairs_of_.size() < most) pairs_of_.resize(most);
    if (!std::exchange(item.is_listed, true)) {
      pairs_of_[pair.left()].push_back(index);
      if (pair.left() != pair.right()) pairs_of_[pair.right()].push_back(index);
    }
    rescore(index);
  }
  words_.touched().clear();
}

void LikelihoodQueue::rescore_pairs_of(std::uint32_t token) {
  if (token >= pairs_of_.size()) return;
  std::vector<std::uint32_t>& list = pairs_of_[token];
  for (const std::uint32_t pair : list) rescore(pair);
}

void LikelihoodQueue::rescore(std::uint32_t index) {
  const WordPieceWords::Pair& pair = words_.pairs()[index];
  Item& item = items_[index];
  if (pair.count < std::max<std::int64_t>(min_count_, 1)) return remove(index);
  item.count = pair.count;
  item.score =
      static_cast<double>(pair.count) / (static_cast<double>(words_.token_count(pair.left())) *
                                         static_cast<double>(words_.token_count(pair.right())));
  if (item.place == kAbsent) {
    heap_.push_back(index);
    item.place = static_cast<std::uint32_t>(heap_.size() - 1);
  }
  sift_up(item.place);
  sift_down(item.place);
}

std::optional<WordPieceMerge> LikelihoodQueue::next() {
  if (heap_.empty()) return std::nullopt;
  const std::uint32_t top = heap_.front();
  const WordPieceWords::Pair& pair = words_.pairs()[top];
  std::vector<std::uint32_t> words = std::exchange(items_[top].words, {});
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  remove(top);
  merged_ = top;
  return WordPieceMerge{pair.left(), pair.right(), std::move(words)};
}

bool LikelihoodQueue::is_better(std::uint32_t a, std::uint32_t b) const {
  if (items_[a].score != items_[b].score) return items_[a].score > items_[b].score;
  if (items_[a].count != items_[b].count) return items_[a].count > items_[b].count;
  return words_.pairs()[a].tokens < words_.pairs()[b].tokens;
}

void LikelihoodQueue::put(std::size_t place, std::uint32_t pair) {
  heap_[place] = pair;
  items_[pair].place = static_cast<std::uint32_t>(place);
}

void LikelihoodQueue::sift_up(std::size_t place) {
  const std::uint32_t pair = heap_[place];
  while (place > 0 && is_better(pair, heap_[(place - 1) / 4])) {
    put(place, heap_[(place - 1) / 4]);
    place = (place - 1) / 4;
  }
  put(place, pair);
}

void LikelihoodQueue::sift_down(std::size_t place) {
  const std::uint32_t pair = heap_[place];
  for (;;) {
    const std::size_t first = place * 4 + 1;
    const std::size_t last = std::min(first + 4, heap_.size());
    if (first >= last) break;
    std::size_t best = first;
    for (std::size_t child = first + 1; child < last; ++child) {
      if (is_better(heap_[child], heap_[best])) best = child;
    }
    if (!is_better(heap_[best], pair)) break;
    put(place, heap_[best]);
    place = best;
  }
  put(place, pair);
}

void LikelihoodQueue::remove(std::uint32_t pair) {
  const std::uint32_t place = items_[pair].place;
  if (place == kAbsent) return;
  items_[pair].place = kAbsent;
  const std::uint32_t last = heap_.back();
  heap_.pop_back();
  if (last == pair) return;
  put(place, last);
  sift_up(place);
  sift_down(items_[last].place);
}

}  // namespace llmcore::tokenizer
