#include "tokenizer/split/character_splitters.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "tokenizer/split/char_traits.h"
#include "tokenizer/split/code_point_set.h"
#include "tokenizer/split/script.h"

namespace llmcore::tokenizer {
namespace {

// \p{P} that Unicode took in after the version which the reference's \p{P} is of.
constexpr std::array<CodePointRange, 39> kLaterPunctuation{{
    {0x61D, 0x61D},     {0x9FD, 0x9FD},     {0xA76, 0xA76},     {0xC77, 0xC77},
    {0xC84, 0xC84},     {0x1B4E, 0x1B4F},   {0x1B7D, 0x1B7F},   {0x2E43, 0x2E4F},
    {0x2E52, 0x2E5D},   {0x10D6E, 0x10D6E}, {0x10EAD, 0x10EAD}, {0x10F55, 0x10F59},
    {0x10F86, 0x10F89}, {0x113D4, 0x113D5}, {0x113D7, 0x113D8}, {0x1144B, 0x1144F},
    {0x1145A, 0x1145B}, {0x1145D, 0x1145D}, {0x11660, 0x1166C}, {0x116B9, 0x116B9},
    {0x1183B, 0x1183B}, {0x11944, 0x11946}, {0x119E2, 0x119E2}, {0x11A3F, 0x11A46},
    {0x11A9A, 0x11A9C}, {0x11A9E, 0x11AA2}, {0x11B00, 0x11B09}, {0x11BE1, 0x11BE1},
    {0x11C41, 0x11C45}, {0x11C70, 0x11C71}, {0x11EF7, 0x11EF8}, {0x11F43, 0x11F4F},
    {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x16D6D, 0x16D6F}, {0x16E97, 0x16E9A},
    {0x16FE2, 0x16FE2}, {0x1E5FF, 0x1E5FF}, {0x1E95E, 0x1E95F},
}};

bool is_punctuation(std::uint32_t c) {
  if (c < 0x80) return (traits_of(c) & kIsPunctuation) != 0;
  const Category category = category_of(c);
  if (category < Category::kPc || category > Category::kPo) return c == 0x166D || c == 0x111C9;
  return std::ranges::none_of(kLaterPunctuation, [c](const CodePointRange& range) {
    return c >= range.first && c <= range.last;
  });
}

bool is_space(std::uint32_t c) {
  return (traits_of(c) & kIsSpace) != 0;
}

// \p{N}, with the digits of Unicode 17.0, as the reference has them.
bool is_number(std::uint32_t c) {
  return (traits_of(c) & kIsNumber) != 0 || (c >= 0x11DE0 && c <= 0x11DE9) ||
         (c >= 0x16FF4 && c <= 0x16FF6);
}

// Calls visit(code point, begin, end) for each character of a piece.
template <class Visit>
void for_each_char(const AlignedText& text, const Piece& piece, Visit&& visit) {
  const std::uint8_t* base = text.text().data();
  const std::uint8_t* end = base + piece.end;
  for (const std::uint8_t* p = base + piece.begin; p < end;) {
    const std::uint8_t* q = p;
    const std::uint32_t c = next_char(q, end);
    visit(c, static_cast<std::uint32_t>(p - base), static_cast<std::uint32_t>(q - base));
    p = q;
  }
}

// Each character that is_delimiter() is a match.
template <class IsDelimiter>
class CharSplitter : public PreTokenizer {
 public:
  CharSplitter(DelimiterBehavior behavior, IsDelimiter is_delimiter)
      : behavior_(behavior), is_delimiter_(is_delimiter) {}

  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    std::vector<Piece> result;
    std::vector<Stretch> stretches;
    for (const Piece& piece : pieces) {
      stretches.clear();
      for_each_char(text, piece, [&](std::uint32_t c, std::uint32_t begin, std::uint32_t end) {
        const bool is_match = is_delimiter_(c);
        if (!is_match && !stretches.empty() && !stretches.back().is_match) {
          stretches.back().end = end;
        } else {
          stretches.push_back({begin, end, is_match});
        }
      });
      append_pieces(stretches, behavior_, result);
    }
    pieces.swap(result);
  }
  bool cuts_by_neighbours() const override { return behavior_ == DelimiterBehavior::kRemoved; }

 private:
  DelimiterBehavior behavior_;
  IsDelimiter is_delimiter_;
};

template <class IsDelimiter>
std::unique_ptr<PreTokenizer> make_char_splitter(DelimiterBehavior behavior,
                                                 IsDelimiter is_delimiter) {
  return std::make_unique<CharSplitter<IsDelimiter>>(behavior, is_delimiter);
}

// Keeps runs of characters of one kind; kind 0 is dropped.
class Whitespace : public PreTokenizer {
 public:
  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    std::vector<Piece> result;
    for (const Piece& piece : pieces) {
      int last_kind = 0;
      for_each_char(text, piece, [&](std::uint32_t c, std::uint32_t begin, std::uint32_t end) {
        const int kind = kind_of(c);
        if (kind != 0 && kind == last_kind) {
          result.back().end = end;
        } else if (kind != 0) {
          result.push_back({begin, end});
        }
        last_kind = kind;
      });
    }
    pieces.swap(result);
  }
  bool cuts_by_neighbours() const override { return true; }

 private:
  int kind_of(std::uint32_t c) const {
    if (is_space(c)) return 0;
    return word_.contains(c) ? 1 : 2;
  }
  const CodePointSet word_ = word_set(false);
};

class Bert : public PreTokenizer {
 public:
  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    std::vector<Piece> result;
    for (const Piece& piece : pieces) {
      bool joins = false;
      for_each_char(text, piece, [&](std::uint32_t c, std::uint32_t begin, std::uint32_t end) {
        if (is_space(c)) {
          joins = false;
          return;
        }
        const bool alone = is_punctuation(c);
        if (joins && !alone) {
          result.back().end = end;
        } else {
          result.push_back({begin, end});
        }
        joins = !alone;
      });
    }
    pieces.swap(result);
  }
  bool cuts_by_neighbours() const override { return true; }
};

class UnicodeScripts : public PreTokenizer {
 public:
  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    std::vector<Piece> result;
    for (const Piece& piece : pieces) {
      // What comes before the first character with a script is dropped.
      constexpr int kUnset = -1;
      int last = kUnset;
      const std::size_t first_piece = result.size();
      for_each_char(text, piece, [&](std::uint32_t c, std::uint32_t begin, std::uint32_t end) {
        const int script = pre_tokenizer_script_of(c);
        const bool starts = script != kNoScript && last != script;
        if (starts) {
          result.push_back({begin, end});
        } else if (result.size() > first_piece) {
          result.back().end = end;
        }
        if (script != kNoScript) last = script;
      });
    }
    pieces.swap(result);
  }
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(std::size_t num_chars) : num_chars_(num_chars) {}

  void split(AlignedText& text, std::vector<Piece>& pieces, bool) const override {
    std::vector<Piece> result;
    for (const Piece& piece : pieces) {
      std::size_t count = 0;
      for_each_char(text, piece, [&](std::uint32_t, std::uint32_t begin, std::uint32_t end) {
        if (count++ % num_chars_ == 0) {
          result.push_back({begin, end});
        } else {
          result.back().end = end;
        }
      });
    }
    pieces.swap(result);
  }

 private:
  std::size_t num_chars_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_whitespace() {
  return std::make_unique<Whitespace>();
}

std::unique_ptr<PreTokenizer> make_whitespace_split() {
  return make_char_splitter(DelimiterBehavior::kRemoved, is_space);
}

std::unique_ptr<PreTokenizer> make_punctuation(DelimiterBehavior behavior) {
  return make_char_splitter(behavior, is_punctuation);
}

std::unique_ptr<PreTokenizer> make_digits(bool individual_digits) {
  const auto behavior =
      individual_digits ? DelimiterBehavior::kIsolated : DelimiterBehavior::kContiguous;
  return make_char_splitter(behavior, is_number);
}

std::unique_ptr<PreTokenizer> make_delimiter_split(std::uint32_t delimiter) {
  return make_char_splitter(DelimiterBehavior::kRemoved,
                            [delimiter](std::uint32_t c) { return c == delimiter; });
}

std::unique_ptr<PreTokenizer> make_bert() {
  return std::make_unique<Bert>();
}

std::unique_ptr<PreTokenizer> make_unicode_scripts() {
  return std::make_unique<UnicodeScripts>();
}

std::unique_ptr<PreTokenizer> make_fixed_length(std::size_t num_chars) {
  return std::make_unique<FixedLength>(num_chars);
}

}  // namespace llmcore::tokenizer
