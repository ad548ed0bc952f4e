// One function pointer per kernel and instruction set. To add an op: one field here, one line in
// isa_table.cpp, one forwarding function in dispatch.cpp.
#pragma once

#include "ops/rms_norm.h"

namespace llmcore::cpu {

struct KernelTable {
  void (*rms_norm)(const RmsNormArgs&, const ParallelFor&);
  void (*rms_norm_backward)(const RmsNormBackwardArgs&, const ParallelFor&);
};

// The table of the instruction set in use. The first call selects it from LLMCORE_CPU_ISA and the
// machine, and throws std::runtime_error if the request cannot be met.
const KernelTable& kernels();

// Name of the instruction set in use; throws as kernels() does.
const char* isa_in_use();

}  // namespace llmcore::cpu
