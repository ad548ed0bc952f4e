#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "tokenizer/text/utf8.h"
#include "tokenizer/train/unigram_charsmap.h"

namespace llmcore::tokenizer {
namespace {

std::string to_utf8(const std::u32string& text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

void append_u32(std::string& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift & 0xFF);
}

// Branches of the trie, equal ones kept once.
class Branches {
 public:
  struct Edge {
    std::uint32_t label;   // a byte; 0 for the value of a key that ends here
    std::uint32_t target;  // a branch, or the value
  };
  using Key = std::pair<std::string, std::uint32_t>;

  // The branch of sorted keys [first, last), which share their first `depth` bytes.
  std::uint32_t add(const std::vector<Key>& keys, std::size_t first, std::size_t last,
                    std::size_t depth) {
    std::vector<Edge> edges;
    while (first < last) {
      if (keys[first].first.size() == depth) {
        edges.push_back({0, keys[first++].second});
        continue;
      }
      const char label = keys[first].first[depth];
      std::size_t end = first + 1;
      while (end < last && keys[end].first[depth] == label) ++end;
      edges.push_back({static_cast<std::uint8_t>(label), add(keys, first, end, depth + 1)});
      first = end;
    }
    std::string text;
    for (const Edge& edge : edges) {
      append_u32(text, edge.label);
      append_u32(text, edge.target);
    }
    const auto [it, is_new] = ids_.emplace(std::move(text), static_cast<std::uint32_t>(all.size()));
    if (is_new) all.push_back(std::move(edges));
    return it->second;
  }

  std::vector<std::vector<Edge>> all;

 private:
  std::unordered_map<std::string, std::uint32_t> ids_;
};

// Units of darts-clone: label in bits 0-7, whether a value follows in 8, the place of the children
// relative to the unit in 10-30; bit 31 marks a value. Source: Yata 2011, darts-clone.
class DoubleArray {
 public:
  explicit DoubleArray(const Branches& branches)
      : branches_(branches), bases_(branches.all.size(), kNone) {}

  std::string build(std::uint32_t root) {
    grow();
    used_[0] = true;
    taken_[0] = true;  // sentencepiece refuses a root without an offset
    const std::uint32_t base = place(root);
    units_[0] = base << 10 | has_value(root) << 8;
    // A free unit gets the label of a place without children, so that no walk ends there.
    for (std::uint32_t i = 0; i < units_.size(); ++i) {
      if (!used_[i]) units_[i] = (i ^ free_base(i / kBlock)) & 0xFF;
    }
    std::string out;
    for (const std::uint32_t unit : units_) append_u32(out, unit);
    return out;
  }

 private:
  static constexpr std::uint32_t kNone = ~0u, kBlock = 256, kOpenBlocks = 16;

  std::uint32_t has_value(std::uint32_t branch) const {
    return branches_.all[branch][0].label == 0 ? 1 : 0;
  }

  void grow() {
    units_.resize(units_.size() + kBlock, 0);
    used_.resize(units_.size(), false);
    taken_.resize(units_.size(), false);
  }

  std::uint32_t free_base(std::uint32_t block) const {
    for (std::uint32_t base = block * kBlock; base < (block + 1) * kBlock; ++base) {
      if (!taken_[base]) return base;
    }
    return block * kBlock;
  }

  bool fits(const std::vector<Branches::Edge>& edges, std::uint32_t base) const {
    return !taken_[base] && std::none_of(edges.begin(), edges.end(), [&](const auto& edge) {
      return used_[base ^ edge.label];
    });
  }

  std::uint32_t find_base(const std::vector<Branches::Edge>& edges) {
    // Gaps far behind are left: they fit few branches and cost a look each.
    if (units_.size() > kOpenBlocks * kBlock) {
      const auto open = static_cast<std::uint32_t>(units_.size() - kOpenBlocks * kBlock);
      first_free_ = std::max(first_free_, open);
    }
    for (;; ++first_free_) {
      if (first_free_ == units_.size()) grow();
      if (!used_[first_free_]) break;
    }
    for (std::uint32_t i = first_free_;; ++i) {
      if (i == units_.size()) grow();
      if (!used_[i] && fits(edges, i ^ edges[0].label)) return i ^ edges[0].label;
    }
  }

  // Puts the branch's children and theirs into the array, once.
  std::uint32_t place(std::uint32_t branch) {
    if (bases_[branch] != kNone) return bases_[branch];
    const std::vector<Branches::Edge>& edges = branches_.all[branch];
    const std::uint32_t base = find_base(edges);
    bases_[branch] = base;
    taken_[base] = true;
    for (const auto& edge : edges) used_[base ^ edge.label] = true;
    for (const auto& edge : edges) {
      const std::uint32_t at = base ^ edge.label;
      if (edge.label == 0) {
        units_[at] = edge.target | 1u << 31;
      } else {
        const std::uint32_t offset = at ^ place(edge.target);
        units_[at] = edge.label | has_value(edge.target) << 8 | offset << 10;
      }
    }
    return base;
  }

  const Branches& branches_;
  std::vector<std::uint32_t> bases_;  // by branch
  std::vector<std::uint32_t> units_;
  std::vector<bool> used_, taken_;  // units; bases
  std::uint32_t first_free_ = 0;
};

}  // namespace

std::string compile_charsmap(const CharsmapRules& rules) {
  if (rules.empty()) return {};
  std::string pool;
  std::map<std::u32string, std::uint32_t> places;
  for (const auto& [from, to] : rules) {
    const auto [it, is_new] = places.emplace(to, static_cast<std::uint32_t>(pool.size()));
    if (is_new) (pool += to_utf8(to)) += '\0';
  }
  std::vector<Branches::Key> keys;
  for (const auto& [from, to] : rules) keys.emplace_back(to_utf8(from), places.at(to));
  std::sort(keys.begin(), keys.end());
  Branches branches;
  const std::uint32_t root = branches.add(keys, 0, keys.size(), 0);
  const std::string trie = DoubleArray(branches).build(root);
  std::string out;
  append_u32(out, static_cast<std::uint32_t>(trie.size()));
  return out + trie + pool;
}

}  // namespace llmcore::tokenizer
