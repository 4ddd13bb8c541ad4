// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Encoded rows to blocks of kernel values: the two engines and the choice between them. Internal to gram/.
#pragma once
#include "gram/gram.hpp"
#include "gram/planes.hpp"
#include "gram/tiles.hpp"

namespace flashket::cuda {

// C, what is computed in, is float or double. Rows lie `pitch` elements apart; x and y are the first rows of the
// region. With finish.shots the power acts on the estimate: scoring.power must be 1.
template <class C>
void score_simt(const Scoring& scoring, const C* x, const C* y, int64_t pitch, const Region& region,
                const Finish& finish, const Output<C>& out, Stream stream);

// Fidelity and Hadamard test of normalised rows, exact; of complex rows fidelity only (their real part is the dot of
// real rows twice as long).
void score_mma(const PlaneShape& shape, const Scoring& scoring, const half_t* x, const half_t* y, const Region& region,
               const Finish& finish, const Output<float>& out, Stream stream);

// Shared memory of its blocks: split complex rows need more than some GPUs have.
size_t mma_shared_bytes(const PlaneShape& shape);

// Rows in the form that an engine takes.
template <class E>
struct EncodedRows {
  Array<E> data;
  int64_t pitch = 0;
  const E* row(int64_t i) const { return data.data() + i * pitch; }
};

// How a kernel is computed for arrays of these dtypes and a result of T.
struct Engine {
  Arithmetic arithmetic;  // half, split (both on the matrix units, float results only) or simt
  bool is_double;         // simt: what is computed in
  PlaneShape shape;       // of the matrix units
};
template <class T>
Engine choose_engine(const KernelSpec& spec, bool is_16_bit, const GramOptions& options);

// Both operands of a Gram matrix, encoded for the engine chosen.
template <class T>
class Scorer {
 public:
  Scorer(const KernelSpec& spec, const Rows& x, const Rows* y, const GramOptions& options, Stream stream);
  // out[i * stride + j] of the region; x and y rows count from row0 and col0 of the whole matrix.
  void score(const Region& region, T* out, int64_t stride) const;

 private:
  template <class C>
  EncodedRows<C> encode_rows(const KernelSpec& spec, const Rows& rows) const;
  EncodedRows<half_t> plane_rows(const KernelSpec& spec, const Rows& rows) const;
  template <class C>
  void score_with(const EncodedRows<C>& x, const EncodedRows<C>& y, const Region& region, T* out, int64_t stride) const;

  Scoring scoring_;
  Finish finish_;
  Engine engine_;
  bool is_same_;
  Stream stream_;
  EncodedRows<half_t> x_half_, y_half_;
  EncodedRows<float> x_float_, y_float_;
  EncodedRows<double> x_double_, y_double_;
};

}  // namespace flashket::cuda
