#include "tokenizer/train/unigram_em.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace llmcore::tokenizer {
namespace {

constexpr double kLeastExpected = 0.5;
// Path probabilities below this are scaled up by its inverse.
constexpr int kScaleBits = 300;
constexpr double kSmall = 0x1p-300, kScale = 0x1p300;
// Those above this, of weights that sum to more than one, are scaled down; in training none is.
constexpr double kLarge = 0x1p600;

struct Word {
  const std::uint32_t* longest;  // by symbol
  std::uint32_t size;
  std::int64_t count;
};

// Sums over all segmentations of a word. Probabilities are not logarithms but numbers with a level:
// value * 2^(-300 level), so that a word costs one product per piece and direction.
class ForwardBackward {
 public:
  ForwardBackward(const std::vector<UnigramPiece>& pieces, double unknown, std::uint32_t longest)
      : pieces_(pieces), unknown_(unknown), longest_(longest) {}

  // Adds the expected counts times `weight`, rounded, to `sums`.
  void add(const Word& word, double weight, std::vector<std::int64_t>& sums) {
    forward(word);
    backward(word, weight * static_cast<double>(word.count), sums);
  }

 private:
  void forward(const Word& word) {
    const std::uint32_t size = word.size;
    alpha_.assign(size + std::size_t{1}, 0);
    levels_.resize(size + std::size_t{1});
    alpha_[0] = 1;
    std::int32_t level = 0;
    for (std::uint32_t i = 0; i < size; ++i) {
      if (alpha_[i] < kSmall && scale_up(alpha_, i, size)) ++level;
      if (alpha_[i] > kLarge) {
        scale(alpha_, i, size, kSmall);
        --level;
      }
      levels_[i] = level;
      const double here = alpha_[i];
      std::uint32_t length = 0;
      for (std::uint32_t id = word.longest[i]; id != UnigramPieces::kNone;) {
        const UnigramPiece& piece = pieces_[id];
        length = piece.length;
        alpha_[i + length] += here * piece.score;
        id = piece.prefix;
      }
      if (length != 1) alpha_[i + 1] += here * unknown_;
    }
    levels_[size] = level;
  }

  void backward(const Word& word, double weight, std::vector<std::int64_t>& sums) {
    const std::uint32_t size = word.size;
    beta_.resize(size + std::size_t{1});
    beta_[size] = 1;
    const double inverse = weight / alpha_[size];
    std::int32_t level = 0;
    for (std::uint32_t i = size; i-- > 0;) {
      double factor = alpha_[i] * inverse;
      const std::int32_t shift = levels_[size] - levels_[i] - level;
      if (shift != 0) factor = std::min(std::ldexp(factor, shift * kScaleBits), 1e300);
      double sum = 0;
      std::uint32_t length = 0;
      for (std::uint32_t id = word.longest[i]; id != UnigramPieces::kNone;) {
        const UnigramPiece& piece = pieces_[id];
        length = piece.length;
        const double rest = piece.score * beta_[i + length];
        sum += rest;
        // Not negative and far below 2^53.
        sums[id] +=
            static_cast<std::int64_t>(factor * rest + 0.5);  // NOLINT(bugprone-incorrect-roundings)
        id = piece.prefix;
      }
      if (length != 1) sum += unknown_ * beta_[i + 1];
      beta_[i] = sum;
      if (sum < kSmall && scale_up(beta_, i, size)) ++level;
      if (sum > kLarge) {
        scale(beta_, i, size, kSmall);
        --level;
      }
    }
  }

  // Scales what a piece from `at` on can reach, unless a long piece keeps some of it large; what
  // lies below is then negligible beside it.
  bool scale_up(std::vector<double>& values, std::uint32_t at, std::uint32_t size) const {
    const auto begin = values.begin() + at,
               end = values.begin() + std::min(at + longest_, size) + 1;
    if (*std::max_element(begin, end) >= 1) return false;
    scale(values, at, size, kScale);
    return true;
  }

  void scale(std::vector<double>& values, std::uint32_t at, std::uint32_t size,
             double factor) const {
    const auto begin = values.begin() + at,
               end = values.begin() + std::min(at + longest_, size) + 1;
    std::for_each(begin, end, [=](double& value) { value *= factor; });
  }

  const std::vector<UnigramPiece>& pieces_;
  double unknown_;
  std::uint32_t longest_;
  std::vector<double> alpha_, beta_;
  std::vector<std::int32_t> levels_;
};

// The best segmentation of a word; of equal ones that with the longer pieces at the end.
class BestPath {
 public:
  BestPath(const std::vector<UnigramPiece>& pieces, double unknown)
      : pieces_(pieces), unknown_(unknown) {}

  void add(const Word& word, std::vector<std::int64_t>& sums) {
    constexpr double kWorst = -1e300;
    score_.assign(word.size + std::size_t{1}, kWorst);
    last_.assign(word.size + std::size_t{1}, UnigramPieces::kNone);
    score_[0] = 0;
    for (std::uint32_t i = 0; i < word.size; ++i) {
      std::uint32_t length = 0;
      for (std::uint32_t id = word.longest[i]; id != UnigramPieces::kNone;) {
        const UnigramPiece& piece = pieces_[id];
        length = piece.length;
        offer(i + length, score_[i] + piece.score, id);
        id = piece.prefix;
      }
      if (length != 1) offer(i + 1, score_[i] + unknown_, UnigramPieces::kNone);
    }
    for (std::uint32_t i = word.size; i > 0;) {
      const std::uint32_t id = last_[i];
      if (id != UnigramPieces::kNone) sums[id] += word.count;
      i -= id == UnigramPieces::kNone ? 1 : pieces_[id].length;
    }
  }

 private:
  void offer(std::uint32_t end, double score, std::uint32_t id) {
    if (score <= score_[end]) return;
    score_[end] = score;
    last_[end] = id;
  }

  const std::vector<UnigramPiece>& pieces_;
  double unknown_;
  std::vector<double> score_;
  std::vector<std::uint32_t> last_;
};

std::uint32_t longest_length(const std::vector<UnigramPiece>& pieces) {
  std::uint32_t longest = 1;
  for (const UnigramPiece& piece : pieces) longest = std::max(longest, piece.length);
  return longest;
}

}  // namespace

UnigramEm::UnigramEm(const UnigramText& text, UnigramPieces& pieces, unsigned num_threads,
                     Tick tick)
    : text_(text), pieces_(pieces), num_threads_(num_threads), tick_(std::move(tick)) {
  std::size_t taken = 0;
  for (std::uint32_t w = 0; w < text.num_words(); ++w) {
    if (w > 0 && text.begins[w] - taken < kSymbolsPerItem) continue;
    items_.push_back(w);
    taken = text.begins[w];
  }
  items_.push_back(static_cast<std::uint32_t>(text.num_words()));
}

double UnigramEm::unknown_score() const {
  double least = 0;
  for (const UnigramPiece& piece : pieces_.pieces) least = std::min(least, piece.score);
  return least - kUnknownPenalty;
}

// Sums are of integers, so no order of the words or number of threads changes them.
template <typename AddWord>
std::vector<std::int64_t> UnigramEm::sum_over_words(AddWord&& add_word) const {
  const std::size_t num_pieces = pieces_.pieces.size();
  using Step = std::invoke_result_t<AddWord>;
  struct Worker {
    Step step;
    std::vector<std::int64_t> sums;
  };
  std::vector<Worker> workers;
  for (unsigned w = 0; w < std::max(1u, num_threads_); ++w) {
    workers.push_back({add_word(), std::vector<std::int64_t>(num_pieces, 0)});
  }
  const auto num_workers = static_cast<unsigned>(workers.size());
  parallel_for(items_.size() - 1, num_workers, tick_, [&](unsigned worker, std::size_t item) {
    Worker& own = workers[worker];
    for (std::uint32_t w = items_[item]; w < items_[item + 1]; ++w) {
      const std::uint32_t begin = text_.begins[w];
      own.step({pieces_.longest.data() + begin, text_.begins[w + 1] - begin - 1, text_.counts[w]},
               own.sums);
    }
  });
  for (std::size_t w = 1; w < workers.size(); ++w) {
    for (std::size_t i = 0; i < num_pieces; ++i) workers[0].sums[i] += workers[w].sums[i];
  }
  return std::move(workers[0].sums);
}

// No sum exceeds the number of characters; the bits above it are the fraction's.
int UnigramEm::fraction_bits() const {
  std::int64_t total = 1;
  for (const std::int64_t count : text_.char_counts) total += count;
  return std::min(32, 61 - static_cast<int>(std::bit_width(static_cast<std::uint64_t>(total))));
}

void UnigramEm::step() {
  std::vector<UnigramPiece>& pieces = pieces_.pieces;
  const double unknown = std::exp(unknown_score());
  const std::uint32_t longest = longest_length(pieces);
  const double weight = std::ldexp(1.0, fraction_bits());
  for (UnigramPiece& piece : pieces) piece.score = std::exp(piece.score);
  const std::vector<std::int64_t> sums = sum_over_words([&] {
    return [step = ForwardBackward(pieces, unknown, longest), weight](
               const Word& word, std::vector<std::int64_t>& out) mutable {
      step.add(word, weight, out);
    };
  });
  std::vector<char> flags(sums.size());
  double total = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double expected = static_cast<double>(sums[i]) / weight;
    flags[i] = expected >= kLeastExpected || pieces_.is_old(i);
    if (flags[i] != 0) total += expected;
  }
  const double log_total = digamma(total);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (flags[i] == 0) continue;
    if (pieces_.is_old(i)) {
      pieces[i].score = pieces_.old_scores[pieces_.old_ids[i]];
      continue;
    }
    const double score = digamma(static_cast<double>(sums[i]) / weight) - log_total;
    pieces[i].score = score + pieces_.log_old_mass;
  }
  pieces_.keep(flags);
}

std::vector<std::int64_t> UnigramEm::best_path_counts() const {
  const double unknown = unknown_score();
  return sum_over_words([&] {
    return [step = BestPath(pieces_.pieces, unknown)](
               const Word& word, std::vector<std::int64_t>& out) mutable { step.add(word, out); };
  });
}

// Source: Bernardo 1976; the asymptotic series about x - 1/2.
double digamma(double x) {
  double result = 0;
  while (x < 7) {
    result -= 1 / x;
    x += 1;
  }
  x -= 0.5;
  const double y = 1 / (x * x);
  return result + std::log(x) +
         y * (1.0 / 24 - y * (7.0 / 960 - y * (31.0 / 8064 - y * (127.0 / 30720))));
}

}  // namespace llmcore::tokenizer
