// Learns BPE merges from word counts. The merges equal those of Hugging Face `tokenizers` 0.23
// (largest count first, then the smaller pair of ids), with 64-bit counts.
// Source: Sennrich et al. 2016, arXiv:1508.07909.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/train/word_counter.h"

namespace llmcore::tokenizer {

struct BpeTrainerArgs {
  std::size_t vocab_size = 0;
  std::int64_t min_frequency = 0;
  std::vector<std::string> special_tokens;
};

struct TrainedBpe {
  std::vector<std::string> tokens;  // texts in the byte alphabet, by id
  std::vector<std::pair<std::uint32_t, std::uint32_t>> merges;
};

// Called about ten times a second with the vocabulary's size so far; may throw to stop.
using TrainTick = std::function<void(std::size_t)>;

TrainedBpe train_bpe(const WordTable& words, const BpeTrainerArgs& args, const TrainTick& tick);

}  // namespace llmcore::tokenizer
