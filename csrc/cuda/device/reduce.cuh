// Sums over a warp or a block in a fixed tree order. Every thread gets the result.
#pragma once

namespace llmcore::cuda {

constexpr int kWarpSize = 32;

__device__ inline float warp_sum(float value) {
#pragma unroll
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
  }
  return value;
}

// Two sums at once over threads [0, threads) of the x axis, a multiple of 32. `shared` holds 64
// floats per block and may be reused after the call. With one warp no barrier is taken, so rows of
// one block may then differ in their number of steps.
__device__ inline float2 block_sum2(float2 value, int threads, float2* shared) {
  value = {warp_sum(value.x), warp_sum(value.y)};
  if (threads == kWarpSize) return value;
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int num_warps = threads / kWarpSize;
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  value = lane < num_warps ? shared[lane] : float2{0.0f, 0.0f};
  value = {warp_sum(value.x), warp_sum(value.y)};
  __syncthreads();
  return value;
}

}  // namespace llmcore::cuda
