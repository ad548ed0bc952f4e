// Compiled once per instruction set: the table of that set's kernels. Constant data, no code.
#include "cpu/isa_variant.h"
#include "cpu/kernel_table.h"

namespace llmcore::cpu::LLMCORE_ISA {

extern const KernelTable kKernels;
constexpr KernelTable kKernels{
#define LLMCORE_ENTRY(name, Args) .name = name,
    LLMCORE_FOR_EACH_KERNEL(LLMCORE_ENTRY)
#undef LLMCORE_ENTRY
};

}  // namespace llmcore::cpu::LLMCORE_ISA
