// Launch parameters of the CPU kernels as pure functions of shape and machine.
#pragma once

#include <cstdint>

namespace llmcore::cpu {

// Bytes of the last-level cache that one process sees; 32 MiB where the system does not say.
int64_t last_level_cache_bytes();

// Outputs that the cache cannot hold are written around it: a plain store would first read the
// line.
bool streams_output(int64_t output_bytes);

// Rows per task, so that a task is worth a thread's wake-up (about 5 us).
int64_t grain_rows(int64_t elements_per_row);

// Whether this processor multiplies faster by its bfloat16 dot instruction than by converting to
// float32. Fixed by the processor's maker, so that runs on one machine agree to the bit.
bool prefers_bfloat16_dot();

}  // namespace llmcore::cpu
