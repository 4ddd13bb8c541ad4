// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The Bloch vectors of amplitude encoding: the normalised row, filled up to 2^n amplitudes, is a real state, so <Y_k> =
// 0 and <X_k>, <Z_k> are the 2 n numbers. params: n_features, bias, n_qubits. Cost: n + 4 FMA an amplitude.
#include "states/bloch.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {

extern const Encoder amplitude_encoder;

namespace {

int n_qubits(const EncoderArgs& args) { return static_cast<int>(args.params[2]); }
int64_t padded_size(const EncoderArgs& args) { return bloch_padded(int64_t{1} << n_qubits(args)); }

int64_t depth(const EncoderArgs& args) { return 2 * int64_t{n_qubits(args)}; }
int64_t scratch(const EncoderArgs& args) { return 2 * padded_size(args) + 64 + amplitude_encoder.scratch(args); }

template <class T>
void row(const T* x, T* out, T* scratch_memory, const EncoderArgs& args) {
  const int64_t padded = padded_size(args), width = amplitude_encoder.depth(args);
  T *state = scratch_memory, *probability = state + padded, *rest = probability + padded;
  if constexpr (sizeof(T) == 4)
    amplitude_encoder.row_f32(x, state, rest, args);
  else
    amplitude_encoder.row_f64(x, state, rest, args);
  memset(state + width, 0, (padded - width) * sizeof(T));
  bloch_components<T, true>(state, nullptr, probability, padded, n_qubits(args), out);
}

}  // namespace

extern const Encoder amplitude_bloch_encoder;
const Encoder amplitude_bloch_encoder = {"amplitude_bloch", PairKind::distance, depth,
                                         scratch,           row<float>,         row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
