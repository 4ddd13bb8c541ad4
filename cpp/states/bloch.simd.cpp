// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The Bloch vectors of a Program's state, 3 n numbers <X_k>, <Y_k>, <Z_k>: what projected kernels compare.
// H.-Y. Huang et al., "Power of data in quantum machine learning", Nature Communications 12, 2631 (2021),
// arXiv:2011.01938. The state is the program encoder's, in scratch. Cost: the state, then 2 n + 4 FMA an amplitude.
#include "states/bloch.hpp"

#include "core/program_view.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {

extern const Encoder program_encoder;

namespace {

int64_t depth(const EncoderArgs& args) { return 3 * int64_t{args.program->n_qubits}; }

// The encoder may write whole vectors beyond its planes.
int64_t state_elements(int64_t size) { return (2 * size + 15) / 16 * 16 + 64; }

int64_t scratch(const EncoderArgs& args) {
  const int64_t size = program_encoder.depth(args), padded = bloch_padded(size);
  return state_elements(size) + (padded == size ? 0 : 2 * padded) + padded + program_encoder.scratch(args);
}

template <class T>
void row(const T* x, T* out, T* scratch_memory, const EncoderArgs& args) {
  const int64_t size = program_encoder.depth(args), padded = bloch_padded(size);
  T* state = scratch_memory;
  T* probability = state + state_elements(size);
  T *re = state, *im = state + size, *rest = probability + padded;
  if (padded != size) {
    re = rest;
    im = re + padded;
    rest = im + padded;
  }
  if constexpr (sizeof(T) == 4)
    program_encoder.row_f32(x, state, rest, args);
  else
    program_encoder.row_f64(x, state, rest, args);
  if (padded != size) {
    memset(re, 0, 2 * padded * sizeof(T));
    memcpy(re, state, size * sizeof(T));
    memcpy(im, state + size, size * sizeof(T));
  }
  bloch_components<T, false>(re, im, probability, padded, args.program->n_qubits, out);
}

}  // namespace

extern const Encoder bloch_encoder;
const Encoder bloch_encoder = {"bloch", PairKind::distance, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
