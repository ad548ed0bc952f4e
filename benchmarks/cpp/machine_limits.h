// The machine's limits, each as a call that does a known amount of work on the harness's threads.
#pragma once

#include <cstdint>
#include <string>

#include "harness.h"

namespace llmcore::bench {

const char* limit_name(Limit limit);

// Whether the instruction set in use has a bfloat16 dot product.
bool has_dot_bf16();

// Each thread does `flops` operations with float32 multiply-adds, or with the bfloat16 dot product.
void multiply_add(double flops);
void dot_bf16(double flops);

// Reads `from`; copies `from` to `to` with the stores that are faster for its size.
void read_bytes(const Buffer& from, int64_t size);
void copy_bytes(const Buffer& from, const Buffer& to, int64_t size);

}  // namespace llmcore::bench
