#include "tokenizer/train/suffix_array.h"

#include <algorithm>
#include <cstddef>

namespace llmcore::tokenizer {
namespace {

constexpr std::uint32_t kEmpty = ~0u;

class SuffixSorter {
 public:
  SuffixSorter(std::span<const std::uint32_t> text, std::uint32_t alphabet_size)
      : text_(text), suffixes_(text.size()), is_small_(text.size()) {
    const std::size_t size = text.size();
    for (std::size_t i = size - 1; i-- > 0;) {
      is_small_[i] = text[i] == text[i + 1] ? is_small_[i + 1] : text[i] < text[i + 1];
    }
    small_begins_.assign(alphabet_size + std::size_t{1}, 0);
    large_begins_.assign(alphabet_size + std::size_t{1}, 0);
    for (std::size_t i = 0; i < size; ++i)
      ++(is_small_[i] ? small_begins_ : large_begins_)[text[i]];
    // In the bucket of a symbol the larger-than-next suffixes come first.
    std::uint32_t begin = 0;
    for (std::uint32_t c = 0; c <= alphabet_size; ++c) {
      const std::uint32_t num_large = large_begins_[c], num_small = small_begins_[c];
      large_begins_[c] = begin;
      small_begins_[c] = begin + num_large;
      begin += num_large + num_small;
    }
  }

  std::vector<std::uint32_t> sort() {
    std::vector<std::uint32_t> starts;  // of the LMS substrings, in text order
    std::size_t num_starts = 0;
    for (std::size_t i = 1; i < text_.size(); ++i) num_starts += is_start(i) ? 1 : 0;
    starts.reserve(num_starts);
    for (std::uint32_t i = 1; i < text_.size(); ++i) {
      if (is_start(i)) starts.push_back(i);
    }
    induce(starts);
    if (!starts.empty()) {
      sort_starts(starts);
      induce(starts);
    }
    return std::move(suffixes_);
  }

 private:
  // Leftmost smaller-than-next suffix of a run.
  bool is_start(std::size_t i) const { return i > 0 && is_small_[i] && !is_small_[i - 1]; }

  void induce(const std::vector<std::uint32_t>& starts) {
    std::fill(suffixes_.begin(), suffixes_.end(), kEmpty);
    std::vector<std::uint32_t> next = small_begins_;
    for (const std::uint32_t i : starts) suffixes_[next[text_[i]]++] = i;
    next = large_begins_;
    const auto last = static_cast<std::uint32_t>(text_.size() - 1);
    suffixes_[next[text_[last]]++] = last;
    for (std::size_t k = 0; k < suffixes_.size(); ++k) {
      const std::uint32_t i = suffixes_[k];
      if (i != kEmpty && i > 0 && !is_small_[i - 1]) suffixes_[next[text_[i - 1]]++] = i - 1;
    }
    next = large_begins_;
    for (std::size_t k = suffixes_.size(); k-- > 0;) {
      const std::uint32_t i = suffixes_[k];
      if (i != kEmpty && i > 0 && is_small_[i - 1]) suffixes_[--next[text_[i - 1] + 1]] = i - 1;
    }
  }

  // Sorts the suffixes at `starts`: names their substrings, which `suffixes_` holds in order, and
  // sorts the text of names.
  void sort_starts(std::vector<std::uint32_t>& starts) {
    std::vector<std::uint32_t> in_order;
    in_order.reserve(starts.size());
    for (const std::uint32_t i : suffixes_) {
      if (is_start(i)) in_order.push_back(i);
    }
    // No two starts are neighbours, so half a position tells them apart.
    std::vector<std::uint32_t> names(text_.size() / 2 + 1, kEmpty);
    std::uint32_t name = 0;
    for (std::size_t k = 0; k < in_order.size(); ++k) {
      if (k > 0 && !same_substring(in_order[k - 1], in_order[k])) ++name;
      names[in_order[k] / 2] = name;
    }
    if (name + std::size_t{1} == starts.size()) {
      starts = std::move(in_order);
      return;
    }
    in_order = {};
    std::erase(names, kEmpty);
    names.shrink_to_fit();
    const std::vector<std::uint32_t> order = SuffixSorter(names, name + 1).sort();
    std::vector<std::uint32_t> sorted(order.size());
    for (std::size_t k = 0; k < order.size(); ++k) sorted[k] = starts[order[k]];
    starts = std::move(sorted);
  }

  bool same_substring(std::size_t a, std::size_t b) const {
    for (std::size_t n = 0;; ++n) {
      if (a + n == text_.size() || b + n == text_.size()) return false;
      if (text_[a + n] != text_[b + n]) return false;
      if (n > 0 && (is_start(a + n) || is_start(b + n))) return is_start(a + n) && is_start(b + n);
    }
  }

  std::span<const std::uint32_t> text_;
  std::vector<std::uint32_t> suffixes_;
  std::vector<bool> is_small_;  // smaller than the next suffix
  std::vector<std::uint32_t> small_begins_, large_begins_;
};

}  // namespace

std::vector<std::uint32_t> suffix_array(std::span<const std::uint32_t> text,
                                        std::uint32_t alphabet_size) {
  if (text.empty()) return {};
  return SuffixSorter(text, alphabet_size).sort();
}

std::vector<std::uint32_t> common_prefixes(std::span<const std::uint32_t> text,
                                           std::span<const std::uint32_t> suffixes,
                                           std::uint32_t first_symbol) {
  std::vector<std::uint32_t> lengths(text.size(), kEmpty);  // first the suffix before each one
  for (std::size_t k = 1; k < suffixes.size(); ++k) lengths[suffixes[k]] = suffixes[k - 1];
  std::uint32_t shared = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t before = lengths[i];
    if (before == kEmpty) {
      lengths[i] = shared = 0;
      continue;
    }
    while (std::max(i, before) + shared < text.size() &&
           text[i + shared] == text[before + shared] && text[i + shared] >= first_symbol) {
      ++shared;
    }
    lengths[i] = shared;
    if (shared > 0) --shared;
  }
  return lengths;
}

}  // namespace llmcore::tokenizer
