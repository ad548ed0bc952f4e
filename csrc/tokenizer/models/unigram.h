// Unigram: the segmentation of highest total log-probability, by Viterbi over a trie with one best
// path per byte. Source: Kudo 2018, arXiv:1804.10959.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/formats/piece_type.h"
#include "tokenizer/formats/spec.h"
#include "tokenizer/models/byte_trie.h"
#include "tokenizer/models/model.h"
#include "tokenizer/models/unigram_writer.h"
#include "tokenizer/models/word_memo.h"

namespace llmcore::tokenizer {

struct UnigramRules {
  // Ties, rounding and unknowns as sentencepiece has them: float32 path scores, the text of
  // control, byte and unknown pieces never matches. Else as `tokenizers` has them: float64, every
  // token matches, a run of unknowns that spells a token is that token.
  bool sentencepiece = false;
  // By id. Empty: with `sentencepiece`, added special tokens are control pieces, other added ones
  // user-defined, <0xAB> bytes where there is byte fallback.
  std::vector<PieceType> types;
};

inline constexpr std::array<std::uint8_t, 3> kSpaceMarkBytes = {0xE2, 0x96, 0x81};  // U+2581

inline bool is_space_mark(const std::uint8_t* p, const std::uint8_t* end) {
  return end - p >= 3 && std::equal(kSpaceMarkBytes.begin(), kSpaceMarkBytes.end(), p);
}

class UnigramModel final : public Model {
 public:
  static constexpr std::size_t kMaxNbest = 1024;
  using ScoredIds = std::pair<double, std::vector<std::uint32_t>>;

  UnigramModel(const TokenizerSpec& spec, const UnigramRules& rules);

  std::unique_ptr<ModelScratch> make_scratch() const override;
  // Throws DataError where a character has no token and the vocabulary no unknown token.
  void encode(Text piece, ModelScratch& scratch, IdBuffer& ids,
              std::vector<std::uint32_t>* ends) const override;
  std::size_t size() const override { return scores_.size(); }

  // The same of a text's next stretch, where no token reaches over its ends: `score` is that of
  // the path so far, and then of the path with it. Also appends the steps, for replay(), which are
  // those of any score of a smaller absolute value than the number returned (negative: of none).
  double encode_stretch(Text stretch, ModelScratch& scratch, IdBuffer& ids, double& score,
                        std::vector<std::uint32_t>& steps) const;
  // Writes the ids of steps, at most `count` and perhaps over the steps themselves; returns their
  // number. Moves the score as encode_stretch() did.
  std::size_t replay(const std::uint32_t* steps, std::size_t count, double& score,
                     std::uint32_t* ids) const;

  // One segmentation drawn with probability proportional to exp(alpha * score); equal seeds, equal
  // draws.
  void sample(Text piece, double alpha, std::uint64_t seed, IdBuffer& ids,
              std::vector<std::uint32_t>* ends) const;
  // The `count` segmentations of highest score, best first, with their scores.
  std::vector<ScoredIds> nbest(Text piece, std::size_t count) const;
  // One of the `count` best, drawn with probability proportional to exp(alpha * score).
  std::vector<std::uint32_t> sample_nbest(Text piece, std::size_t count, double alpha,
                                          std::uint64_t seed) const;

 private:
  friend class UnigramLattice;
  struct Scratch;
  struct Word;
  // The score after some bytes, and below which score before them their ids hold (negative: no
  // claim).
  struct Reach {
    double score = 0, limit = kMaxLimit;

    // These bytes and the ones behind them; `start` is the score before these. Rounding moves the
    // difference of two scores by less than 2: 256 sums below 10^5, off by 0.004 each, twice.
    void extend(const Reach& next, double start) {
      limit = std::min(limit, next.limit - std::abs(score - start) - 2);
      score = next.score;
    }
  };
  static constexpr float kMaxLimit = 1e30F;
  // How path scores are added. kMargins is float64 that also keeps the best loser of every byte.
  enum class Arithmetic : std::uint8_t { kFloat32, kFloat64, kMargins };

  void set_types(const TokenizerSpec& spec, const UnigramRules& rules);
  void set_scores(const TokenizerSpec& spec);
  void set_byte_ids(const TokenizerSpec& spec);
  void set_cuts(const std::vector<ByteTrie::Entry>& entries);
  std::size_t word_end(Text text, std::size_t begin) const;
  std::size_t part_end(Text text, std::size_t begin, std::size_t end) const;
  template <Arithmetic kArithmetic>
  Reach encode_words(Text text, Reach reach, Scratch& scratch, UnigramWriter& writer) const;
  template <Arithmetic kArithmetic>
  Reach encode_word(Text text, const Word& word, double score, Scratch& scratch,
                    UnigramWriter& writer) const;
  template <Arithmetic kArithmetic>
  Reach encode_part(Text text, const Word& part, double score, Scratch& scratch,
                    UnigramWriter& writer, double shift, ShortMemo::Entry& whole) const;
  void append(ShortMemo::Entry& word, const ShortMemo::Entry& part, double shift) const;
  template <typename Memo>
  const typename Memo::Entry& find_or_learn(Memo& memo, const Word& part, Text text,
                                            Scratch& scratch) const;
  template <Arithmetic kArithmetic, typename Entry>
  double use(const Entry& entry, const Word& word, double score, UnigramWriter& writer) const;
  template <Arithmetic kArithmetic>
  static double round(double score);
  template <Arithmetic kArithmetic>
  double best_path(Text word, double score, Scratch& scratch) const;
  void trace_back(std::size_t size, Scratch& scratch) const;
  template <typename Entry>
  void learn(Entry& entry, Text word, Scratch& scratch) const;
  static bool always_wins(const Scratch& scratch);
  float safe_limit(Text word, Scratch& scratch) const;
  template <typename Sum>
  std::size_t replay(const std::uint32_t* steps, std::size_t count, double& score,
                     std::uint32_t* ids) const;
  [[noreturn]] static void fail_unknown();

  bool sentencepiece_;
  UnknownRules unknown_;
  double unk_score_ = 0;
  std::vector<PieceType> types_;
  std::vector<double> scores_;          // as added to a path's score
  std::vector<double> lattice_scores_;  // empty: the same
  std::vector<std::uint32_t> lengths_;  // in bytes
  std::unique_ptr<const ByteTrie> trie_;
  // Bit c of row b: no token has byte b right before a character that begins with byte c.
  std::array<std::array<std::uint32_t, 8>, 256> cuts_{};
  std::array<bool, 256> space_joins_{};  // some token has this byte right before a U+2581
};

std::unique_ptr<UnigramModel> make_unigram(const TokenizerSpec& spec,
                                           const UnigramRules& rules = {});

}  // namespace llmcore::tokenizer
