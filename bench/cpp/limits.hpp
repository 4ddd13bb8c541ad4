// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What a micro-benchmark is measured against: how long this machine needs at least for the same work, from loops timed
// in the same program. One thread; CPU time.
#pragma once
#include <benchmark/benchmark.h>

#include <cstddef>
#include <functional>
#include <new>
#include <vector>

namespace bench {

// Memory that begins a cache line, as the Python package's results do.
template <class T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};
  CacheLineAllocator() = default;
  template <class U>
  CacheLineAllocator(const CacheLineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlignment)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kAlignment); }
  friend bool operator==(CacheLineAllocator, CacheLineAllocator) { return true; }
};

template <class T>
using Results = std::vector<T, CacheLineAllocator<T>>;

// What one call must do at least. The longest of the parts is the limit, and its name the benchmark's label.
struct Work {
  double flops = 0;         // multiply-adds, two each, all lanes
  double instructions = 0;  // lane-operations of multiplications and multiply-adds in any mix
  double filled = 0;        // bytes of results, written once
  double read = 0;          // bytes of inputs, read once
  bool f64 = false;
  int threads = 1;  // more: CPU time of all of them counts, so that the percentage is one core's
};

// Times call and sets the counters percent_of_limit and goal (percent of the limit to reach, an aim and
// not an assertion); the label is the limit's kind, "fma", "instructions", "fill" or "read", and the instruction set in
// use.
void run(benchmark::State& state, const Work& work, double goal_percent, const std::function<void()>& call);

}  // namespace bench
