// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the operations of a circuit are for one row of features: numbers instead of angles. Computed in double, phases
// in fixed point, whatever the type of the state.
//
// A unitary [[a, b], [c, d]] is applied as its core: with |a| >= |b| it is diag(a, d) [[1, r], [-r*, 1]], r = b / a,
// otherwise diag(b, c) [[r, 1], [1, -r*]], r = a / b. Of the diagonal, the first entry is common to all amplitudes and
// the ratio of the second to it commutes with every phase: it joins the next unitary on that qubit. So a rotation costs
// one FMA a number when r is real or imaginary (RY, RX, H, X, Y) and two otherwise; a 2 x 2 product costs four.
// Compiled once per instruction set: include from .simd.cpp files only.
#pragma once
#include "core/program_view.hpp"
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

template <class T>
constexpr int32_t kLaneBits = kLanes<T> == 16  ? 4
                              : kLanes<T> == 8 ? 3
                              : kLanes<T> == 4 ? 2
                                               : 1;

// Lane by lane: yes where the lane has the bits of lane_mask, otherwise no.
template <class T>
FLASHKET_INLINE Vec<T> where_lanes(uint32_t lane_mask, T yes, T no) {
  using Int = typename Simd<T>::Int;
  IntVec<T> lane;
  for (int l = 0; l < static_cast<int>(kLanes<T>); ++l) lane[l] = l;
  const Int mask = static_cast<Int>(lane_mask);
  return select<T>((lane & mask) == mask, splat<T>(yes), splat<T>(no));
}

struct Complex {
  double re, im;
};

FLASHKET_INLINE Complex operator*(Complex a, Complex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
FLASHKET_INLINE Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
FLASHKET_INLINE double square(Complex a) { return a.re * a.re + a.im * a.im; }
FLASHKET_INLINE Complex divide(Complex a, Complex b, double b_square) {
  const double scale = 1 / b_square;
  return {(a.re * b.re + a.im * b.im) * scale, (a.im * b.re - a.re * b.im) * scale};
}

// Half an angle as a fixed-point fraction of a turn, 2^64 = one turn: correct to the last bits, because the quotient
// is kept as the sum of two doubles.
inline uint64_t half_turns(double angle) {
  constexpr double unit = 0.07957747154594767, unit_rest = -4.9196691687956215e-18;  // 1 / (4 pi) and what it lacks
  const double quotient = angle * unit;
  double rest = __builtin_fma(angle, unit, -quotient) + angle * unit_rest;
  const double fraction = quotient - ::rint(quotient);
  rest -= ::rint(rest);
  return 2 * static_cast<uint64_t>(static_cast<int64_t>(fraction * 9223372036854775808.0)) +
         2 * static_cast<uint64_t>(static_cast<int64_t>(rest * 9223372036854775808.0));
}

template <class T>
double evaluate(const AngleExpression& e, const T* x) {
  const double first = e.f0 < 0 ? e.b0 : e.a0 * static_cast<double>(x[e.f0]) + e.b0;
  const double second = e.f1 < 0 ? e.b1 : e.a1 * static_cast<double>(x[e.f1]) + e.b1;
  return first * second;
}

// Places of the operation codes of a tile; see tile.hpp.
constexpr int32_t kRealKind = 0, kImaginaryKind = 1, kComplexKind = 2;
constexpr int32_t kMaxPlaces = kMaxRegisterQubits + 4;  // registers, then lanes
constexpr int32_t kPhaseCode = 6 * kMaxPlaces, kSignCode = kPhaseCode + 8, kScaleCode = kSignCode + 8;
constexpr int32_t unitary_code(int32_t place, int32_t is_swapped, int32_t kind) {
  return 6 * place + 3 * is_swapped + kind;
}

template <class T>
struct RowOperation {
  int32_t code;
  uint32_t lane_mask;
  int64_t block_mask;
  uint64_t outer_mask;
  T re, im;
};

// The core of a unitary.
struct Core {
  Complex r;
  int32_t is_swapped;
};

// Hands out memory; with no memory behind it, it counts.
struct Arena {
  char* base;
  int64_t used = 0;

  template <class U>
  U* take(int64_t n) {
    const int64_t begin = used;
    used += (n * static_cast<int64_t>(sizeof(U)) + 63) / 64 * 64;
    return base ? reinterpret_cast<U*>(base + begin) : nullptr;
  }
};

constexpr int64_t pairs_of(int64_t n) { return n * (n - 1) / 2; }

// Coefficients of a polynomial: constant, linear[n], pair[k (k - 1) / 2 + j] with j < k.
constexpr int64_t coefficients_of(int64_t n) { return 1 + n + pairs_of(n); }

template <class T>
struct Row {
  RowOperation<T>* operations;  // as the plan's
  Complex* initial;             // 2 for each qubit: the amplitudes of 0 and 1
  Complex* final;               // 2 for each qubit: 1 and the phase of 1
  uint64_t* coefficients;       // of each polynomial
  Complex* scale;               // of the first product state
  int32_t* has_final;           // whether any final phase is there
  // While it is made:
  double* angles;
  uint64_t* turns;
  double *sines, *cosines;
  Core* cores;
  double* scales;

  static Row take(const ProgramView& p, Arena& arena) {
    Row row{};
    const int64_t n = p.n_qubits, uses = (p.n_uses + 7) / 8 * 8;
    row.operations = arena.take<RowOperation<T>>(p.n_unitaries + p.n_pair_phases + p.n_scales + p.n_polynomials);
    row.initial = arena.take<Complex>(2 * n);
    row.final = arena.take<Complex>(2 * n);
    row.scale = arena.take<Complex>(1);
    row.has_final = arena.take<int32_t>(1);
    row.coefficients = arena.take<uint64_t>(p.n_polynomials * coefficients_of(n));
    row.angles = arena.take<double>(p.n_angles);
    row.turns = arena.take<uint64_t>(p.n_angles);
    row.sines = arena.take<double>(uses);
    row.cosines = arena.take<double>(uses);
    row.cores = arena.take<Core>(p.n_unitaries);
    row.scales = arena.take<double>(p.n_scales + 1);
    return row;
  }

  void prepare(const ProgramView& p, const PlanView& plan, const T* x) {
    evaluate_angles(p, x);
    multiply_unitaries(p);
    for (int32_t i = 0; i < p.n_polynomials; ++i)
      sum_terms(p, p.polynomials[i], coefficients + i * coefficients_of(p.n_qubits));
    for (int32_t i = 0; i < plan.n_operations; ++i) place(p, plan.operations[i], operations[i]);
  }

 private:
  void evaluate_angles(const ProgramView& p, const T* x) {
    for (int32_t i = 0; i < p.n_angles; ++i) angles[i] = evaluate(p.angles[i], x);
    for (int32_t i = 0; i < p.n_angles; ++i) turns[i] = half_turns(angles[i]);  // apart from the above: becomes vectors
    constexpr int32_t lanes = kLanes<double>;
    for (int32_t i = 0; i < p.n_uses; i += lanes) {
      UintVec<double> turn{};
      for (int32_t l = 0; l < lanes && i + l < p.n_uses; ++l)
        turn[l] = turns[p.uses[i + l].angle] * static_cast<uint64_t>(static_cast<int64_t>(p.uses[i + l].multiple));
      Vec<double> sine, cosine;
      sincos_turns<double>(turn, sine, cosine);
      store<double>(sines + i, sine);
      store<double>(cosines + i, cosine);
    }
  }

  // u, of one column or two, becomes factor * u.
  template <int Columns>
  void apply_factor(const Factor& factor, Complex (&u)[2][Columns]) const {
    const double c = factor.use < 0 ? 1 : cosines[factor.use], s = factor.use < 0 ? 0 : sines[factor.use];
    for (int j = 0; j < Columns; ++j) {
      const Complex a = u[0][j], b = u[1][j];
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
          u[0][j] = Complex{c, -s} * a;
          u[1][j] = Complex{c, s} * b;
          break;
        case FactorKind::phase:
          u[1][j] = Complex{c, s} * b;
          break;
        case FactorKind::fixed: {
          const auto& m = factor.m;
          u[0][j] = Complex{m[0][0], m[0][1]} * a + Complex{m[0][2], m[0][3]} * b;
          u[1][j] = Complex{m[1][0], m[1][1]} * a + Complex{m[1][2], m[1][3]} * b;
          break;
        }
      }
    }
  }

  template <int Columns>
  void multiply(const ProgramView& p, const Unitary& unitary, Complex (&u)[2][Columns]) const {
    for (int32_t f = unitary.factor_begin; f < unitary.factor_end; ++f) apply_factor(p.factors[f], u);
  }

  void multiply_unitaries(const ProgramView& p) {
    for (int32_t q = 0; q < p.n_qubits; ++q) {
      Complex u[2][1] = {{{1, 0}}, {{0, 0}}};
      multiply(p, p.initial[q], u);
      initial[2 * q] = u[0][0];
      initial[2 * q + 1] = u[1][0];
      final[2 * q] = final[2 * q + 1] = {1, 0};
    }
    Complex common{1, 0};
    int32_t slot = 0;
    for (int32_t i = 0; i < p.n_unitaries; ++i) {
      const int32_t q = p.unitaries[i].qubit;
      Complex u[2][2] = {{{1, 0}, {0, 0}}, {{0, 0}, final[2 * q + 1]}};
      multiply(p, p.unitaries[i], u);
      const double a = square(u[0][0]), b = square(u[0][1]);
      // Where both forms will do, the one that leaves no sign behind: H is [[1, 1], [1, -1]].
      const bool is_even = ::fabs(a - b) < 1e-6;
      const bool is_swapped = is_even ? u[0][0].re * u[1][1].re + u[0][0].im * u[1][1].im < 0 : a < b;
      const Complex pivot = is_swapped ? u[0][1] : u[0][0];
      const double pivot_square = is_swapped ? b : a;
      cores[i] = {divide(is_swapped ? u[0][0] : u[0][1], pivot, pivot_square), is_swapped};
      final[2 * q + 1] = divide(is_swapped ? u[1][0] : u[1][1], pivot, pivot_square);
      common = common * pivot;
      if ((i + 1) % p.scale_interval == 0) {
        const double size = ::sqrt(square(common));
        scales[slot++] = size;
        common = {common.re / size, common.im / size};
      }
    }
    *scale = common;
    *has_final = 0;
    for (int32_t q = 0; q < p.n_qubits; ++q) {
      if (p.final[q].factor_begin < p.final[q].factor_end) {
        Complex u[2][2] = {{{1, 0}, {0, 0}}, {{0, 0}, final[2 * q + 1]}};
        multiply(p, p.final[q], u);
        *scale = *scale * u[0][0];
        final[2 * q + 1] = divide(u[1][1], u[0][0], square(u[0][0]));
      }
      const double re = final[2 * q + 1].re - 1, im = final[2 * q + 1].im;
      *has_final |= re * re + im * im > 1e-31;
    }
  }

  void sum_terms(const ProgramView& p, const PhasePolynomial& polynomial, uint64_t* sums) const {
    const int64_t n = p.n_qubits;
    memset(sums, 0, sizeof(uint64_t) * coefficients_of(n));
    uint64_t* linear = sums + 1;
    uint64_t* pair = linear + n;
    for (int32_t i = polynomial.term_begin; i < polynomial.term_end; ++i) {
      const PhaseTerm& term = p.terms[i];
      uint64_t value = term.offset;
      if (term.angle >= 0) value += turns[term.angle] * static_cast<uint64_t>(static_cast<int64_t>(term.multiple));
      if (term.a < 0) {
        sums[0] += value;
      } else if (term.b < 0) {
        linear[term.a] += value;
      } else {
        const int32_t high = term.a > term.b ? term.a : term.b, low = term.a > term.b ? term.b : term.a;
        pair[pairs_of(high) + low] += value;
      }
    }
  }

  void place(const ProgramView& p, const PlannedOperation& planned, RowOperation<T>& out) const {
    constexpr double negligible = 1e-18;
    out = {0, planned.lane_mask, planned.block_mask, planned.outer_mask, T(0), T(0)};
    switch (planned.kind) {
      case OperationKind::unitary: {
        const Core& core = cores[planned.index];
        const int32_t kind = ::fabs(core.r.im) < negligible   ? kRealKind
                             : ::fabs(core.r.re) < negligible ? kImaginaryKind
                                                              : kComplexKind;
        out.code = unitary_code(planned.place, core.is_swapped, kind);
        out.re = static_cast<T>(core.r.re);
        out.im = static_cast<T>(core.r.im);
        break;
      }
      case OperationKind::pair_phase: {
        const int32_t use = p.pair_phases[planned.index].use;
        out.code = (use < 0 ? kSignCode : kPhaseCode) + static_cast<int32_t>(planned.register_mask);
        out.re = use < 0 ? T(-1) : static_cast<T>(cosines[use]);
        out.im = use < 0 ? T(0) : static_cast<T>(sines[use]);
        break;
      }
      default:
        out.code = kScaleCode;
        out.re = static_cast<T>(scales[planned.index]);
    }
  }
};

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
