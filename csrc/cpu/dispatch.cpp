// Chooses the kernel table at first use. Compiled without any -m flag.
#include <cstdlib>

#include "core/cpu_isa.h"
#include "cpu/kernel_table.h"

namespace llmcore::cpu {

#define LLMCORE_DECLARE_TABLE(isa)   \
  namespace isa {                    \
  extern const KernelTable kKernels; \
  }
LLMCORE_DECLARE_TABLE(baseline)
#ifdef LLMCORE_X86_VARIANTS
LLMCORE_DECLARE_TABLE(avx2)
LLMCORE_DECLARE_TABLE(avx512)
LLMCORE_DECLARE_TABLE(avx512_bf16)
#endif
#undef LLMCORE_DECLARE_TABLE

namespace {

CpuIsa chosen_isa() {
  static const CpuIsa isa = [] {
    const char* requested = std::getenv("LLMCORE_CPU_ISA");
    return select_cpu_isa(requested == nullptr ? "" : requested);
  }();
  return isa;
}

const KernelTable& table_of(CpuIsa isa) {
  switch (isa) {
#ifdef LLMCORE_X86_VARIANTS
    case CpuIsa::kAvx512Bf16:
      return avx512_bf16::kKernels;
    case CpuIsa::kAvx512:
      return avx512::kKernels;
    case CpuIsa::kAvx2:
      return avx2::kKernels;
#endif
    default:
      return baseline::kKernels;
  }
}

}  // namespace

const KernelTable& kernels() {
  static const KernelTable& table = table_of(chosen_isa());
  return table;
}

const char* isa_in_use() {
  return cpu_isa_name(chosen_isa());
}

#define LLMCORE_FORWARD(name, Args)                              \
  void name(const Args& args, const ParallelFor& parallel_for) { \
    kernels().name(args, parallel_for);                          \
  }
LLMCORE_FOR_EACH_KERNEL(LLMCORE_FORWARD)
#undef LLMCORE_FORWARD

}  // namespace llmcore::cpu
