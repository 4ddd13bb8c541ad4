// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Statevectors of any circuit on the device.
#pragma once
#include "core/encoder.hpp"

namespace flashket::cuda {

// out (rows.count, 2^n) complex, interleaved re, im, aligned to a complex number; T float or double. Qubit 0 is the
// least significant bit. Circuits (the encoder "program") and encoders of plain amplitudes, which fill up with zeros;
// product maps need their circuit. A circuit takes no memory for states beside out.
template <class T>
void states(const KernelSpec& spec, const Rows& x, T* out, Stream stream);

}  // namespace flashket::cuda
