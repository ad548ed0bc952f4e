// Working memory of the calling thread that lasts from call to call, so that no kernel allocates.
#pragma once

#include <cstdint>

namespace llmcore::cpu {

// What a kernel may hold at once; a slot serves one use at a time.
enum class Scratch : uint8_t {
  kChannels,     // per-channel factors of a norm
  kFirstOutput,  // rows on their way around the cache
  kSecondOutput,
  kWorker,  // of the thread that works on a task
  kShared,  // of the calling thread, handed to the tasks of its call
  kCount,
};

// At least `num_bytes` of the calling thread's own, on a cache line's start, with anything in them.
// Valid until this thread asks for the same slot again; other threads may use it while this one
// waits for them. It grows to the largest request and is freed with the thread: ask for rows, not
// for matrices. Throws std::bad_alloc when memory is out.
char* thread_scratch(Scratch slot, int64_t num_bytes);

inline float* thread_floats(Scratch slot, int64_t count) {
  return reinterpret_cast<float*>(thread_scratch(slot, 4 * count));
}

// `count` zeros of the calling thread's own. The caller leaves them zero.
uint32_t* thread_zeros(int64_t count);

}  // namespace llmcore::cpu
