// rms_norm kernels against memcpy, on warm buffers: no Torch, no allocation inside the clock.
//   bench_rms_norm [threads] [rounds]        LLMCORE_CPU_ISA chooses the kernels
// One line per (pass, dtype, shape): median ms, GB/s, and % of the memcpy of as many bytes that was
// timed in the same rounds; then the same of the best round, for a machine that others use too.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <new>
#include <thread>
#include <vector>

#include "cpu/kernel_table.h"
#include "ops/rms_norm.h"

namespace {

int num_threads = 1;

void run_parallel(int64_t begin, int64_t end, int64_t, llmcore::ParallelFor::Body body,
                  void* context) {
  const int64_t share = (end - begin + num_threads - 1) / num_threads;
  std::vector<std::thread> workers;
  for (int64_t at = begin + share; at < end; at += share) {
    workers.emplace_back(body, at, std::min(at + share, end), context);
  }
  body(begin, std::min(begin + share, end), context);
  for (std::thread& worker : workers) worker.join();
}

constexpr llmcore::ParallelFor kThreads{run_parallel};

// With one thread the clock is that thread's CPU time: the turns of other processes do not count.
double now() {
  timespec time;
  clock_gettime(num_threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds(const std::function<void()>& work) {
  const double start = now();
  work();
  return now() - start;
}

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

// Memory on a cache line's start, as torch allocates it: unaligned rows take the slower store path.
class Buffer {
 public:
  explicit Buffer(int64_t size)
      : size_(size), data_(static_cast<char*>(::operator new(bytes(), kAlign))) {
    std::memset(data_, 0x3F, bytes());  // 0.747 in every dtype: subnormal products would be slow
  }
  ~Buffer() { ::operator delete(data_, kAlign); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  char* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kAlign{64};
  size_t bytes() const { return static_cast<size_t>(size_); }
  int64_t size_;
  char* data_;
};

void copy_bytes(const Buffer& from, const Buffer& to) {
  const auto body = [&](int64_t begin, int64_t end) {
    std::memcpy(to.data() + begin, from.data() + begin, static_cast<size_t>(end - begin));
  };
  kThreads(0, to.size(), 1, body);
}

void bench(int64_t rows, int64_t cols, llmcore::DType dtype, int rounds) {
  const int64_t bytes = rows * cols * llmcore::element_size(dtype);
  const int64_t width = cols * llmcore::element_size(dtype);
  const int64_t num_partials = llmcore::cpu::rms_norm_num_partials(rows);
  const Buffer x(bytes), dy(bytes), y(bytes), weight(width), dweight(width);
  const Buffer partials(num_partials * cols * 4);
  const llmcore::RmsNormArgs forward{x.data(), weight.data(), y.data(), rows, cols, 1e-6f, dtype};
  const llmcore::RmsNormBackwardArgs backward{
      dy.data(),    x.data(),       weight.data(),
      y.data(),     dweight.data(), reinterpret_cast<float*>(partials.data()),
      num_partials, rows,           cols,
      1e-6f,        dtype};
  std::vector<double> copies, forwards, backwards;
  for (int round = 0; round <= rounds; ++round) {
    const double copied = seconds([&] { copy_bytes(x, y); });
    const double went = seconds([&] { llmcore::cpu::rms_norm(forward, kThreads); });
    const double came = seconds([&] { llmcore::cpu::rms_norm_backward(backward, kThreads); });
    if (round == 0) continue;  // warm-up
    copies.push_back(copied);
    forwards.push_back(went);
    backwards.push_back(came);
  }
  const double copy_rate = 2.0 * static_cast<double>(bytes) / median(copies) / 1e9;
  const double best_copy = *std::min_element(copies.begin(), copies.end());
  const auto print = [&](const char* pass, const std::vector<double>& times, double arrays) {
    const double time = median(times), best = *std::min_element(times.begin(), times.end());
    const double rate = arrays * static_cast<double>(bytes) / time / 1e9;
    std::printf(
        "%-9s %-9s %6ldx%-6ld %8.3f ms %7.2f GB/s %5.0f %% of copy (%.2f GB/s); best %8.3f ms "
        "%5.0f %%\n",
        pass, llmcore::dtype_name(dtype), static_cast<long>(rows), static_cast<long>(cols),
        1e3 * time, rate, 100 * rate / copy_rate, copy_rate, 1e3 * best,
        100 * arrays / 2 * best_copy / best);
  };
  print("forward", forwards, 2);
  print("backward", backwards, 3);
}

}  // namespace

int main(int argc, char** argv) {
  num_threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 15;
  std::printf("isa %s, %d threads, %d rounds\n", llmcore::cpu::isa_in_use(), num_threads, rounds);
  for (llmcore::DType dtype : {llmcore::DType::kFloat32, llmcore::DType::kBFloat16}) {
    const int64_t narrow = dtype == llmcore::DType::kFloat32 ? 1 : 2;
    bench(16384 * narrow, 1024, dtype, rounds);  // 64 MiB: memory
    bench(8192, 192, dtype, rounds);             // cache
  }
  return 0;
}
