// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Sum-normalised attention at lengths where the planner takes the linear form, through the public C++ API, one thread.
// A name carries map, width, features of the linear form and (batch)x(heads)x(length); values are 64 wide. The limit
// are the multiply-adds of the sums over keys and of their use by queries; making the features is not counted, and
// neither are the insides of chunks when causal.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"
#include "limits.hpp"

namespace {

using flashket::AttentionShape;
using flashket::Kernel;

void add(const std::string& map, const Kernel& kernel, int64_t features, int64_t length, bool causal,
         double goal_percent) {
  const std::string name = "linear_attention_" + map + "_" + std::to_string(features) + "features_1x8x" +
                           std::to_string(length) + (causal ? "_causal" : "") + "_f32";
  constexpr int64_t heads = 8, v_dim = 64;
  bench::Work work;
  work.flops = 2 * 2.0 * double(heads * length * features) * (v_dim + 1);
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    std::mt19937 generator(0);
    std::uniform_real_distribution<float> uniform(-2, 2);
    const auto random = [&](int64_t width) {
      std::vector<float> values(heads * length * width);
      for (float& value : values) value = uniform(generator);
      return values;
    };
    const auto q = random(kernel.n_features()), k = random(kernel.n_features()), v = random(v_dim);
    bench::Results<float> out(heads * length * v_dim);
    const AttentionShape shape{1, heads, heads, length, length, v_dim};
    bench::run(state, work, goal_percent,
               [&] { flashket::attention(kernel, shape, q.data(), k.data(), v.data(), out.data(), causal); });
  })->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  const Kernel angle = Kernel::angle(4), amplitude = Kernel::amplitude(64, 4.0);
  add("angle_4f", angle, 81, 4096, false, 40);
  add("angle_4f", angle, 81, 4096, true, 35);
  add("angle_4f", angle, 81, 32768, false, 45);
  add("angle_4f", angle, 81, 32768, true, 35);
  add("amplitude_64d", amplitude, 2145, 4096, false, 75);
  add("amplitude_64d", amplitude, 2145, 32768, false, 60);
  add("amplitude_64d", amplitude, 2145, 32768, true, 60);
  return true;
}();

}  // namespace
