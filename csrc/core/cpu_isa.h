// Which instruction set the CPU kernels use: probed once, overridable for tests.
#pragma once

#include <string>
#include <vector>

namespace llmcore {

enum class CpuIsa { kBaseline, kAvx2, kAvx512, kAvx512Bf16 };

const char* cpu_isa_name(CpuIsa isa);

// The sets that this machine and its operating system run, weakest first.
std::vector<CpuIsa> supported_cpu_isas();

// The strongest supported set, or the one that `requested` names (empty: no request).
// Throws std::runtime_error that lists the allowed values if it is unknown or not supported here.
CpuIsa select_cpu_isa(const std::string& requested);

}  // namespace llmcore
