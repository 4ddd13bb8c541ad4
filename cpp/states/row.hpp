// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the operations of a circuit are for one row of features: numbers instead of angles. Computed in double, phases
// in fixed point, whatever the type of the state. What no feature turns was computed when the circuit was compiled.
// Compiled once per instruction set: include from .simd.cpp files only.
#pragma once
#include "core/program_view.hpp"
#include "core/simd.hpp"
#include "core/unitary.hpp"

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

// The same value, of which the compiler knows nothing.
template <class V>
FLASHKET_INLINE V opaque(V v) {
#if defined(__x86_64__)
  __asm__("" : "+v"(v));
#elif defined(__aarch64__)
  __asm__("" : "+w"(v));
#endif
  return v;
}

// A quarter of an angle as a fixed-point fraction of a turn, 2^64 = one turn: correct to the last bits, because the
// quotient is kept as the sum of two doubles.
inline uint64_t quarter_turns(double angle) {
  constexpr double unit = 0.039788735772973836, unit_rest = -2.4598345843978107e-18;  // 1 / (8 pi) and what it lacks
  const double quotient = angle * unit;
  double rest = __builtin_fma(angle, unit, -quotient) + angle * unit_rest;
  const double fraction = quotient - ::rint(quotient);
  rest -= ::rint(rest);
  return 2 * static_cast<uint64_t>(static_cast<int64_t>(fraction * 9223372036854775808.0)) +
         2 * static_cast<uint64_t>(static_cast<int64_t>(rest * 9223372036854775808.0));
}

// Beyond this the two doubles are not enough.
constexpr double kLargeAngle = 1e15;

// The same for any angle, by the C library, which reduces by as much of pi as it takes; correct to 2^-53.
inline uint64_t quarter_turns_of_large(double angle) {
  const double turn = ::atan2(::sin(angle / 4), ::cos(angle / 4)) * 0.15915494309189535;  // 1 / (2 pi)
  return 2 * static_cast<uint64_t>(static_cast<int64_t>(turn * 9223372036854775808.0));
}

// Places of the operation codes of a tile; see tile.hpp.
constexpr int32_t kRealKind = 0, kImaginaryKind = 1, kComplexKind = 2, kHadamardKind = 3;
constexpr int32_t kMaxPlaces = kMaxRegisterQubits + 4;  // registers, then lanes
constexpr int32_t kPhaseCode = 8 * kMaxPlaces, kSignCode = kPhaseCode + 8, kScaleCode = kSignCode + 8;
constexpr int32_t unitary_code(int32_t place, int32_t is_swapped, int32_t kind) {
  return 8 * place + 4 * is_swapped + kind;
}

template <class T>
struct RowOperation {
  int32_t code;
  uint32_t lane_mask;
  int64_t block_mask;
  uint64_t outer_mask;
  T re, im;
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

template <class T>
struct Row {
  RowOperation<T>* operations;  // as the plan's
  Complex* initial;             // 2 for each qubit: the amplitudes of 0 and 1
  Complex* final;               // 2 for each qubit: 1 and the phase of 1
  uint64_t* coefficients;       // of each polynomial
  Complex* scale;               // of the first product state
  int32_t* has_final;           // whether any final phase is there
  // While it is made:
  double* features;
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
    row.features = arena.take<double>(p.n_features + 1);
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
    for (int32_t j = 0; j < p.n_features; ++j) features[j] = static_cast<double>(x[j]);
    features[p.n_features] = 0;
    for (int32_t i = 0; i < p.n_angles; ++i) {
      const AngleExpression& e = p.angles[i];
      // Each step is rounded, never two at once: large angles are the same on every instruction set.
      angles[i] = (opaque(e.a0 * features[e.f0]) + e.b0) * (opaque(e.a1 * features[e.f1]) + e.b1);
    }
    int64_t n_large = 0;
    for (int32_t i = 0; i < p.n_angles; ++i) {  // apart from the above: becomes vectors
      turns[i] = quarter_turns(angles[i]);
      n_large += ::fabs(angles[i]) > kLargeAngle;
    }
    for (int32_t i = 0; n_large > 0 && i < p.n_angles; ++i)
      if (::fabs(angles[i]) > kLargeAngle) turns[i] = quarter_turns_of_large(angles[i]);
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
    if (factor.kind == FactorKind::fixed) return apply_fixed(factor, u);
    const double c = cosines[factor.use], s = sines[factor.use];
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
        case FactorKind::fixed:
          break;
      }
    }
  }

  template <int Columns>
  void multiply(const ProgramView& p, const Unitary& unitary, Complex (&u)[2][Columns]) const {
    for (int32_t f = unitary.factor_begin; f < unitary.factor_end; ++f) apply_factor(p.factors[f], u);
  }

  void multiply_unitaries(const ProgramView& p) {
    for (int32_t q = 0; q < p.n_qubits; ++q) {
      if (p.initial[q].is_fixed) {
        initial[2 * q] = p.fixed_initial[2 * q];
        initial[2 * q + 1] = p.fixed_initial[2 * q + 1];
      } else {
        Complex u[2][1] = {{{1, 0}}, {{0, 0}}};
        multiply(p, p.initial[q], u);
        initial[2 * q] = u[0][0];
        initial[2 * q + 1] = u[1][0];
      }
      final[2 * q] = {1, 0};
      final[2 * q + 1] = p.fixed_rests[q];
    }
    Complex common = p.fixed_pivots[0];
    int32_t slot = 0;
    for (int32_t i = 0; i < p.n_unitaries; ++i) {
      if (!p.unitaries[i].is_fixed) {
        const int32_t q = p.unitaries[i].qubit;
        Complex u[2][2] = {{{1, 0}, {0, 0}}, {{0, 0}, final[2 * q + 1]}};
        multiply(p, p.unitaries[i], u);
        const SplitUnitary parts = split(u);
        cores[i] = parts.core;
        final[2 * q + 1] = parts.rest;
        common = common * parts.pivot;
      }
      if ((i + 1) % p.scale_interval == 0) {
        const double size = ::sqrt(square(common));
        scales[slot++] = size;
        common = p.fixed_pivots[slot] * Complex{common.re / size, common.im / size};
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

  void sum_terms(const ProgramView& p, const PhasePolynomial& polynomial, uint64_t* out) const {
    const auto value = [&](const PhaseTerm& term) {
      return turns[term.angle] * static_cast<uint64_t>(static_cast<int64_t>(term.multiple));
    };
    uint64_t constant = 0;
    for (int32_t t = polynomial.term_begin; t < polynomial.constant_end; ++t) constant += value(p.terms[t]);
    memset(out, 0, sizeof(uint64_t) * coefficients_of(p.n_qubits));
    out[0] = constant;
    for (int32_t t = polynomial.constant_end; t < polynomial.term_end; ++t)
      out[p.terms[t].coefficient] += value(p.terms[t]);
    for (int32_t i = polynomial.fixed_begin; i < polynomial.fixed_end; ++i)
      out[p.fixed_phases[i].coefficient] += p.fixed_phases[i].phase;
  }

  void place(const ProgramView& p, const PlannedOperation& planned, RowOperation<T>& out) const {
    constexpr double negligible = 1e-18;
    out = {0, planned.lane_mask, planned.block_mask, planned.outer_mask, T(0), T(0)};
    switch (planned.kind) {
      case OperationKind::unitary: {
        const bool is_fixed = p.unitaries[planned.index].is_fixed;
        const Core& core = (is_fixed ? p.fixed_cores : cores)[planned.index];
        const bool is_hadamard = core.is_swapped && planned.place < kMaxRegisterQubits &&
                                 ::fabs(core.r.re - 1) < 1e-15 && ::fabs(core.r.im) < negligible;
        const int32_t kind = is_hadamard                      ? kHadamardKind
                             : ::fabs(core.r.im) < negligible ? kRealKind
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
