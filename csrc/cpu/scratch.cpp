#include "cpu/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace llmcore::cpu {

namespace {

struct Free {
  void operator()(char* data) const { std::free(data); }
};

constexpr int64_t kLine = 64;

}  // namespace

char* thread_scratch(int64_t num_bytes) {
  thread_local std::unique_ptr<char, Free> memory;
  thread_local int64_t size = 0;
  if (size < num_bytes || memory == nullptr) {
    const int64_t rounded = (num_bytes / kLine + 1) * kLine;
    memory.reset();  // the old contents are of no use
    memory.reset(static_cast<char*>(std::aligned_alloc(kLine, static_cast<size_t>(rounded))));
    size = memory != nullptr ? rounded : 0;
    if (size == 0) throw std::bad_alloc();
  }
  return memory.get();
}

}  // namespace llmcore::cpu
