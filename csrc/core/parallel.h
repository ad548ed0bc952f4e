// Threads as an argument: kernels split their range through this handle and know no thread library.
#pragma once

#include <cstdint>

namespace llmcore {

struct ParallelFor {
  using Body = void (*)(int64_t begin, int64_t end, void* context);
  // Calls `body` on disjoint ranges that cover [begin, end), each at least `grain` long but the
  // last.
  using Run = void (*)(int64_t begin, int64_t end, int64_t grain, Body body, void* context);
  Run run;

  template <class F>
  void operator()(int64_t begin, int64_t end, int64_t grain, const F& function) const {
    Body body = [](int64_t b, int64_t e, void* context) {
      (*static_cast<const F*>(context))(b, e);
    };
    run(begin, end, grain, body, const_cast<void*>(static_cast<const void*>(&function)));
  }
};

}  // namespace llmcore
