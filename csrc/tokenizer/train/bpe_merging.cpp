#include "tokenizer/train/bpe_merging.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "tokenizer/train/bpe_unions.h"

namespace llmcore::tokenizer {
namespace {

using Merges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

// Places in the rows, written once and never moved.
class PlaceStore {
 public:
  std::uint64_t size() const { return size_; }
  std::uint32_t& operator[](std::uint64_t i) { return chunks_[i >> kBits][i & (kChunk - 1)]; }
  // Room for `count` more; returns where it begins.
  std::uint64_t extend(std::uint64_t count) {
    const std::uint64_t begin = size_;
    size_ += count;
    while (chunks_.size() << kBits < size_) {
      chunks_.push_back(std::make_unique_for_overwrite<std::uint32_t[]>(kChunk));
    }
    return begin;
  }

 private:
  static constexpr unsigned kBits = 16;
  static constexpr std::uint64_t kChunk = 1 << kBits;
  std::vector<std::unique_ptr<std::uint32_t[]>> chunks_;
  std::uint64_t size_ = 0;
};

constexpr std::uint32_t kRight = 1u << 31;  // on the id of a neighbour: it follows
constexpr std::uint32_t kDropped = ~0u;

// A pair waiting to be merged at places[begin, begin + size); its count may be out of date.
struct QueueEntry {
  std::int64_t count;
  std::uint64_t pair;
  std::uint64_t begin;
  std::uint32_t info;
  std::uint32_t size;
};

// What one step finds beside the new symbol, by the neighbour's id.
struct Neighbour {
  std::int64_t count = 0;
  std::uint32_t found = 0;  // places; then the place of the next
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
    while (vocabulary_.size() < rules_.vocab_size && !queue_.empty()) {
      QueueEntry top = pop();
      const std::int64_t count = pairs_.infos[top.info].count;
      if (top.count != count) {
        top.count = count;
        push(top);
        continue;
      }
      if (count < 1 || count < rules_.min_frequency) break;
      if (unions_.is_forbidden(left_of(top.pair), right_of(top.pair))) continue;
      merge(top);
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
    for_each_pair([&](std::uint32_t p, std::uint64_t pair) {
      PairInfo& info = pairs_.infos[pairs_.find_or_add(pair)];
      info.count += rows_.count(p);
      ++info.pending;
    });
    std::vector<std::uint64_t> begins;
    for (std::uint32_t i = 0; i < pairs_.infos.size(); ++i) {
      PairInfo& info = pairs_.infos[i];
      const std::uint64_t begin = places_.extend(info.pending);
      ++info.live_lists;
      queue_.push_back({info.count, info.pair, begin, i, info.pending});
      begins.push_back(begin);
    }
    for_each_pair([&](std::uint32_t p, std::uint64_t pair) {
      places_[begins[pairs_.find_or_add(pair)]++] = p;
    });
    std::make_heap(queue_.begin(), queue_.end(),
                   [this](const QueueEntry& a, const QueueEntry& b) { return is_after(a, b); });
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

  void merge(const QueueEntry& entry) {
    const std::uint32_t left = left_of(entry.pair), right = right_of(entry.pair);
    const std::uint32_t id = vocabulary_.add(unions_.text(left, right));
    unions_.added(id, left, right);
    merges_.emplace_back(left, right);
    merged_.clear();
    for (std::uint32_t i = 0; i < entry.size; ++i) merged_.push_back(places_[entry.begin + i]);
    // A token text reached by two merges can give a pair two lists, as in `tokenizers`, which
    // merges whole words at a time.
    if (pairs_.infos[entry.info].live_lists-- > 1) {
      widen_to_words(left, right);
    } else if (left == right) {
      std::sort(merged_.begin(), merged_.end());
    }
    left_.resize(vocabulary_.size());
    right_.resize(vocabulary_.size());
    for (const std::uint32_t p : merged_) merge_at(p, left, right, id);
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
      if (unions_.is_short_enough(x, id)) add(pair_of(x, id), left_[x].count);
    }
    for (const std::uint32_t y : right_touched_) {
      add(pair_of(right, y), -right_[y].count);
      if (unions_.is_short_enough(id, y)) add(pair_of(id, y), right_[y].count);
    }
    base_ = places_.size();
    // (id, id) may be found from both sides; the other pairs have one.
    const std::uint32_t both = right_[id].found;
    for (const std::uint32_t x : left_touched_) {
      place_list(pair_of(x, id), left_[x], x == id ? both : 0);
    }
    for (const std::uint32_t y : right_touched_) {
      if (y == id && left_[id].touched) continue;
      place_list(pair_of(id, y), right_[y], 0);
    }
    for (const auto& [symbol, place] : found_) {
      const std::uint32_t y = symbol & ~kRight;
      Neighbour& side =
          (symbol & kRight) == 0 || (y == id && left_[id].touched) ? left_[y] : right_[y];
      if (side.found != kDropped) places_[base_ + side.found++] = place;
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

  void place_list(std::uint64_t pair, Neighbour& side, std::uint32_t more) {
    const std::uint32_t size = side.found + more;
    side.found = kDropped;
    if (!unions_.is_short_enough(left_of(pair), right_of(pair))) return;
    const std::uint32_t i = pairs_.find_or_add(pair);
    PairInfo& info = pairs_.infos[i];
    if (info.count < 1) return;
    ++info.live_lists;
    const std::uint64_t begin = places_.extend(size);
    side.found = static_cast<std::uint32_t>(begin - base_);
    push({info.count, pair, begin, i, size});
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
  PlaceStore places_;
  std::vector<QueueEntry> queue_;
  Merges merges_;
  // Of one step: the places of its pair, its neighbours by id, which of them it met, and where.
  std::vector<std::uint32_t> merged_;
  std::vector<Neighbour> left_, right_;
  std::vector<std::uint32_t> left_touched_, right_touched_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> found_;
  std::uint64_t base_ = 0;  // of the step's new places
};

}  // namespace

Merges merge_rows(SymbolRows rows, GrowingVocabulary& vocabulary, const MergingRules& rules,
                  const TrainTick& tick) {
  return Merging(std::move(rows), vocabulary, rules).run(tick);
}

}  // namespace llmcore::tokenizer
