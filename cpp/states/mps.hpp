// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// States of a Program as matrix product states: amplitude = prod_j A_j[z_j], A_j (bond_j x bond_(j+1)) matrices.
// Vidal, Phys. Rev. Lett. 91, 147902 (2003); Schollwoeck, Ann. Phys. 326, 96 (2011). A gate on neighbours joins their
// tensors and splits them again by a singular value decomposition; all other tensors are kept orthonormal towards the
// two, so dropping the smallest singular values is the best truncation of the whole state, and the squares dropped are
// its exact loss. Gates on distant qubits move one of them along the line, which stays where it came to.
#pragma once
#include <complex>
#include <cstdint>
#include <vector>

#include "core/program.hpp"
#include "core/views.hpp"

namespace flashket {

struct MpsOptions {
  int32_t max_bond;
  double cutoff;  // the squares of the singular values dropped at one split sum to at most this
};

struct MpsRow {
  std::vector<int32_t> bonds;                 // n + 1 sizes, 1 at both ends
  std::vector<std::complex<double>> tensors;  // site after site [left bond][z][right bond]
  double truncation_error;                    // 1 - prod (1 - squares dropped at a split)
};

struct MpsStates {
  std::vector<int32_t> order;  // order[j]: the qubit at site j, the same for every row
  std::vector<MpsRow> rows;
};

// All rows of x, over threads. Throws std::bad_alloc, std::invalid_argument.
MpsStates mps_states(int32_t n_qubits, const std::vector<Gate>& gates, const MatrixView<const double>& x,
                     const MpsOptions& options);

}  // namespace flashket
