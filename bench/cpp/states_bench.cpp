// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Statevectors through the public C++ API, one thread unless the name says otherwise. A name carries circuit, width in
// qubits, rows (where there are many) and the type of an amplitude. bytes/s counts the states as written once: a large
// state is written and read again once for every pass over its blocks.
// Goal: brickwork of depth 10 at least 1.5 times as fast as qsim, which on a 3.3 GHz core with AVX-512 needs about 50
// ms for 20 qubits, 210 ms for 22 and 950 ms for 24.
#include <benchmark/benchmark.h>

#include <complex>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"

namespace {

using flashket::Kernel;

constexpr double kPi = 3.14159265358979323846;
enum Opcode : int32_t { kH = 0, kRx = 8, kRy = 9, kRz = 10, kP = 11, kCx = 12, kCz = 13 };

// Gates as the arrays that Kernel::program takes.
class Circuit {
 public:
  explicit Circuit(int32_t n_qubits) : n_(n_qubits) {}

  // Its angle is (a0 x[f0] + b0) (a1 x[f1] + b1).
  void add(Opcode opcode, int32_t q0, int32_t q1, int32_t f0, int32_t f1, const std::vector<double>& abab) {
    opcodes_.push_back(opcode);
    qubits_.insert(qubits_.end(), {q0, q1});
    features_.insert(features_.end(), {f0, f1});
    coefficients_.insert(coefficients_.end(), abab.begin(), abab.end());
  }
  void add(Opcode opcode, int32_t q0, int32_t q1 = -1) { add(opcode, q0, q1, -1, -1, {0, 0, 0, 0}); }
  void turn(Opcode opcode, int32_t q, double radians) { add(opcode, q, -1, -1, -1, {0, radians, 0, 1}); }

  Kernel kernel() const {
    return Kernel::program(n_, n_, static_cast<int64_t>(opcodes_.size()), opcodes_.data(), qubits_.data(),
                           features_.data(), coefficients_.data());
  }

 private:
  int32_t n_;
  std::vector<int32_t> opcodes_, qubits_, features_;
  std::vector<double> coefficients_;
};

// Random rotations on every qubit, then CZ on alternating neighbours; or random unitaries (P RY P), then CX.
Kernel brickwork(int32_t n, int depth, bool is_general) {
  std::mt19937 generator(0);
  std::uniform_real_distribution<double> angle(0, 2 * kPi);
  Circuit circuit(n);
  for (int layer = 0; layer < depth; ++layer) {
    for (int32_t q = 0; q < n; ++q) {
      if (is_general) {
        for (const Opcode opcode : {kP, kRy, kP}) circuit.turn(opcode, q, angle(generator));
      } else {
        circuit.turn(static_cast<Opcode>(kRx + static_cast<int>(generator() % 3)), q, angle(generator));
      }
    }
    for (int32_t q = layer % 2; q + 1 < n; q += 2) circuit.add(is_general ? kCx : kCz, q, q + 1);
  }
  return circuit.kernel();
}

// Qiskit's zz_feature_map, all pairs, two repetitions.
Kernel zz(int32_t n) {
  Circuit circuit(n);
  for (int rep = 0; rep < 2; ++rep) {
    for (int32_t j = 0; j < n; ++j) circuit.add(kH, j);
    for (int32_t j = 0; j < n; ++j) circuit.add(kP, j, -1, j, -1, {2, 0, 0, 1});
    for (int32_t i = 0; i < n; ++i) {
      for (int32_t j = i + 1; j < n; ++j) {
        circuit.add(kCx, i, j);
        circuit.add(kP, j, -1, i, j, {-2, 2 * kPi, -1, kPi});
        circuit.add(kCx, i, j);
      }
    }
  }
  return circuit.kernel();
}

// Two layers of RY of the features, RZ of constants and CZ on a line.
Kernel hardware_efficient(int32_t n) {
  Circuit circuit(n);
  for (int layer = 0; layer < 2; ++layer) {
    for (int32_t j = 0; j < n; ++j) {
      circuit.add(kRy, j, -1, j, -1, {1, 0, 0, 1});
      circuit.turn(kRz, j, 0.3 + j + layer);
    }
    for (int32_t j = 0; j + 1 < n; ++j) circuit.add(kCz, j, j + 1);
  }
  return circuit.kernel();
}

template <class T>
void states(benchmark::State& state, const Kernel& kernel, int32_t n_qubits, int64_t rows, int threads) {
  flashket::set_num_threads(threads);
  std::mt19937 generator(0);
  std::uniform_real_distribution<T> uniform(T(0.1), T(3));
  std::vector<T> x(rows * kernel.n_features());
  for (T& value : x) value = uniform(generator);
  const int64_t n_amplitudes = int64_t{1} << n_qubits;
  std::vector<std::complex<T>> out(rows * n_amplitudes);
  for (auto _ : state) {
    flashket::states(kernel, x.data(), rows, out.data(), n_amplitudes);
    benchmark::DoNotOptimize(out.data());
  }
  const double amplitudes = static_cast<double>(rows * n_amplitudes);
  state.counters["amplitudes/s"] = benchmark::Counter(amplitudes, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["bytes/s"] =
      benchmark::Counter(amplitudes * sizeof(std::complex<T>), benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(flashket::isa());
}

template <class T>
void add(std::string name, const Kernel& kernel, int32_t n_qubits, int64_t rows = 1, int threads = 1) {
  if (rows > 1) name += "_" + std::to_string(rows);
  name += sizeof(T) == 4 ? "_c64" : "_c128";
  if (threads > 1) name += "_" + std::to_string(threads) + "threads";
  auto* registered = benchmark::RegisterBenchmark(
      name.c_str(), [=](benchmark::State& state) { states<T>(state, kernel, n_qubits, rows, threads); });
  registered->Unit(benchmark::kMillisecond);
  if (threads > 1) registered->MeasureProcessCPUTime()->UseRealTime();
}

const bool registered = [] {
  for (const int32_t n : {20, 22, 24}) {
    const std::string size = std::to_string(n) + "q";
    add<float>("states_brickwork_" + size, brickwork(n, 10, false), n);
    add<float>("states_brickwork_general_" + size, brickwork(n, 10, true), n);
    add<float>("states_brickwork_" + size, brickwork(n, 10, false), n, 1, 2);
  }
  add<double>("states_brickwork_22q", brickwork(22, 10, false), 22);
  for (const int32_t n : {4, 8, 12}) {
    add<float>("states_zz_" + std::to_string(n) + "q", zz(n), n, 1000);
    add<float>("states_hardware_efficient_" + std::to_string(n) + "q", hardware_efficient(n), n, 1000);
  }
  add<float>("states_zz_16q", zz(16), 16, 100);
  add<double>("states_zz_12q", zz(12), 12, 1000);
  return true;
}();

}  // namespace
