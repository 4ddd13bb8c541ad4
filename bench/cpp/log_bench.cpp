// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Logarithms of Gram matrices, which the C++ API does not have: through the library's own headers, one thread. A name
// carries map, width, rows and dtype. Everything is computed in float64 whatever the dtype.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gram/gram.hpp"
#include "limits.hpp"

namespace {

using flashket::KernelSpec;
using flashket::MatrixView;

KernelSpec closed_form(const char* encoder, std::vector<double> params) {
  KernelSpec spec{};
  spec.encoder = &flashket::find_encoder(encoder);
  spec.params = std::move(params);
  spec.similarity = flashket::Similarity::fidelity;
  spec.power = 1;
  return spec;
}

// IQP, one repetition along a line: H, RZ(x_j) and RZZ(x_j x_(j+1)); records as in feature_maps/line.simd.cpp.
KernelSpec line(int64_t n) {
  std::vector<double> params{double(n), double(n)};
  for (int64_t j = 0; j < n; ++j) params.insert(params.end(), {double(j), -2, 4, 0, 0, 1, double(j), 0, 0, -1, 1});
  for (int64_t j = 0; j + 1 < n; ++j)
    params.insert(params.end(), {double(j), -2, 4, 4, -8, 1, double(j), 0, 1, double(j + 1), 0});
  return closed_form("line", std::move(params));
}

template <class T>
void add(const std::string& map, const KernelSpec& spec, int64_t n, double instructions, double goal_percent) {
  const std::string name = "log_gram_" + map + "_" + std::to_string(n) + (sizeof(T) == 4 ? "_f32" : "_f64");
  bench::Work work;
  work.instructions = instructions * 0.5 * double(n) * double(n + 1);
  work.f64 = true;
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    const int64_t width = spec.n_features();
    std::mt19937 generator(0);
    std::uniform_real_distribution<T> uniform(0, T(0.05));
    std::vector<T> x(n * width);
    bench::Results<T> out(n * n);
    for (T& value : x) value = uniform(generator);
    const MatrixView<const T> rows{x.data(), n, width, width, 1};
    const MatrixView<T> result{out.data(), n, n, n, 1};
    bench::run(state, work, goal_percent, [&] { flashket::gram<T>(spec, rows, nullptr, result, {true, 0, 0}); });
  })->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  // A line: 24 vector instructions for two qubits. Angle: the paired form, 2.5 a feature.
  add<float>("line_iqp_784q", line(784), 500, 12.0 * 784, 60);
  add<double>("line_iqp_784q", line(784), 500, 12.0 * 784, 60);
  add<float>("angle_2000f", closed_form("angle", {2000, 1}), 512, 2.5 * 2000, 60);
  add<double>("angle_2000f", closed_form("angle", {2000, 1}), 512, 2.5 * 2000, 60);
  return true;
}();

}  // namespace
