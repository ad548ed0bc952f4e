// Memory that a thread keeps between calls, for kernels whose scratch would cost more page faults
// than work. Freed when the thread ends. One kernel at a time uses it.
#pragma once

#include <cstdint>

namespace llmcore::cpu {

// `bytes` of undefined contents, aligned to 64; valid until this thread asks again.
void* thread_scratch(int64_t bytes);

// `count` zeros. The caller leaves them zero.
uint32_t* thread_zeros(int64_t count);

}  // namespace llmcore::cpu
