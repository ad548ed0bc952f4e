#include "tokenizer/models/unigram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tokenizer/errors.h"
#include "tokenizer/models/unigram_lattice.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

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

constexpr double kNever = -std::numeric_limits<double>::infinity();
// Float32 sums up to 2^17 are off by half a unit, 2^-8; up to 2^16 by half of that, and so on.
constexpr double kMaxSum = 0x1p17, kMaxSumError = 0x1p-8, kMinSum = 0x1p10;

// Of all paths that end at a byte, what kMargins asks: the best of those that lose, and the same
// for sums whose every rounding was in the paths' favour.
struct Rivals {
  double loser = kNever;
  double best_upper = kNever, loser_upper = kNever;

  double upper() const { return std::max(best_upper, loser_upper); }
};

// Makes the score of byte i zero and keeps the others' distance from it, in float32.
void reset_scores(PathNode* nodes, std::size_t i, std::size_t frontier) {
  const double offset = nodes[i].score;
  for (std::size_t k = i + 1; k <= frontier; ++k) {
    if (nodes[k].start != kNoStart) nodes[k].score = static_cast<float>(nodes[k].score - offset);
  }
  nodes[i].score = 0;
}

}  // namespace

// A stretch of text that no token crosses the ends of; key and hash only where it is short.
struct UnigramModel::Word {
  std::uint32_t begin, end;
  ShortMemo::Key key;
  std::uint64_t hash;
};

struct UnigramModel::Scratch final : ModelScratch {
  std::vector<PathNode> nodes;
  std::vector<Rivals> rivals;
  double sum_error = 0;  // of one addition, for the rivals' upper bounds
  std::vector<PathStep> steps;
  ShortMemo short_memo;
  LongMemo long_memo;
};

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
    scratch.rivals.assign(n + 1, {});
    scratch.rivals[0].best_upper = score;
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
      Rivals& rivals = scratch.rivals[end];
      double upper =
          scratch.rivals[start].upper() + (candidate - nodes[start].score) + scratch.sum_error;
      const double loser = wins ? node.score : candidate;
      if (node.start != kNoStart && !(loser <= rivals.loser)) rivals.loser = loser;
      if (wins) std::swap(upper, rivals.best_upper);
      rivals.loser_upper = std::max(rivals.loser_upper, upper);
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

// Of the traced path: whether it wins at each of its ends whatever the rounding of sums by at most
// scratch.sum_error does.
bool UnigramModel::always_wins(const Scratch& scratch) {
  const std::size_t n = scratch.steps.size();
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t end = scratch.steps[i].end;
    const double lower = scratch.nodes[end].score - static_cast<double>(n - i) * scratch.sum_error;
    if (lower <= scratch.rivals[end].loser_upper) return false;
  }
  return true;
}

// A path score before the word of at most this size cannot change the word's best path: the sums'
// rounding errors stay below the smallest lead on that path.
float UnigramModel::safe_limit(Text word, Scratch& scratch) const {
  double lead = std::numeric_limits<double>::infinity(), reach = 0;
  for (const PathStep& step : scratch.steps) {
    lead = std::min(lead, scratch.nodes[step.end].score - scratch.rivals[step.end].loser);
  }
  for (std::size_t i = 0; i <= word.size(); ++i) {
    const double loser = scratch.rivals[i].loser;
    if (scratch.nodes[i].start != kNoStart) {
      reach = std::max(reach, std::abs(scratch.nodes[i].score));
    }
    if (std::isfinite(loser)) reach = std::max(reach, std::abs(loser));
  }
  // A path has at most one addition per byte, each off by half a unit in the last place: of two
  // paths, size * 2^-23 of the largest sum in float32, size * 2^-52 in float64.
  const double size = static_cast<double>(word.size());
  const double own_error = size * reach * 0x1p-51;
  double limit = 0.99 * (lead - own_error) * (sentencepiece_ ? 0x1p23 : 0x1p52) / size;
  // The paths' own numbers of additions say more than that.
  double sum = kMaxSum;
  while (sentencepiece_ && lead > own_error && sum > kMinSum &&
         limit < std::min(sum, kResetScore)) {
    if (always_wins(scratch)) limit = sum;
    sum /= 2;
    scratch.sum_error /= 2;
    if (limit < sum) best_path<Arithmetic::kMargins>(word, 0, scratch);
  }
  if (sentencepiece_) limit = std::min(limit, kResetScore);
  return static_cast<float>(std::min<double>(0.99999 * (limit - reach), kMaxLimit));
}

template <typename Entry>
void UnigramModel::learn(Entry& entry, Text word, Scratch& scratch) const {
  scratch.sum_error = kMaxSumError;
  best_path<Arithmetic::kMargins>(word, 0, scratch);
  trace_back(word.size(), scratch);
  const std::vector<PathStep>& steps = scratch.steps;
  entry.set(-1, 0);
  const bool has_unknown = std::any_of(
      steps.begin(), steps.end(), [&](const PathStep& step) { return step.id == unknown_.id; });
  if ((has_unknown && steps.size() > 1) || steps.size() > entry.ids.size()) return;
  std::size_t count = 0;
  for (std::size_t i = steps.size(); i-- > 0;) entry.ids[count++] = steps[i].id;
  entry.set(safe_limit(word, scratch), count);
}

// A word ends before a U+2581 that no token has behind the byte before it. All paths meet there.
std::size_t UnigramModel::word_end(Text text, std::size_t begin) const {
  constexpr std::uint64_t kLows = 0x0101010101010101ull, kHighs = 0x8080808080808080ull;
  const std::uint8_t* p = text.data();
  const std::uint8_t* end = p + text.size();
  const auto is_end = [&](std::size_t i) {
    return is_space_mark(p + i, end) && !space_joins_[p[i - 1]];
  };
  std::size_t i = begin + 1;
  while (i + 8 <= text.size()) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, p + i, 8);
    bytes ^= kSpaceMarkBytes[0] * kLows;
    const std::uint64_t hits = (bytes - kLows) & ~bytes & kHighs;
    i += hits == 0 ? 8 : static_cast<std::size_t>(std::countr_zero(hits)) / 8;
    if (hits == 0) continue;
    if (is_end(i)) return i;
    ++i;
  }
  while (i < text.size() && !is_end(i)) ++i;
  return i;
}

// End of the part that begins at `begin`, of a word that ends at `end`: no token has the two bytes
// around it side by side, so paths meet there too.
std::size_t UnigramModel::part_end(Text text, std::size_t begin, std::size_t end) const {
  std::size_t i = begin + 1;
  while (i < end && (cuts_[text[i - 1]][text[i] / 32] >> text[i] % 32 & 1) == 0) ++i;
  return i;
}

template <typename Memo>
const typename Memo::Entry& UnigramModel::find_or_learn(Memo& memo, const Word& part, Text text,
                                                        Scratch& scratch) const {
  const std::size_t size = part.end - part.begin;
  const auto key = Memo::make_key(text.data() + part.begin, size, text.data() + text.size());
  const typename Memo::Entry* entry = memo.find(key, Memo::hash(key));
  if (entry != nullptr) return *entry;
  typename Memo::Entry& claimed = memo.claim(key);
  learn(claimed, text.subspan(part.begin, size), scratch);
  return claimed;
}

// Writes what is remembered of a word; returns the score after it.
template <UnigramModel::Arithmetic kArithmetic, typename Entry>
double UnigramModel::use(const Entry& entry, const Word& word, double score,
                         UnigramWriter& writer) const {
  if (entry.ids[0] == unknown_.id) {
    writer.write({unknown_.id, word.begin, word.end});
    return round<kArithmetic>(score + unk_score_);
  }
  const std::size_t count = entry.count();
  for (std::size_t i = 0; i < count; ++i) {
    score = round<kArithmetic>(score + scores_[entry.ids[i]]);
  }
  writer.write_known(entry.ids, count, word.begin);
  return score;
}

// Adds a part to its word; the word's limit turns negative if it cannot be kept.
void UnigramModel::append(ShortMemo::Entry& word, const ShortMemo::Entry& part,
                          double shift) const {
  const std::size_t count = word.count(), total = count + part.count();
  if (word.limit() < 0 || total > ShortMemo::kMaxIds || part.ids[0] == unknown_.id) {
    word.set(-1, 0);
    return;
  }
  std::copy_n(part.ids.begin(), part.count(),
              word.ids.begin() + static_cast<std::ptrdiff_t>(count));
  word.set(std::min(word.limit(), static_cast<float>(part.limit() - shift)), total);
}

template <UnigramModel::Arithmetic kArithmetic>
UnigramModel::Reach UnigramModel::encode_part(Text text, const Word& part, double score,
                                              Scratch& scratch, UnigramWriter& writer, double shift,
                                              ShortMemo::Entry& whole) const {
  const auto use_known = [&](const auto& entry) -> Reach {
    return {use<kArithmetic>(entry, part, score, writer), static_cast<double>(entry.limit())};
  };
  const std::size_t size = part.end - part.begin;
  if (size <= ShortMemo::kMaxWord) {
    const ShortMemo::Entry& entry = find_or_learn(scratch.short_memo, part, text, scratch);
    if (std::abs(score) < static_cast<double>(entry.limit())) {
      append(whole, entry, shift);
      return use_known(entry);
    }
  }
  whole.set(-1, 0);
  if (size <= LongMemo::kMaxWord) {
    const LongMemo::Entry& entry = find_or_learn(scratch.long_memo, part, text, scratch);
    if (std::abs(score) < static_cast<double>(entry.limit())) return use_known(entry);
  }
  score = best_path<kArithmetic>(text.subspan(part.begin, size), score, scratch);
  trace_back(size, scratch);
  for (std::size_t i = scratch.steps.size(); i-- > 0;) {
    const PathStep& step = scratch.steps[i];
    writer.write({step.id, part.begin + step.begin, part.begin + step.end});
  }
  return {score, -1};
}

template <UnigramModel::Arithmetic kArithmetic>
UnigramModel::Reach UnigramModel::encode_word(Text text, const Word& word, double score,
                                              Scratch& scratch, UnigramWriter& writer) const {
  const bool is_short = word.end - word.begin <= ShortMemo::kMaxWord;
  const ShortMemo::Entry* entry = is_short ? scratch.short_memo.find(word.key, word.hash) : nullptr;
  if (entry != nullptr && std::abs(score) < static_cast<double>(entry->limit())) {
    return {use<kArithmetic>(*entry, word, score, writer), static_cast<double>(entry->limit())};
  }
  const bool is_new = is_short && entry == nullptr;
  const double before = score;
  Reach reach{score};
  ShortMemo::Entry whole;
  whole.set(kMaxLimit, 0);
  Word part{word.begin, word.begin, {}, 0};
  for (; part.end < word.end; part.begin = part.end) {
    part.end = static_cast<std::uint32_t>(part_end(text, part.begin, word.end));
    // A part's limit holds for the score before the part, the word's for that before the word.
    const double shift = std::abs(reach.score - before) + 1;
    reach.extend(encode_part<kArithmetic>(text, part, reach.score, scratch, writer, shift, whole),
                 before);
  }
  if (is_new && scratch.short_memo.find(word.key, word.hash) == nullptr) {
    whole.key = word.key;
    scratch.short_memo.claim(word.key) = whole;
  }
  return reach;
}

// `reach` holds the score before the words and any limit that this score has by itself.
template <UnigramModel::Arithmetic kArithmetic>
UnigramModel::Reach UnigramModel::encode_words(Text text, Reach reach, Scratch& scratch,
                                               UnigramWriter& writer) const {
  const std::uint8_t* p = text.data();
  const double before = reach.score;
  std::array<Word, 16> words;
  for (std::size_t begin = 0; begin < text.size();) {
    // The words of a batch are cut before any is looked up, so that their entries are on the way.
    std::size_t count = 0;
    for (; count < words.size() && begin < text.size(); ++count) {
      Word& word = words[count];
      const std::size_t end = word_end(text, begin);
      word.begin = static_cast<std::uint32_t>(begin);
      word.end = static_cast<std::uint32_t>(end);
      if (end - begin <= ShortMemo::kMaxWord) {
        word.key = ShortMemo::make_key(p + begin, end - begin, p + text.size());
        word.hash = ShortMemo::hash(word.key);
        scratch.short_memo.prefetch(word.hash);
      }
      begin = end;
    }
    for (std::size_t i = 0; i < count; ++i) {
      reach.extend(encode_word<kArithmetic>(text, words[i], reach.score, scratch, writer), before);
    }
  }
  writer.finish();
  return reach;
}

double UnigramModel::encode_stretch(Text stretch, ModelScratch& scratch, IdBuffer& ids,
                                    double& score, std::vector<std::uint32_t>& steps) const {
  auto& own = static_cast<Scratch&>(scratch);
  UnigramWriter writer(unknown_, *trie_, lengths_, stretch, ids, nullptr, &steps);
  const Reach reach = sentencepiece_
                          ? encode_words<Arithmetic::kFloat32>(stretch, {score}, own, writer)
                          : encode_words<Arithmetic::kFloat64>(stretch, {score}, own, writer);
  score = reach.score;
  return reach.limit;
}

std::size_t UnigramModel::replay(const std::uint32_t* steps, std::size_t count, double& score,
                                 std::uint32_t* ids) const {
  return sentencepiece_ ? replay<float>(steps, count, score, ids)
                        : replay<double>(steps, count, score, ids);
}

template <typename Sum>
std::size_t UnigramModel::replay(const std::uint32_t* steps, std::size_t count, double& score,
                                 std::uint32_t* ids) const {
  auto sum = static_cast<Sum>(score);
  std::size_t num_ids = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t step = steps[i];
    if (step < kUnscored) [[likely]] {
      sum += static_cast<Sum>(scores_[step]);
      ids[num_ids++] = step;
    } else if ((step & kUnwritten) != 0) {
      sum += static_cast<Sum>(unk_score_);
    } else {
      ids[num_ids++] = step ^ kUnscored;
    }
  }
  score = static_cast<double>(sum);
  return num_ids;
}

void UnigramModel::encode(Text piece, ModelScratch& scratch, IdBuffer& ids,
                          std::vector<std::uint32_t>* ends) const {
  auto& own = static_cast<Scratch&>(scratch);
  UnigramWriter writer(unknown_, *trie_, lengths_, piece, ids, ends);
  if (sentencepiece_) {
    encode_words<Arithmetic::kFloat32>(piece, {}, own, writer);
  } else {
    encode_words<Arithmetic::kFloat64>(piece, {}, own, writer);
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
  logits.reserve(best.size());
  for (const ScoredIds& path : best) logits.push_back(alpha * path.first);
  return std::move(best[draw_index(logits, seed, 0)].second);
}

}  // namespace llmcore::tokenizer
