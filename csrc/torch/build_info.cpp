// llmcore::build_info() -> JSON text: what was built and the instruction set in use.
#include <string>

#include "core/cpu_isa.h"
#include "cpu/kernel_table.h"
#include "torch/abi.h"

namespace llmcore::door {

namespace {

std::string build_info() {
  std::string supported;
  for (CpuIsa isa : supported_cpu_isas()) {
    supported += (supported.empty() ? "\"" : ", \"") + std::string(cpu_isa_name(isa)) + "\"";
  }
  return std::string("{\"version\": \"") + LLMCORE_VERSION + "\", \"compiler\": \"" + __VERSION__ +
         "\", \"cpu_isa\": \"" + cpu::isa_in_use() + "\", \"cpu_isas_supported\": [" + supported +
         "], \"cuda_built\": " + (LLMCORE_CUDA_BUILT ? "true" : "false") + "}";
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(llmcore, m) {
  m.def("build_info() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(llmcore, CompositeExplicitAutograd, m) {
  m.impl("build_info", TORCH_BOX(&build_info));
}

}  // namespace llmcore::door
