// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "core/parallel.hpp"

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace flashket {
namespace {

int from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return 0;
  const long n = std::strtol(text, nullptr, 10);  // OMP_NUM_THREADS may be a list; its first entry counts
  return n >= 1 ? static_cast<int>(n < kMaxThreads ? n : kMaxThreads) : 0;
}

int cgroup_limit() {
#if defined(__linux__)
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0)
    return static_cast<int>(std::ceil(std::stod(quota) / period));
  std::ifstream quota_v1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period_v1("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double amount = 0;
  if (quota_v1 >> amount && period_v1 >> period && amount > 0 && period > 0)
    return static_cast<int>(std::ceil(amount / period));
#endif
  return kMaxThreads;
}

int default_threads() {
  if (const int n = from_environment("FLASHKET_NUM_THREADS")) return n;
  if (const int n = from_environment("OMP_NUM_THREADS")) return n;
  int n = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
  const int limit = cgroup_limit();
  n = n < limit ? n : limit;
  return n < 1 ? 1 : n > kMaxThreads ? kMaxThreads : n;
}

class Pool {
 public:
  Pool() : n_threads_(default_threads()) {}

  int size() const { return n_threads_; }

  void resize(int n) {
    std::lock_guard<std::mutex> job(job_mutex_);
    stop_workers();
    n_threads_ = n;
  }

  void run(int64_t n_tasks, const std::function<void(int64_t, int)>& task) {
    std::unique_lock<std::mutex> job(job_mutex_, std::try_to_lock);
    if (!job.owns_lock() || n_threads_ == 1 || n_tasks <= 1) {
      for (int64_t i = 0; i < n_tasks; ++i) task(i, 0);
      return;
    }
    while (static_cast<int>(workers_.size()) < n_threads_ - 1) {
      const int worker = static_cast<int>(workers_.size()) + 1;
      try {
        workers_.emplace_back([this, worker] { work(worker); });
      } catch (const std::system_error&) {
        break;  // the system gives no more threads; those there are do the work
      }
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      n_tasks_ = n_tasks;
      next_ = 0;
      busy_ = static_cast<int>(workers_.size());
      ++generation_;
    }
    wake_.notify_all();
    take_tasks(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    task_ = nullptr;
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void take_tasks(int worker) {
    for (;;) {
      const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= n_tasks_) return;
      try {
        (*task_)(i, worker);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_ = n_tasks_;
      }
    }
  }

  void work(int worker) {
    uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
        if (stopping_) return;
        seen = generation_;
      }
      take_tasks(worker);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  void stop_workers() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_ = false;
    generation_ = 0;  // new workers start from generation 0
  }

  std::atomic<int> n_threads_;
  std::mutex job_mutex_;  // one parallel region at a time
  std::mutex mutex_;      // guards what follows
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  const std::function<void(int64_t, int)>* task_ = nullptr;
  int64_t n_tasks_ = 0;
  std::atomic<int64_t> next_{0};
  int busy_ = 0;
  uint64_t generation_ = 0;
  bool stopping_ = false;
  std::exception_ptr error_;
};

// Never destroyed: at exit its threads sleep, and a static destructor would run while another thread may still use it.
std::atomic<Pool*> current_pool{nullptr};

// The child of a fork has none of the threads, and locks may be held by threads it does not have: it starts afresh.
void forget_pool() {
  Pool* old = current_pool.load();
  if (old == nullptr) return;
  const int n = old->size();
  Pool* fresh = new Pool;
  fresh->resize(n);
  current_pool.store(fresh);
}

Pool& pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    current_pool.store(new Pool);
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, forget_pool);
#endif
  });
  return *current_pool.load();
}

}  // namespace

int num_threads() { return pool().size(); }

void set_num_threads(int n) {
  if (n < 1 || n > kMaxThreads) throw std::invalid_argument("the number of threads must be 1 to 1024");
  pool().resize(n);
}

void parallel_for(int64_t n_tasks, const std::function<void(int64_t, int)>& task) { pool().run(n_tasks, task); }

}  // namespace flashket
