// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gates as matrices, for libraries that apply matrices: the device evaluates every row's angle, so that rows never
// leave it. Independent of the host core's fusing of gates, which makes the libraries a cross-check of it.
#pragma once
#include <vector>

#include "core/encoder.hpp"

namespace flashket::cuda {

struct PauliString {
  std::vector<int> paulis;  // 1 X, 2 Y, 3 Z
  std::vector<int32_t> qubits;
};

// Where a gate's matrix acts: bit k of its row and column indices is qubit targets[k]; control < 0: none.
struct GatePlace {
  int n_targets;
  int32_t targets[2];
  int32_t control;
  bool is_fixed;  // the angle has no feature: one matrix serves all rows

  int entries() const { return n_targets == 1 ? 4 : 16; }
};
// expands_control: controlled gates become matrices of two qubits, the control the higher bit of their indices.
GatePlace place_of(const Gate& gate, bool expands_control = false);

// matrices[r * place.entries() ...], row-major complex (re, im), of rows 0 .. count - 1; of a fixed gate of one.
// Angles and their sines in double whatever T is.
template <class T>
void gate_matrices(const Gate& gate, const GatePlace& place, const Rows& rows, T* matrices, Stream stream);

}  // namespace flashket::cuda
