#include "cpu/scratch.h"

#include <cstddef>
#include <new>
#include <vector>

namespace llmcore::cpu {

namespace {

class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  char* at_least(int64_t num_bytes) {
    if (num_bytes > num_bytes_ || data_ == nullptr) {
      release();  // the old contents are of no use
      data_ = static_cast<char*>(::operator new(static_cast<std::size_t>(num_bytes), kAlign));
      num_bytes_ = num_bytes;
    }
    return data_;
  }

 private:
  static constexpr std::align_val_t kAlign{64};

  void release() {
    ::operator delete(data_, kAlign);
    data_ = nullptr;
    num_bytes_ = 0;
  }

  char* data_ = nullptr;
  int64_t num_bytes_ = 0;
};

}  // namespace

char* thread_scratch(Scratch slot, int64_t num_bytes) {
  thread_local Buffer buffers[static_cast<int>(Scratch::kCount)];
  return buffers[static_cast<int>(slot)].at_least(num_bytes > 0 ? num_bytes : 1);
}

uint32_t* thread_zeros(int64_t count) {
  thread_local std::vector<uint32_t> zeros;
  if (static_cast<std::size_t>(count) > zeros.size()) zeros.resize(static_cast<std::size_t>(count));
  return zeros.data();
}

}  // namespace llmcore::cpu
