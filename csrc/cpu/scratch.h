// Working memory of kernels that must not allocate per call.
#pragma once

#include <cstdint>

namespace llmcore::cpu {

enum class ScratchSlot : uint8_t {
  kWorker,  // of the thread that works on a task
  kShared,  // of the calling thread, handed to the tasks of its call
};

// At least `num_bytes` of the calling thread's own, on a cache line's start; valid until that
// thread asks for the slot again. Throws std::bad_alloc when memory is out.
char* thread_scratch(ScratchSlot slot, int64_t num_bytes);

}  // namespace llmcore::cpu
