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

}  // namespace llmcore::cpu
