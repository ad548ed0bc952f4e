#include "tokenizer/models/unigram.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#include "tokenizer/errors.h"
#include "tokenizer/models/unigram_lattice.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr double kUnkPenalty = 10;
// sentencepiece subtracts a path score beyond this from all that are still open.
constexpr double kResetScore = 100000;
constexpr std::uint32_t kNoStart = 0xFFFFFFFF;

// The best path that ends at a byte: its score and last token.
struct PathNode {
  double score;
  std::uint32_t start, id;
};

unsigned char_length(const std::uint8_t* p, const std::uint8_t* end) {
  std::uint32_t c = 0;
  return std::max(1u, decode_utf8(p, end, c));
}

// Makes the score of byte i zero and keeps the others' distance from it, in float32.
void reset_scores(PathNode* nodes, std::size_t i, std::size_t frontier) {
  const double offset = nodes[i].score;
  for (std::size_t k = i + 1; k <= frontier; ++k) {
    if (nodes[k].start != kNoStart) nodes[k].score = static_cast<float>(nodes[k].score - offset);
  }
  nodes[i].score = 0;
}

constexpr std::array<std::uint8_t, 3> kSpaceMark = {0xE2, 0x96, 0x81};  // U+2581

bool is_space_mark(const std::uint8_t* p, const std::uint8_t* end) {
  return end - p >= 3 && std::equal(kSpaceMark.begin(), kSpaceMark.end(), p);
}

}  // namespace

// A stretch of text that no token crosses the ends of; key and hash only where it is short.
struct UnigramModel::Word {
  std::uint32_t begin, end;
  WordMemo::Key key;
  std::uint64_t hash;
};

struct UnigramModel::Scratch final : ModelScratch {
  std::vector<PathNode> nodes;
  std::vector<double> losers;
  std::vector<PathStep> steps;
  WordMemo memo;
};

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
    throw DataError("unigram: scores must be finite, got " + std::to_string(score) +
                    " for token " + std::to_string(id));
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
    if (byte_of_token(spec.tokens[id]) >= 0) types_[id] = PieceType::kByte;
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
    lattice_scores_[id] = user_score(std::count_if(token.begin(), token.end(),
                                                   [](char c) { return (c & 0xC0) != 0x80; }));
  }
}

void UnigramModel::set_byte_ids(const TokenizerSpec& spec) {
  unknown_.byte_ids.fill(ByteTrie::kNoValue);
  if (!unknown_.byte_fallback) return;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const int byte = byte_of_token(spec.tokens[id]);
    if (byte >= 0)
      unknown_.byte_ids[static_cast<std::size_t>(byte)] = static_cast<std::uint32_t>(id);
  }
}

void UnigramModel::set_cuts(const std::vector<ByteTrie::Entry>& entries) {
  for (auto& row : may_cut_) row.fill(0xFFFFFFFF);
  for (auto& row : may_cut_) {
    for (unsigned c = 0x80; c < 0xC0; ++c) row[c / 32] &= ~(1u << c % 32);
  }
  for (const ByteTrie::Entry& entry : entries) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(entry.key.data());
    for (std::size_t i = 1; i < entry.key.size(); ++i) {
      const std::uint8_t before = p[i - 1], byte = p[i];
      if (byte != kSpaceMark[0]) {
        may_cut_[before][byte / 32] &= ~(1u << byte % 32);
      } else if (is_space_mark(p + i, p + entry.key.size())) {
        space_joins_[before] = true;
      } else {
        other_joins_[before] = true;
      }
    }
  }
}

void UnigramModel::fail_unknown() {
  throw DataError("unigram: the text has a character without a token, and unk_id is not set");
}

std::unique_ptr<ModelScratch> UnigramModel::make_scratch() const {
  return std::make_unique<Scratch>();
}

template <UnigramModel::Arithmetic kArithmetic>
double UnigramModel::round(double score) {
  return kArithmetic == Arithmetic::kFloat32 ? static_cast<double>(static_cast<float>(score))
                                             : score;
}

// Fills scratch.nodes[0..word.size()] and returns the score of the whole word.
template <UnigramModel::Arithmetic kArithmetic>
double UnigramModel::best_path(Text word, double score, Scratch& scratch) const {
  const std::size_t n = word.size();
  scratch.nodes.assign(n + 1, {0, kNoStart, 0});
  if constexpr (kArithmetic == Arithmetic::kMargins) {
    scratch.losers.assign(n + 1, -std::numeric_limits<double>::infinity());
  }
  PathNode* nodes = scratch.nodes.data();
  nodes[0].score = score;
  std::size_t frontier = 0;
  const auto offer = [&](std::size_t start, std::size_t end, std::uint32_t id, double candidate) {
    candidate = round<kArithmetic>(candidate);
    if constexpr (kArithmetic == Arithmetic::kFloat32) frontier = std::max(frontier, end);
    PathNode& node = nodes[end];
    const bool wins = node.start == kNoStart || candidate > node.score;
    if constexpr (kArithmetic == Arithmetic::kMargins) {
      const double loser = wins ? node.score : candidate;
      const bool contested = node.start != kNoStart;
      if (contested && !(loser <= scratch.losers[end])) scratch.losers[end] = loser;
    }
    if (!wins) return false;
    node = {candidate, static_cast<std::uint32_t>(start), id};
    return true;
  };
  const ByteTrie& trie = *trie_;
  const std::uint8_t* p = word.data();
  for (std::size_t i = 0; i < n;) {
    if constexpr (kArithmetic == Arithmetic::kFloat32) {
      if (std::abs(nodes[i].score) > kResetScore) reset_scores(nodes, i, frontier);
    }
    const double before = nodes[i].score;
    const std::size_t next = i + char_length(p + i, p + n);
    bool has_single = false;
    std::uint32_t at = ByteTrie::kRoot;
    for (std::size_t j = i; j < n && trie.step(at, p[j]);) {
      ++j;
      const std::uint32_t id = trie.value(at);
      if (id == ByteTrie::kNoValue) continue;
      offer(i, j, id, scores_[id] + before);
      has_single |= j == next;
    }
    if (!has_single) {
      const bool wins = offer(i, next, unknown_.id, unk_score_ + before);
      if (wins && unknown_.id == ByteTrie::kNoValue) fail_unknown();
    }
    i = next;
  }
  return nodes[n].score;
}

// Steps of the best path, last one first.
void UnigramModel::trace_back(std::size_t size, Scratch& scratch) const {
  scratch.steps.clear();
  for (std::size_t end = size; end > 0;) {
    const PathNode& node = scratch.nodes[end];
    scratch.steps.push_back({node.id, node.start, static_cast<std::uint32_t>(end)});
    end = node.start;
  }
}

// A path score before the word of at most this size cannot change the word's best path: the sums'
// rounding errors stay below the smallest lead on that path.
float UnigramModel::safe_limit(Text word, const Scratch& scratch) const {
  double lead = std::numeric_limits<double>::infinity(), reach = 0;
  for (const PathStep& step : scratch.steps) {
    lead = std::min(lead, scratch.nodes[step.end].score - scratch.losers[step.end]);
  }
  for (std::size_t i = 0; i <= word.size(); ++i) {
    if (scratch.nodes[i].start != kNoStart) {
      reach = std::max(reach, std::abs(scratch.nodes[i].score));
    }
    if (std::isfinite(scratch.losers[i])) reach = std::max(reach, std::abs(scratch.losers[i]));
  }
  // A path has at most one addition per byte, each off by half a unit in the last place: of two
  // paths, size * 2^-23 of the largest sum in float32, size * 2^-52 in float64.
  const double size = static_cast<double>(word.size());
  const double own_error = size * reach * 0x1p-51;
  double limit = 0.99 * (lead - own_error) * (sentencepiece_ ? 0x1p23 : 0x1p52) / size;
  if (sentencepiece_) limit = std::min(limit, 0.99 * kResetScore);
  return static_cast<float>(0.99 * (limit - reach));
}

const WordMemo::Entry& UnigramModel::learn(const WordMemo::Key& key, Text word,
                                           Scratch& scratch) const {
  best_path<Arithmetic::kMargins>(word, 0, scratch);
  trace_back(word.size(), scratch);
  const std::vector<PathStep>& steps = scratch.steps;
  WordMemo::Entry& entry = scratch.memo.claim(key);
  entry.count = 0;
  entry.limit = -1;
  const bool has_unknown = std::any_of(
      steps.begin(), steps.end(), [&](const PathStep& step) { return step.id == unknown_.id; });
  if ((has_unknown && steps.size() > 1) || steps.size() > WordMemo::kMaxIds) return entry;
  entry.limit = safe_limit(word, scratch);
  for (std::size_t i = steps.size(); i-- > 0;) entry.ids[entry.count++] = steps[i].id;
  return entry;
}

// End of the word that begins at `begin`: no token reaches across it, so all paths meet there.
std::size_t UnigramModel::word_end(Text text, std::size_t begin) const {
  const std::uint8_t* p = text.data();
  const std::uint8_t* end = p + text.size();
  std::size_t i = begin + 1;
  for (; i < text.size(); ++i) {
    const std::uint8_t before = p[i - 1], byte = p[i];
    if ((may_cut_[before][byte / 32] >> byte % 32 & 1) == 0) continue;
    if (byte != kSpaceMark[0]) break;
    if (is_space_mark(p + i, end) ? !space_joins_[before] : !other_joins_[before]) break;
  }
  return i;
}

template <UnigramModel::Arithmetic kArithmetic>
double UnigramModel::encode_word(Text text, const Word& word, double score, Scratch& scratch,
                                 UnigramWriter& writer) const {
  const Text bytes = text.subspan(word.begin, word.end - word.begin);
  if (bytes.size() <= WordMemo::kMaxWord) {
    const WordMemo::Entry* entry = scratch.memo.find(word.key, word.hash);
    if (entry == nullptr) entry = &learn(word.key, bytes, scratch);
    if (std::abs(score) < static_cast<double>(entry->limit)) {
      if (entry->ids[0] == unknown_.id) {
        writer.write({unknown_.id, word.begin, word.end});
        return round<kArithmetic>(score + unk_score_);
      }
      for (std::size_t i = 0; i < entry->count; ++i) {
        score = round<kArithmetic>(score + scores_[entry->ids[i]]);
      }
      writer.write_known(entry->ids, entry->count, word.begin);
      return score;
    }
  }
  score = best_path<kArithmetic>(bytes, score, scratch);
  trace_back(bytes.size(), scratch);
  for (std::size_t i = scratch.steps.size(); i-- > 0;) {
    const PathStep& step = scratch.steps[i];
    writer.write({step.id, word.begin + step.begin, word.begin + step.end});
  }
  return score;
}

template <UnigramModel::Arithmetic kArithmetic>
void UnigramModel::encode_words(Text text, Scratch& scratch, UnigramWriter& writer) const {
  const std::uint8_t* p = text.data();
  std::array<Word, 16> words;
  double score = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    // The words of a batch are cut before any is looked up, so that their entries are on the way.
    std::size_t count = 0;
    for (; count < words.size() && begin < text.size(); ++count) {
      Word& word = words[count];
      const std::size_t end = word_end(text, begin);
      word.begin = static_cast<std::uint32_t>(begin);
      word.end = static_cast<std::uint32_t>(end);
      if (end - begin <= WordMemo::kMaxWord) {
        word.key = WordMemo::make_key(p + begin, end - begin, p + text.size());
        word.hash = word.key.hash();
        scratch.memo.prefetch(word.hash);
      }
      begin = end;
    }
    for (std::size_t i = 0; i < count; ++i) {
      score = encode_word<kArithmetic>(text, words[i], score, scratch, writer);
    }
  }
  writer.finish();
}

void UnigramModel::encode(Text piece, ModelScratch& scratch, IdBuffer& ids,
                          std::vector<std::uint32_t>* ends) const {
  auto& own = static_cast<Scratch&>(scratch);
  UnigramWriter writer(unknown_, *trie_, lengths_, piece, ids, ends);
  if (sentencepiece_) {
    encode_words<Arithmetic::kFloat32>(piece, own, writer);
  } else {
    encode_words<Arithmetic::kFloat64>(piece, own, writer);
  }
}

void UnigramModel::sample(Text piece, double alpha, std::uint64_t seed, IdBuffer& ids,
                          std::vector<std::uint32_t>* ends) const {
  UnigramWriter writer(unknown_, *trie_, lengths_, piece, ids, ends);
  for (const PathStep& step : UnigramLattice(*this, piece).sample(alpha, seed)) writer.write(step);
  writer.finish();
}

std::vector<UnigramModel::ScoredIds> UnigramModel::nbest(Text piece, std::size_t count) const {
  if (count < 1 || count > kMaxNbest) {
    throw ConfigError("nbest: count must be in [1, " + std::to_string(kMaxNbest) + "], got " +
                      std::to_string(count));
  }
  std::vector<ScoredIds> results;
  for (const auto& [score, steps] : UnigramLattice(*this, piece).nbest(count)) {
    IdBuffer ids;
    UnigramWriter writer(unknown_, *trie_, lengths_, piece, ids, nullptr);
    for (const PathStep& step : steps) writer.write(step);
    writer.finish();
    results.emplace_back(score, std::vector<std::uint32_t>(ids.data(), ids.data() + ids.size()));
  }
  return results;
}

std::vector<std::uint32_t> UnigramModel::sample_nbest(Text piece, std::size_t count, double alpha,
                                                      std::uint64_t seed) const {
  std::vector<ScoredIds> best = nbest(piece, count);
  if (best.empty()) return {};
  std::vector<double> logits;
  for (const ScoredIds& path : best) logits.push_back(alpha * path.first);
  return std::move(best[draw_index(logits, seed, 0)].second);
}

std::unique_ptr<UnigramModel> make_unigram(const TokenizerSpec& spec, const UnigramRules& rules) {
  return std::make_unique<UnigramModel>(spec, rules);
}

}  // namespace llmcore::tokenizer
