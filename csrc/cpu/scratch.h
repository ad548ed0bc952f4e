// Working memory of the calling thread that lasts from call to call, so that no kernel allocates.
#pragma once

#include <cstdint>

namespace llmcore::cpu {

// What a kernel may hold at once; a slot serves one use at a time.
enum class Scratch { kChannels, kFirstOutput, kSecondOutput, kCount };

// At least `floats` floats, 64-byte aligned, with anything in them. Valid until this thread asks
// for the same slot again; other threads may use it while this one waits for them. Memory grows to
// the largest request and is freed with the thread: ask for rows, not for matrices.
float* thread_scratch(Scratch slot, int64_t floats);

}  // namespace llmcore::cpu
