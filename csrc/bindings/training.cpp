// Door to csrc/tokenizer/train: WordPiece and Unigram.
#include "bindings/tokenizer.h"

namespace llmcore::bindings {

void bind_training(nanobind::module_&) {}

}  // namespace llmcore::bindings
