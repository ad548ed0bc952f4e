// Persistent threads behind a ParallelFor: a job is one range cut into one share per thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/parallel.h"

namespace llmcore::bench {

class ThreadPool {
 public:
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }
  // The calling thread takes the first share. A call from inside a share runs in that thread.
  void run(int64_t begin, int64_t end, int64_t grain, ParallelFor::Body body, void* context);

 private:
  struct Job {
    int64_t begin, end, share;
    ParallelFor::Body body;
    void* context;
  };
  void work(int64_t worker);
  void do_share(int64_t index) const;

  Job job_{};
  std::atomic<uint32_t> epoch_{0};  // one more per job
  std::atomic<int> num_pending_{0};
  std::atomic<bool> stops_{false};
  std::vector<std::thread> workers_;
};

}  // namespace llmcore::bench
