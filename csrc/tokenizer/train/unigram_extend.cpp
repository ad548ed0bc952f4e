#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/formats/json.h"
#include "tokenizer/pipeline/piece_types.h"
#include "tokenizer/text/utf8.h"
#include "tokenizer/train/ids_and_texts.h"
#include "tokenizer/train/unigram_seeds.h"
#include "tokenizer/train/unigram_settle.h"
#include "tokenizer/train/unigram_text.h"
#include "tokenizer/train/unigram_trainer.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";
// What EM can take as logarithms of probabilities without leaving the range of a double.
constexpr double kLeastScore = -300, kMostScore = 50;

struct OldVocabulary {
  std::vector<std::uint32_t> ids;  // of the pieces that spell text
  std::vector<std::string> others;
  std::unordered_set<std::string> texts;
  std::size_t size = 0;  // first new id
  double log_mass = 0, least = 0;
  bool has_space_runs = false;
};

// Types of pieces by id, told from the rest where the spec does not name them.
std::vector<PieceType> types_of(const TokenizerSpec& spec) {
  std::vector<PieceType> types = piece_types(spec);
  if (!types.empty()) return types;
  types.assign(spec.tokens.size(), PieceType::kNormal);
  for (std::size_t id = 0; spec.unigram.byte_fallback && id < types.size(); ++id) {
    if (byte_of_piece(spec.tokens[id]) >= 0) types[id] = PieceType::kByte;
  }
  for (const AddedTokenSpec& token : spec.added) {
    if (token.id < types.size()) types[token.id] = PieceType::kControl;
  }
  const auto unk_id = static_cast<std::size_t>(spec.unigram.unk_id);
  if (unk_id < types.size()) types[unk_id] = PieceType::kUnknown;
  return types;
}

bool is_space_run(std::string_view text) {
  std::size_t marks = 0;
  for (; text.starts_with(kSpaceMark); ++marks) text.remove_prefix(kSpaceMark.size());
  return text.empty() && marks > 1;
}

OldVocabulary read_old(const TokenizerSpec& spec) {
  OldVocabulary old;
  old.size = size_of(spec);
  const std::vector<PieceType> types = types_of(spec);
  std::vector<std::string> others;
  for (HiddenText& hidden : hidden_texts(spec)) others.push_back(std::move(hidden.text));
  for (const AddedTokenSpec& token : spec.added) {
    others.push_back(token.content);
  }
  double mass = 0;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& text = spec.tokens[id];
    if (text.empty()) continue;
    old.texts.insert(text);
    if (types[id] != PieceType::kNormal) {
      if (types[id] != PieceType::kUnused) others.push_back(text);
      continue;
    }
    const double score = spec.scores[id];
    if (score < kLeastScore || score > kMostScore) {
      throw ConfigError(
          "extend: scores of Unigram must be log-probabilities, from -300 to 50, got " +
          std::to_string(score) + " for token " + std::to_string(id));
    }
    old.ids.push_back(static_cast<std::uint32_t>(id));
    old.least = std::min(old.least, score);
    old.has_space_runs = old.has_space_runs || is_space_run(text);
    mass += std::exp(score);
  }
  if (mass > 0) old.log_mass = std::log(mass);
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
  std::erase(others, "");
  old.texts.insert(others.begin(), others.end());
  old.others = std::move(others);
  return old;
}

bool ends_words_with_spaces(const TokenizerSpec& spec) {
  const JsonDocument normalizer(spec.normalizer, "normalizer");
  if (!normalizer.root().is_object()) return false;
  const Json& flag = normalizer.root()["treat_whitespace_as_suffix"];
  return !flag.is_null() && flag.as_bool("treat_whitespace_as_suffix");
}

// The pieces whose characters all stand in the text.
std::vector<OldPiece> pieces_in(const UnigramText& text, const TokenizerSpec& spec,
                                const OldVocabulary& old) {
  const auto first = text.chars.begin() + UnigramText::kFirstSymbol;
  std::vector<OldPiece> pieces;
  for (const std::uint32_t id : old.ids) {
    OldPiece piece{id, {}};
    const std::string& token = spec.tokens[id];
    const auto* p = reinterpret_cast<const std::uint8_t*>(token.data());
    const std::uint8_t* end = p + token.size();
    bool is_spelled = p < end;
    while (is_spelled && p < end) {
      const std::uint32_t c = next_char(p, end);
      const auto at = std::lower_bound(first, text.chars.end(), c);
      is_spelled = at != text.chars.end() && *at == c;
      piece.symbols.push_back(static_cast<std::uint32_t>(at - text.chars.begin()));
    }
    if (is_spelled) pieces.push_back(std::move(piece));
  }
  return pieces;
}

struct NewPiece {
  std::string text;
  float score = 0;  // as SentencePiece's files hold it

  bool operator<(const NewPiece& other) const {
    return score != other.score ? score > other.score : text < other.text;
  }
};

// Characters of the text that are no pieces, by falling count.
std::vector<std::string> lacking_chars(const UnigramText& text, const OldVocabulary& old) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t s = UnigramText::kFirstSymbol; s < text.chars.size(); ++s) order.push_back(s);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return text.char_counts[a] > text.char_counts[b];
  });
  std::vector<std::string> lacking;
  for (const std::uint32_t symbol : order) {
    std::string c;
    append_utf8(c, text.chars[symbol]);
    if (!old.texts.contains(c)) lacking.push_back(std::move(c));
  }
  return lacking;
}

// The new characters, then the best pieces; best first. As in training, characters that EM lost
// get the lowest score and a little more for each rarer one.
std::vector<NewPiece> choose(const UnigramText& text, const UnigramPieces& pieces,
                             const OldVocabulary& old, const std::vector<std::string>& required,
                             std::size_t size) {
  constexpr float kStep = 0.0001f;
  std::vector<NewPiece> chosen, others;
  std::unordered_set<std::string> lost(required.begin(), required.end());
  auto least = static_cast<float>(old.least);
  for (std::size_t i = 0; i < pieces.pieces.size(); ++i) {
    if (pieces.is_old(i)) continue;
    const UnigramPiece& p = pieces.pieces[i];
    NewPiece piece{text.spell(pieces.begins[i], p.length), static_cast<float>(p.score)};
    least = std::min(least, piece.score);
    const bool is_required = lost.erase(piece.text) != 0;
    if (!old.texts.contains(piece.text))
      (is_required ? chosen : others).push_back(std::move(piece));
  }
  float more = 0;
  for (const std::string& c : required) {
    if (!lost.contains(c)) continue;
    chosen.push_back({c, least + more});
    more += kStep;
  }
  std::sort(others.begin(), others.end());
  others.resize(std::min(others.size(), size - chosen.size()));
  chosen.insert(chosen.end(), others.begin(), others.end());
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

void check_spaces(const WordTable& words) {
  words.for_each([](std::string_view word, std::int64_t) {
    if (word.find(' ') == std::string_view::npos) return;
    throw ConfigError(
        "extend: a Unigram tokenizer must mark spaces with U+2581, got one that leaves them");
  });
}

}  // namespace

TokenizerSpec extend_unigram(const TokenizerSpec& spec, const WordTable& words,
                             const UnigramTrainerArgs& given, const UnigramTick& tick) {
  check_unigram_args(given, "extend", 0);
  check_spaces(words);
  const OldVocabulary old = read_old(spec);
  UnigramTrainerArgs args = given;
  args.treat_whitespace_as_suffix = ends_words_with_spaces(spec);
  args.allow_whitespace_only_pieces = old.has_space_runs;
  for (const std::uint32_t id : old.ids) args.old_chars += spec.tokens[id];
  const UnigramText text = make_unigram_text(words, args, old.others);
  const std::vector<std::string> required = lacking_chars(text, old);
  if (old.size + required.size() > args.vocab_size) {
    throw ConfigError("extend: vocab_size must be at least " +
                      std::to_string(old.size + required.size()) +
                      " (the vocabulary and the new characters), got " +
                      std::to_string(args.vocab_size) + "; or lower character_coverage");
  }
  const std::size_t num_new = args.vocab_size - old.size;
  UnigramPieces pieces =
      seed_pieces(text, args, pieces_in(text, spec, old), spec.scores, old.log_mass);
  settle_pieces(text, pieces, num_new, args, tick);
  TokenizerSpec extended = spec;
  const std::vector<NewPiece> chosen = choose(text, pieces, old, required, num_new);
  if (chosen.empty()) return extended;
  extended.tokens.resize(old.size);
  extended.scores.resize(old.size, 0);
  for (const NewPiece& piece : chosen) {
    extended.tokens.push_back(piece.text);
    extended.scores.push_back(static_cast<double>(piece.score));
  }
  return extended;
}

}  // namespace llmcore::tokenizer
