// What the C++ benchmark binaries share: kernels without Torch or Python under one clock.
//
//   int main(int argc, char** argv) {
//     return llmcore::bench::run(argc, argv, [](llmcore::bench::Bench& bench) {
//       const auto x = bench::normal(rows * cols, dtype, 1);      // Buffers of this group
//       bench.measure({{.op = "rms_norm", .pass = "forward", .dtype = "float32",
//                       .shape = "16384x1024", .bytes = 2.0 * x.size(), .flops = 0,
//                       .limit = Limit::kCopy, .run = [&] { cpu::rms_norm(args, threads()); }}});
//     });
//   }
//
// Options: --threads N[,N...]  --rounds N  --seconds S (per group)  --filter TEXT  --json PATH
//          --file PATH (for those that read one)   --google (Google Benchmark's runner, where
//          built)
// LLMCORE_CPU_ISA chooses the kernels and with them the instructions of the limits.
//
// Every binary first prints the machine's limits. In each group the limits that its cases name are
// timed again in the same rounds, over as many bytes as the case moves (so data that fits a cache
// is compared with a copy that fits it), and % of limit is the ratio of the medians. Rounds take
// the cases in turn. A sample repeats a call until it lasts 0.2 ms; calls that fit the last-level
// cache are run once untimed before it. With one thread the clock is that thread's CPU time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/parallel.h"

namespace llmcore::bench {

// Memory on a cache line's start, as torch allocates it, full of 0x3F bytes: 0.747 in float32 and
// bfloat16 (zeros or subnormals could take other paths).
class Buffer {
 public:
  explicit Buffer(int64_t num_bytes);
  template <class T = char>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  char* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(char* data) const;
  };
  int64_t size_;
  std::unique_ptr<char, Free> data_;
};

// `count` numbers of about the standard normal distribution times `scale`, in a float dtype.
Buffer normal(int64_t count, DType dtype, uint64_t seed, float scale = 1.0f);

// The harness's threads: persistent, spinning for some microseconds before they sleep. A range is
// cut as torch's parallel_for cuts it: one even share per thread, none below the grain.
ParallelFor threads();
int num_threads();

enum class Limit {
  kCopy,    // memory moved, half of it written
  kRead,    // memory read
  kFma,     // float32 multiply-adds of the instruction set in use
  kDotBf16  // bfloat16 products: the faster of its dot instruction and float32 multiply-adds
};

struct Case {
  std::string op, pass, dtype, shape;
  double bytes = 0;  // that any implementation must read and write
  double flops = 0;  // that any implementation must do
  Limit limit = Limit::kCopy;
  std::function<void()> run{};
};

struct Row {
  std::string op, pass, dtype, shape;
  int threads = 1;
  int rounds = 0;
  double ms = 0, best_ms = 0;
  double bytes = 0, flops = 0;
  double gb_per_s = 0, gflop_per_s = 0;
  std::string limit;
  double percent_of_limit = 0;
};

struct Options {
  std::vector<int> threads;
  int rounds = 15;
  double seconds = 0.5;
  std::string filter{}, json{}, file{};
  bool google = false;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {}
  const Options& options() const { return options_; }
  // Whether --filter lets any case through whose text contains `text`, before its buffers are made.
  bool wants(const std::string& text) const;
  // Times the cases and their limits in turn and prints a line for each.
  void measure(const std::vector<Case>& cases);
  const std::vector<Row>& rows() const { return rows_; }

 private:
  Options options_;
  std::vector<Row> rows_;
};

// Parses the options, prints the limits, calls `groups` once per thread count, writes the JSON.
// Returns the exit code: 2 after an error's message.
int run(int argc, char** argv, const std::function<void(Bench&)>& groups);

}  // namespace llmcore::bench
