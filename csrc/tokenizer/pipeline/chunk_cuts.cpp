#include "tokenizer/pipeline/chunk_cuts.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/formats/json.h"
#include "tokenizer/pipeline/piece_types.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::uint8_t kFirst = 0x21, kLast = 0x7E;  // printable, not a space
constexpr std::string_view kWhite = " \t\n\r", kOtherWhite = kWhite.substr(1);

bool is_printable(char c) {
  return c >= kFirst && c <= kLast;
}

std::string normalized(const Normalizer* normalizer, std::string_view text) {
  if (normalizer == nullptr) return std::string(text);
  AlignedText from, to;
  from.start(as_text(text), false);
  normalizer->apply(from, to);
  return std::string(to.view());
}

// Where tokens go on from one ASCII character to another, or to the mark, which 0x20 stands for.
class Joins {
 public:
  explicit Joins(const TokenizerSpec& spec) {
    const std::vector<PieceType> types = piece_types(spec);
    for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
      const PieceType type = types.empty() ? PieceType::kNormal : types[id];
      const bool matches = type == PieceType::kNormal || type == PieceType::kUserDefined;
      add(spec.tokens[id], matches);
    }
  }

  // Whether no token goes on from `a` to `b`, and no run of unknowns does.
  bool part(std::uint8_t a, std::uint8_t b) const {
    return !joined_[a][b] && (is_token_[a] || is_token_[b]);
  }
  bool has_mark() const { return is_token_[' ']; }
  bool has(std::string_view text) const { return texts_.contains(text); }

 private:
  void add(std::string_view token, bool matches) {
    texts_.insert(token);
    if (matches && token == kMark) is_token_[' '] = true;
    if (matches && token.size() == 1 && is_printable(token[0])) {
      is_token_[static_cast<std::uint8_t>(token[0])] = true;
    }
    for (std::size_t i = 1; i < token.size(); ++i) {
      if (!is_printable(token[i - 1])) continue;
      const auto before = static_cast<std::uint8_t>(token[i - 1]);
      if (is_printable(token[i])) joined_[before][static_cast<std::uint8_t>(token[i])] = true;
      if (token.substr(i).starts_with(kMark)) joined_[before][' '] = true;
    }
  }

  std::array<std::bitset<128>, 128> joined_{};
  std::bitset<128> is_token_;
  std::set<std::string_view> texts_;
};

// Whether the model's first or last step looks at the whole text it is given.
bool looks_at_ends(const TokenizerSpec& spec) {
  const BpeOptions& bpe = spec.bpe;
  return spec.kind == ModelKind::kWordPiece ||
         (spec.kind == ModelKind::kBpe &&
          (bpe.ignore_merges || !bpe.continuing_subword_prefix.empty() ||
           !bpe.end_of_word_suffix.empty()));
}

// Whether "x y" becomes "x", then the mark, then "y", where the space is any of `white`.
bool writes_mark(const Normalizer* normalizer, std::string_view white) {
  return std::ranges::all_of(white, [&](char space) {
    return normalized(normalizer, std::string{'x', space, 'y'}).ends_with("x\xE2\x96\x81y");
  });
}

// Whether every text that the normaliser leaves alone is a token, and so no cut parts it.
bool knows_symbols(const TokenizerSpec& spec, const Joins& joins) {
  const JsonDocument normalizer(spec.normalizer, "normalizer");
  if (!normalizer.root().is_object()) return true;
  const Json& symbols = normalizer.root()["user_defined_symbols"];
  return symbols.is_null() ||
         std::ranges::all_of(symbols.as_items("normalizer.user_defined_symbols"),
                             [&](const Json& symbol) { return joins.has(symbol.string()); });
}

// Without a pre-tokenizer: where no token of the vocabulary reaches over.
std::optional<ChunkScanner> cuts_of_vocabulary(const TokenizerSpec& spec, const ChunkParts& parts) {
  if (looks_at_ends(spec) || spec.spelling != Spelling::kText) return std::nullopt;
  if (!writes_mark(parts.normalizer, " ")) return std::nullopt;
  const SpaceCut space_cut = parts.space_cut();
  std::string printable;
  for (std::uint8_t c = kFirst; c <= kLast; ++c) printable += static_cast<char>(c);
  std::string image(space_cut == SpaceCut::kKept ? std::string_view() : kMark);
  image += printable;
  if (normalized(parts.normalizer, printable) != image) return std::nullopt;
  const Joins joins(spec);
  if (!joins.has_mark() || !knows_symbols(spec, joins)) return std::nullopt;
  ChunkScanner scanner;
  const bool cuts_any_white =
      space_cut != SpaceCut::kDropped && writes_mark(parts.normalizer, kOtherWhite);
  for (std::uint8_t a = kFirst; a <= kLast; ++a) {
    for (std::uint8_t b = ' '; b <= kLast; ++b) {
      if (joins.part(a, b)) scanner.allow_cut(a, b);
    }
    for (const char white : cuts_any_white ? kOtherWhite : std::string_view()) {
      if (joins.part(a, ' ')) scanner.allow_cut(a, static_cast<std::uint8_t>(white));
    }
  }
  if (space_cut == SpaceCut::kDropped) scanner.need_ascii_after_space();
  return scanner;
}

// With one that looks at two characters at a time: where it cuts, or drops white space.
std::optional<ChunkScanner> cuts_of_pre_tokenizer(const ChunkParts& parts) {
  if (parts.space_cut() != SpaceCut::kKept || !parts.pre_tokenizer->cuts_by_neighbours()) {
    return std::nullopt;
  }
  // All pairs, each behind a space, so that byte 3 i + 2 is the second of pair i.
  std::string pairs;
  for (std::uint8_t a = kFirst; a <= kLast; ++a) {
    for (std::uint8_t b = kFirst; b <= kLast; ++b) {
      pairs += {' ', static_cast<char>(a), static_cast<char>(b)};
    }
    for (const char white : kWhite) {
      pairs += {' ', static_cast<char>(a), white};
    }
  }
  const std::string image = normalized(parts.normalizer, pairs);
  if (image.size() != pairs.size()) return std::nullopt;
  AlignedText text;
  text.start(as_text(image), false);
  std::vector<Piece> pieces{{0, static_cast<std::uint32_t>(image.size())}};
  parts.pre_tokenizer->split(text, pieces, false);
  if (text.view() != image) return std::nullopt;
  std::vector<bool> is_inside(pairs.size() + 1, false);  // a piece, behind its first byte
  std::vector<bool> is_dropped(pairs.size() + 1, true);
  for (const Piece& piece : pieces) {
    for (std::uint32_t i = piece.begin; i < piece.end; ++i) {
      is_dropped[i] = false;
      is_inside[i] = i > piece.begin;
    }
  }
  ChunkScanner scanner;
  for (std::size_t i = 2; i < pairs.size(); i += 3) {
    if (!is_dropped[i - 2] || is_dropped[i - 1]) return std::nullopt;
    if (!is_inside[i]) {
      scanner.allow_cut(static_cast<std::uint8_t>(pairs[i - 1]),
                        static_cast<std::uint8_t>(pairs[i]));
    }
  }
  if (parts.normalizer != nullptr && parts.normalizer->pads_ideographs()) {
    scanner.cut_before_ideographs();
  }
  return scanner;
}

}  // namespace

std::optional<ChunkScanner> find_cuts(const TokenizerSpec& spec, const ChunkParts& parts) {
  if (parts.space_cut() == SpaceCut::kNone) return std::nullopt;
  return parts.pre_tokenizer == nullptr ? cuts_of_vocabulary(spec, parts)
                                        : cuts_of_pre_tokenizer(parts);
}

}  // namespace llmcore::tokenizer
