// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Derivatives through a circuit by the adjoint method: the state runs backwards beside its slope, gate by gate, so that
// memory holds two states a row whatever the depth. Jones, Gacon, "Efficient calculation of gradients in classical
// simulations of variational quantum algorithms", arXiv:2009.02823.
#pragma once
#include "core/encoder.hpp"

namespace flashket::cuda::statevector {

// The pull_back of an encoder of states, planes layout. Double; cost: three passes over the state for each gate.
void pull_back_states(const Rows& rows, const double* slopes, int64_t pitch, double* d_rows, const EncodeArgs& args,
                      Stream stream);

}  // namespace flashket::cuda::statevector
