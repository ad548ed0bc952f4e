// Large fresh results on 2 MiB pages: most of the cost of writing them is the kernel's page faults.
#pragma once

#include <cstdint>

namespace llmcore {

// Advises the system to back [data, data + bytes) with huge pages from the next first touch on.
// Call it on a result that the kernel is about to write in full, before anything writes it. Only
// whole 2 MiB pages inside the range are advised, so no memory beyond the range is taken. Ranges
// below 4 MiB, systems without transparent huge pages and memory that already has pages: no effect.
//
// 64 MiB written by two threads (AMD EPYC, Zen 4, Linux 6.18, enabled=madvise), from malloc to
// free: 30.5 ms on 4 KiB pages, 7.7 ms so; 3.3 ms where the memory is warm. MADV_POPULATE_WRITE
// on top gains nothing.
void advise_huge_pages(void* data, int64_t bytes);

}  // namespace llmcore
