// Compiled once per instruction set: the table of that set's kernels. Constant data, no code.
#include "cpu/isa_variant.h"
#include "cpu/kernel_table.h"

namespace llmcore::cpu::LLMCORE_ISA {

extern const KernelTable kKernels;
constexpr KernelTable kKernels{
    .rms_norm = rms_norm,
    .rms_norm_backward = rms_norm_backward,
};

}  // namespace llmcore::cpu::LLMCORE_ISA
