// Door to csrc/tokenizer/formats.
#include "bindings/tokenizer.h"

namespace llmcore::bindings {

void bind_formats(nanobind::module_&) {}

}  // namespace llmcore::bindings
