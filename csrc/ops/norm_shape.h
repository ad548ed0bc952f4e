// How the CPU norms split rows and lay out what they sum over rows.
#pragma once

#include <cstdint>

namespace llmcore::cpu {

// Sums over rows are taken per block of rows, then over blocks: the split depends on `rows` alone,
// so the result depends on no thread count.
constexpr int64_t norm_rows_per_partial(int64_t rows) {
  const int64_t even = (rows + 63) / 64;
  const int64_t block = even < 8 ? 8 : (even > 128 ? 128 : even);
  return (block + 3) / 4 * 4;
}
constexpr int64_t norm_num_partials(int64_t rows) {
  const int64_t block = norm_rows_per_partial(rows);
  return (rows + block - 1) / block;
}

// Columns of a float32 companion of a row, in whole pairs of the widest vectors.
constexpr int64_t norm_padded_cols(int64_t cols) {
  return (cols + 31) / 32 * 32;
}

}  // namespace llmcore::cpu
