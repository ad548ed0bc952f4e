#include "tokenizer/train/unigram_seeds.h"

#include <algorithm>
#include <cmath>

#include "tokenizer/split/script.h"
#include "tokenizer/train/suffix_array.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::uint32_t kSpaceMarkChar = 0x2581;

// Which strings may be pieces: as sentencepiece's IsValidSentencePiece.
class PieceRules {
 public:
  PieceRules(const UnigramText& text, const UnigramTrainerArgs& args) : text_(text), args_(args) {
    constexpr Script kHan = script_named("han"), kHiragana = script_named("hiragana");
    constexpr Script kKatakana = script_named("katakana"), kCommon = script_named("common");
    for (const std::uint32_t c : text.chars) {
      Script script = script_of(c);
      if (script == kNoScript) script = kCommon;
      if (script == kHiragana || script == kKatakana || c == 0x30FC) script = kHan;
      scripts_.push_back(script);
      kinds_.push_back(c == kSpaceMarkChar                                      ? Kind::kSpace
                       : (c >= '0' && c <= '9') || (c >= 0xFF10 && c <= 0xFF19) ? Kind::kDigit
                                                                                : Kind::kOther);
    }
  }

  bool allow(std::size_t begin, std::uint32_t length) const {
    const std::uint32_t* s = text_.symbols.data() + begin;
    return allow_spaces(s, length) && allow_scripts(s, length);
  }

 private:
  enum class Kind : std::uint8_t { kOther, kSpace, kDigit };

  bool is_space(std::uint32_t symbol) const { return kinds_[symbol] == Kind::kSpace; }

  bool allow_spaces(const std::uint32_t* s, std::uint32_t length) const {
    const auto spaces = static_cast<std::uint32_t>(
        std::count_if(s, s + length, [&](std::uint32_t c) { return is_space(c); }));
    if (spaces == 0) return true;
    if (spaces == length && args_.allow_whitespace_only_pieces) return true;
    const bool at_first = is_space(s[0]), at_last = is_space(s[length - 1]);
    const bool as_suffix = args_.treat_whitespace_as_suffix;
    // With split_by_whitespace a space stands only at the piece's own end, else never at the other.
    if (args_.split_by_whitespace) return spaces == 1 && (as_suffix ? at_last : at_first);
    return length == 1 || !(as_suffix ? at_first : at_last);
  }

  bool allow_scripts(const std::uint32_t* s, std::uint32_t length) const {
    constexpr int kInherited = script_named("inherited"), kAny = -1;
    int previous = kAny;
    for (std::uint32_t i = 0; i < length; ++i) {
      if (is_space(s[i])) continue;
      const bool is_digit = kinds_[s[i]] == Kind::kDigit;
      if (is_digit && args_.split_digits && length > 1) return false;
      int script = scripts_[s[i]];
      if (script == kInherited) script = previous;
      if (is_digit && !args_.split_by_number) script = kAny;
      if (args_.split_by_unicode_script && script != kAny && previous != kAny &&
          script != previous) {
        return false;
      }
      previous = script;
    }
    return true;
  }

  const UnigramText& text_;
  const UnigramTrainerArgs& args_;
  std::vector<Script> scripts_;  // by symbol
  std::vector<Kind> kinds_;
};

// Suffixes [begin, end) of the suffix array share their first `length` symbols.
struct Interval {
  std::uint32_t begin, end, length;
  std::uint32_t old;   // id in the vocabulary that is extended, or kNone
  std::int64_t score;  // characters covered
};

// The `limit` intervals of the highest score, in memory for a quarter more.
class BestIntervals {
 public:
  // At most `most` intervals will come.
  BestIntervals(std::size_t limit, std::size_t most) : limit_(limit), room_(limit + limit / 4 + 1) {
    kept_.reserve(std::min(room_, most));
  }

  void add(const Interval& interval) {
    if (interval.score < least_) return;
    kept_.push_back(interval);
    if (kept_.size() >= room_) shrink();
  }
  std::vector<Interval> take() {
    shrink();
    return std::move(kept_);
  }

 private:
  void shrink() {
    if (kept_.size() <= limit_) return;
    const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(limit_);
    std::nth_element(kept_.begin(), last, kept_.end(), [](const Interval& a, const Interval& b) {
      if (a.score != b.score) return a.score > b.score;
      return a.begin != b.begin ? a.begin < b.begin : a.length < b.length;
    });
    least_ = last->score;
    kept_.resize(limit_);
  }
  std::size_t limit_, room_;
  std::int64_t least_ = 0;
  std::vector<Interval> kept_;
};

class SeedFinder {
 public:
  SeedFinder(const UnigramText& text, const UnigramTrainerArgs& args)
      : text_(text),
        args_(args),
        rules_(text, args),
        best_(args.seed_sentencepiece_size, text.symbols.size() + text.num_words()),
        suffixes_(suffix_array(text.symbols, static_cast<std::uint32_t>(text.chars.size()))),
        shared_(common_prefixes(text.symbols, suffixes_, UnigramText::kFirstSymbol)) {
    word_of_.reserve(text.symbols.size() / kBlock + 1);
    for (std::uint32_t w = 0, i = 0; i < text.symbols.size(); i += kBlock) {
      while (text.begins[w + 1] <= i) ++w;
      word_of_.push_back(w);
    }
  }

  UnigramPieces find() {
    scan();
    std::vector<Interval> seeds = best_.take();
    add_chars(seeds);
    sort(seeds);
    return link(seeds);
  }

  UnigramPieces find_with(const std::vector<OldPiece>& old, std::vector<double> scores,
                          double log_old_mass) {
    scan();
    std::vector<Interval> seeds = best_.take();
    add_chars(seeds);
    for (const OldPiece& piece : old) add_old(piece, seeds);
    sort(seeds);
    // Of two that are one string the old one comes first.
    const auto is_same = [](const Interval& a, const Interval& b) {
      return a.begin == b.begin && a.length == b.length;
    };
    seeds.erase(std::unique(seeds.begin(), seeds.end(), is_same), seeds.end());
    UnigramPieces out = link(seeds);
    out.old_scores = std::move(scores);
    out.log_old_mass = log_old_mass;
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      const std::uint32_t id = seeds[i].old;
      out.old_ids.push_back(id);
      double& score = out.pieces[i].score;
      score = id == UnigramPieces::kNone ? score + log_old_mass : out.old_scores[id];
    }
    return out;
  }

 private:
  static constexpr std::uint32_t kBlock = 32;

  struct Open {
    std::uint32_t length, begin;
    std::int64_t count;
  };

  // Count of the word around a position.
  std::int64_t count_at(std::uint32_t position) const {
    std::uint32_t w = word_of_[position / kBlock];
    while (text_.begins[w + 1] <= position) ++w;
    return text_.counts[w];
  }

  std::uint32_t first_suffix() const {
    std::uint32_t k = 0;
    while (k < suffixes_.size() && text_.symbols[suffixes_[k]] < UnigramText::kFirstSymbol) ++k;
    return k;
  }

  // Closes intervals as the shared length falls, opens them as it grows.
  void scan() {
    const auto size = static_cast<std::uint32_t>(suffixes_.size());
    std::vector<Open> open{{0, 0, 0}};
    for (std::uint32_t k = first_suffix(); k < size; ++k) {
      const std::uint32_t next = k + 1 < size ? shared_[suffixes_[k + 1]] : 0;
      const std::int64_t count = count_at(suffixes_[k]);
      add_word(k, count, std::max(open.back().length, next));
      if (next > open.back().length) {
        open.push_back({next, k, count});
        continue;
      }
      open.back().count += count;
      while (open.back().length > next) {
        const Open done = open.back();
        open.pop_back();
        add(done.begin, k + 1, done.length, done.count);
        if (open.back().length < next) {
          open.push_back({next, done.begin, done.count});
        } else {
          open.back().count += done.count;
        }
      }
    }
  }

  // A whole word that is no node of the tree: no other word begins with it.
  void add_word(std::uint32_t k, std::int64_t count, std::uint32_t shared) {
    const std::uint32_t begin = suffixes_[k];
    if (count < 2 || (begin > 0 && text_.symbols[begin - 1] != UnigramText::kBoundary)) return;
    std::uint32_t length = shared;
    while (text_.symbols[begin + length] >= UnigramText::kFirstSymbol &&
           length <= args_.max_sentencepiece_length) {
      ++length;
    }
    if (length > shared && text_.symbols[begin + length] == UnigramText::kBoundary) {
      add(k, k + 1, length, count);
    }
  }

  void add(std::uint32_t begin, std::uint32_t end, std::uint32_t length, std::int64_t count) {
    if (length < 2 || length > args_.max_sentencepiece_length) return;
    if (!rules_.allow(suffixes_[begin], length)) return;
    best_.add({begin, end, length, UnigramPieces::kNone, count * length});
  }

  void add_chars(std::vector<Interval>& seeds) const {
    const auto size = static_cast<std::uint32_t>(suffixes_.size());
    for (std::uint32_t k = first_suffix(); k < size;) {
      const std::uint32_t symbol = text_.symbols[suffixes_[k]];
      const std::uint32_t begin = k;
      while (k < size && text_.symbols[suffixes_[k]] == symbol) ++k;
      seeds.push_back({begin, k, 1, UnigramPieces::kNone, text_.char_counts[symbol]});
    }
  }

  // By string: what begins alike is nested.
  static void sort(std::vector<Interval>& seeds) {
    std::sort(seeds.begin(), seeds.end(), [](const Interval& a, const Interval& b) {
      if (a.begin != b.begin) return a.begin < b.begin;
      return a.length != b.length ? a.length < b.length : a.old < b.old;
    });
  }

  // Whatever its length and count; nothing where the text does not hold it.
  void add_old(const OldPiece& piece, std::vector<Interval>& seeds) const {
    const std::uint32_t* const end = text_.symbols.data() + text_.symbols.size();
    // How a suffix compares with the piece: below 0, 0 (it begins with it), above 0.
    const auto compare = [&](std::uint32_t suffix) {
      const std::uint32_t* s = text_.symbols.data() + suffix;
      for (const std::uint32_t symbol : piece.symbols) {
        if (s == end || *s < symbol) return -1;
        if (*s++ > symbol) return 1;
      }
      return 0;
    };
    const auto first = std::partition_point(suffixes_.begin(), suffixes_.end(),
                                            [&](std::uint32_t s) { return compare(s) < 0; });
    const auto last = std::partition_point(first, suffixes_.end(),
                                           [&](std::uint32_t s) { return compare(s) == 0; });
    if (first == last) return;
    seeds.push_back({static_cast<std::uint32_t>(first - suffixes_.begin()),
                     static_cast<std::uint32_t>(last - suffixes_.begin()),
                     static_cast<std::uint32_t>(piece.symbols.size()), piece.id, 0});
  }

  UnigramPieces link(const std::vector<Interval>& seeds) {
    UnigramPieces out;
    mark(seeds);
    out.begins.reserve(seeds.size());
    double total = 0;
    for (const Interval& seed : seeds) {
      if (seed.old == UnigramPieces::kNone) total += static_cast<double>(seed.score);
      out.begins.push_back(suffixes_[seed.begin]);
    }
    suffixes_ = {};
    out.longest = std::move(shared_);
    out.pieces.reserve(seeds.size());
    std::vector<std::uint32_t> open;  // seeds around the one in hand
    for (std::uint32_t id = 0; id < seeds.size(); ++id) {
      const Interval& seed = seeds[id];
      while (!open.empty() && seeds[open.back()].end <= seed.begin) open.pop_back();
      const double score = std::log(static_cast<double>(seed.score) / total);
      out.pieces.push_back({score, open.empty() ? UnigramPieces::kNone : open.back(), seed.length});
      open.push_back(id);
    }
    return out;
  }

  // Puts the longest seed at every position over the lengths that are no longer needed.
  void mark(const std::vector<Interval>& seeds) {
    std::fill(shared_.begin(), shared_.end(), UnigramPieces::kNone);
    std::vector<std::uint32_t> open;
    std::uint32_t id = 0;
    for (std::uint32_t k = 0; k < suffixes_.size(); ++k) {
      while (!open.empty() && seeds[open.back()].end <= k) open.pop_back();
      while (id < seeds.size() && seeds[id].begin == k) open.push_back(id++);
      if (!open.empty()) shared_[suffixes_[k]] = open.back();
    }
  }

  const UnigramText& text_;
  const UnigramTrainerArgs& args_;
  PieceRules rules_;
  BestIntervals best_;
  std::vector<std::uint32_t> suffixes_, shared_;
  std::vector<std::uint32_t> word_of_;  // word around the start of every block of the text
};

}  // namespace

UnigramPieces seed_pieces(const UnigramText& text, const UnigramTrainerArgs& args) {
  return SeedFinder(text, args).find();
}

UnigramPieces seed_pieces(const UnigramText& text, const UnigramTrainerArgs& args,
                          const std::vector<OldPiece>& old, std::vector<double> scores,
                          double log_old_mass) {
  return SeedFinder(text, args).find_with(old, std::move(scores), log_old_mass);
}

void UnigramPieces::keep(const std::vector<char>& flags) {
  std::vector<std::uint32_t> renamed(pieces.size());
  std::uint32_t size = 0;
  const auto name_of = [&](std::uint32_t id) { return id == kNone ? kNone : renamed[id]; };
  for (std::uint32_t id = 0; id < pieces.size(); ++id) {
    const std::uint32_t prefix = name_of(pieces[id].prefix);
    renamed[id] = flags[id] ? size : prefix;
    if (!flags[id]) continue;
    pieces[size] = pieces[id];
    pieces[size].prefix = prefix;
    if (!old_ids.empty()) old_ids[size] = old_ids[id];
    begins[size++] = begins[id];
  }
  pieces.resize(size);
  begins.resize(size);
  if (!old_ids.empty()) old_ids.resize(size);
  for (std::uint32_t& id : longest) id = name_of(id);
}

}  // namespace llmcore::tokenizer
