#include "tokenizer/train/unigram_prune.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kPiecesPerItem = 4096;
constexpr double kKeep = std::numeric_limits<double>::infinity(), kDrop = -kKeep;

// The best segmentation of a piece into others.
class OtherPath {
 public:
  OtherPath(const UnigramPieces& pieces, double unknown) : pieces_(pieces), unknown_(unknown) {}

  // Pieces of the path, kNone for unknown characters; empty for one character. Sets `score`.
  const std::vector<std::uint32_t>& find(std::uint32_t piece, double& score) {
    const std::uint32_t size = pieces_.pieces[piece].length;
    path_.clear();
    if (size == 1) return path_;
    score_.assign(size + std::size_t{1}, -1e300);
    last_.assign(size + std::size_t{1}, UnigramPieces::kNone);
    score_[0] = 0;
    for (std::uint32_t i = 0; i < size; ++i) extend(piece, i, size);
    score = score_[size];
    for (std::uint32_t i = size; i > 0;) {
      path_.push_back(last_[i]);
      i -= last_[i] == UnigramPieces::kNone ? 1 : pieces_.pieces[last_[i]].length;
    }
    return path_;
  }

 private:
  void extend(std::uint32_t piece, std::uint32_t i, std::uint32_t size) {
    std::uint32_t length = 0;
    for (std::uint32_t id = i == 0 ? pieces_.pieces[piece].prefix
                                   : pieces_.longest[pieces_.begins[piece] + i];
         id != UnigramPieces::kNone; id = pieces_.pieces[id].prefix) {
      length = pieces_.pieces[id].length;
      if (i + length <= size) offer(i + length, score_[i] + pieces_.pieces[id].score, id);
    }
    if (length != 1) offer(i + 1, score_[i] + unknown_, UnigramPieces::kNone);
  }

  void offer(std::uint32_t end, double score, std::uint32_t id) {
    if (score <= score_[end]) return;
    score_[end] = score;
    last_[end] = id;
  }

  const UnigramPieces& pieces_;
  double unknown_;
  std::vector<double> score_;
  std::vector<std::uint32_t> last_, path_;
};

struct Losses {
  const UnigramPieces& pieces;
  const std::vector<std::int64_t>& counts;
  double total;  // of the counts

  // Log-likelihood per token that goes with the piece. Scores of new pieces follow their counts,
  // those of old pieces are fixed.
  double of(std::uint32_t piece, OtherPath& other) const {
    if (pieces.is_old(piece)) return kKeep;
    double other_score = 0;
    const std::vector<std::uint32_t>& path = other.find(piece, other_score);
    const auto count = static_cast<double>(counts[piece]);
    // Never the best: not in the words, or not even of its own text.
    if (count == 0 || (!path.empty() && other_score > pieces.pieces[piece].score)) return kDrop;
    if (path.empty()) return kKeep;
    const double log_total = std::log(total);
    const double new_log_total = std::log(total + count * static_cast<double>(path.size() - 1));
    double respelled = 0;
    for (const std::uint32_t id : path) {
      if (id != UnigramPieces::kNone && pieces.is_old(id)) {
        respelled += pieces.pieces[id].score - pieces.log_old_mass;
        continue;
      }
      const double before = id == UnigramPieces::kNone ? 0 : static_cast<double>(counts[id]);
      respelled += std::log(before + count) - new_log_total;
    }
    const double more = static_cast<double>(path.size() - 1) * pieces.log_old_mass;
    return count * (std::log(count) - log_total - respelled - more);
  }
};

}  // namespace

void prune_pieces(UnigramPieces& pieces, const std::vector<std::int64_t>& counts,
                  double unknown_score, std::size_t size, unsigned num_threads, const Tick& tick) {
  const auto num_pieces = static_cast<std::uint32_t>(pieces.pieces.size());
  double total = 0;
  for (const std::int64_t count : counts) total += static_cast<double>(count);
  const Losses losses{pieces, counts, total};
  std::vector<double> loss(num_pieces);
  std::vector<OtherPath> others(std::max(1u, num_threads), OtherPath(pieces, unknown_score));
  const std::size_t num_items = (num_pieces + kPiecesPerItem - 1) / kPiecesPerItem;
  parallel_for(num_items, static_cast<unsigned>(others.size()), tick,
               [&](unsigned worker, std::size_t item) {
                 const std::size_t end =
                     std::min<std::size_t>((item + 1) * kPiecesPerItem, num_pieces);
                 for (std::size_t i = item * kPiecesPerItem; i < end; ++i) {
                   loss[i] = losses.of(static_cast<std::uint32_t>(i), others[worker]);
                 }
               });

  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < num_pieces; ++i) {
    if (loss[i] != kDrop) order.push_back(i);
  }
  const auto better = [&](std::uint32_t a, std::uint32_t b) {
    return loss[a] != loss[b] ? loss[a] > loss[b] : a < b;
  };
  if (order.size() > size) {
    std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(size), order.end(),
                     better);
    // What cannot be respelled stays, however many there are.
    const auto cut =
        std::stable_partition(order.begin() + static_cast<std::ptrdiff_t>(size), order.end(),
                              [&](std::uint32_t i) { return loss[i] == kKeep; });
    order.erase(cut, order.end());
  }
  std::vector<char> flags(num_pieces, 0);
  for (const std::uint32_t i : order) flags[i] = 1;
  pieces.keep(flags);
}

void prune_unreachable(UnigramPieces& pieces, double unknown_score) {
  std::vector<char> flags(pieces.pieces.size());
  OtherPath other(pieces, unknown_score);
  for (std::uint32_t i = 0; i < flags.size(); ++i) {
    double score = 0;
    flags[i] = pieces.is_old(i) || other.find(i, score).empty() || score <= pieces.pieces[i].score;
  }
  pieces.keep(flags);
}

}  // namespace llmcore::tokenizer
