#include "tokenizer/train/bpe_merging.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "tokenizer/errors.h"
#include "tokenizer/train/bpe_unions.h"
#include "tokenizer/train/chunked_array.h"

namespace llmcore::tokenizer {
namespace {

using Merges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

constexpr std::size_t kAhead = 16;
constexpr std::uint32_t kRight = 1u << 31;  // on the id of a neighbour: it follows

// A pair waiting to be merged at places[begin, begin + size), or, of size 1, at `begin` itself; its
// count may be out of date.
struct QueueEntry {
  std::int64_t count;
  std::uint64_t pair;
  std::uint32_t begin;
  std::uint32_t size;
};

// What one step finds beside the new symbol, by the neighbour's id.
struct Neighbour {
  std::int64_t count = 0;
  std::uint32_t found = 0;  // places
  std::uint32_t next = 0;   // where the next goes; of one place, the place
  bool touched = false;
};

class Merging {
 public:
  Merging(SymbolRows rows, GrowingVocabulary& vocabulary, const MergingRules& rules)
      : rows_(std::move(rows)), vocabulary_(vocabulary), rules_(rules), unions_(vocabulary, rules) {
    count_first_pairs();
  }

  Merges run(const TrainTick& tick) {
    auto last_tick = std::chrono::steady_clock::now();
    while (vocabulary_.size() < rules_.vocab_size) {
      if (queue_.empty() || queue_.front().count <= 1) queue_singles();
      if (queue_.empty()) break;
      QueueEntry top = pop();
      PairInfo& info = pairs_.infos[pairs_.find_or_add(top.pair)];
      const std::int64_t count = info.count;
      if (top.count != count) {
        top.count = count;
        push(top);
        continue;
      }
      if (count < 1 || count < rules_.min_frequency) break;
      if (unions_.is_forbidden(left_of(top.pair), right_of(top.pair))) continue;
      merge(top, info.live_lists-- > 1);
      const auto now = std::chrono::steady_clock::now();
      if (tick && now - last_tick > std::chrono::milliseconds(100)) {
        last_tick = now;
        tick(vocabulary_.size());
      }
    }
    return last_of_each();
  }

 private:
  bool is_after(const QueueEntry& a, const QueueEntry& b) const {
    return a.count != b.count ? a.count < b.count : unions_.is_after(a.pair, b.pair);
  }
  void push(const QueueEntry& entry) {
    // In small steps: the queue is large.
    if (queue_.size() == queue_.capacity()) queue_.reserve(queue_.size() + queue_.size() / 4 + 64);
    queue_.push_back(entry);
    std::push_heap(queue_.begin(), queue_.end(),
                   [this](const QueueEntry& a, const QueueEntry& b) { return is_after(a, b); });
  }
  QueueEntry pop() {
    std::pop_heap(queue_.begin(), queue_.end(),
                  [this](const QueueEntry& a, const QueueEntry& b) { return is_after(a, b); });
    const QueueEntry top = queue_.back();
    queue_.pop_back();
    return top;
  }

  // Calls visit(place, pair) for every two neighbours of the rows.
  template <class Visit>
  void for_each_pair(Visit&& visit) const {
    for (std::uint32_t p = 1; p + 1 < rows_.size(); ++p) {
      if (rows_[p] == kBreak || rows_[p + 1] == kBreak) continue;
      visit(p, pair_of(rows_[p], rows_[p + 1]));
    }
  }

  void count_first_pairs() {
    std::vector<std::uint32_t> sizes;
    for_each_pair([&](std::uint32_t p, std::uint64_t pair) {
      const std::uint32_t i = pairs_.find_or_add(pair);
      if (i == sizes.size()) sizes.push_back(0);
      pairs_.infos[i].count += rows_.count(p);
      ++sizes[i];
    });
    // The lists that are merged first lie together, and are given back together.
    std::vector<std::uint32_t> order(sizes.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [this](std::uint32_t a, std::uint32_t b) {
      return pairs_.infos[a].count > pairs_.infos[b].count;
    });
    std::vector<std::uint32_t> begins(sizes.size());
    for (const std::uint32_t i : order) begins[i] = extend_places(sizes[i]);
    std::vector<std::uint32_t> ends = begins;
    for_each_pair([&](std::uint32_t p, std::uint64_t pair) {
      const std::uint32_t i = pairs_.find_or_add(pair);
      if (sizes[i] == 1) {
        begins[i] = p;
      } else {
        places_[ends[i]++] = p;
      }
    });
    for (const std::uint32_t i : order) {
      PairInfo& info = pairs_.infos[i];
      if (unions_.may_wait(left_of(info.pair), right_of(info.pair), false)) {
        wait(info, begins[i], sizes[i]);
      }
    }
  }

  std::uint32_t extend_places(std::uint32_t size) {
    if (size < 2) return 0;
    if (size > UINT32_MAX - places_.size()) {
      throw DataError("train: the distinct words must have fewer than 2^32 pairs, got more");
    }
    return places_.extend(size);
  }

  // A new list of a pair's places. Those that stand once in all the text are many, and are merged
  // last if at all: they wait outside the queue.
  void wait(PairInfo& info, std::uint32_t begin, std::uint32_t size) {
    ++info.live_lists;
    if (info.count == 1 && size == 1 && info.single == 0 && !has_singles_) {
      info.single = begin;
    } else {
      push({info.count, info.pair, begin, size});
    }
  }

  void queue_singles() {
    if (has_singles_) return;
    has_singles_ = true;
    for (std::uint32_t i = 0; i < pairs_.infos.size(); ++i) {
      const PairInfo& info = pairs_.infos[i];
      if (info.single != 0) push({1, info.pair, info.single, 1});
    }
  }

  // Every place of the pair in the words of `merged_`, including those that other lists name.
  void widen_to_words(std::uint32_t left, std::uint32_t right) {
    std::vector<std::uint32_t> words;
    words.reserve(merged_.size());
    for (const std::uint32_t p : merged_) words.push_back(rows_.word_begin(p));
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    merged_.clear();
    for (const std::uint32_t word : words) {
      for (std::uint32_t p = word; rows_[p] != kBreak;) {
        const std::uint32_t q = rows_.next(p);
        if (rows_[p] == left && rows_[q] == right) merged_.push_back(p);
        p = q;
      }
    }
  }

  // `has_more`: the pair has other lists too.
  void merge(const QueueEntry& entry, bool has_more) {
    const std::uint32_t left = left_of(entry.pair), right = right_of(entry.pair);
    const std::uint32_t id = vocabulary_.add(unions_.text(left, right));
    unions_.added(id, left, right);
    merges_.emplace_back(left, right);
    merged_.clear();
    if (entry.size == 1) {
      merged_.push_back(entry.begin);
    } else {
      for (std::uint32_t i = 0; i < entry.size; ++i) merged_.push_back(places_[entry.begin + i]);
      places_.release(entry.begin, entry.size);
    }
    // A token text reached by two merges can give a pair two lists, as in `tokenizers`, which
    // merges whole words at a time.
    if (has_more) {
      widen_to_words(left, right);
    } else if (left == right) {
      std::sort(merged_.begin(), merged_.end());
    }
    left_.resize(vocabulary_.size());
    right_.resize(vocabulary_.size());
    for (std::size_t i = 0; i < merged_.size(); ++i) {
      // Places lie anywhere: their memory comes while others are merged.
      if (i + kAhead < merged_.size()) rows_.prefetch(merged_[i + kAhead]);
      merge_at(merged_[i], left, right, id);
    }
    update_pairs(left, right, id);
  }

  void merge_at(std::uint32_t p, std::uint32_t left, std::uint32_t right, std::uint32_t id) {
    if (rows_[p] != left) return;
    const std::uint32_t q = rows_.next(p);
    if (rows_[q] != right) return;
    const std::int64_t count = rows_.count(p);
    const std::uint32_t end = rows_.next(q);
    if (!rows_.is_first(p)) {
      const std::uint32_t before = rows_.previous(p);
      touch(left_, left_touched_, rows_[before], count);
      found_.push_back({rows_[before], before});
    }
    if (rows_[end] != kBreak) {
      touch(right_, right_touched_, rows_[end], count);
      found_.push_back({rows_[end] | kRight, p});
    }
    rows_.merge(p, q, end, id);
  }

  static void touch(std::vector<Neighbour>& side, std::vector<std::uint32_t>& touched,
                    std::uint32_t symbol, std::int64_t count) {
    Neighbour& neighbour = side[symbol];
    if (!neighbour.touched) {
      neighbour.touched = true;
      touched.push_back(symbol);
    }
    neighbour.count += count;
    ++neighbour.found;
  }

  // (x, left) became (x, id), and (right, y) became (id, y): new counts, and one list per pair.
  void update_pairs(std::uint32_t left, std::uint32_t right, std::uint32_t id) {
    for (const std::uint32_t x : left_touched_) {
      add(pair_of(x, left), -left_[x].count);
      if (unions_.may_wait(x, id, true)) add(pair_of(x, id), left_[x].count);
    }
    for (const std::uint32_t y : right_touched_) {
      add(pair_of(right, y), -right_[y].count);
      if (unions_.may_wait(id, y, true)) add(pair_of(id, y), right_[y].count);
    }
    // (id, id) may be found from both sides: its list is that of the left.
    if (left_[id].touched && right_[id].touched) left_[id].found += right_[id].found;
    for (const std::uint32_t x : left_touched_) begin_list(left_[x], x, id);
    for (const std::uint32_t y : right_touched_) {
      if (y != id || !left_[id].touched) begin_list(right_[y], id, y);
    }
    for (const auto& [symbol, place] : found_) {
      const std::uint32_t y = symbol & ~kRight;
      const bool is_right = symbol != y && (y != id || !left_[id].touched);
      Neighbour& side = is_right ? right_[y] : left_[y];
      if (side.found == 1) side.next = place;
      if (side.found > 1) places_[side.next++] = place;
    }
    for (const std::uint32_t x : left_touched_) end_list(left_[x], x, id);
    for (const std::uint32_t y : right_touched_) {
      if (y != id || !left_[id].touched) end_list(right_[y], id, y);
    }
    for (const std::uint32_t x : left_touched_) left_[x] = {};
    for (const std::uint32_t y : right_touched_) right_[y] = {};
    left_touched_.clear();
    right_touched_.clear();
    found_.clear();
  }

  void add(std::uint64_t pair, std::int64_t count) {
    pairs_.infos[pairs_.find_or_add(pair)].count += count;
  }

  // Room for the places that were found, if they are wanted.
  void begin_list(Neighbour& side, std::uint32_t left, std::uint32_t right) {
    const bool is_wanted = unions_.may_wait(left, right, true) &&
                           pairs_.infos[pairs_.find_or_add(pair_of(left, right))].count > 0;
    if (!is_wanted) side.found = 0;
    side.next = extend_places(side.found);
  }
  void end_list(const Neighbour& side, std::uint32_t left, std::uint32_t right) {
    if (side.found == 0) return;
    wait(pairs_.infos[pairs_.find_or_add(pair_of(left, right))],
         side.found == 1 ? side.next : side.next - side.found, side.found);
  }

  // A pair merged twice keeps its later rank, as in `tokenizers`.
  Merges last_of_each() const {
    std::unordered_map<std::uint64_t, std::size_t> last;
    for (std::size_t i = 0; i < merges_.size(); ++i) {
      last[pair_of(merges_[i].first, merges_[i].second)] = i;
    }
    Merges kept;
    for (std::size_t i = 0; i < merges_.size(); ++i) {
      if (last[pair_of(merges_[i].first, merges_[i].second)] == i) kept.push_back(merges_[i]);
    }
    return kept;
  }

  SymbolRows rows_;
  GrowingVocabulary& vocabulary_;
  const MergingRules& rules_;
  Unions unions_;
  PairTable pairs_;
  ChunkedArray<std::uint32_t> places_;
  bool has_singles_ = false;  // in the queue
  std::vector<QueueEntry> queue_;
  Merges merges_;
  // Of one step: the places of its pair, its neighbours by id, which of them it met, and where.
  std::vector<std::uint32_t> merged_;
  std::vector<Neighbour> left_, right_;
  std::vector<std::uint32_t> left_touched_, right_touched_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> found_;
};

}  // namespace

Merges merge_rows(SymbolRows rows, GrowingVocabulary& vocabulary, const MergingRules& rules,
                  const TrainTick& tick) {
  return Merging(std::move(rows), vocabulary, rules).run(tick);
}

}  // namespace llmcore::tokenizer
