// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Sum-normalised attention at lengths where the planner takes the linear form, through the public C++ API. A name
// carries map, width, features and (batch)x(heads)x(length); "goal" is the time in ms to reach with one thread on an
// AVX-512 core at 3.5 GHz, from torch's softmax attention, 64 wide, there (0.44 s for 1x8x4096, 28 s for 1x8x32768,
// half when causal). limit_percent: multiply-adds of the sums and their use, one vector a cycle at that clock, over the
// time taken.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"

namespace {

using flashket::AttentionShape;
using flashket::Kernel;

void linear(benchmark::State& state, const Kernel& kernel, int64_t features, int64_t length, bool causal,
            double goal_ms) {
  flashket::set_num_threads(1);
  constexpr int64_t heads = 8, v_dim = 64;
  std::mt19937 generator(0);
  std::uniform_real_distribution<float> uniform(-2, 2);
  const auto random = [&](int64_t width) {
    std::vector<float> values(heads * length * width);
    for (float& value : values) value = uniform(generator);
    return values;
  };
  const auto q = random(kernel.n_features()), k = random(kernel.n_features()), v = random(v_dim);
  std::vector<float> out(heads * length * v_dim);
  const AttentionShape shape{1, heads, heads, length, length, v_dim};
  for (auto _ : state) {
    flashket::attention(kernel, shape, q.data(), k.data(), v.data(), out.data(), causal);
    benchmark::DoNotOptimize(out.data());
  }
  const double vectors = 2.0 * static_cast<double>(heads * length * features) * (v_dim + 1) / 16;
  state.counters["limit_percent"] =
      benchmark::Counter(100 * vectors / 3.5e9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["goal_ms"] = goal_ms;
  state.SetLabel(flashket::isa());
}

void add(const std::string& name, const Kernel& kernel, int64_t features, int64_t length, bool causal, double goal_ms) {
  const std::string full =
      name + "_" + std::to_string(features) + "f_1x8x" + std::to_string(length) + (causal ? "_causal" : "") + "_f32";
  benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
    linear(state, kernel, features, length, causal, goal_ms);
  })->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  const Kernel angle = Kernel::angle(4), amplitude = Kernel::amplitude(64);
  add("angle_linear_attention_4d", angle, 81, 4096, false, 15);
  add("angle_linear_attention_4d", angle, 81, 4096, true, 16);
  add("angle_linear_attention_4d", angle, 81, 32768, false, 113);
  add("angle_linear_attention_4d", angle, 81, 32768, true, 150);
  add("amplitude_linear_attention_64d", amplitude, 2080, 4096, false, 220);
  add("amplitude_linear_attention_64d", amplitude, 2080, 32768, false, 2400);
  add("amplitude_linear_attention_64d", amplitude, 2080, 32768, true, 2400);
  return true;
}();

}  // namespace
