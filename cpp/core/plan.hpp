// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// In which order and over which blocks of memory the operations of a circuit run. A state larger than a block is worked
// on in passes: a pass gathers blocks over some of the qubits, applies every operation that needs no other qubit, and
// writes them back, so that memory is read once for many operations. Within a block the same is done with tiles of
// registers. Phases need no qubit in particular: where a bit is fixed it is known.
#pragma once
#include <vector>

#include "core/program_view.hpp"

namespace flashket {

struct Operation {
  OperationKind kind;
  int32_t index;
  uint64_t qubits;  // those that a later operation of the other kind must wait for
};

struct Plan {
  PlanShape shape{};
  std::vector<Pass> passes;
  std::vector<Tile> tiles;
  std::vector<PlannedOperation> operations;
  PlanView view{};  // of the vectors above
};

// Operations in the order in which they act; unitaries name their qubit by their mask.
Plan make_plan(int32_t n_qubits, const std::vector<Operation>& operations, PlanShape shape);

}  // namespace flashket
