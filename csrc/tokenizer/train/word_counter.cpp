#include "tokenizer/train/word_counter.h"

#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/split/gpt2_scanner.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kFirstSlots = 1 << 12;
constexpr std::size_t kChunkBytes = 1 << 18;

}  // namespace

WordTable::WordTable() : short_(kFirstSlots), long_(kFirstSlots) {}

void WordTable::count_text(const std::uint8_t* p, const std::uint8_t* end) {
  while (p < end) {
    const std::uint8_t* piece_end = next_piece(p, end);
    const auto size = static_cast<std::size_t>(piece_end - p);
    if (size <= kMaxKeyPiece) {
      add_short(make_piece_key(p, size, end), 1);
    } else {
      add_long({reinterpret_cast<const char*>(p), size}, 1);
    }
    p = piece_end;
  }
}

void WordTable::add(std::string_view bytes, std::int64_t count) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (bytes.size() <= kMaxKeyPiece) {
    add_short(make_piece_key(p, bytes.size(), p + bytes.size()), count);
  } else {
    add_long(bytes, count);
  }
}

void WordTable::add_short(const PieceKey& key, std::int64_t count) {
  const std::size_t mask = short_.size() - 1;
  std::size_t i = key.hash() & mask;
  while (short_[i].count != 0 && !(short_[i].key == key)) i = (i + 1) & mask;
  if (short_[i].count == 0) {
    short_[i].key = key;
    ++num_short_;
  }
  short_[i].count += count;
  if (num_short_ * 2 > short_.size()) grow_short();
}

void WordTable::add_long(std::string_view bytes, std::int64_t count) {
  const std::uint64_t hash =
      hash_bytes(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  const std::size_t mask = long_.size() - 1;
  std::size_t i = hash & mask;
  const auto same = [&](const LongSlot& s) {
    return s.hash == hash && std::string_view(arena_.data() + s.begin, s.size) == bytes;
  };
  while (long_[i].count != 0 && !same(long_[i])) i = (i + 1) & mask;
  if (long_[i].count == 0) {
    long_[i] = {hash, arena_.size(), bytes.size(), 0};
    arena_.insert(arena_.end(), bytes.begin(), bytes.end());
    ++num_long_;
  }
  long_[i].count += count;
  if (num_long_ * 2 > long_.size()) grow_long();
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

WordCounter::WordCounter(unsigned num_threads) : tables_(std::max(num_threads, 1u)) {}

void WordCounter::count(const std::vector<std::span<const std::uint8_t>>& texts, const Tick& tick) {
  std::vector<std::span<const std::uint8_t>> chunks;
  for (const auto& text : texts) {
    const std::uint8_t* p = text.data();
    const std::uint8_t* end = p + text.size();
    while (static_cast<std::size_t>(end - p) > kChunkBytes) {
      const std::uint8_t* cut = next_safe_cut(p, p + kChunkBytes, end);
      chunks.emplace_back(p, cut);
      p = cut;
    }
    if (p < end) chunks.emplace_back(p, end);
  }
  parallel_for(chunks.size(), static_cast<unsigned>(tables_.size()), tick,
               [&](unsigned worker, std::size_t item) {
                 const auto& chunk = chunks[item];
                 tables_[worker].count_text(chunk.data(), chunk.data() + chunk.size());
               });
}

void WordCounter::add(std::string_view piece, std::int64_t count) {
  if (piece.empty() || count < 1) throw DataError("train: a counted piece must not be empty");
  tables_[0].add(piece, count);
}

const WordTable& WordCounter::merged() {
  for (std::size_t t = 1; t < tables_.size(); ++t) {
    tables_[t].for_each(
        [&](std::string_view bytes, std::int64_t count) { tables_[0].add(bytes, count); });
    tables_[t] = WordTable();
  }
  return tables_[0];
}

}  // namespace llmcore::tokenizer
