// Fork-join over numbered items: threads live only for the call, so a later fork is safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
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

// Calls work(worker, item) once for each item in [0, num_items); items are handed out in order.
// The calling thread is worker 0. The first exception stops the hand-out and is rethrown here.
template <typename Work>
void parallel_for(std::size_t num_items, unsigned num_threads, const Tick& tick, Work&& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto run = [&](unsigned worker) {
    TickTimer timer(tick);
    try {
      for (;;) {
        const std::size_t item = next.fetch_add(1, std::memory_order_relaxed);
        if (item >= num_items) break;
        work(worker, item);
        if (worker == 0) timer.poll();
      }
    } catch (...) {
      next.store(num_items, std::memory_order_relaxed);
      const std::lock_guard<std::mutex> lock(error_mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned w = 1; w < num_threads && w < num_items; ++w) threads.emplace_back(run, w);
  run(0);
  for (std::thread& t : threads) t.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace llmcore::tokenizer
