#include "tokenizer/train/bpe_trainer.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <unordered_map>

#include "tokenizer/errors.h"
#include "tokenizer/models/byte_alphabet.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::uint32_t kBoundary = ~0u;    // between two words
constexpr std::uint32_t kInside = ~0u - 1;  // not the first byte of a symbol

// One byte of a distinct word. A symbol is a run of cells: its first cell knows the symbol and the
// length, its last cell the length again, so both neighbours are one step away.
struct Cell {
  std::uint32_t symbol;
  std::uint32_t length;
  std::uint32_t back_length;
  std::uint32_t word;
};

struct PairInfo {
  std::uint64_t pair;
  std::int64_t count;
  std::uint32_t live_lists;  // queue entries of this pair
  std::uint32_t pending;     // occurrences found in this step; then the write position
};

std::uint64_t pair_of(std::uint32_t left, std::uint32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | right;
}

// Pair -> index of its PairInfo.
class PairIndex {
 public:
  PairIndex() : slots_(1 << 16, 0) {}

  std::uint32_t find_or_add(std::uint64_t pair) {
    if ((infos.size() + 1) * 2 > slots_.size()) grow();
    std::size_t i = home(pair);
    while (slots_[i] != 0) {
      if (infos[slots_[i] - 1].pair == pair) return slots_[i] - 1;
      i = (i + 1) & (slots_.size() - 1);
    }
    infos.push_back({pair, 0, 0, 0});
    slots_[i] = static_cast<std::uint32_t>(infos.size());
    return slots_[i] - 1;
  }

  std::vector<PairInfo> infos;

 private:
  std::size_t home(std::uint64_t pair) const {
    const std::uint64_t h = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(h >> (64 - std::countr_zero(slots_.size())));
  }
  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (std::uint32_t n = 0; n < infos.size(); ++n) {
      std::size_t i = home(infos[n].pair);
      while (slots_[i] != 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = n + 1;
    }
  }
  std::vector<std::uint32_t> slots_;
};

// A pair waiting to be merged at occurrences[begin, begin + size); its count may be out of date.
struct QueueEntry {
  std::int64_t count;
  std::uint64_t pair;
  std::uint32_t info;
  std::uint32_t size;
  std::uint64_t begin;

  bool operator<(const QueueEntry& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Trainer {
 public:
  Trainer(const WordTable& words, const BpeTrainerArgs& args) : args_(args) {
    for (const std::string& token : args.special_tokens) add_token(token);
    add_alphabet();
    add_words(words);
    count_first_pairs();
  }

  TrainedBpe run(const TrainTick& tick) {
    auto last_tick = std::chrono::steady_clock::now();
    while (tokens_.size() < args_.vocab_size && !queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end());
      QueueEntry top = queue_.back();
      queue_.pop_back();
      const std::int64_t count = pairs_.infos[top.info].count;
      if (top.count != count) {
        top.count = count;
        push(top);
        continue;
      }
      if (count < 1 || count < args_.min_frequency) break;
      merge(top);
      const auto now = std::chrono::steady_clock::now();
      if (tick && now - last_tick > std::chrono::milliseconds(100)) {
        last_tick = now;
        tick(tokens_.size());
      }
    }
    return {std::move(tokens_), last_of_each(merges_)};
  }

 private:
  std::uint32_t add_token(const std::string& text) {
    const auto [it, added] = ids_.emplace(text, static_cast<std::uint32_t>(tokens_.size()));
    if (added) tokens_.push_back(text);
    return it->second;
  }

  // The 256 bytes in the order of the characters that stand for them.
  void add_alphabet() {
    std::vector<unsigned> order(256);
    for (unsigned b = 0; b < 256; ++b) order[b] = b;
    std::sort(order.begin(), order.end(),
              [](unsigned a, unsigned b) { return kByteChars[a] < kByteChars[b]; });
    for (const unsigned b : order) {
      const char byte = static_cast<char>(b);
      byte_ids_[b] = add_token(bytes_to_text({&byte, 1}));
    }
  }

  void add_words(const WordTable& words) {
    std::size_t num_cells = 1;
    words.for_each([&](std::string_view bytes, std::int64_t) { num_cells += bytes.size() + 1; });
    if (num_cells >= kInside) {
      throw DataError("train: the distinct words must hold fewer than 4 GiB");
    }
    cells_.reserve(num_cells);
    cells_.push_back({kBoundary, 1, 1, 0});
    words.for_each([&](std::string_view bytes, std::int64_t count) {
      if (bytes.size() < 2) return;
      const auto word = static_cast<std::uint32_t>(word_counts_.size());
      word_counts_.push_back(count);
      word_begins_.push_back(static_cast<std::uint32_t>(cells_.size()));
      for (const char c : bytes) {
        cells_.push_back({byte_ids_[static_cast<std::uint8_t>(c)], 1, 1, word});
      }
      cells_.push_back({kBoundary, 1, 1, word});
    });
  }

  void count_first_pairs() {
    for (std::uint32_t i = 0; i + 1 < cells_.size(); ++i) {
      if (cells_[i].symbol == kBoundary || cells_[i + 1].symbol == kBoundary) continue;
      found(cells_[i].symbol, cells_[i + 1].symbol, i, word_counts_[cells_[i].word]);
    }
    queue_found();
  }

  void push(const QueueEntry& entry) {
    queue_.push_back(entry);
    std::push_heap(queue_.begin(), queue_.end());
  }

  // Notes that (left, right) now stands at `cell`.
  void found(std::uint32_t left, std::uint32_t right, std::uint32_t cell, std::int64_t count) {
    const std::uint32_t info = pairs_.find_or_add(pair_of(left, right));
    pairs_.infos[info].count += count;
    if (pairs_.infos[info].pending++ == 0) touched_.push_back(info);
    found_.emplace_back(info, cell);
  }

  void lost(std::uint32_t left, std::uint32_t right, std::int64_t count) {
    pairs_.infos[pairs_.find_or_add(pair_of(left, right))].count -= count;
  }

  // Turns the occurrences found in this step into one queue entry per pair.
  void queue_found() {
    std::uint64_t begin = occurrences_.size();
    occurrences_.resize(begin + found_.size());
    step_base_ = begin;
    for (const std::uint32_t i : touched_) {
      PairInfo& info = pairs_.infos[i];
      const std::uint32_t size = info.pending;
      info.pending = static_cast<std::uint32_t>(begin - step_base_);
      if (info.count > 0) {
        ++info.live_lists;
        push({info.count, info.pair, i, size, begin});
      }
      begin += size;
    }
    for (const auto& [i, cell] : found_) {
      occurrences_[step_base_ + pairs_.infos[i].pending++] = cell;
    }
    for (const std::uint32_t i : touched_) pairs_.infos[i].pending = 0;
    touched_.clear();
    found_.clear();
  }

  // Every occurrence in the words of `positions`, including those that other lists name.
  void widen_to_words(std::uint32_t left, std::uint32_t right) {
    std::vector<std::uint32_t> words;
    words.reserve(positions_.size());
    for (const std::uint32_t p : positions_) words.push_back(cells_[p].word);
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    positions_.clear();
    for (const std::uint32_t w : words) {
      for (std::uint32_t p = word_begins_[w]; cells_[p].symbol != kBoundary;) {
        const std::uint32_t q = p + cells_[p].length;
        if (cells_[p].symbol == left && cells_[q].symbol == right) positions_.push_back(p);
        p = q;
      }
    }
  }

  void merge(const QueueEntry& entry) {
    const auto left = static_cast<std::uint32_t>(entry.pair >> 32);
    const auto right = static_cast<std::uint32_t>(entry.pair);
    const std::uint32_t id = add_token(tokens_[left] + tokens_[right]);
    merges_.emplace_back(left, right);
    const auto from = occurrences_.begin() + static_cast<std::ptrdiff_t>(entry.begin);
    positions_.assign(from, from + entry.size);
    // A token text reached by two merges can give a pair two lists, as in `tokenizers`, which
    // merges whole words at a time.
    if (pairs_.infos[entry.info].live_lists-- > 1) {
      widen_to_words(left, right);
    } else if (left == right) {
      std::sort(positions_.begin(), positions_.end());
    }
    for (const std::uint32_t p : positions_) merge_at(p, left, right, id);
    queue_found();
  }

  void merge_at(std::uint32_t p, std::uint32_t left, std::uint32_t right, std::uint32_t id) {
    const std::uint32_t q = p + cells_[p].length;
    if (cells_[p].symbol != left || cells_[q].symbol != right) return;
    const std::int64_t count = word_counts_[cells_[p].word];
    const std::uint32_t end = q + cells_[q].length;
    if (cells_[p - 1].symbol != kBoundary) {
      const std::uint32_t before = p - cells_[p - 1].back_length;
      lost(cells_[before].symbol, left, count);
      found(cells_[before].symbol, id, before, count);
    }
    if (cells_[end].symbol != kBoundary) {
      lost(right, cells_[end].symbol, count);
      found(id, cells_[end].symbol, p, count);
    }
    cells_[q].symbol = kInside;
    cells_[p].symbol = id;
    cells_[p].length = end - p;
    cells_[end - 1].back_length = end - p;
  }

  // A pair merged twice keeps its later rank, as in `tokenizers`.
  static std::vector<std::pair<std::uint32_t, std::uint32_t>> last_of_each(
      const std::vector<std::pair<std::uint32_t, std::uint32_t>>& merges) {
    std::unordered_map<std::uint64_t, std::size_t> last;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      last[pair_of(merges[i].first, merges[i].second)] = i;
    }
    std::vector<std::pair<std::uint32_t, std::uint32_t>> kept;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      if (last[pair_of(merges[i].first, merges[i].second)] == i) kept.push_back(merges[i]);
    }
    return kept;
  }

  const BpeTrainerArgs& args_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::uint32_t byte_ids_[256] = {};
  std::vector<Cell> cells_;
  std::vector<std::int64_t> word_counts_;
  std::vector<std::uint32_t> word_begins_;
  PairIndex pairs_;
  std::vector<QueueEntry> queue_;
  std::vector<std::uint32_t> occurrences_;
  std::vector<std::uint32_t> positions_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> merges_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> found_;  // (info, cell) of this step
  std::vector<std::uint32_t> touched_;
  std::uint64_t step_base_ = 0;
};

}  // namespace

TrainedBpe train_bpe(const WordTable& words, const BpeTrainerArgs& args, const TrainTick& tick) {
  return Trainer(words, args).run(tick);
}

}  // namespace llmcore::tokenizer
