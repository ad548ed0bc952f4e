#include "cpu/tuning.h"

#include <fstream>

namespace llmcore::cpu {

namespace {

// The kernel's own figure. sysconf's is wrong on virtual AMD machines: 320 MiB where there are 32.
int64_t level3_bytes() {
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");
  int64_t kilobytes = 0;
  return file >> kilobytes ? kilobytes << 10 : 0;  // "32768K"
}

}  // namespace

int64_t last_level_cache_bytes() {
  static const int64_t bytes = [] {
    const int64_t found = level3_bytes();
    return found > 0 ? found : int64_t{32} << 20;
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
