// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gram matrices through the public C++ API. A name carries map, width, size and dtype; "goal" is the rate to reach with
// one thread on an AVX-512 core at 2.4 GHz (two FMA ports: 151 GFLOP/s in float32), printed beside the rate that was
// measured.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"

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

// flops_per_pair counts multiplications and additions of the pair kernel alone; encoding rows is part of the time.
template <class T>
void gram(benchmark::State& state, const Kernel& kernel, int64_t n, bool symmetric, double flops_per_pair,
          double goal_gflops) {
  flashket::set_num_threads(1);
  std::mt19937 generator(0);
  std::uniform_real_distribution<T> uniform(T(0.1), T(3));
  std::vector<T> x(n * kernel.n_features()), out(n * n);
  for (T& value : x) value = uniform(generator);
  for (auto _ : state) {
    flashket::gram(kernel, x.data(), n, symmetric ? nullptr : x.data(), n, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  const double pairs = symmetric ? 0.5 * double(n) * double(n + 1) : double(n) * double(n);
  state.counters["GFLOP/s"] =
      benchmark::Counter(1e-9 * flops_per_pair * pairs, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["goal"] = goal_gflops;
  state.SetLabel(flashket::isa());
}

template <class T>
void add(const std::string& name, const Kernel& kernel, int64_t n, double flops_per_pair, double goal_gflops) {
  const std::string size = std::to_string(n) + "x" + std::to_string(n) + (sizeof(T) == 4 ? "_f32" : "_f64");
  for (const bool symmetric : {false, true}) {
    const std::string full = name + "_" + size + (symmetric ? "_symmetric" : "");
    benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
      gram<T>(state, kernel, n, symmetric, flops_per_pair, goal_gflops);
    })->Unit(benchmark::kMillisecond);
  }
}

const bool registered = [] {
  // Angle: c c' + s s', times the product so far: 4 flops in 3 instructions, so 2/3 of the FMA peak is the limit.
  add<float>("angle_gram_8d", Kernel::angle(8), 1000, 4 * 8, 60);
  add<float>("angle_gram_64d", Kernel::angle(64), 1000, 4 * 64, 70);
  add<double>("angle_gram_8d", Kernel::angle(8), 1000, 4 * 8, 30);
  // Amplitude: one FMA a feature; a good GEMM reaches 80 % of the peak.
  add<float>("amplitude_gram_256d", Kernel::amplitude(256), 2048, 2 * 256, 110);
  add<float>("amplitude_gram_1024d", Kernel::amplitude(1024), 2048, 2 * 1024, 115);
  add<double>("amplitude_gram_256d", Kernel::amplitude(256), 2048, 2 * 256, 55);
  // ZZ: four FMA an amplitude.
  add<float>("zz_gram_8q_reps2", zz(8, 2), 1000, 8 * 256, 90);
  add<float>("zz_gram_12q_reps2", zz(12, 2), 500, 8 * 4096, 90);
  add<double>("zz_gram_8q_reps2", zz(8, 2), 1000, 8 * 256, 45);
  return true;
}();

}  // namespace
