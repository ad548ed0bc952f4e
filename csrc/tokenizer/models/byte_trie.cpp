#include "tokenizer/models/byte_trie.h"

#include <algorithm>
#include <string>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {

// Places the children of one node after the other, in the order of a depth-first walk.
class ByteTrieBuilder {
 public:
  explicit ByteTrieBuilder(std::vector<std::uint64_t>& units) : units_(units) {
    units_.assign(kBlock, 0);
    units_[ByteTrie::kRoot] = std::uint64_t{ByteTrie::kNoValue} << ByteTrie::kValueShift;
    taken_.assign(kBlock, true);
    base_used_.assign(kBlock, true);
  }

  void build(const std::vector<ByteTrie::Entry>& entries) {
    std::vector<Range> stack;
    if (!entries.empty()) stack.push_back({0, entries.size(), 0, ByteTrie::kRoot});
    while (!stack.empty()) {
      const Range range = stack.back();
      stack.pop_back();
      expand(entries, range, stack);
    }
  }

 private:
  // Entries [begin, end) share their first `depth` bytes, which lead to `node`.
  struct Range {
    std::size_t begin, end, depth;
    std::uint32_t node;
  };
  static constexpr std::size_t kBlock = 256;
  // Only the last blocks are searched for room, so that the search stays short.
  static constexpr std::size_t kOpenBlocks = 2;

  void expand(const std::vector<ByteTrie::Entry>& entries, const Range& range,
              std::vector<Range>& stack) {
    std::size_t i = range.begin;
    if (entries[i].key.size() == range.depth) {
      set_value(range.node, entries[i].value);
      if (++i == range.end) return;
    }
    labels_.clear();
    starts_.clear();
    for (std::size_t j = i; j < range.end; ++j) {
      const auto label = static_cast<std::uint8_t>(entries[j].key[range.depth]);
      if (!labels_.empty() && labels_.back() == label) continue;
      labels_.push_back(label);
      starts_.push_back(j);
    }
    const std::uint32_t base = find_base();
    units_[range.node] |= std::uint64_t{base} << ByteTrie::kBaseShift;
    for (std::size_t k = labels_.size(); k-- > 0;) {
      const std::uint32_t child = base ^ labels_[k];
      taken_[child] = true;
      units_[child] =
          ByteTrie::kUsed | labels_[k] | std::uint64_t{ByteTrie::kNoValue} << ByteTrie::kValueShift;
      const std::size_t end = k + 1 < starts_.size() ? starts_[k + 1] : range.end;
      stack.push_back({starts_[k], end, range.depth + 1, child});
    }
  }

  void set_value(std::uint32_t node, std::uint32_t value) {
    units_[node] &= ~(std::uint64_t{ByteTrie::kNoValue} << ByteTrie::kValueShift);
    units_[node] |= std::uint64_t{value} << ByteTrie::kValueShift;
  }

  // A base where every label of labels_ is free and that no other node has.
  std::uint32_t find_base() {
    const std::size_t num_blocks = units_.size() / kBlock;
    const std::size_t first = num_blocks > kOpenBlocks ? num_blocks - kOpenBlocks : 1;
    first_free_ = std::max(first_free_, first * kBlock);
    for (std::size_t at = first_free_; at < units_.size(); ++at) {
      if (taken_[at]) {
        if (at == first_free_) ++first_free_;
        continue;
      }
      const auto base = static_cast<std::uint32_t>(at) ^ labels_[0];
      if (!base_used_[base] && fits(base)) {
        base_used_[base] = true;
        return base;
      }
    }
    const std::size_t block = units_.size();
    if (block >= std::size_t{1} << 31) throw DataError("vocabulary: too large for its index");
    units_.resize(block + kBlock, 0);
    taken_.resize(block + kBlock, false);
    base_used_.resize(block + kBlock, false);
    const auto base = static_cast<std::uint32_t>(block);
    base_used_[base] = true;
    return base;
  }

  bool fits(std::uint32_t base) const {
    return std::all_of(labels_.begin(), labels_.end(),
                       [&](std::uint8_t label) { return !taken_[base ^ label]; });
  }

  std::vector<std::uint64_t>& units_;
  std::vector<bool> taken_, base_used_;
  std::size_t first_free_ = kBlock;
  std::vector<std::uint8_t> labels_;
  std::vector<std::size_t> starts_;
};

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  if (entries.size() >= kNoValue) {
    throw DataError("vocabulary: at most 16777214 tokens, got " + std::to_string(entries.size()));
  }
  std::erase_if(entries, [](const Entry& e) { return e.key.empty(); });
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.key < b.key; });
  std::size_t size = 0;
  for (const Entry& entry : entries) {
    if (size > 0 && entries[size - 1].key == entry.key) --size;
    entries[size++] = entry;
  }
  entries.resize(size);
  ByteTrieBuilder(units_).build(entries);
}

std::uint32_t ByteTrie::find(std::string_view key) const {
  std::uint32_t node = kRoot;
  for (const char c : key) {
    if (!step(node, static_cast<std::uint8_t>(c))) return kNoValue;
  }
  return value(node);
}

}  // namespace llmcore::tokenizer
