// Workspaces that outlive a call, so that their caches stay warm. No lock: a fork inherits none.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>

namespace llmcore::tokenizer {

template <class Workspace>
class WorkspacePool {
 public:
  explicit WorkspacePool(std::function<std::unique_ptr<Workspace>()> make)
      : make_(std::move(make)) {}
  ~WorkspacePool() {
    for (auto& slot : idle_) delete slot.load();
  }
  WorkspacePool(const WorkspacePool&) = delete;
  WorkspacePool& operator=(const WorkspacePool&) = delete;

  // A workspace for one thread; it goes back when the handle dies.
  class Handle {
   public:
    Handle(WorkspacePool& pool, std::unique_ptr<Workspace> work)
        : pool_(&pool), work_(std::move(work)) {}
    Handle(Handle&& other) noexcept = default;
    Handle& operator=(Handle&&) = delete;
    ~Handle() {
      if (work_) pool_->release(std::move(work_));
    }
    Workspace& operator*() const { return *work_; }
    Workspace* operator->() const { return work_.get(); }

   private:
    WorkspacePool* pool_;
    std::unique_ptr<Workspace> work_;
  };

  Handle acquire() {
    for (auto& slot : idle_) {
      if (Workspace* work = slot.exchange(nullptr)) {
        return {*this, std::unique_ptr<Workspace>(work)};
      }
    }
    return {*this, make_()};
  }

 private:
  void release(std::unique_ptr<Workspace> work) {
    for (auto& slot : idle_) {
      Workspace* expected = nullptr;
      if (slot.compare_exchange_strong(expected, work.get())) {
        work.release();
        return;
      }
    }
  }

  std::function<std::unique_ptr<Workspace>()> make_;
  std::array<std::atomic<Workspace*>, 16> idle_{};
};

}  // namespace llmcore::tokenizer
