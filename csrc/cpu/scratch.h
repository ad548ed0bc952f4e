// Working memory of kernels that must not allocate per call.
#pragma once

#include <cstdint>

namespace llmcore::cpu {

// At least `num_bytes` of the calling thread's own, on a cache line's start; valid until that
// thread asks again. Throws std::bad_alloc when memory is out.
char* thread_scratch(int64_t num_bytes);

}  // namespace llmcore::cpu
