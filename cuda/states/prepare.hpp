// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the operations of a circuit are for rows of features: numbers instead of angles. Twin of the host's
// states/row.hpp, which explains the cores of unitaries; here angles, phases and qubits are shared out among threads.
// All in double and fixed point, whatever the type of the state. What no feature turns was computed when the circuit
// was compiled. Memory traffic: about 16 bytes an operation and 8 a coefficient for each row, small beside its state.
#pragma once
#include <math.h>

#include "core/launch.hpp"
#include "feature_maps/rows.hpp"
#include "states/compiled.hpp"
#include "states/numbers.hpp"

namespace flashket::cuda::statevector {

template <class T>
struct alignas(8 + 2 * sizeof(T) == 16 ? 16 : 8) RowOperation {
  int32_t code;
  uint32_t mask;  // bits of the block's index that must be 1
  T re, im;
};

// Of every row of a chunk, one row behind the other.
template <class T>
struct PreparedRows {
  RowOperation<T>* operations;  // n_operations
  Complex<double>* initial;     // 2 n: the amplitudes of 0 and 1 of every qubit
  Complex<double>* final;       // n: the phase of 1
  Complex<double>* scale;       // of the product state; NaN if an angle is not finite
  int32_t* has_final;           // whether any final phase is there
  uint64_t* coefficients;       // of each polynomial
  // While they are made:
  uint64_t* turns;         // n_angles, quarters
  double* pivots;          // n_unitaries: |.|^2 of what its core leaves out
  Complex<double>* parts;  // n: what a qubit contributes to the common phase
  int32_t* is_bad;         // an angle is not finite

  static int64_t bytes_per_row(const ProgramPointers& p) {
    int64_t bytes = 0;
    PreparedRows<T>{}.place(p, 1, nullptr, bytes);
    return bytes;
  }
  static PreparedRows at(const ProgramPointers& p, int64_t rows, void* memory) {
    int64_t bytes = 0;
    PreparedRows out{};
    out.place(p, rows, static_cast<unsigned char*>(memory), bytes);
    return out;
  }

 private:
  void place(const ProgramPointers& p, int64_t rows, unsigned char* memory, int64_t& bytes) {
    const auto take = [&](auto& pointer, int64_t per_row) {
      using Element = std::remove_pointer_t<std::remove_reference_t<decltype(pointer)>>;
      pointer = reinterpret_cast<Element*>(memory + bytes);
      bytes += (rows * per_row * static_cast<int64_t>(sizeof(Element)) + 15) / 16 * 16;
    };
    const int64_t n = p.n_qubits;
    take(operations, p.n_operations);
    take(initial, 2 * n);
    take(final, n);
    take(scale, 1);
    take(has_final, 1);
    take(coefficients, int64_t{p.n_polynomials} * coefficients_of(p.n_qubits));
    take(turns, p.n_angles);
    take(pivots, p.n_unitaries);
    take(parts, n);
    take(is_bad, 1);
  }
};

// Each step is rounded, never two at once: large angles are the host's.
FK_DEVICE double angle_of(const ProgramPointers& p, const AngleExpression& e, const Rows& rows, int64_t row) {
  const auto factor = [&](double a, double b, int32_t feature) {
    return feature >= p.n_features ? b : __dadd_rn(__dmul_rn(a, load_element(rows, row, feature)), b);
  };
  return __dmul_rn(factor(e.a0, e.b0, e.f0), factor(e.a1, e.b1, e.f1));
}

FK_DEVICE Complex<double> unit_of_use(const ProgramPointers& p, const uint64_t* turns, int32_t use) {
  const AngleUse u = p.uses[use];
  return unit_of(turns[u.angle] * static_cast<uint64_t>(static_cast<int64_t>(u.multiple)));
}

// u, of one column or two, becomes factor * u.
template <int Columns>
FK_DEVICE void apply_factor(const ProgramPointers& p, const uint64_t* turns, const Factor& factor,
                            Complex<double> (&u)[2][Columns]) {
  const Complex<double> unit = factor.use < 0 ? Complex<double>{1, 0} : unit_of_use(p, turns, factor.use);
  const double c = unit.re, s = unit.im;
#pragma unroll
  for (int j = 0; j < Columns; ++j) {
    const Complex<double> a = u[0][j], b = u[1][j];
    switch (factor.kind) {
      case FactorKind::rx:
        u[0][j] = {c * a.re + s * b.im, c * a.im - s * b.re};
        u[1][j] = {c * b.re + s * a.im, c * b.im - s * a.re};
        break;
      case FactorKind::ry:
        u[0][j] = {c * a.re - s * b.re, c * a.im - s * b.im};
        u[1][j] = {s * a.re + c * b.re, s * a.im + c * b.im};
        break;
      case FactorKind::rz:
        u[0][j] = Complex<double>{c, -s} * a;
        u[1][j] = Complex<double>{c, s} * b;
        break;
      case FactorKind::phase:
        u[1][j] = Complex<double>{c, s} * b;
        break;
      case FactorKind::fixed: {
        const auto& m = factor.m;
        u[0][j] = Complex<double>{m[0][0], m[0][1]} * a + Complex<double>{m[0][2], m[0][3]} * b;
        u[1][j] = Complex<double>{m[1][0], m[1][1]} * a + Complex<double>{m[1][2], m[1][3]} * b;
        break;
      }
    }
  }
}

template <int Columns>
FK_DEVICE void apply_factors(const ProgramPointers& p, const uint64_t* turns, const Unitary& unitary,
                             Complex<double> (&u)[2][Columns]) {
  for (int32_t f = unitary.factor_begin; f < unitary.factor_end; ++f) apply_factor(p, turns, p.factors[f], u);
}

// All unitaries of one qubit: the diagonal that a core leaves joins the next one.
template <class T>
FK_DEVICE void prepare_qubit(const ProgramPointers& p, const PreparedRows<T>& rows, int64_t row, int32_t q) {
  const int64_t n = p.n_qubits;
  const uint64_t* turns = rows.turns + row * p.n_angles;
  Complex<double> column[2][1] = {{{1, 0}}, {{0, 0}}};
  if (p.initial[q].is_fixed) {
    const double* fixed = p.fixed_initial + 4 * q;
    column[0][0] = {fixed[0], fixed[1]};
    column[1][0] = {fixed[2], fixed[3]};
  } else {
    apply_factors(p, turns, p.initial[q], column);
  }
  rows.initial[row * 2 * n + 2 * q] = column[0][0];
  rows.initial[row * 2 * n + 2 * q + 1] = column[1][0];
  Complex<double> pending{p.fixed_rests[2 * q], p.fixed_rests[2 * q + 1]}, part{1, 0};
  for (int32_t c = p.chain_begin[q]; c < p.chain_begin[q + 1]; ++c) {
    const int32_t i = p.chain[c];
    Complex<double> u[2][2] = {{{1, 0}, {0, 0}}, {{0, 0}, pending}};
    apply_factors(p, turns, p.unitaries[i], u);
    const double a = square(u[0][0]), b = square(u[0][1]);
    // Where both forms will do, the one that leaves no sign behind: H is [[1, 1], [1, -1]].
    const bool is_even = fabs(a - b) < 1e-6;
    const bool is_swapped = is_even ? u[0][0].re * u[1][1].re + u[0][0].im * u[1][1].im < 0 : a < b;
    const Complex<double> pivot = is_swapped ? u[0][1] : u[0][0];
    const double pivot_square = is_swapped ? b : a, size = sqrt(pivot_square);
    const Complex<double> r = divide(is_swapped ? u[0][0] : u[0][1], pivot, pivot_square);
    pending = divide(is_swapped ? u[1][0] : u[1][1], pivot, pivot_square);
    rows.pivots[row * p.n_unitaries + i] = pivot_square;
    part = part * Complex<double>{pivot.re / size, pivot.im / size};
    const OperationPlace place = p.unitary_places[i];
    rows.operations[row * p.n_operations + place.index] = {unitary_code(place.place, is_swapped, r.re, r.im), 0,
                                                           static_cast<T>(r.re), static_cast<T>(r.im)};
  }
  Complex<double> u[2][2] = {{{1, 0}, {0, 0}}, {{0, 0}, pending}};
  apply_factors(p, turns, p.final[q], u);
  rows.parts[row * n + q] = part * u[0][0];
  rows.final[row * n + q] = divide(u[1][1], u[0][0], square(u[0][0]));
}

template <class T>
FK_DEVICE void prepare_pair(const ProgramPointers& p, const PreparedRows<T>& rows, int64_t row, int32_t i) {
  const OperationPlace place = p.pair_places[i];
  const int32_t use = p.pair_phases[i].use;
  const Complex<double> unit = use < 0 ? Complex<double>{-1, 0} : unit_of_use(p, rows.turns + row * p.n_angles, use);
  rows.operations[row * p.n_operations + place.index] = {(use < 0 ? kSignCode : kPhaseCode) + place.place, place.mask,
                                                         static_cast<T>(unit.re), static_cast<T>(unit.im)};
}

// Coefficient `slot` of all polynomials' coefficients: integers, so exact in any order.
FK_DEVICE uint64_t coefficient(const ProgramPointers& p, const uint64_t* turns, int32_t slot) {
  uint64_t sum = p.slot_fixed[slot];
  for (int32_t i = p.slot_begin[slot]; i < p.slot_begin[slot + 1]; ++i) {
    const SlotTerm term = p.slot_terms[i];
    sum += turns[term.angle] * static_cast<uint64_t>(static_cast<int64_t>(term.multiple));
  }
  return sum;
}

// What the cores of the unitaries of a scale left out in size.
template <class T>
FK_DEVICE double size_of(const ProgramPointers& p, const PreparedRows<T>& rows, int64_t row, int32_t scale) {
  double product = 1;
  for (int32_t i = p.scale_begin[scale]; i < p.scale_begin[scale + 1]; ++i)
    product *= rows.pivots[row * p.n_unitaries + i];
  return p.fixed_sizes[scale] * sqrt(product);
}

constexpr int kPrepareThreads = 128;
constexpr int kPrepareLanes = 32;  // threads a row

// Rows [first, first + count) of x; their prepared rows start at 0.
template <class T>
FK_KERNEL void PrepareKernel(ProgramPointers p, Rows x, int64_t first, int64_t count, PreparedRows<T> rows) {
  const int lane = static_cast<int>(threadIdx.x) % kPrepareLanes;
  const int64_t row =
      int64_t{blockIdx.x} * (kPrepareThreads / kPrepareLanes) + static_cast<int>(threadIdx.x) / kPrepareLanes;
  const bool is_row = row < count;
  if (is_row && lane == 0) rows.is_bad[row] = 0;
  __syncthreads();
  if (is_row) {
    for (int32_t i = lane; i < p.n_angles; i += kPrepareLanes) {
      const double angle = angle_of(p, p.angles[i], x, first + row);
      rows.turns[row * p.n_angles + i] = quarter_turns(angle);
      if (!is_finite(angle)) rows.is_bad[row] = 1;
    }
  }
  __syncthreads();
  if (is_row) {
    for (int32_t q = lane; q < p.n_qubits; q += kPrepareLanes) prepare_qubit(p, rows, row, q);
    for (int32_t i = lane; i < p.n_pair_phases; i += kPrepareLanes) prepare_pair(p, rows, row, i);
    for (int32_t i = lane; i < p.n_fixed; i += kPrepareLanes) {
      const FixedOperation& fixed = p.fixed_operations[i];
      rows.operations[row * p.n_operations + fixed.index] = {fixed.code, 0, static_cast<T>(fixed.re),
                                                             static_cast<T>(fixed.im)};
    }
    const int32_t slots = p.n_polynomials * static_cast<int32_t>(coefficients_of(p.n_qubits));
    for (int32_t i = lane; i < slots; i += kPrepareLanes)
      rows.coefficients[row * slots + i] = coefficient(p, rows.turns + row * p.n_angles, i);
  }
  __syncthreads();
  if (!is_row) return;
  for (int32_t i = lane; i < p.n_scales; i += kPrepareLanes) {
    const double size = size_of(p, rows, row, i);
    rows.operations[row * p.n_operations + p.scale_places[i].index] = {kScaleCode, 0, static_cast<T>(size), T(0)};
  }
  if (lane != 0) return;
  const double rest = size_of(p, rows, row, p.n_scales);
  Complex<double> scale{rows.is_bad[row] ? static_cast<double>(NAN) : rest, 0};
  scale = scale * Complex<double>{p.fixed_phase_re, p.fixed_phase_im};
  int32_t has_final = 0;
  for (int32_t q = 0; q < p.n_qubits; ++q) {
    scale = scale * rows.parts[row * p.n_qubits + q];
    const Complex<double> phase = rows.final[row * p.n_qubits + q];
    const double re = phase.re - 1, im = phase.im;
    has_final |= !(re * re + im * im <= 1e-31);
  }
  rows.scale[row] = scale;
  rows.has_final[row] = has_final;
}

template <class T>
void prepare(const ProgramPointers& p, const Rows& x, int64_t first, int64_t count, const PreparedRows<T>& rows,
             Stream stream) {
  constexpr int64_t rows_per_block = kPrepareThreads / kPrepareLanes;
  launch("PrepareKernel", PrepareKernel<T>, Grid{(count + rows_per_block - 1) / rows_per_block}, kPrepareThreads, 0,
         stream, p, x, first, count, rows);
}

}  // namespace flashket::cuda::statevector
