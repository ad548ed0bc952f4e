#include "cpu/thread_scratch.h"

#include <cstddef>
#include <new>
#include <vector>

namespace llmcore::cpu {

namespace {

constexpr std::align_val_t kAlignment{64};

struct Buffer {
  void* data = nullptr;
  int64_t bytes = 0;

  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { ::operator delete(data, kAlignment); }
};

}  // namespace

void* thread_scratch(int64_t bytes) {
  thread_local Buffer buffer;
  if (bytes > buffer.bytes) {
    ::operator delete(buffer.data, kAlignment);
    buffer.data = nullptr;
    buffer.bytes = 0;
    buffer.data = ::operator new(static_cast<size_t>(bytes), kAlignment);
    buffer.bytes = bytes;
  }
  return buffer.data;
}

uint32_t* thread_zeros(int64_t count) {
  thread_local std::vector<uint32_t> zeros;
  if (static_cast<size_t>(count) > zeros.size()) zeros.resize(static_cast<size_t>(count));
  return zeros.data();
}

}  // namespace llmcore::cpu
