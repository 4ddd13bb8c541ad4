// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// state[string][lane]: rows of the data are the lanes of vectors, so that every qubit is equally fast. A pass holds the
// 16 strings of a pair of qubits in registers.
#include "noise/pauli.hpp"

#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

using Real = Vec<double>;
constexpr int64_t L = kLanes<double>;
constexpr int kMapVectors = 12;  // rows x, y, z

// Where a worker's memory keeps things, in vectors.
struct Layout {
  int64_t angles, cosines, sines, maps, end;

  explicit Layout(const PauliPlan& p) {
    angles = 0;
    cosines = angles + p.n_angles;
    sines = cosines + p.n_uses;
    maps = sines + p.n_uses;
    end = maps + int64_t{kMapVectors} * p.n_maps;
  }
};

int64_t scratch(const PauliPlan& plan) { return Layout(plan).end * L; }

FLASHKET_INLINE Real at(const double* p, int64_t i) { return load(p + i * L); }
FLASHKET_INLINE void put(double* p, int64_t i, Real v) { store<double>(p + i * L, v); }

// m becomes factor m.
void multiply(const PauliFactor& f, const double* cosines, const double* sines, Real (&m)[3][4]) {
  if (f.axis < 0) {
    Real product[3][4];
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 4; ++j) {
        product[i][j] = splat(j == 0 ? f.m[i][0] : 0.0);
        for (int k = 0; k < 3; ++k) product[i][j] += f.m[i][k + 1] * m[k][j];
      }
    }
    memcpy(m, product, sizeof product);
    return;
  }
  const int u = (f.axis + 1) % 3, v = (f.axis + 2) % 3;
  const Real c = at(cosines, f.use), s = at(sines, f.use);
  for (int j = 0; j < 4; ++j) {
    const Real p = m[u][j], q = m[v][j];
    m[u][j] = c * p - s * q;
    m[v][j] = s * p + c * q;
  }
}

void prepare(const PauliPlan& p, const double* x, double* memory) {
  const Layout layout(p);
  double *angles = memory + layout.angles * L, *cosines = memory + layout.cosines * L;
  double *sines = memory + layout.sines * L, *maps = memory + layout.maps * L;
  for (int32_t i = 0; i < p.n_angles; ++i) {
    const AngleExpression& e = p.angles[i];
    put(angles, i, (e.a0 * at(x, e.f0) + e.b0) * (e.a1 * at(x, e.f1) + e.b1));
  }
  for (int32_t i = 0; i < p.n_uses; ++i) {
    Real sine, cosine;
    sincos(at(angles, p.uses[i].angle) * (0.25 * p.uses[i].multiple), sine, cosine);
    put(cosines, i, cosine);
    put(sines, i, sine);
  }
  for (int32_t i = 0; i < p.n_maps; ++i) {
    Real m[3][4];
    for (int r = 0; r < 3; ++r)
      for (int j = 0; j < 4; ++j) m[r][j] = splat(j == r + 1 ? 1.0 : 0.0);
    for (int32_t f = p.maps[i].factor_begin; f < p.maps[i].factor_end; ++f) multiply(p.factors[f], cosines, sines, m);
    memcpy(maps + int64_t{i} * kMapVectors * L, m, sizeof m);
  }
}

// v[0], v[S], v[2 S], v[3 S] are the components of a qubit.
template <int S, bool IsTransposed>
FLASHKET_INLINE void apply_map(Real* v, const double* m) {
  const Real i = v[0], x = v[S], y = v[2 * S], z = v[3 * S];
  if constexpr (IsTransposed) {
    v[0] = i + at(m, 0) * x + at(m, 4) * y + at(m, 8) * z;
    FLASHKET_UNROLL
    for (int k = 1; k < 4; ++k) v[k * S] = at(m, k) * x + at(m, 4 + k) * y + at(m, 8 + k) * z;
  } else {
    FLASHKET_UNROLL
    for (int k = 1; k < 4; ++k) {
      const int64_t row = 4 * (k - 1);
      v[k * S] = at(m, row) * i + at(m, row + 1) * x + at(m, row + 2) * y + at(m, row + 3) * z;
    }
  }
}

FLASHKET_INLINE void turn_pair(Real& p, Real& q, Real c, Real s) {
  const Real old = p;
  p = c * old - s * q;
  q = s * old + c * q;
}

// p becomes -sign q and q becomes sign p.
template <int Sign>
FLASHKET_INLINE void turn_quarter(Real& p, Real& q) {
  const Real old = p;
  p = Sign > 0 ? -q : q;
  q = Sign > 0 ? old : -old;
}

constexpr int string_of(int a, int b) { return a + 4 * b; }

// exp(-i t/2 ZZ) turns XI into YZ, XZ into YI and the same with the qubits exchanged.
#define FLASHKET_FOR_TURNED_PAIRS(turn)         \
  turn(v[string_of(1, 0)], v[string_of(2, 3)]); \
  turn(v[string_of(1, 3)], v[string_of(2, 0)]); \
  turn(v[string_of(0, 1)], v[string_of(3, 2)]); \
  turn(v[string_of(3, 1)], v[string_of(0, 2)]);

struct Prepared {
  const double *cosines, *sines, *maps;
};

template <bool IsTransposed>
FLASHKET_INLINE void apply_item(Real (&v)[16], const PauliItem& item, const PauliPlan& p, const Prepared& prepared) {
  switch (item.kind) {
    case PauliItemKind::map_a: {
      const double* m = prepared.maps + int64_t{item.index} * kMapVectors * L;
      FLASHKET_UNROLL
      for (int k = 0; k < 16; k += 4) apply_map<1, IsTransposed>(v + k, m);
      break;
    }
    case PauliItemKind::map_b: {
      const double* m = prepared.maps + int64_t{item.index} * kMapVectors * L;
      FLASHKET_UNROLL
      for (int k = 0; k < 4; ++k) apply_map<4, IsTransposed>(v + k, m);
      break;
    }
    case PauliItemKind::turn: {
      const Real c = at(prepared.cosines, item.index), sine = at(prepared.sines, item.index);
      const Real s = IsTransposed ? -sine : sine;
#define FLASHKET_TURN(p, q) turn_pair(p, q, c, s)
      FLASHKET_FOR_TURNED_PAIRS(FLASHKET_TURN)
#undef FLASHKET_TURN
      break;
    }
    case PauliItemKind::quarter:
      if ((item.index > 0) != IsTransposed) {
        FLASHKET_FOR_TURNED_PAIRS(turn_quarter<1>)
      } else {
        FLASHKET_FOR_TURNED_PAIRS(turn_quarter<-1>)
      }
      break;
    case PauliItemKind::channel: {
      const double* scale = p.channels + int64_t{item.index} * 16;
      FLASHKET_UNROLL
      for (int k = 1; k < 16; ++k) v[k] *= scale[k];
      break;
    }
  }
}

template <bool IsTransposed>
void run_step(const PauliPlan& p, const PauliStep& step, const Prepared& prepared, double* state) {
  const int low = step.a < step.b ? step.a : step.b, high = step.a < step.b ? step.b : step.a;
  const int64_t stride_a = (int64_t{1} << 2 * step.a) * L, stride_b = (int64_t{1} << 2 * step.b) * L;
  const int64_t inner = (int64_t{1} << 2 * low) * L, middle = (int64_t{1} << 2 * high) * L;
  const int64_t end = (int64_t{1} << 2 * step.n_active) * L;
  const PauliItem *first = p.items + step.item_begin, *last = p.items + step.item_end;
  for (int64_t h = 0; h < end; h += 4 * middle) {
    for (int64_t m = h; m < h + middle; m += 4 * inner) {
      for (int64_t i = m; i < m + inner; i += L) {
        Real v[16];
        FLASHKET_UNROLL
        for (int k = 0; k < 16; ++k) v[k] = load(state + i + (k & 3) * stride_a + (k >> 2) * stride_b);
        for (const PauliItem* item = first; item < last; ++item) apply_item<IsTransposed>(v, *item, p, prepared);
        FLASHKET_UNROLL
        for (int k = 0; k < 16; ++k) store<double>(state + i + (k & 3) * stride_a + (k >> 2) * stride_b, v[k]);
      }
    }
  }
}

// One more qubit: the state times its own.
void append(double* state, int32_t n_active, const Real (&own)[4]) {
  const int64_t size = int64_t{1} << 2 * n_active;
  for (int d = 3; d >= 0; --d)
    for (int64_t i = 0; i < size; ++i) put(state, d * size + i, at(state, i) * own[d]);
}

template <bool IsTransposed>
void run_plan(const PauliPlan& p, const double* start, const double* x, double* state, double* memory) {
  const Layout layout(p);
  const Prepared prepared{memory + layout.cosines * L, memory + layout.sines * L, memory + layout.maps * L};
  prepare(p, x, memory);
  put(state, 0, splat(1.0));
  int32_t n_active = 0;
  const auto grow = [&](int32_t wanted) {
    for (; n_active < wanted; ++n_active) {
      Real own[4];
      for (int d = 0; d < 4; ++d) own[d] = splat(start[4 * p.first_wire[n_active] + d]);
      for (int32_t i = p.first_items[2 * n_active]; i < p.first_items[2 * n_active + 1]; ++i)
        apply_map<1, IsTransposed>(own, prepared.maps + int64_t{p.first_maps[i]} * kMapVectors * L);
      append(state, n_active, own);
    }
  };
  for (int32_t i = 0; i < p.n_steps; ++i) {
    grow(p.steps[i].n_active);
    run_step<IsTransposed>(p, p.steps[i], prepared, state);
  }
  grow(p.n_qubits);
}

void run(const PauliPlan& plan, const double* start, const double* x, double* state, double* memory) {
  if (plan.is_transposed)
    run_plan<true>(plan, start, x, state, memory);
  else
    run_plan<false>(plan, start, x, state, memory);
}

void write(const PauliPlan& p, const double* state, int64_t rows, bool only_diagonal, double* out, int64_t row_stride) {
  const int digit_bits = only_diagonal ? 1 : 2, n_digits = p.n_qubits;
  // The state's index of the result's: the lowest digits come from a table, the others are the same for a run of them.
  const int table_digits = n_digits < 4 ? n_digits : 4;
  int32_t position[16];
  for (int k = 0; k < n_digits; ++k) position[p.last_wire[k]] = k;
  const auto state_index = [&](int64_t index, int first, int last) {
    int64_t result = 0;
    for (int k = first; k < last; ++k) {
      const int64_t digit = (index >> digit_bits * (k - first)) & ((1 << digit_bits) - 1);
      result |= (only_diagonal ? 3 * digit : digit) << 2 * position[k];
    }
    return result;
  };
  int64_t table[256];
  const int64_t run_length = int64_t{1} << digit_bits * table_digits;
  for (int64_t i = 0; i < run_length; ++i) table[i] = state_index(i, 0, table_digits) * L;
  const int64_t n_runs = int64_t{1} << digit_bits * (n_digits - table_digits);
  for (int64_t r = 0; r < n_runs; ++r) {
    const double* from = state + state_index(r, table_digits, n_digits) * L;
    for (int64_t row = 0; row < rows; ++row) {
      double* to = out + row * row_stride + r * run_length;
      for (int64_t i = 0; i < run_length; ++i) to[i] = from[table[i] + row];
    }
  }
}

}  // namespace

extern const PauliOps pauli_ops;
const PauliOps pauli_ops = {.lanes = L, .scratch = scratch, .run = run, .write = write};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
