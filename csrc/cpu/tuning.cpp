#include "cpu/tuning.h"

#include <unistd.h>

namespace llmcore::cpu {

int64_t last_level_cache_bytes() {
  static const int64_t bytes = [] {
    long found = 0;
#if defined(_SC_LEVEL3_CACHE_SIZE)
    found = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    return found > 0 ? static_cast<int64_t>(found) : int64_t{32} << 20;
  }();
  return bytes;
}

bool streams_output(int64_t output_bytes) {
  return output_bytes > last_level_cache_bytes() / 2;
}

int64_t grain_rows(int64_t elements_per_row) {
  constexpr int64_t kElementsPerTask = 16384;
  const int64_t rows = kElementsPerTask / (elements_per_row > 0 ? elements_per_row : 1);
  return rows > 1 ? rows : 1;
}

bool prefers_bfloat16_dot() {
#if defined(__x86_64__)
  // Measured: Zen 4 does a 512-bit dot per cycle, as it does an FMA, with twice the products; a
  // Sapphire Rapids does half as many products by dots as by FMAs.
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") != 0;
#else
  return false;
#endif
}

}  // namespace llmcore::cpu
