// A vocabulary and the rule that cuts one pre-token into its tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/id_buffer.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// Buffers of one thread that a model keeps between calls; each model derives its own.
struct ModelScratch {
  virtual ~ModelScratch() = default;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual std::unique_ptr<ModelScratch> make_scratch() const = 0;
  // Appends the ids of one pre-token (never empty). With `ends`, also the byte of the piece where
  // each of these tokens ends (a token begins where the one before ended; those that spell a suffix
  // of the vocabulary in bytes end behind the piece, as in `tokenizers`). Const and thread-safe
  // given a scratch of its own. Not slower than O(n log n) for any piece.
  virtual void encode(Text piece, ModelScratch& scratch, IdBuffer& ids,
                      std::vector<std::uint32_t>* ends) const = 0;
  virtual std::size_t size() const = 0;
};

}  // namespace llmcore::tokenizer
