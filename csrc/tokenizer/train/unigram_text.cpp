#include "tokenizer/train/unigram_text.h"

#include <algorithm>
#include <optional>

#include "tokenizer/errors.h"
#include "tokenizer/models/byte_trie.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";
constexpr std::uint32_t kUnknownChar = 0x2585;  // what sentencepiece writes for rare characters
constexpr std::uint32_t kMetaChar = 0x1F;       // what it writes for meta pieces
constexpr std::size_t kNumCodePoints = 0x110000;

// Calls visit(part) for the parts of a sentence between which no piece may lie.
template <typename Visit>
void for_each_part(std::string_view text, const UnigramTrainerArgs& args, Visit&& visit) {
  std::size_t begin = 0;
  bool in_spaces = false;
  for (std::size_t i = 0; i < text.size();) {
    const bool is_space = text.substr(i, kSpaceMark.size()) == kSpaceMark;
    const std::size_t next = i + (is_space ? kSpaceMark.size() : 1);
    const bool goes_on = in_spaces && args.allow_whitespace_only_pieces;
    std::size_t cut = begin;
    if (args.treat_whitespace_as_suffix) {
      if (in_spaces && (!is_space || !goes_on)) cut = i;
    } else if (is_space && !goes_on) {
      cut = i;
    }
    if (cut > begin) {
      visit(text.substr(begin, cut - begin));
      begin = cut;
    }
    in_spaces = is_space;
    i = next;
  }
  if (begin < text.size()) visit(text.substr(begin));
}

// The words cut at spaces and counted anew; nothing if no word holds a space inside.
std::optional<WordTable> split_words(const WordTable& words, const UnigramTrainerArgs& args) {
  bool splits = false;
  words.for_each([&](std::string_view word, std::int64_t) {
    if (splits) return;
    std::size_t parts = 0;
    for_each_part(word, args, [&](std::string_view) { ++parts; });
    splits = parts > 1;
  });
  if (!splits) return std::nullopt;
  WordTable table;
  words.for_each([&](std::string_view word, std::int64_t count) {
    for_each_part(word, args, [&](std::string_view part) { table.add(part, count); });
  });
  return table;
}

class MetaPieces {
 public:
  explicit MetaPieces(const std::vector<std::string>& pieces) : trie_(entries(pieces)) {
    for (const std::string& piece : pieces) {
      if (!piece.empty()) starts_[static_cast<std::uint8_t>(piece[0])] = true;
    }
  }

  // Bytes of the longest piece at p; 0: none.
  std::size_t length_at(const std::uint8_t* p, const std::uint8_t* end) const {
    if (!starts_[*p]) return 0;
    std::uint32_t node = ByteTrie::kRoot;
    std::size_t longest = 0;
    for (const std::uint8_t* q = p; q < end && trie_.step(node, *q); ++q) {
      if (trie_.value(node) != ByteTrie::kNoValue) longest = static_cast<std::size_t>(q + 1 - p);
    }
    return longest;
  }

 private:
  static std::vector<ByteTrie::Entry> entries(const std::vector<std::string>& pieces) {
    std::vector<ByteTrie::Entry> all;
    all.reserve(pieces.size());
    for (const std::string& piece : pieces) all.push_back({piece, 0});
    return all;
  }
  ByteTrie trie_;
  bool starts_[256] = {};
};

template <typename Visit>
void for_each_char(std::string_view word, const MetaPieces& meta, Visit&& visit) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(word.data());
  const std::uint8_t* end = p + word.size();
  while (p < end) {
    const std::size_t length = meta.length_at(p, end);
    if (length > 0) {
      p += length;
      visit(kMetaChar);
      continue;
    }
    std::uint32_t c = 0;
    const unsigned size = decode_utf8(p, end, c);
    p += size == 0 ? 1 : size;
    visit(size == 0 ? kUnknownChar : c);
  }
}

// Most frequent first; of equal ones the smaller code point.
using CharCounts = std::vector<std::pair<std::uint32_t, std::int64_t>>;

// The characters that the vocabulary must hold, as sentencepiece chooses them.
CharCounts required_chars(const std::vector<std::int64_t>& counts, const UnigramTrainerArgs& args) {
  std::vector<char> is_required(kNumCodePoints, 0);
  const auto* p = reinterpret_cast<const std::uint8_t*>(args.required_chars.data());
  for (const std::uint8_t* end = p + args.required_chars.size(); p < end;) {
    is_required[next_char(p, end)] = 1;
  }
  std::vector<char> is_old(kNumCodePoints, 0);
  p = reinterpret_cast<const std::uint8_t*>(args.old_chars.data());
  for (const std::uint8_t* end = p + args.old_chars.size(); p < end;) is_old[next_char(p, end)] = 1;
  CharCounts all;
  double total = 0;
  for (std::uint32_t c = 1; c < kNumCodePoints; ++c) {
    if (c == kUnknownChar || (counts[c] == 0 && is_required[c] == 0)) continue;
    all.emplace_back(c, counts[c]);
    total += static_cast<double>(counts[c]);
  }
  std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    if (is_required[a.first] != is_required[b.first]) return is_required[a.first] != 0;
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  CharCounts required;
  double covered = 0;
  for (const auto& [c, count] : all) {
    const bool is_covered = static_cast<float>(covered / total) >= args.character_coverage;
    if (is_covered && is_old[c] == 0) continue;
    covered += static_cast<double>(count);
    if (c != kMetaChar) required.emplace_back(c, count);
  }
  return required;
}

// total + count * size; sums of this size stay exact.
std::int64_t safe_sum(std::int64_t total, std::int64_t count, std::size_t size) {
  constexpr std::int64_t kMost = std::int64_t{1} << 61;
  const auto length = static_cast<std::int64_t>(size) + 1;
  if (count < 0 || count > (kMost - total) / length) {
    throw DataError("train: counts must be at least 0 and the text shorter than 2^61, got " +
                    std::to_string(count) + " words of " + std::to_string(size) + " bytes");
  }
  return total + count * length;
}

std::vector<std::int64_t> count_chars(const WordTable& words, const MetaPieces& meta,
                                      UnigramText& text) {
  std::vector<std::int64_t> counts(kNumCodePoints, 0);
  std::uint64_t size = 0, num_words = 0;
  std::int64_t total = 0;
  words.for_each([&](std::string_view word, std::int64_t count) {
    ++num_words;
    total = safe_sum(total, count, word.size());
    for_each_char(word, meta, [&](std::uint32_t c) {
      counts[c] += count;
      ++size;
    });
    ++size;
  });
  if (counts[' '] > 0) {
    throw DataError("train: words must mark spaces with U+2581, got a word with a space");
  }
  if (size >= std::uint64_t{1} << 31) {
    throw DataError("train: distinct words must hold fewer than 2^31 characters, got " +
                    std::to_string(size));
  }
  text.symbols.reserve(static_cast<std::size_t>(size));
  text.begins.reserve(static_cast<std::size_t>(num_words + 1));
  text.counts.reserve(static_cast<std::size_t>(num_words));
  return counts;
}

void fill(const WordTable& words, const MetaPieces& meta, CharCounts required, UnigramText& text) {
  std::sort(required.begin(), required.end());
  text.chars.assign(UnigramText::kFirstSymbol, 0);
  text.char_counts.assign(UnigramText::kFirstSymbol, 0);
  std::vector<std::uint32_t> symbol_of(kNumCodePoints, UnigramText::kUnknown);
  for (const auto& [c, count] : required) {
    symbol_of[c] = static_cast<std::uint32_t>(text.chars.size());
    text.chars.push_back(c);
    text.char_counts.push_back(count);
  }
  words.for_each([&](std::string_view word, std::int64_t count) {
    text.begins.push_back(static_cast<std::uint32_t>(text.symbols.size()));
    text.counts.push_back(count);
    text.total_count += count;
    for_each_char(word, meta, [&](std::uint32_t c) { text.symbols.push_back(symbol_of[c]); });
    text.symbols.push_back(UnigramText::kBoundary);
  });
  text.begins.push_back(static_cast<std::uint32_t>(text.symbols.size()));
}

}  // namespace

std::string UnigramText::spell(std::size_t begin, std::size_t length) const {
  std::string out;
  for (std::size_t i = begin; i < begin + length; ++i) append_utf8(out, chars[symbols[i]]);
  return out;
}

UnigramText make_unigram_text(const WordTable& words, const UnigramTrainerArgs& args,
                              const std::vector<std::string>& meta_pieces) {
  std::optional<WordTable> split;
  if (args.split_by_whitespace) split = split_words(words, args);
  const WordTable& table = split ? *split : words;
  const MetaPieces meta(meta_pieces);
  UnigramText text;
  fill(table, meta, required_chars(count_chars(table, meta, text), args), text);
  return text;
}

}  // namespace llmcore::tokenizer
