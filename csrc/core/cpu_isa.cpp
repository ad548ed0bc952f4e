#include "core/cpu_isa.h"

#include <stdexcept>

namespace llmcore {

const char* cpu_isa_name(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kBaseline:
      return "baseline";
    case CpuIsa::kAvx2:
      return "avx2";
    case CpuIsa::kAvx512:
      return "avx512";
    case CpuIsa::kAvx512Bf16:
      return "avx512_bf16";
  }
  return "unknown";
}

std::vector<CpuIsa> supported_cpu_isas() {
  std::vector<CpuIsa> isas{CpuIsa::kBaseline};
#if defined(__x86_64__)
  // __builtin_cpu_supports also reads XCR0, so a set that the kernel does not save counts as
  // absent.
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return isas;
  isas.push_back(CpuIsa::kAvx2);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return isas;
  }
  isas.push_back(CpuIsa::kAvx512);
  if (__builtin_cpu_supports("avx512bf16")) isas.push_back(CpuIsa::kAvx512Bf16);
#endif
  return isas;
}

CpuIsa select_cpu_isa(const std::string& requested) {
  const std::vector<CpuIsa> isas = supported_cpu_isas();
  if (requested.empty()) return isas.back();
  std::string allowed;
  for (CpuIsa isa : isas) {
    if (requested == cpu_isa_name(isa)) return isa;
    allowed += (allowed.empty() ? "" : ", ") + std::string(cpu_isa_name(isa));
  }
  throw std::runtime_error("LLMCORE_CPU_ISA must be one of " + allowed + " on this machine, got " +
                           requested);
}

}  // namespace llmcore
