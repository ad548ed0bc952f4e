// 128-bit packs: kSize elements of a storage type, moved with one load or store, used as float32.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace llmcore::cuda {

__device__ inline float to_float(float value) {
  return value;
}
__device__ inline float to_float(__nv_bfloat16 value) {
  return __bfloat162float(value);
}
__device__ inline float to_float(__half value) {
  return __half2float(value);
}

template <class T>
__device__ T from_float(float value);
template <>
__device__ inline float from_float<float>(float value) {
  return value;
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}
template <>
__device__ inline __half from_float<__half>(float value) {
  return __float2half_rn(value);
}

// kSize is 16 / sizeof(T) where the pointers are 16-byte aligned, and 1 elsewhere.
template <class T, int kSize>
struct alignas(sizeof(T) * kSize) Pack {
  T values[kSize];

  __device__ float operator[](int i) const { return to_float(values[i]); }
  __device__ void set(int i, float value) { values[i] = from_float<T>(value); }
};

template <class T, int kSize>
__device__ inline Pack<T, kSize> load_pack(const T* base, int64_t pack) {
  return reinterpret_cast<const Pack<T, kSize>*>(base)[pack];
}

template <class T, int kSize>
__device__ inline void store_pack(T* base, int64_t pack, const Pack<T, kSize>& value) {
  reinterpret_cast<Pack<T, kSize>*>(base)[pack] = value;
}

}  // namespace llmcore::cuda
