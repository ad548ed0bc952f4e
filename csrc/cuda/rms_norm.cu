// See ops/rms_norm.h. NOT YET RUN ON A GPU: it compiles for sm_90a; no figure is measured.
//
// Ladder (planned order; each step gets its GB/s and % of the memory's limit when a GPU is there)
//   1. one warp per row up to 128 packs, else one block per row; 128-bit loads; the row stays in
//      registers between the two passes, so x is read once                      <- this version
//   2. backward: persistent blocks, dweight in registers per block, second pass over the blocks
#include <cstdint>
#include <initializer_list>

#include "cuda/device/launch.cuh"
#include "cuda/device/pack.cuh"
#include "cuda/device/reduce.cuh"
#include "ops/rms_norm.h"

namespace llmcore::cuda {

namespace {

constexpr int kThreadsPerBlock = 128;  // when one warp serves a row

// Packs per thread that stay in registers, and the block's limit that leaves room for them.
constexpr int kCached = 4, kMaxThreads = 1024;
constexpr int kBackwardCached = 2, kBackwardMaxThreads = 512;

// --- tuning: a pure function of the shape --------------------------------------------------------

struct Launch {
  int threads_per_row;  // x axis of the block
  int rows_per_block;   // y axis; more than 1 only where one warp serves a row
};

int row_threads(int64_t num_packs, int cached, int max_threads) {
  int64_t threads = (num_packs + cached - 1) / cached;
  threads = (threads + kWarpSize - 1) / kWarpSize * kWarpSize;
  return static_cast<int>(threads < max_threads ? threads : max_threads);
}

Launch tune_forward(int64_t num_packs) {
  const int threads = row_threads(num_packs, kCached, kMaxThreads);
  return {threads, threads == kWarpSize ? kThreadsPerBlock / kWarpSize : 1};
}

int tune_backward(int64_t num_packs) {
  return row_threads(num_packs, kBackwardCached, kBackwardMaxThreads);
}

// --- forward -----------------------------------------------------------------------------------

template <class T, int kSize>
__global__ void __launch_bounds__(kMaxThreads) rms_norm_kernel(RmsNormArgs args) {
  __shared__ float2 shared[kWarpSize];
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= args.rows) return;  // whole warps leave: blockDim.y > 1 only with one warp per row
  const T* x = static_cast<const T*>(args.x) + row * args.cols;
  T* y = static_cast<T*>(args.y) + row * args.cols;
  const T* weight = static_cast<const T*>(args.weight);
  const int num_packs = static_cast<int>(args.cols / kSize);

  Pack<T, kSize> cached[kCached];
  float squares = 0.0f;
#pragma unroll
  for (int i = 0; i < kCached; ++i) {
    const int pack = threadIdx.x + i * blockDim.x;
    if (pack >= num_packs) break;
    cached[i] = load_pack<T, kSize>(x, pack);
#pragma unroll
    for (int j = 0; j < kSize; ++j) squares += cached[i][j] * cached[i][j];
  }
  for (int pack = threadIdx.x + kCached * blockDim.x; pack < num_packs; pack += blockDim.x) {
    const auto values = load_pack<T, kSize>(x, pack);
#pragma unroll
    for (int j = 0; j < kSize; ++j) squares += values[j] * values[j];
  }

  const float sum = block_sum2({squares, 0.0f}, blockDim.x, shared).x;
  const float scale = rsqrtf(sum / static_cast<float>(args.cols) + args.eps);

  const auto write = [&](int pack, const Pack<T, kSize>& values) {
    const auto gains = load_pack<T, kSize>(weight, pack);
    Pack<T, kSize> out;
#pragma unroll
    for (int j = 0; j < kSize; ++j) out.set(j, values[j] * scale * gains[j]);
    store_pack<T, kSize>(y, pack, out);
  };
#pragma unroll
  for (int i = 0; i < kCached; ++i) {
    const int pack = threadIdx.x + i * blockDim.x;
    if (pack >= num_packs) break;
    write(pack, cached[i]);
  }
  for (int pack = threadIdx.x + kCached * blockDim.x; pack < num_packs; pack += blockDim.x) {
    write(pack, load_pack<T, kSize>(x, pack));
  }
}

// --- backward ----------------------------------------------------------------------------------

// One block takes rows blockIdx.x, blockIdx.x + gridDim.x, ... and leaves one row of partials. A
// thread owns the same columns in every row, so its share of dweight needs no atomics; the first
// kBackwardCached packs of it live in registers, the rest (only for very wide rows) in the partial
// row.
template <class T, int kSize>
__global__ void __launch_bounds__(kBackwardMaxThreads)
    rms_norm_backward_kernel(RmsNormBackwardArgs args) {
  __shared__ float2 shared[kWarpSize];
  const T* weight = static_cast<const T*>(args.weight);
  const int num_packs = static_cast<int>(args.cols / kSize);
  float* partial = args.partials + static_cast<int64_t>(blockIdx.x) * args.cols;
  float dweight[kBackwardCached][kSize] = {};
  for (int pack = threadIdx.x + kBackwardCached * blockDim.x; pack < num_packs;
       pack += blockDim.x) {
    for (int j = 0; j < kSize; ++j) partial[pack * kSize + j] = 0.0f;
  }

  for (int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    const T* x = static_cast<const T*>(args.x) + row * args.cols;
    const T* dy = static_cast<const T*>(args.dy) + row * args.cols;
    T* dx = static_cast<T*>(args.dx) + row * args.cols;
    Pack<T, kSize> cached_x[kBackwardCached], cached_dy[kBackwardCached];
    float2 sums{0.0f, 0.0f};  // sum(x^2), sum(dy * weight * x)
    const auto add = [&](int pack, const Pack<T, kSize>& vx, const Pack<T, kSize>& vdy) {
      const auto gains = load_pack<T, kSize>(weight, pack);
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        sums.x += vx[j] * vx[j];
        sums.y += vdy[j] * gains[j] * vx[j];
      }
    };
#pragma unroll
    for (int i = 0; i < kBackwardCached; ++i) {
      const int pack = threadIdx.x + i * blockDim.x;
      if (pack >= num_packs) break;
      cached_x[i] = load_pack<T, kSize>(x, pack);
      cached_dy[i] = load_pack<T, kSize>(dy, pack);
      add(pack, cached_x[i], cached_dy[i]);
    }
    for (int pack = threadIdx.x + kBackwardCached * blockDim.x; pack < num_packs;
         pack += blockDim.x) {
      add(pack, load_pack<T, kSize>(x, pack), load_pack<T, kSize>(dy, pack));
    }
    sums = block_sum2(sums, blockDim.x, shared);
    const float mean = 1.0f / static_cast<float>(args.cols);
    const float r = rsqrtf(sums.x * mean + args.eps);
    const float pull = r * r * (sums.y * mean);

    const auto write = [&](int pack, const Pack<T, kSize>& vx, const Pack<T, kSize>& vdy,
                           float* share) {
      const auto gains = load_pack<T, kSize>(weight, pack);
      Pack<T, kSize> out;
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        out.set(j, r * (vdy[j] * gains[j] - vx[j] * pull));
        share[j] += vdy[j] * (vx[j] * r);
      }
      store_pack<T, kSize>(dx, pack, out);
    };
#pragma unroll
    for (int i = 0; i < kBackwardCached; ++i) {
      const int pack = threadIdx.x + i * blockDim.x;
      if (pack >= num_packs) break;
      write(pack, cached_x[i], cached_dy[i], dweight[i]);
    }
    for (int pack = threadIdx.x + kBackwardCached * blockDim.x; pack < num_packs;
         pack += blockDim.x) {
      write(pack, load_pack<T, kSize>(x, pack), load_pack<T, kSize>(dy, pack),
            partial + pack * kSize);
    }
  }
#pragma unroll
  for (int i = 0; i < kBackwardCached; ++i) {
    const int pack = threadIdx.x + i * blockDim.x;
    if (pack >= num_packs) break;
    for (int j = 0; j < kSize; ++j) partial[pack * kSize + j] = dweight[i][j];
  }
}

// dweight = sum of the partial rows in row order; a block of (32, 8) threads takes 32 columns.
template <class T>
__global__ void sum_partials_kernel(RmsNormBackwardArgs args) {
  constexpr int kLanes = 8;
  __shared__ float sums[kLanes][kWarpSize + 1];
  const int64_t col = static_cast<int64_t>(blockIdx.x) * kWarpSize + threadIdx.x;
  float sum = 0.0f;
  if (col < args.cols) {
    for (int64_t p = threadIdx.y; p < args.num_partials; p += kLanes) {
      sum += args.partials[p * args.cols + col];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || col >= args.cols) return;
  for (int lane = 1; lane < kLanes; ++lane) sum += sums[lane][threadIdx.x];
  static_cast<T*>(args.dweight)[col] = from_float<T>(sum);
}

// --- launchers ---------------------------------------------------------------------------------

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

template <class T>
bool takes_packs(int64_t cols, std::initializer_list<const void*> pointers) {
  if (cols * static_cast<int64_t>(sizeof(T)) % 16 != 0) return false;
  for (const void* pointer : pointers) {
    if (!is_aligned(pointer)) return false;
  }
  return true;
}

template <class T, int kSize>
void launch_forward(const RmsNormArgs& args, cudaStream_t stream) {
  const Launch launch = tune_forward(args.cols / kSize);
  const dim3 block(launch.threads_per_row, launch.rows_per_block);
  const int64_t grid = (args.rows + launch.rows_per_block - 1) / launch.rows_per_block;
  rms_norm_kernel<T, kSize><<<static_cast<unsigned>(grid), block, 0, stream>>>(args);
  check_cuda("rms_norm", cudaGetLastError());
}

template <class T, int kSize>
void launch_backward(const RmsNormBackwardArgs& args, cudaStream_t stream) {
  const int threads = tune_backward(args.cols / kSize);
  rms_norm_backward_kernel<T, kSize>
      <<<static_cast<unsigned>(args.num_partials), threads, 0, stream>>>(args);
  check_cuda("rms_norm_backward", cudaGetLastError());
  const int64_t grid = (args.cols + kWarpSize - 1) / kWarpSize;
  sum_partials_kernel<T><<<static_cast<unsigned>(grid), dim3(kWarpSize, 8), 0, stream>>>(args);
  check_cuda("rms_norm_backward", cudaGetLastError());
}

template <class T>
void forward(const RmsNormArgs& args, cudaStream_t stream) {
  if (takes_packs<T>(args.cols, {args.x, args.weight, args.y})) {
    launch_forward<T, 16 / sizeof(T)>(args, stream);
  } else {
    launch_forward<T, 1>(args, stream);
  }
}

template <class T>
void backward(const RmsNormBackwardArgs& args, cudaStream_t stream) {
  if (takes_packs<T>(args.cols, {args.x, args.dy, args.weight, args.dx})) {
    launch_backward<T, 16 / sizeof(T)>(args, stream);
  } else {
    launch_backward<T, 1>(args, stream);
  }
}

}  // namespace

int64_t rms_norm_num_partials(int64_t rows, int64_t cols, DType dtype) {
  // As many blocks as are resident at once: 1,024 threads of 64 registers each per multiprocessor.
  const int threads = tune_backward(cols * element_size(dtype) / 16);
  const int64_t resident = kMaxThreads / (threads > 0 ? threads : kWarpSize);
  const int64_t blocks = num_multiprocessors() * (resident < 16 ? resident : 16);
  return rows < blocks ? rows : blocks;
}

void rms_norm_cuda(const RmsNormArgs& args, void* stream) {
  switch (args.dtype) {
    case DType::kFloat32:
      return forward<float>(args, static_cast<cudaStream_t>(stream));
    case DType::kBFloat16:
      return forward<__nv_bfloat16>(args, static_cast<cudaStream_t>(stream));
    default:
      return forward<__half>(args, static_cast<cudaStream_t>(stream));
  }
}

void rms_norm_backward_cuda(const RmsNormBackwardArgs& args, void* stream) {
  switch (args.dtype) {
    case DType::kFloat32:
      return backward<float>(args, static_cast<cudaStream_t>(stream));
    case DType::kBFloat16:
      return backward<__nv_bfloat16>(args, static_cast<cudaStream_t>(stream));
    default:
      return backward<__half>(args, static_cast<cudaStream_t>(stream));
  }
}

}  // namespace llmcore::cuda
