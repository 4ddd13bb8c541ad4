// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Fused attention through the public C++ API, sum-normalised. A name carries map, width and
// (batch)x(heads)x(queries)x(keys); "goal" is the time in ms to reach with one thread on an AVX-512 core at 2.4 GHz,
// where torch's softmax attention, 64 wide, takes 25 ms for 1x8x1024x1024 and 2.3 ms for 1x8x1x4096.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"

namespace {

using flashket::AttentionShape;
using flashket::Kernel;

template <class T>
void attention(benchmark::State& state, const Kernel& kernel, const AttentionShape& shape, bool causal,
               double goal_ms) {
  flashket::set_num_threads(1);
  std::mt19937 generator(0);
  std::normal_distribution<T> normal;
  const auto random = [&](int64_t heads, int64_t length, int64_t width) {
    std::vector<T> values(shape.batch * heads * length * width);
    for (T& value : values) value = normal(generator);
    return values;
  };
  const auto q = random(shape.heads, shape.queries, kernel.n_features());
  const auto k = random(shape.kv_heads, shape.keys, kernel.n_features());
  const auto v = random(shape.kv_heads, shape.keys, shape.v_dim);
  std::vector<T> out(shape.batch * shape.heads * shape.queries * shape.v_dim);
  for (auto _ : state) {
    flashket::attention(kernel, shape, q.data(), k.data(), v.data(), out.data(), causal);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["goal_ms"] = goal_ms;
  state.SetLabel(flashket::isa());
}

template <class T>
void add(const std::string& name, const Kernel& kernel, const AttentionShape& shape, bool causal, double goal_ms) {
  const std::string size = std::to_string(shape.batch) + "x" + std::to_string(shape.heads) + "x" +
                           std::to_string(shape.queries) + "x" + std::to_string(shape.keys);
  const std::string full = name + "_" + size + (causal ? "_causal" : "") + (sizeof(T) == 4 ? "_f32" : "_f64");
  benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
    attention<T>(state, kernel, shape, causal, goal_ms);
  })->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  const Kernel amplitude = Kernel::amplitude(64, 4.0), angle = Kernel::angle(8);
  const AttentionShape prefill{1, 8, 8, 1024, 1024, 64}, grouped{1, 8, 2, 1024, 1024, 64}, decode{1, 8, 8, 1, 4096, 64};
  add<float>("amplitude_attention_64d", amplitude, prefill, false, 22);
  add<float>("amplitude_attention_64d", amplitude, prefill, true, 13);
  add<float>("amplitude_attention_64d_2kv", amplitude, grouped, true, 13);
  add<float>("amplitude_attention_64d", amplitude, decode, false, 2);
  add<float>("angle_attention_8d", angle, prefill, false, 17);
  add<float>("angle_attention_8d", angle, prefill, true, 10);
  add<float>("angle_attention_8d", angle, decode, false, 2);
  add<double>("amplitude_attention_64d", amplitude, prefill, false, 45);
  return true;
}();

}  // namespace
