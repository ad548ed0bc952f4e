// Door to csrc/tokenizer/decode: decoders and post-processors.
#include "bindings/tokenizer.h"

namespace llmcore::bindings {

void bind_decoding(nanobind::module_&) {}

}  // namespace llmcore::bindings
