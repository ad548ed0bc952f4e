// Door to csrc/tokenizer/split.
#include "bindings/tokenizer.h"

namespace llmcore::bindings {

void bind_splitter(nanobind::module_&) {}

}  // namespace llmcore::bindings
