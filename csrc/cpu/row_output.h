// Where a kernel writes consecutive rows: straight to memory, or, where the result is too large for
// the cache, through a buffer in the first-level cache from which whole cache lines leave by
// non-temporal stores. So rows of any width and any start are written without reading their lines
// first; the extra copy costs about a tenth of what the memory takes.
#pragma once

#include "cpu/scratch.h"
#include "cpu/tuning.h"
#include "cpu/vec.h"

namespace llmcore::cpu::LLMCORE_ISA {

template <class T>
class RowOutput {
 public:
  // Rows from `out` on; at most `elements` of them lie between two calls of advance.
  RowOutput(T* out, bool streams, Scratch slot, int64_t elements) : out_(out) {
    if (!streams || out == nullptr) return;
    const auto address = reinterpret_cast<uintptr_t>(out);
    first_ = fill_ = static_cast<int64_t>(address % kLine);
    line_ = reinterpret_cast<char*>(out) - fill_;
    const int64_t bytes = elements * static_cast<int64_t>(sizeof(T)) + 2 * kLine;
    stage_ = thread_scratch(slot, bytes);
  }

  // Write the next rows here, read them here, then advance by their elements.
  T* rows() const { return stage_ == nullptr ? out_ : reinterpret_cast<T*>(stage_ + fill_); }

  void advance(int64_t elements) {
    out_ += elements;
    if (stage_ == nullptr) return;
    fill_ += elements * static_cast<int64_t>(sizeof(T));
    const int64_t whole = fill_ / kLine * kLine;
    if (whole == 0) return;
    int64_t at = 0;
    if (first_ != 0) {  // the line's start belongs to another thread's rows
      __builtin_memcpy(line_ + first_, stage_ + first_, static_cast<size_t>(kLine - first_));
      first_ = 0;
      at = kLine;
    }
    for (; at < whole; at += 4 * kWidth) {
      stream(reinterpret_cast<float*>(line_ + at), load(reinterpret_cast<float*>(stage_ + at)));
    }
    line_ += whole;
    fill_ -= whole;
    for (int64_t i = 0; i < kLine; i += 4 * kWidth) {
      store(reinterpret_cast<float*>(stage_ + i),
            load(reinterpret_cast<float*>(stage_ + whole + i)));
    }
  }

  void finish() {
    if (stage_ == nullptr) return;
    __builtin_memcpy(line_ + first_, stage_ + first_, static_cast<size_t>(fill_ - first_));
    stream_fence();
  }

 private:
  static constexpr int64_t kLine = 64;

  T* out_;
  char* stage_ = nullptr;
  char* line_ = nullptr;  // the cache line that stage_ stands for
  int64_t fill_ = 0;      // bytes in stage_
  int64_t first_ = 0;     // bytes of the first line that are not ours
};

}  // namespace llmcore::cpu::LLMCORE_ISA
