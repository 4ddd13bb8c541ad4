// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Statevectors of rows.
#pragma once
#include "core/views.hpp"
#include "gram/pack.hpp"

namespace flashket {

// out[i, z]: amplitude z of the state of row i; out holds real and imaginary parts in turn, rows contiguous.
template <class T>
void states(const KernelSpec& spec, const MatrixView<const T>& x, T* out, int64_t n_amplitudes);

}  // namespace flashket
