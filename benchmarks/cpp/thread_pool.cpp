#include "thread_pool.h"

#include <algorithm>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace llmcore::bench {

namespace {

constexpr int kSpins = 4000;  // some tens of microseconds

thread_local bool inside_share = false;

void pause() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

// Spins, then sleeps, until `value` differs from `old`.
template <class T>
void wait_while(const std::atomic<T>& value, T old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  for (int64_t worker = 1; worker < num_threads; ++worker) {
    workers_.emplace_back([this, worker] { work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  stops_ = true;
  ++epoch_;
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::do_share(int64_t index) const {
  const int64_t begin = job_.begin + index * job_.share;
  if (begin >= job_.end) return;
  inside_share = true;
  job_.body(begin, std::min(begin + job_.share, job_.end), job_.context);
  inside_share = false;
}

void ThreadPool::work(int64_t worker) {
  for (uint32_t seen = 0;; ++seen) {
    wait_while(epoch_, seen);
    if (stops_) return;
    do_share(worker);
    if (num_pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) num_pending_.notify_one();
  }
}

void ThreadPool::run(int64_t begin, int64_t end, int64_t grain, ParallelFor::Body body,
                     void* context) {
  if (begin >= end) return;
  const int64_t size = end - begin, least = std::max<int64_t>(grain, 1);
  const int64_t tasks = std::min<int64_t>(num_threads(), (size + least - 1) / least);
  if (tasks == 1 || inside_share) {
    body(begin, end, context);
    return;
  }
  job_ = {begin, end, (size + tasks - 1) / tasks, body, context};
  num_pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  do_share(0);
  for (int pending = num_pending_; pending != 0; pending = num_pending_) {
    wait_while(num_pending_, pending);
  }
}

}  // namespace llmcore::bench
