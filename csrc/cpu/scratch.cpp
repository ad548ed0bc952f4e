#include "cpu/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace llmcore::cpu {

namespace {

constexpr int64_t kLine = 64;

struct Free {
  void operator()(char* data) const { std::free(data); }
};

struct Block {
  std::unique_ptr<char, Free> data;
  int64_t size = 0;
};

}  // namespace

char* thread_scratch(ScratchSlot slot, int64_t num_bytes) {
  thread_local Block blocks[2];
  Block& block = blocks[static_cast<int>(slot)];
  if (block.size < num_bytes || block.data == nullptr) {
    const int64_t rounded = (num_bytes / kLine + 1) * kLine;
    block.size = 0;
    block.data.reset();  // the old contents are of no use
    block.data.reset(static_cast<char*>(std::aligned_alloc(kLine, static_cast<size_t>(rounded))));
    if (block.data == nullptr) throw std::bad_alloc();
    block.size = rounded;
  }
  return block.data.get();
}

}  // namespace llmcore::cpu
