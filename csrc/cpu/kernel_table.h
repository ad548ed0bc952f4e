// One function pointer per kernel and instruction set, from kernel_list.h.
#pragma once

#include "core/parallel.h"
#include "cpu/kernel_list.h"

namespace llmcore::cpu {

struct KernelTable {
#define LLMCORE_FIELD(name, Args) void (*name)(const Args&, const ParallelFor&);
  LLMCORE_FOR_EACH_KERNEL(LLMCORE_FIELD)
#undef LLMCORE_FIELD
};

// The table of the instruction set in use. The first call selects it from LLMCORE_CPU_ISA and the
// machine, and throws std::runtime_error if the request cannot be met.
const KernelTable& kernels();

// Name of the instruction set in use; throws as kernels() does.
const char* isa_in_use();

}  // namespace llmcore::cpu
