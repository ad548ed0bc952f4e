// Declarations of every kernel inside the namespace of the instruction set being compiled.
#pragma once

#include "core/parallel.h"
#include "cpu/kernel_list.h"

#ifndef LLMCORE_ISA
#error "csrc/cpu kernels are compiled with -DLLMCORE_ISA=<namespace>"
#endif

namespace llmcore::cpu::LLMCORE_ISA {

#define LLMCORE_DECLARE(name, Args) void name(const Args& args, const ParallelFor& parallel_for);
LLMCORE_FOR_EACH_KERNEL(LLMCORE_DECLARE)
#undef LLMCORE_DECLARE

}  // namespace llmcore::cpu::LLMCORE_ISA
