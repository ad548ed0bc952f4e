// Removes the pieces whose loss costs the least likelihood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer/parallel.h"
#include "tokenizer/train/unigram_pieces.h"

namespace llmcore::tokenizer {

// Keeps `size` pieces: the old ones and those without another segmentation, then those whose
// removal, with every occurrence respelled by the next best segmentation, would lose the most
// likelihood. `counts`: of the pieces in the words' best paths.
void prune_pieces(UnigramPieces& pieces, const std::vector<std::int64_t>& counts,
                  double unknown_score, std::size_t size, unsigned num_threads, const Tick& tick);

// Removes the new pieces whose text has a better segmentation: no best path ever holds them.
void prune_unreachable(UnigramPieces& pieces, double unknown_score);

}  // namespace llmcore::tokenizer
