// What an execution did: edges taken, operands compared, basic blocks run, memory held. Filled by
// the callbacks that GCC's -fsanitize-coverage=trace-pc,trace-cmp puts into the library; all zero
// without them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace llmcore::fuzz {

struct Operands {
  std::uint64_t left = 0, right = 0;
  unsigned size = 0;
};

class Coverage {
 public:
  // Forgets the last execution and begins to record.
  void start();
  void stop();
  // Adds the execution's edges to those ever seen; the number of new ones.
  std::size_t merge();
  std::size_t num_edges() const { return num_edges_; }
  // Basic blocks of the last execution: its work, whatever the machine.
  std::uint64_t steps() const { return steps_; }
  // Most bytes that the last execution held beyond those from before; 0 without ASan.
  std::size_t peak_bytes() const;
  const Operands& operands(std::size_t i) const { return recent_[i % recent_.size()]; }

  void on_block(std::uintptr_t place);
  void on_compare(std::uintptr_t place, Operands operands);

 private:
  static constexpr std::size_t kCells = 1 << 17, kCompareCells = 1 << 16;

  bool is_on_ = false;
  std::uintptr_t last_ = 0;
  std::uint64_t steps_ = 0;
  std::size_t num_edges_ = 0, num_recent_ = 0;
  std::array<std::uint8_t, kCells> hits_{}, seen_{};
  std::array<std::uint8_t, kCompareCells> close_{}, closest_{};  // equal leading bytes
  std::array<Operands, 64> recent_{};
};

Coverage& coverage();

}  // namespace llmcore::fuzz
