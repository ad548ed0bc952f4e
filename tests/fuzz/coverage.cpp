#include "coverage.h"

#include <algorithm>
#include <atomic>
#include <bit>

// The sanitizers' interface; absent in a plain build.
extern "C" {
__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void*, std::size_t), void (*on_free)(const volatile void*));
__attribute__((weak)) std::size_t __sanitizer_get_allocated_size(const volatile void*);
}

namespace llmcore::fuzz {
namespace {

std::atomic<std::int64_t> held{0}, peak{0};

void on_malloc(const volatile void*, std::size_t size) {
  const std::int64_t now =
      held.fetch_add(static_cast<std::int64_t>(size)) + static_cast<std::int64_t>(size);
  std::int64_t most = peak.load();
  while (now > most && !peak.compare_exchange_weak(most, now)) {
  }
}
void on_free(const volatile void* block) {
  if (block != nullptr) {
    held.fetch_sub(static_cast<std::int64_t>(__sanitizer_get_allocated_size(block)));
  }
}

// One bit per order of magnitude of a count, as in AFL.
std::uint8_t bucket(std::uint8_t count) {
  if (count <= 3) return static_cast<std::uint8_t>(1u << (count - 1));
  return static_cast<std::uint8_t>(1u << std::min(7, std::bit_width(count) + 0));
}

}  // namespace

void Coverage::start() {
  static const bool has_hooks = __sanitizer_install_malloc_and_free_hooks != nullptr &&
                                __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
  (void)has_hooks;
  hits_.fill(0);
  close_.fill(0);
  steps_ = last_ = num_recent_ = 0;
  held = peak = 0;
  is_on_ = true;
}

void Coverage::stop() {
  is_on_ = false;
}

std::size_t Coverage::merge() {
  std::size_t num_new = 0;
  for (std::size_t i = 0; i < kCells; ++i) {
    if (hits_[i] == 0) continue;
    const std::uint8_t bits = bucket(hits_[i]);
    num_edges_ += seen_[i] == 0 ? 1 : 0;
    num_new += (seen_[i] & bits) == 0 ? 1 : 0;
    seen_[i] |= bits;
  }
  for (std::size_t i = 0; i < kCompareCells; ++i) {
    if (close_[i] <= closest_[i]) continue;
    closest_[i] = close_[i];
    ++num_new;
  }
  return num_new;
}

std::size_t Coverage::peak_bytes() const {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, peak.load()));
}

// Threads of the library race here; a lost count does no harm.
__attribute__((no_sanitize("thread"))) void Coverage::on_block(std::uintptr_t place) {
  if (!is_on_) return;
  ++steps_;
  const std::uintptr_t mixed = (place * 0x9E3779B97F4A7C15ull) >> 40;
  std::uint8_t& count = hits_[(mixed ^ last_) % kCells];
  count = static_cast<std::uint8_t>(count + (count != 255));
  last_ = mixed >> 1;
}

__attribute__((no_sanitize("thread"))) void Coverage::on_compare(std::uintptr_t place,
                                                                 Operands operands) {
  if (!is_on_ || operands.left == operands.right) return;
  recent_[num_recent_++ % recent_.size()] = operands;
  if (operands.size < 4) return;
  const std::uint64_t differing = operands.left ^ operands.right;
  const unsigned equal_bits = 64 - static_cast<unsigned>(std::bit_width(differing));
  std::uint8_t& cell = close_[(place * 0x9E3779B97F4A7C15ull >> 40) % kCompareCells];
  cell = std::max(cell, static_cast<std::uint8_t>(equal_bits / 8));
}

Coverage& coverage() {
  static Coverage instance;
  return instance;
}

}  // namespace llmcore::fuzz

#if defined(__GNUC__) && !defined(__clang__)
namespace {
inline std::uintptr_t caller(void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}
}  // namespace

#define LLMCORE_PLACE caller(__builtin_return_address(0))
extern "C" {
void __sanitizer_cov_trace_pc() {
  llmcore::fuzz::coverage().on_block(LLMCORE_PLACE);
}
void __sanitizer_cov_trace_cmp1(std::uint8_t a, std::uint8_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 1});
}
void __sanitizer_cov_trace_cmp2(std::uint16_t a, std::uint16_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 2});
}
void __sanitizer_cov_trace_cmp4(std::uint32_t a, std::uint32_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 4});
}
void __sanitizer_cov_trace_cmp8(std::uint64_t a, std::uint64_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 8});
}
void __sanitizer_cov_trace_const_cmp1(std::uint8_t a, std::uint8_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 1});
}
void __sanitizer_cov_trace_const_cmp2(std::uint16_t a, std::uint16_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 2});
}
void __sanitizer_cov_trace_const_cmp4(std::uint32_t a, std::uint32_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 4});
}
void __sanitizer_cov_trace_const_cmp8(std::uint64_t a, std::uint64_t b) {
  llmcore::fuzz::coverage().on_compare(LLMCORE_PLACE, {a, b, 8});
}
void __sanitizer_cov_trace_cmpf(float, float) {}
void __sanitizer_cov_trace_cmpd(double, double) {}
// cases: their number, the width in bits, the values.
void __sanitizer_cov_trace_switch(std::uint64_t value, void* table) {
  const auto* cases = static_cast<const std::uint64_t*>(table);
  for (std::uint64_t i = 0; i < cases[0] && i < 16; ++i) {
    llmcore::fuzz::coverage().on_compare(
        LLMCORE_PLACE, {value, cases[2 + i], static_cast<unsigned>(cases[1] / 8)});
  }
}
}
#endif
