// Fork-join over numbered items: threads live only for the call, so a later fork is safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace llmcore::tokenizer {

// Called about ten times a second on the calling thread; may throw to stop the work.
using Tick = std::function<void()>;

class TickTimer {
 public:
  explicit TickTimer(const Tick& tick) : tick_(tick), last_(Clock::now()) {}

  void poll() {
    if (!tick_) return;
    const auto now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    tick_();
  }

 private:
  using Clock = std::chrono::steady_clock;
  const Tick& tick_;
  Clock::time_point last_;
};

// Calls work(worker, item) for the items that take(worker) gives, until it gives none. The calling
// thread is worker 0. The first exception stops the hand-out and is rethrown here.
template <typename Take, typename Work>
void parallel_run(unsigned num_threads, const Tick& tick, Take&& take, Work&& work) {
  std::atomic<bool> stopped{false};
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto run = [&](unsigned worker) {
    TickTimer timer(tick);
    try {
      while (!stopped.load(std::memory_order_relaxed)) {
        const std::optional<std::size_t> item = take(worker);
        if (!item) break;
        work(worker, *item);
        if (worker == 0) timer.poll();
      }
    } catch (...) {
      stopped.store(true, std::memory_order_relaxed);
      const std::lock_guard<std::mutex> lock(error_mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned w = 1; w < num_threads; ++w) threads.emplace_back(run, w);
  run(0);
  for (std::thread& t : threads) t.join();
  if (error) std::rethrow_exception(error);
}

// Each item in [0, num_items) once; they are handed out in order.
template <typename Work>
void parallel_for(std::size_t num_items, unsigned num_threads, const Tick& tick, Work&& work) {
  std::atomic<std::size_t> next{0};
  const auto take = [&](unsigned) -> std::optional<std::size_t> {
    const std::size_t item = next.fetch_add(1, std::memory_order_relaxed);
    return item < num_items ? std::optional(item) : std::nullopt;
  };
  parallel_run(static_cast<unsigned>(std::min<std::size_t>(num_threads, num_items)), tick, take,
               work);
}

// The same, but worker 0 takes the items from the first on, in order, and the others those from the
// last on, so that worker 0's are the first ones. num_items < 2^32.
template <typename Work>
void parallel_from_ends(std::size_t num_items, unsigned num_threads, const Tick& tick,
                        Work&& work) {
  std::atomic<std::uint64_t> left{num_items};  // begin in the upper half, end in the lower
  const auto take = [&](unsigned worker) -> std::optional<std::size_t> {
    std::uint64_t now = left.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t begin = now >> 32, end = now & 0xFFFFFFFF;
      if (begin == end) return std::nullopt;
      const std::uint64_t rest = worker == 0 ? now + (std::uint64_t{1} << 32) : now - 1;
      if (left.compare_exchange_weak(now, rest, std::memory_order_relaxed)) {
        return worker == 0 ? begin : end - 1;
      }
    }
  };
  parallel_run(static_cast<unsigned>(std::min<std::size_t>(num_threads, num_items)), tick, take,
               work);
}

}  // namespace llmcore::tokenizer
