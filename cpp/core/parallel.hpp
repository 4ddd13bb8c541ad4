// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A thread pool on std::thread. Not OpenMP: a process forked after an OpenMP region hangs in its next one.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace flashket {

constexpr int kMaxThreads = 1024;

// FLASHKET_NUM_THREADS, then OMP_NUM_THREADS, then the CPUs that affinity and the cgroup quota allow.
int num_threads();

// Throws std::invalid_argument unless 1 <= n <= 1024.
void set_num_threads(int n);

// Calls task(i, worker) once for every i < n_tasks; worker < kMaxThreads tells scratch memory apart. Which worker
// runs a task is not fixed, so results must not depend on it. The first exception is thrown again here. A nested or
// concurrent call runs on the calling thread alone, as worker 0.
void parallel_for(int64_t n_tasks, const std::function<void(int64_t, int)>& task);

// Scratch memory of one parallel region: made when a worker first asks. Another thread may change the number of threads
// at any time, so there is a place for every worker that can exist.
template <class S>
class PerWorker {
 public:
  template <class Make>
  S& get(int worker, const Make& make) {
    if (!slots_[worker]) slots_[worker] = std::make_unique<S>(make());
    return *slots_[worker];
  }

  template <class Use>
  void for_each(const Use& use) {
    for (const auto& slot : slots_)
      if (slot) use(*slot);
  }

 private:
  std::vector<std::unique_ptr<S>> slots_ = std::vector<std::unique_ptr<S>>(kMaxThreads);
};

}  // namespace flashket
