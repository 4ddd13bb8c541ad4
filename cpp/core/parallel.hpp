// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A thread pool on std::thread. Not OpenMP: a process forked after an OpenMP region hangs in its next one.
#pragma once
#include <cstdint>
#include <functional>

namespace flashket {

// FLASHKET_NUM_THREADS, then OMP_NUM_THREADS, then the CPUs that affinity and the cgroup quota allow.
int num_threads();

// Throws std::invalid_argument unless 1 <= n <= 1024.
void set_num_threads(int n);

// Calls task(i, worker) once for every i < n_tasks; worker < num_threads() tells scratch memory apart. Which worker
// runs a task is not fixed, so results must not depend on it. The first exception is thrown again here. A nested or
// concurrent call runs on the calling thread alone, as worker 0.
void parallel_for(int64_t n_tasks, const std::function<void(int64_t, int)>& task);

}  // namespace flashket
