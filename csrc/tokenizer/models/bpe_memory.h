// Large arrays on huge pages where the system has them: the piece cache is read at random, and half
// of its cost would be address translation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace llmcore::tokenizer {

inline constexpr std::size_t kHugePage = std::size_t{1} << 21;

// Asks for huge pages under the part of [begin, begin + size) that they can hold; best before the
// first touch. Only advice: nothing depends on it.
inline void advise_huge_pages([[maybe_unused]] void* begin, [[maybe_unused]] std::size_t size) {
#if defined(MADV_HUGEPAGE)
  const std::size_t skipped = -reinterpret_cast<std::uintptr_t>(begin) & (kHugePage - 1);
  if (size < skipped + kHugePage) return;
  madvise(static_cast<char*>(begin) + skipped, (size - skipped) & ~(kHugePage - 1), MADV_HUGEPAGE);
#endif
}

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};
template <typename T>
using HugeArray = std::unique_ptr<T[], FreeDeleter>;

// `count` elements all of whose bytes are `byte`.
template <typename T>
HugeArray<T> make_huge_array(std::size_t count, std::uint8_t byte = 0) {
  const std::size_t align = count * sizeof(T) < kHugePage ? 64 : kHugePage;
  const std::size_t size = (count * sizeof(T) + align - 1) & ~(align - 1);
  void* p = std::aligned_alloc(align, size);
  if (p == nullptr) throw std::bad_alloc();
  advise_huge_pages(p, size);
  std::memset(p, byte, size);
  return HugeArray<T>(static_cast<T*>(p));
}

}  // namespace llmcore::tokenizer
