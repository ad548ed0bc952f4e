// Doors to csrc/tokenizer, one function per file of this room.
#pragma once

#include <nanobind/nanobind.h>

namespace llmcore::bindings {

// The exceptions, byte-level BPE and its training.
void bind_tokenizer(nanobind::module_& m);
void bind_normalizer(nanobind::module_& m);
void bind_splitter(nanobind::module_& m);
void bind_models(nanobind::module_& m);
void bind_formats(nanobind::module_& m);
void bind_training(nanobind::module_& m);
void bind_trainers(nanobind::module_& m);
void bind_decoding(nanobind::module_& m);
void bind_pipeline(nanobind::module_& m);

}  // namespace llmcore::bindings
