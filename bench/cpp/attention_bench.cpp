// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Fused attention through the public C++ API, sum-normalised, one thread. A name carries map, width,
// (batch)x(heads)x(queries) and x(keys), and dtype; values are 64 wide. Beside each stands its goal in percent of the
// machine's limit, counted for the quadratic form: more than 100 means that the linear form was taken.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"
#include "limits.hpp"

namespace {

using flashket::AttentionShape;
using flashket::Kernel;

// score_flops, score_instructions: what one query and key cost before the values are added up.
template <class T>
void add(const std::string& map, const Kernel& kernel, const AttentionShape& shape, bool causal, double score_flops,
         double score_instructions, double goal_percent) {
  std::string name = "attention_" + map + "_" + std::to_string(shape.batch);
  for (const int64_t size : {shape.heads, shape.queries, shape.keys}) name.append("x").append(std::to_string(size));
  if (shape.kv_heads < shape.heads) name.append("_").append(std::to_string(shape.kv_heads)).append("kv");
  name += causal ? "_causal" : "";
  name += sizeof(T) == 4 ? "_f32" : "_f64";
  const double queries = double(shape.batch * shape.heads * shape.queries), width = double(kernel.n_features());
  const double pairs = queries * double(shape.keys) * (causal ? 0.5 : 1);  // causal: as many queries as keys
  const double kv_rows = double(shape.batch * shape.kv_heads * shape.keys);
  bench::Work work;
  work.flops = pairs * (score_flops + 2.0 * double(shape.v_dim));
  // A value's multiply-add is one lane-operation on the same ports as the score's.
  if (score_instructions > 0) work.instructions = pairs * (score_instructions + double(shape.v_dim));
  work.filled = queries * double(shape.v_dim) * sizeof(T);
  work.read = kv_rows * (width + double(shape.v_dim)) * sizeof(T);
  work.f64 = sizeof(T) == 8;
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    std::mt19937 generator(0);
    std::normal_distribution<T> normal;
    const auto random = [&](int64_t heads, int64_t length, int64_t columns) {
      std::vector<T> values(shape.batch * heads * length * columns);
      for (T& value : values) value = normal(generator);
      return values;
    };
    const auto q = random(shape.heads, shape.queries, kernel.n_features());
    const auto k = random(shape.kv_heads, shape.keys, kernel.n_features());
    const auto v = random(shape.kv_heads, shape.keys, shape.v_dim);
    bench::Results<T> out(shape.batch * shape.heads * shape.queries * shape.v_dim);
    bench::run(state, work, goal_percent,
               [&] { flashket::attention(kernel, shape, q.data(), k.data(), v.data(), out.data(), causal); });
  })->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  const Kernel amplitude = Kernel::amplitude(64, 4.0), angle = Kernel::angle(8);
  const AttentionShape prefill{1, 8, 8, 1024, 1024, 64}, grouped{1, 8, 2, 1024, 1024, 64}, decode{1, 8, 8, 1, 4096, 64};
  // Amplitude: 65 multiply-adds a score (64 and the bias), one multiplication to square it is left out.
  add<float>("amplitude_64d", amplitude, prefill, false, 130, 0, 80);
  add<float>("amplitude_64d", amplitude, prefill, true, 130, 0, 70);
  add<float>("amplitude_64d", amplitude, grouped, true, 130, 0, 70);
  add<double>("amplitude_64d", amplitude, prefill, false, 130, 0, 80);
  // Angle: 8 additions and 12 multiplications a score, counted as if both shared the ports.
  add<float>("angle_8f", angle, prefill, false, 0, 20, 65);
  add<float>("angle_8f", angle, prefill, true, 0, 20, 60);
  // Decoding: keys and values are read once, two flops each.
  add<float>("amplitude_64d", amplitude, decode, false, 130, 0, 70);
  add<float>("angle_8f", angle, decode, false, 0, 20, 60);
  return true;
}();

}  // namespace
