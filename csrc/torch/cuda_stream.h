// Torch's current CUDA stream, looked up at first use so that the library has no symbol that a CPU
// build of torch lacks.
#pragma once

namespace llmcore::door {

// A cudaStream_t. Throws std::runtime_error if torch has no CUDA.
void* current_cuda_stream(int device_idx);

}  // namespace llmcore::door
