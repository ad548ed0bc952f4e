// Door to csrc/tokenizer: registers its classes and its exceptions.
#pragma once

#include <nanobind/nanobind.h>

namespace llmcore::bindings {

void bind_tokenizer(nanobind::module_& m);

}  // namespace llmcore::bindings
