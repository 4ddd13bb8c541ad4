// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gram matrices, and their products with a matrix, through the public C++ API, one thread. A name carries map, width (f
// features, d components, q qubits), rows and dtype; "_cross" is X against another array, everything else X against
// itself, which needs half of the pairs. Beside each stands its goal in percent of the machine's limit.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"
#include "limits.hpp"

namespace {

using flashket::Kernel;

// Qiskit's zz_feature_map, all pairs: H, P(2 x_j), and CX P(2 (pi - x_i)(pi - x_j)) CX.
Kernel zz(int32_t n, int reps) {
  constexpr int32_t kH = 0, kP = 11, kCx = 12;
  constexpr double kPi = 3.14159265358979323846;
  std::vector<int32_t> opcodes, qubits, features;
  std::vector<double> coefficients;
  const auto add = [&](int32_t opcode, int32_t q0, int32_t q1, int32_t f0, int32_t f1, std::vector<double> abab) {
    opcodes.push_back(opcode);
    qubits.insert(qubits.end(), {q0, q1});
    features.insert(features.end(), {f0, f1});
    coefficients.insert(coefficients.end(), abab.begin(), abab.end());
  };
  for (int rep = 0; rep < reps; ++rep) {
    for (int32_t j = 0; j < n; ++j) add(kH, j, -1, -1, -1, {0, 0, 0, 0});
    for (int32_t j = 0; j < n; ++j) add(kP, j, -1, j, -1, {2, 0, 0, 1});
    for (int32_t i = 0; i < n; ++i) {
      for (int32_t j = i + 1; j < n; ++j) {
        add(kCx, i, j, -1, -1, {0, 0, 0, 0});
        add(kP, j, -1, i, j, {-2, 2 * kPi, -1, kPi});
        add(kCx, i, j, -1, -1, {0, 0, 0, 0});
      }
    }
  }
  return Kernel::program(n, n, static_cast<int64_t>(opcodes.size()), opcodes.data(), qubits.data(), features.data(),
                         coefficients.data());
}

// What one pair costs at least, and one row before that (encoding).
struct Cost {
  double pair_flops = 0, pair_instructions = 0, row_instructions = 0;
};

enum class Form { kSymmetric, kCross };

template <class T>
void add(const std::string& map, const Kernel& kernel, int64_t n, Form form, const Cost& cost, double widest,
         double goal_percent, int64_t shots = 0) {
  std::string name = "gram_" + map + "_" + std::to_string(n) + (sizeof(T) == 4 ? "_f32" : "_f64");
  if (form == Form::kCross) name += "_cross";
  if (shots) name.append("_").append(std::to_string(shots)).append("shots");
  const double pairs = form == Form::kCross ? double(n) * double(n) : 0.5 * double(n) * double(n + 1);
  const double rows = form == Form::kCross ? 2.0 * double(n) : double(n);
  bench::Work work;
  work.flops = cost.pair_flops * pairs;
  work.instructions = cost.pair_instructions * pairs + cost.row_instructions * rows;
  work.filled = double(n) * double(n) * sizeof(T);
  work.f64 = sizeof(T) == 8;
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    std::mt19937 generator(0);
    std::uniform_real_distribution<T> uniform(T(0), T(widest));
    std::vector<T> x(n * kernel.n_features()), y(form == Form::kCross ? x.size() : 0);
    bench::Results<T> out(n * n);
    for (T& value : x) value = uniform(generator);
    for (T& value : y) value = uniform(generator);
    bench::run(state, work, goal_percent,
               [&] { flashket::gram(kernel, x.data(), n, y.empty() ? nullptr : y.data(), n, out.data(), shots); });
  })->Unit(benchmark::kMillisecond);
}

// K a with a of p columns; K is not stored.
void add_matvec(const std::string& map, const Kernel& kernel, int64_t n, int64_t p, double pair_instructions,
                double goal_percent) {
  const std::string name = "gram_matvec_" + map + "_" + std::to_string(n) + "x" + std::to_string(p) + "_f32";
  bench::Work work;
  work.instructions = pair_instructions * 0.5 * double(n) * double(n + 1) + double(n) * double(n) * double(p);
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    std::mt19937 generator(0);
    std::uniform_real_distribution<float> uniform(0, 3);
    std::vector<float> x(n * kernel.n_features()), a(n * p);
    bench::Results<float> out(n * p);
    for (float& value : x) value = uniform(generator);
    for (float& value : a) value = uniform(generator);
    bench::run(state, work, goal_percent,
               [&] { flashket::gram_matvec(kernel, x.data(), n, nullptr, n, a.data(), p, out.data()); });
  })->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  constexpr double kPi = 3.14159265358979323846;
  // Angle in the tangent form: an addition and a multiplication a feature. Counted as if both shared the ports; where
  // additions have their own, more than 100 % of this limit is possible.
  const auto tangent = [](int64_t d) { return Cost{.pair_instructions = 2.0 * double(d)}; };
  add<float>("angle_8f", Kernel::angle(8), 4096, Form::kSymmetric, tangent(8), kPi, 67);     // fill bound: 1.5 fills
  add<float>("angle_16f", Kernel::angle(16), 4096, Form::kSymmetric, tangent(16), kPi, 67);  // fill bound: 1.5 fills
  add<float>("angle_64f", Kernel::angle(64), 4096, Form::kSymmetric, tangent(64), kPi, 80);
  add<float>("angle_64f_wide", Kernel::angle(64), 4096, Form::kSymmetric, tangent(64), 2 * kPi, 80);
  add<float>("angle_64f", Kernel::angle(64), 2048, Form::kCross, tangent(64), kPi, 80);
  add<double>("angle_16f", Kernel::angle(16), 2048, Form::kSymmetric, tangent(16), kPi, 67);
  add<float>("angle_2000f", Kernel::angle(2000), 512, Form::kSymmetric, tangent(2000), kPi, 75);
  // Amplitude: one multiply-add a component.
  const auto real_dot = [](int64_t d) { return Cost{.pair_flops = 2.0 * double(d)}; };
  add<float>("amplitude_64d", Kernel::amplitude(64), 4096, Form::kSymmetric, real_dot(64), 1, 60);
  add<float>("amplitude_1024d", Kernel::amplitude(1024), 4096, Form::kSymmetric, real_dot(1024), 1, 85);
  add<float>("amplitude_1024d", Kernel::amplitude(1024), 2048, Form::kCross, real_dot(1024), 1, 85);
  add<double>("amplitude_1024d", Kernel::amplitude(1024), 2048, Form::kSymmetric, real_dot(1024), 1, 85);
  // ZZ: four multiply-adds an amplitude and pair, three when sums are shared; counted as three, so that 75 percent is
  // the four-multiplication form at the limit. States: a butterfly of n steps and a phase, per repetition, are small
  // beside.
  const auto complex_dot = [](int64_t n) { return Cost{.pair_flops = 6.0 * double(int64_t{1} << n)}; };
  add<float>("zz_8q", zz(8, 2), 1000, Form::kSymmetric, complex_dot(8), 2 * kPi, 50);
  add<float>("zz_12q", zz(12, 2), 1000, Form::kSymmetric, complex_dot(12), 2 * kPi, 65);
  add<double>("zz_8q", zz(8, 2), 1000, Form::kSymmetric, complex_dot(8), 2 * kPi, 50);
  // Projected: of an amplitude a transform (2 a qubit) and a phase (4), then two multiply-adds for <X>, <Y> and an
  // addition for <Z> a qubit; of a pair one multiply-add a Bloch component. The exponential is not counted.
  const Cost projected{.pair_instructions = 30, .row_instructions = 1024 * (5.0 * 10 + 4)};
  add<float>("projected_zz_10q", zz(10, 2).projected(1), 500, Form::kSymmetric, projected, 2 * kPi, 20);
  for (const int64_t p : {1, 64}) {
    add_matvec("angle_16f", Kernel::angle(16), 4096, p, 32, 60);
    add_matvec("angle_64f", Kernel::angle(64), 4096, p, 128, 60);
  }
  // Sampling: 30 ns an entry at 2.4 GHz and 16 lanes are 1,150 lane-operations; no limit is known, so the label is the
  // fill.
  for (const int64_t shots : {1, 1000, 1000000}) {
    add<float>("angle_8f", Kernel::angle(8), 1024, Form::kCross, tangent(8), kPi, 1, shots);
  }
  return true;
}();

}  // namespace
