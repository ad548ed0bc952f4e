// From a vocabulary to the tables of a Unigram model.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "tokenizer/errors.h"
#include "tokenizer/models/unigram.h"

namespace llmcore::tokenizer {
namespace {

constexpr double kUnkPenalty = 10;

}  // namespace

UnigramModel::UnigramModel(const TokenizerSpec& spec, const UnigramRules& rules)
    : sentencepiece_(rules.sentencepiece) {
  unknown_.byte_fallback = spec.unigram.byte_fallback;
  unknown_.fuse = spec.unigram.fuse_unk || sentencepiece_;
  unknown_.may_spell_token = !sentencepiece_;
  if (spec.scores.size() != spec.tokens.size()) {
    throw DataError("unigram: scores must be one for each of " +
                    std::to_string(spec.tokens.size()) + " tokens, got " +
                    std::to_string(spec.scores.size()));
  }
  const std::int64_t unk_id = spec.unigram.unk_id;
  if (unk_id >= 0) {
    if (static_cast<std::uint64_t>(unk_id) >= spec.tokens.size()) {
      throw DataError("unigram: unk_id must be below " + std::to_string(spec.tokens.size()) +
                      ", got " + std::to_string(unk_id));
    }
    unknown_.id = static_cast<std::uint32_t>(unk_id);
  }
  for (std::size_t id = 0; id < spec.scores.size(); ++id) {
    const double score = spec.scores[id];
    if (std::isfinite(sentencepiece_ ? static_cast<float>(score) : score)) continue;
    throw DataError("unigram: scores must be finite, got " + std::to_string(score) + " for token " +
                    std::to_string(id));
  }
  set_types(spec, rules);
  set_scores(spec);
  set_byte_ids(spec);
  std::vector<ByteTrie::Entry> entries;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    lengths_.push_back(static_cast<std::uint32_t>(token.size()));
    if (types_[id] != PieceType::kNormal && types_[id] != PieceType::kUserDefined) continue;
    entries.push_back({token, static_cast<std::uint32_t>(id)});
  }
  set_cuts(entries);
  trie_ = std::make_unique<ByteTrie>(std::move(entries));
}

void UnigramModel::set_types(const TokenizerSpec& spec, const UnigramRules& rules) {
  types_ = rules.types;
  if (!types_.empty()) {
    if (types_.size() == spec.tokens.size()) return;
    throw ConfigError("unigram: types must be one for each of " +
                      std::to_string(spec.tokens.size()) + " tokens, got " +
                      std::to_string(types_.size()));
  }
  types_.assign(spec.tokens.size(), PieceType::kNormal);
  if (!sentencepiece_) return;
  for (const AddedTokenSpec& added : spec.added) {
    if (added.id >= types_.size()) continue;
    types_[added.id] = added.special ? PieceType::kControl : PieceType::kUserDefined;
  }
  if (unknown_.id != ByteTrie::kNoValue) types_[unknown_.id] = PieceType::kUnknown;
  for (std::size_t id = 0; unknown_.byte_fallback && id < types_.size(); ++id) {
    if (byte_of_piece(spec.tokens[id]) >= 0) types_[id] = PieceType::kByte;
  }
}

void UnigramModel::set_scores(const TokenizerSpec& spec) {
  scores_ = spec.scores;
  double lowest = std::numeric_limits<double>::infinity();
  if (!sentencepiece_) {
    for (const double score : scores_) lowest = score < lowest ? score : lowest;
    unk_score_ = lowest - kUnkPenalty;
    return;
  }
  float min_score = FLT_MAX;
  for (std::size_t id = 0; id < scores_.size(); ++id) {
    const auto score = static_cast<float>(scores_[id]);
    scores_[id] = score;
    if (types_[id] == PieceType::kNormal) min_score = std::min(min_score, score);
  }
  unk_score_ = min_score - static_cast<float>(kUnkPenalty);
  lattice_scores_ = scores_;
  // Above all others, so always chosen; in bytes for the best path, in characters for the lattice.
  const auto user_score = [](auto length) {
    return static_cast<float>(0.1 * (static_cast<double>(length) - 1));
  };
  for (std::size_t id = 0; id < scores_.size(); ++id) {
    if (types_[id] != PieceType::kUserDefined) continue;
    const std::string& token = spec.tokens[id];
    scores_[id] = user_score(token.size());
    lattice_scores_[id] = user_score(
        std::count_if(token.begin(), token.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  }
}

void UnigramModel::set_byte_ids(const TokenizerSpec& spec) {
  unknown_.byte_ids.fill(ByteTrie::kNoValue);
  if (!unknown_.byte_fallback) return;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const int byte = byte_of_piece(spec.tokens[id]);
    if (byte >= 0)
      unknown_.byte_ids[static_cast<std::size_t>(byte)] = static_cast<std::uint32_t>(id);
  }
}

void UnigramModel::set_cuts(const std::vector<ByteTrie::Entry>& entries) {
  for (auto& row : cuts_) {
    for (unsigned c = 0; c < 256; ++c) row[c / 32] |= (c < 0x80 || c >= 0xC0 ? 1u : 0u) << c % 32;
  }
  for (const ByteTrie::Entry& entry : entries) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(entry.key.data());
    for (std::size_t i = 1; i < entry.key.size(); ++i) {
      cuts_[p[i - 1]][p[i] / 32] &= ~(1u << p[i] % 32);
      if (is_space_mark(p + i, p + entry.key.size())) space_joins_[p[i - 1]] = true;
    }
  }
}

std::unique_ptr<UnigramModel> make_unigram(const TokenizerSpec& spec, const UnigramRules& rules) {
  return std::make_unique<UnigramModel>(spec, rules);
}

}  // namespace llmcore::tokenizer
