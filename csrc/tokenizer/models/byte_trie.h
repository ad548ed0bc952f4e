// A set of byte strings with values as a double array: one eight-byte load per byte of a key.
// Source: Aoe 1989, "An efficient digital search algorithm by using a double-array structure".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace llmcore::tokenizer {

class ByteTrie {
 public:
  static constexpr std::uint32_t kRoot = 0;
  static constexpr std::uint32_t kNoValue = 0xFFFFFF;  // values are smaller than this

  struct Entry {
    std::string_view key;
    std::uint32_t value = 0;
  };

  // Of equal keys the last one counts; empty keys are left out.
  explicit ByteTrie(std::vector<Entry> entries);

  // Moves `node` to its child; false, leaving it, where there is none.
  bool step(std::uint32_t& node, std::uint8_t byte) const {
    const auto child = static_cast<std::uint32_t>(units_[node] >> kBaseShift) ^ byte;
    if ((units_[child] & kLabelMask) != (kUsed | byte)) return false;
    node = child;
    return true;
  }
  std::uint32_t value(std::uint32_t node) const {
    return static_cast<std::uint32_t>(units_[node] >> kValueShift) & kNoValue;
  }
  bool is_leaf(std::uint32_t node) const { return units_[node] >> kBaseShift == 0; }
  // Value of the whole key, or kNoValue.
  std::uint32_t find(std::string_view key) const;

  // Nodes are numbers below this; not every number is one.
  std::size_t num_units() const { return units_.size(); }
  // Calls visit(parent, byte, child) for every edge, parents first.
  template <typename Visit>
  void for_each_edge(Visit&& visit) const;

 private:
  friend class ByteTrieBuilder;

  // A unit: label and its flag in bits 0-8, value in 9-32, base in 33-63. No two nodes share a
  // base, so the label alone tells whose child a unit is. Block 0 has no children: leaves' base.
  static constexpr unsigned kValueShift = 9, kBaseShift = 33;
  static constexpr std::uint64_t kUsed = 0x100, kLabelMask = 0x1FF;

  std::vector<std::uint64_t> units_;
};

template <typename Visit>
void ByteTrie::for_each_edge(Visit&& visit) const {
  std::vector<std::uint32_t> queue{kRoot};
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (is_leaf(queue[i])) continue;
    for (unsigned byte = 0; byte < 256; ++byte) {
      std::uint32_t child = queue[i];
      if (!step(child, static_cast<std::uint8_t>(byte))) continue;
      visit(queue[i], static_cast<std::uint8_t>(byte), child);
      queue.push_back(child);
    }
  }
}

}  // namespace llmcore::tokenizer
