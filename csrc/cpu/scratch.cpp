#include "cpu/scratch.h"

#include <cstddef>
#include <new>

namespace llmcore::cpu {

namespace {

class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  float* at_least(int64_t floats) {
    if (floats > floats_) {
      release();
      data_ = static_cast<float*>(::operator new(static_cast<std::size_t>(floats) * 4, kAlign));
      floats_ = floats;
    }
    return data_;
  }

 private:
  static constexpr std::align_val_t kAlign{64};

  void release() {
    ::operator delete(data_, kAlign);
    data_ = nullptr;
    floats_ = 0;
  }

  float* data_ = nullptr;
  int64_t floats_ = 0;
};

}  // namespace

float* thread_scratch(Scratch slot, int64_t floats) {
  thread_local Buffer buffers[static_cast<int>(Scratch::kCount)];
  return buffers[static_cast<int>(slot)].at_least(floats > 0 ? floats : 1);
}

}  // namespace llmcore::cpu
