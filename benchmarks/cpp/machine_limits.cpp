// The loops are single asm statements, so that no compiler shortens, merges or removes them.
#include "machine_limits.h"

#include <cstring>
#include <string_view>

#include "cpu/kernel_table.h"
#include "cpu/tuning.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace llmcore::bench {

namespace {

bool uses(std::string_view isa) {
  return cpu::isa_in_use() == isa;
}

#if defined(__x86_64__)

// Twelve independent sums: more than latency times issue width of any of these machines.
constexpr int kSums = 12;
constexpr float kFactor = 1e-5f;

#define LLMCORE_TWELVE(OP) \
  OP("0")                  \
  OP("1") OP("2") OP("3") OP("4") OP("5") OP("6") OP("7") OP("8") OP("9") OP("10") OP("11")
#define LLMCORE_CLEAR(n) "vxorps %%xmm" n ", %%xmm" n ", %%xmm" n "\n\t"
#define LLMCORE_LOOP(START, OP)                                                                \
  asm volatile(START "1:\n\t" LLMCORE_TWELVE(OP) "dec %0\n\tjnz 1b"                            \
               : "+r"(steps)                                                                   \
               : "m"(kFactor)                                                                  \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                 "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
#define LLMCORE_START(width)    \
  LLMCORE_TWELVE(LLMCORE_CLEAR) \
  "vbroadcastss %1, %%" width "14\n\tvbroadcastss %1, %%" width "15\n\t"
#define LLMCORE_FMA512(n) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define LLMCORE_FMA256(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" n "\n\t"
#define LLMCORE_DOT512(n) "vdpbf16ps %%zmm14, %%zmm15, %%zmm" n "\n\t"
// Without a fused instruction: a multiplication and an addition, to registers of their own.
#define LLMCORE_CLEAR_SSE(n) "xorps %%xmm" n ", %%xmm" n "\n\t"
#define LLMCORE_START_SSE           \
  LLMCORE_TWELVE(LLMCORE_CLEAR_SSE) \
  "movss %1, %%xmm14\n\tshufps $0, %%xmm14, %%xmm14\n\tmovaps %%xmm14, %%xmm15\n\t"
#define LLMCORE_MUL_ADD_SSE(n) \
  "movaps %%xmm14, %%xmm12\n\tmulps %%xmm15, %%xmm12\n\taddps %%xmm12, %%xmm" n "\n\t"

void multiply_add_here(double flops) {
  const bool avx512 = uses("avx512") || uses("avx512_bf16");
  const int lanes = avx512 ? 16 : uses("avx2") ? 8 : 4;
  int64_t steps = 1 + static_cast<int64_t>(flops / (2.0 * kSums * lanes));
  if (avx512) {
    LLMCORE_LOOP(LLMCORE_START("zmm"), LLMCORE_FMA512);
  } else if (lanes == 8) {
    LLMCORE_LOOP(LLMCORE_START("ymm"), LLMCORE_FMA256);
  } else {
    LLMCORE_LOOP(LLMCORE_START_SSE, LLMCORE_MUL_ADD_SSE);
  }
  if (lanes > 4) asm volatile("vzeroupper");
}

void dot_bf16_here(double flops) {
  int64_t steps = 1 + static_cast<int64_t>(flops / (4.0 * kSums * 16));
  LLMCORE_LOOP(LLMCORE_START("zmm"), LLMCORE_DOT512);
  asm volatile("vzeroupper");
}

// Eight loads a step; `size` is a multiple of 512 bytes.
#define LLMCORE_READ(instruction, width, n, offset) \
  instruction " " #offset "(%0), %%" width #n "\n\t"
#define LLMCORE_READ_LOOP(instruction, width, bytes)                                               \
  asm volatile(                                                                                    \
      "1:\n\t" LLMCORE_READ(instruction, width, 0, 0 * bytes) LLMCORE_READ(                        \
          instruction, width, 1, 1 * bytes) LLMCORE_READ(instruction, width, 2, 2 * bytes)         \
          LLMCORE_READ(instruction, width, 3, 3 * bytes) LLMCORE_READ(                             \
              instruction, width, 4, 4 * bytes) LLMCORE_READ(instruction, width, 5, 5 * bytes)     \
              LLMCORE_READ(instruction, width, 6, 6 * bytes) LLMCORE_READ(                         \
                  instruction, width, 7, 7 * bytes) "add $8*" #bytes ", %0\n\tcmp %1, %0\n\tjb 1b" \
      : "+r"(at)                                                                                   \
      : "r"(end)                                                                                   \
      : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7")

void read_here(const char* at, int64_t size) {
  const char* end = at + size;
  if (uses("avx512") || uses("avx512_bf16")) {
    LLMCORE_READ_LOOP("vmovups", "zmm", 64);
    asm volatile("vzeroupper");
  } else if (uses("avx2")) {
    LLMCORE_READ_LOOP("vmovups", "ymm", 32);
    asm volatile("vzeroupper");
  } else {
    LLMCORE_READ_LOOP("movups", "xmm", 16);
  }
}

// Stores around the cache: the line of the destination is not read first. Whole lines at a time
// where a register holds one: 33 GB/s against 27 by quarters and 22 by memcpy on two Zen 4 cores.
__attribute__((target("avx512f"))) void copy_lines(char* to, const char* from, int64_t size) {
  for (int64_t at = 0; at < size; at += 64) {
    _mm512_stream_ps(reinterpret_cast<float*>(to + at), _mm512_loadu_ps(from + at));
  }
}

void copy_around_cache(char* to, const char* from, int64_t size) {
  if (uses("avx512") || uses("avx512_bf16")) {
    copy_lines(to, from, size);
  } else {
    for (int64_t at = 0; at < size; at += 16) {
      const __m128 bits = _mm_loadu_ps(reinterpret_cast<const float*>(from + at));
      _mm_stream_ps(reinterpret_cast<float*>(to + at), bits);
    }
  }
  _mm_sfence();
}

#else

volatile float sink;

void multiply_add_here(double flops) {
  typedef float Vec __attribute__((vector_size(16)));
  Vec sums[16] = {};
  const Vec x = Vec{} + 0.999f;
  for (int64_t step = static_cast<int64_t>(flops / (2.0 * 16 * 4)); step >= 0; --step) {
    for (Vec& sum : sums) sum = sum * x + x;
  }
  float total = 0;
  for (const Vec& sum : sums) total += sum[0] + sum[1] + sum[2] + sum[3];
  sink = total;
}

void dot_bf16_here(double flops) {
  multiply_add_here(flops);
}

void read_here(const char* at, int64_t size) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i < size; i += 64) {
    uint64_t words[8];
    std::memcpy(words, at + i, 64);
    for (int j = 0; j < 8; ++j) sums[j] ^= words[j];
  }
  uint64_t all = 0;
  for (const uint64_t sum : sums) all ^= sum;
  sink = static_cast<float>(all);
}

void copy_around_cache(char* to, const char* from, int64_t size) {
  std::memcpy(to, from, static_cast<size_t>(size));
}

#endif

constexpr int64_t kReadStep = 512;

}  // namespace

const char* limit_name(Limit limit) {
  switch (limit) {
    case Limit::kCopy:
      return "copy";
    case Limit::kRead:
      return "read";
    case Limit::kFma:
      return "FMA f32";
    case Limit::kDotBf16:
      return "dot bf16";
  }
  return "";
}

bool has_dot_bf16() {
  return uses("avx512_bf16");
}

void multiply_add(double flops) {
  threads()(0, num_threads(), 1, [flops](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) multiply_add_here(flops);
  });
}

void dot_bf16(double flops) {
  threads()(0, num_threads(), 1, [flops](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) dot_bf16_here(flops);
  });
}

void read_bytes(const Buffer& from, int64_t size) {
  threads()(0, size / kReadStep, 1, [&](int64_t begin, int64_t end) {
    read_here(from.data() + begin * kReadStep, (end - begin) * kReadStep);
  });
}

void copy_bytes(const Buffer& from, const Buffer& to, int64_t size) {
  const bool around = cpu::streams_output(size);
  threads()(0, size / 64, 1, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * 64, share = (end - begin) * 64;
    if (around) {
      copy_around_cache(to.data() + at, from.data() + at, share);
    } else {
      std::memcpy(to.data() + at, from.data() + at, static_cast<size_t>(share));
    }
  });
}

}  // namespace llmcore::bench
