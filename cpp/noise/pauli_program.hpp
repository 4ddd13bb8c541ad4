// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The plan of noise/pauli.hpp, made from the steps of a noisy circuit.
#pragma once
#include <vector>

#include "core/views.hpp"
#include "noise/pauli.hpp"
#include "noise/steps.hpp"

namespace flashket {

constexpr int32_t kMaxPauliQubits = 15;

struct PauliChannels {
  const double* single;  // (n_single, 4, 4), first rows (1, 0, 0, 0)
  int64_t n_single;
  const double* pair;  // (n_pair, 16)
  int64_t n_pair;
};

class PauliProgram {
 public:
  // Throws std::invalid_argument naming what does not fit.
  PauliProgram(const NoisyGates& noisy, const PauliChannels& channels, bool is_transposed);
  PauliProgram(const PauliProgram&) = delete;  // the plan points into it
  const PauliPlan& plan() const { return plan_; }

 private:
  NoiseSteps steps_;
  std::vector<PauliFactor> factors_;
  std::vector<PauliMap> maps_;
  std::vector<PauliItem> items_;
  std::vector<double> scales_;
  std::vector<PauliStep> plan_steps_;
  std::vector<int32_t> first_items_, first_maps_;
  PauliPlan plan_{};
};

// out: rows of 4^n components, or of the 2^n strings of I and Z alone; start: (n_qubits, 4), the states that the
// circuit begins with or, transposed, the operators that are measured. Rows are shared out among the threads, `lanes`
// at a time.
void pauli_vectors(const NoisyGates& noisy, const PauliChannels& channels, const double* start,
                   const MatrixView<const double>& x, bool is_transposed, bool only_diagonal,
                   const MatrixView<double>& out);

}  // namespace flashket
