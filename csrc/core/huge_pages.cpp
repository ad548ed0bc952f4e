#include "core/huge_pages.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace llmcore {

void advise_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] int64_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
  if (bytes < static_cast<int64_t>(2 * kHugePage)) return;  // may hold no whole huge page
  const auto start = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (start + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (start + static_cast<uintptr_t>(bytes)) / kHugePage * kHugePage;
  // Advice: a refusal (EINVAL where the kernel lacks it) leaves everything as it was.
  char* first = static_cast<char*>(data) + (begin - start);
  (void)madvise(first, end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace llmcore
