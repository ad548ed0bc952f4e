// Declarations of every kernel inside the namespace of the instruction set being compiled.
#pragma once

#include "ops/rms_norm.h"

#ifndef LLMCORE_ISA
#error "csrc/cpu kernels are compiled with -DLLMCORE_ISA=<namespace>"
#endif

namespace llmcore::cpu::LLMCORE_ISA {

void rms_norm(const RmsNormArgs& args, const ParallelFor& parallel_for);
void rms_norm_backward(const RmsNormBackwardArgs& args, const ParallelFor& parallel_for);

}  // namespace llmcore::cpu::LLMCORE_ISA
