// The smallest test kit: EXPECT counts failures and says where; main returns the count.
#pragma once

#include <cstdio>

namespace llmcore::test {

inline int num_failed = 0;

inline void expect(bool holds, const char* what, const char* file, int line) {
  if (holds) return;
  ++num_failed;
  std::printf("%s:%d: failed: %s\n", file, line, what);
}

}  // namespace llmcore::test

#define EXPECT(condition) llmcore::test::expect((condition), #condition, __FILE__, __LINE__)
