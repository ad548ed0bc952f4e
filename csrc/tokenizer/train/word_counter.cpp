#include "tokenizer/train/word_counter.h"

#include <limits>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/train/piece_cutter.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kFirstSlots = 1 << 12;
constexpr std::size_t kChunkBytes = 1 << 17;

// Where groups of neighbouring texts end that are worth a thread's while.
std::vector<std::size_t> group(const std::vector<Text>& texts) {
  std::vector<std::size_t> ends;
  std::size_t size = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    size += texts[i].size();
    if (size < kChunkBytes / 2 && i + 1 < texts.size()) continue;
    ends.push_back(i + 1);
    size = 0;
  }
  return ends;
}

}  // namespace

WordTable::WordTable() : short_(kFirstSlots), long_(kFirstSlots) {}

std::int64_t WordTable::sum(std::int64_t a, std::int64_t b) {
  if (a > std::numeric_limits<std::int64_t>::max() - b) {
    throw DataError("train: the count of a piece must be below 2^63, got more");
  }
  return a + b;
}

void WordTable::add(std::string_view bytes, std::int64_t count) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (bytes.size() <= kMaxKeyPiece) {
    add_short(make_piece_key(p, bytes.size(), p + bytes.size()), count);
  } else {
    add_long(bytes, count);
  }
}

void WordTable::add_new(ShortSlot& slot, const PieceKey& key, std::int64_t count) {
  slot = {key, count};
  if (++num_short_ * 4 > short_.size() * 3) grow_short();
}

void WordTable::add_long(std::string_view bytes, std::int64_t count) {
  const std::uint64_t hash =
      hash_bytes(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  const std::size_t mask = long_.size() - 1;
  std::size_t i = hash & mask;
  while (long_[i].count != 0 && !(long_[i].hash == hash && bytes_of(long_[i]) == bytes)) {
    i = (i + 1) & mask;
  }
  if (long_[i].count != 0) {
    long_[i].count = sum(long_[i].count, count);
    return;
  }
  long_[i] = {hash, arena_.size(), bytes.size(), count};
  arena_.insert(arena_.end(), bytes.begin(), bytes.end());
  if (++num_long_ * 4 > long_.size() * 3) grow_long();
}

void WordTable::grow_short() {
  std::vector<ShortSlot> old(short_.size() * 2);
  old.swap(short_);
  const std::size_t mask = short_.size() - 1;
  for (const ShortSlot& s : old) {
    if (s.count == 0) continue;
    std::size_t i = s.key.hash() & mask;
    while (short_[i].count != 0) i = (i + 1) & mask;
    short_[i] = s;
  }
}

void WordTable::grow_long() {
  std::vector<LongSlot> old(long_.size() * 2);
  old.swap(long_);
  const std::size_t mask = long_.size() - 1;
  for (const LongSlot& s : old) {
    if (s.count == 0) continue;
    std::size_t i = s.hash & mask;
    while (long_[i].count != 0) i = (i + 1) & mask;
    long_[i] = s;
  }
}

WordCounter::WordCounter(unsigned num_threads, std::shared_ptr<const PieceCutter> cutter)
    : cutter_(std::move(cutter)), tables_(std::max(num_threads, 1u)) {
  if (!cutter_) {
    cutter_ = std::make_shared<const PieceCutter>(
        "null", R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})");
  }
}

void WordCounter::count(const std::vector<Text>& texts, const Tick& tick) {
  std::vector<Text> chunks;
  for (const Text text : texts) {
    const std::uint8_t* p = text.data();
    const std::uint8_t* end = p + text.size();
    while (static_cast<std::size_t>(end - p) > kChunkBytes) {
      const std::uint8_t* cut = cutter_->safe_cut(p, p + kChunkBytes, end);
      chunks.emplace_back(p, cut);
      p = cut;
    }
    if (p < end) chunks.emplace_back(p, end);
  }
  const std::vector<std::size_t> ends = group(chunks);
  std::vector<PieceCutter::Scratch> scratches(tables_.size());
  parallel_for(ends.size(), static_cast<unsigned>(tables_.size()), tick,
               [&](unsigned worker, std::size_t item) {
                 WordTable& table = tables_[worker];
                 for (std::size_t i = item == 0 ? 0 : ends[item - 1]; i < ends[item]; ++i) {
                   cutter_->for_each(chunks[i], scratches[worker],
                                     [&](const std::uint8_t* p, const std::uint8_t* end,
                                         const std::uint8_t* last) { table.count(p, end, last); });
                 }
               });
}

void WordCounter::add(std::string_view piece, std::int64_t count) {
  if (piece.empty() || count < 1) throw DataError("train: a counted piece must not be empty");
  tables_[0].add(piece, count);
}

void WordCounter::add(WordCounter& other) {
  if (&other == this) throw ConfigError("merge: the counts must be others, got the same");
  other.merged().for_each(
      [&](std::string_view bytes, std::int64_t count) { tables_[0].add(bytes, count); });
}

const WordTable& WordCounter::merged() {
  for (std::size_t t = 1; t < tables_.size(); ++t) {
    tables_[t].for_each(
        [&](std::string_view bytes, std::int64_t count) { tables_[0].add(bytes, count); });
    tables_[t] = WordTable();
  }
  return tables_[0];
}

WordTable WordCounter::take() {
  merged();
  return std::exchange(tables_[0], WordTable());
}

}  // namespace llmcore::tokenizer
