// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Statevectors through the public C++ API, one thread unless the name says otherwise. A name carries circuit, width in
// qubits, rows (where there are many) and the type of an amplitude. The limit are the multiplications and multiply-adds
// that an amplitude needs at least, see instructions below; diagonal gates between others are not counted.
#include <complex>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"
#include "limits.hpp"

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

// instructions: lane-operations an amplitude.
template <class T>
void add(std::string name, const Kernel& kernel, int32_t n_qubits, double instructions, double goal_percent,
         int64_t rows = 1, int threads = 1) {
  if (rows > 1) name.append("_").append(std::to_string(rows));
  name += sizeof(T) == 4 ? "_c64" : "_c128";
  if (threads > 1) name.append("_").append(std::to_string(threads)).append("threads");
  const int64_t n_amplitudes = int64_t{1} << n_qubits;
  bench::Work work;
  work.instructions = instructions * double(rows * n_amplitudes);
  work.filled = double(rows * n_amplitudes) * sizeof(std::complex<T>);
  work.f64 = sizeof(T) == 8;
  work.threads = threads;
  auto* registered = benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    std::mt19937 generator(0);
    std::uniform_real_distribution<T> uniform(T(0.1), T(3));
    std::vector<T> x(rows * kernel.n_features());
    for (T& value : x) value = uniform(generator);
    bench::Results<std::complex<T>> out(rows * n_amplitudes);
    bench::run(state, work, goal_percent, [&] { flashket::states(kernel, x.data(), rows, out.data(), n_amplitudes); });
  });
  registered->Unit(benchmark::kMillisecond);
  if (threads > 1) registered->MeasureProcessCPUTime()->UseRealTime();
}

const bool registered = [] {
  for (const int32_t n : {20, 22, 24}) {
    const std::string size = std::to_string(n) + "q";
    // Ten layers: a real rotation multiplies every amplitude and its partner, 4; in the first circuit two in three
    // rotations are not diagonal.
    const double rotations = 10.0 * n * 4 * 2 / 3, dense = 10.0 * n * 4;
    add<float>("states_brickwork_" + size, brickwork(n, 10, false), n, rotations, 50);
    add<float>("states_brickwork_general_" + size, brickwork(n, 10, true), n, dense, 60);
    add<float>("states_brickwork_" + size, brickwork(n, 10, false), n, rotations, 45, 1, 2);
  }
  add<double>("states_brickwork_22q", brickwork(22, 10, false), 22, 10.0 * 22 * 4 * 2 / 3, 50);
  for (const int32_t n : {4, 8, 12}) {
    const double goal = n < 8    ? 2
                        : n < 12 ? 10
                                 : 20;  // angles and their cosines are not counted, but fill small states
    // ZZ: one Walsh-Hadamard transform that is not of a basis state, 2 a qubit, and one product of phases. Hardware
    // efficient: the second layer, the first one acts on a basis state.
    add<float>("states_zz_" + std::to_string(n) + "q", zz(n), n, 2.0 * n + 4, goal, 1000);
    add<float>("states_hardware_efficient_" + std::to_string(n) + "q", hardware_efficient(n), n, 4.0 * n + 4, goal,
               1000);
  }
  add<float>("states_zz_16q", zz(16), 16, 2.0 * 16 + 4, 20, 100);
  add<double>("states_zz_12q", zz(12), 12, 2.0 * 12 + 4, 20, 1000);
  return true;
}();

}  // namespace
