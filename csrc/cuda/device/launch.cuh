// Host-side helpers of the launchers: device facts and launch errors.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace llmcore::cuda {

inline void check_cuda(const char* what, cudaError_t error) {
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(what) + ": CUDA error: " + cudaGetErrorString(error));
  }
}

inline int num_multiprocessors() {
  int device = 0, count = 0;
  check_cuda("device", cudaGetDevice(&device));
  check_cuda("device", cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  return count;
}

}  // namespace llmcore::cuda
