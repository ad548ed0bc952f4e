// Door to csrc/tokenizer/models: WordPiece and Unigram.
#include "bindings/tokenizer.h"

namespace llmcore::bindings {

void bind_models(nanobind::module_&) {}

}  // namespace llmcore::bindings
