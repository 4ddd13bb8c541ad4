// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gates and channels in order, made into the steps that noise/pauli.simd.cpp runs: noise/pauli.hpp says what is left
// of them. Steps that follow each other on the same pair of qubits, as seen from these two, are one.
#pragma once
#include <array>
#include <map>
#include <tuple>
#include <vector>

#include "core/program.hpp"
#include "core/views.hpp"
#include "noise/pauli.hpp"

namespace flashket {

constexpr int32_t kMaxPauliQubits = 15;

enum class NoiseKind : int32_t { gate, channel, pair_channel };

struct NoiseOperation {
  NoiseKind kind;
  int32_t index, q0, q1;
};

struct NoisyGates {
  int32_t n_qubits, n_features;
  std::vector<Gate> gates;
  std::vector<NoiseOperation> operations;
  const double* channels;  // (n_channels, 4, 4)
  int64_t n_channels;
  const double* pair_channels;  // (n_pair_channels, 16)
  int64_t n_pair_channels;
};

class PauliProgram {
 public:
  // Throws std::invalid_argument naming what does not fit.
  PauliProgram(const NoisyGates& noisy, bool is_transposed);
  PauliProgram(const PauliProgram&) = delete;  // the plan points into it
  const PauliPlan& plan() const { return plan_; }

 private:
  struct Step {
    int32_t a, b;
    std::vector<PauliItem> items;
  };

  void add_gate(const Gate& g);
  void add_factor(int32_t q, const PauliFactor& factor);
  void add_fixed(int32_t q, Opcode opcode);
  void add_rotation(int32_t q, PauliAxis axis, const AngleExpression& angle, int32_t multiple);
  void add_turn(int32_t a, int32_t b, const AngleExpression& angle, int32_t multiple);
  void add_quarter(int32_t a, int32_t b, int32_t sign);
  void add_controlled_phase(int32_t a, int32_t b, const AngleExpression& angle);
  void add_pair_channel(int32_t a, int32_t b, const double* scales);
  void add_item(int32_t a, int32_t b, PauliItem item);
  int32_t use(const AngleExpression& angle, int32_t multiple);
  int32_t take_map(int32_t q);
  void finish();

  std::vector<std::vector<PauliFactor>> waiting_;  // of each qubit
  std::vector<int32_t> last_step_, place_;
  std::vector<Step> steps_;
  std::map<std::tuple<std::array<uint64_t, 5>, int32_t>, int32_t> known_uses_;

  std::vector<AngleExpression> angles_;
  std::vector<AngleUse> uses_;
  std::vector<PauliFactor> factors_;
  std::vector<PauliMap> maps_;
  std::vector<PauliItem> items_;
  std::vector<double> channels_;
  std::vector<PauliStep> plan_steps_;
  std::vector<int32_t> first_wire_, last_wire_, first_items_, first_maps_;
  PauliPlan plan_{};
};

// out: rows of 4^n components, or of the 2^n strings of I and Z alone; start: (n_qubits, 4), the states that the
// circuit begins with or, transposed, the operators that are measured. Rows are shared out among the threads, `lanes`
// at a time.
void pauli_vectors(const NoisyGates& noisy, const double* start, const MatrixView<const double>& x, bool is_transposed,
                   bool only_diagonal, const MatrixView<double>& out);

}  // namespace flashket
