// Door to csrc/tokenizer/normalize.
#include "bindings/tokenizer.h"

namespace llmcore::bindings {

void bind_normalizer(nanobind::module_&) {}

}  // namespace llmcore::bindings
