// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// state[z][re, im][lane]: trajectories are the lanes of vectors. They share the circuit and differ in numbers alone, so
// nothing branches on what was drawn.
#include "noise/trajectory.hpp"

#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

template <class T>
struct Amplitude {
  Vec<T> re, im;
};

template <class T>
FLASHKET_INLINE Amplitude<T> load_amplitude(const T* p) {
  return {load(p), load(p + kLanes<T>)};
}

template <class T>
FLASHKET_INLINE void store_amplitude(T* p, const Amplitude<T>& a) {
  store<T>(p, a.re);
  store<T>(p + kLanes<T>, a.im);
}

template <class T>
FLASHKET_INLINE Amplitude<T> product(const Amplitude<T>& a, const Amplitude<T>& b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

template <class T>
FLASHKET_INLINE void apply_map(Amplitude<T>& a, Amplitude<T>& b, const T* m) {
  constexpr int64_t step = 2 * kLanes<T>;
  const Amplitude<T> x = a, y = b;
  Amplitude<T> p = product(load_amplitude(m), x), q = product(load_amplitude(m + step), y);
  a = {p.re + q.re, p.im + q.im};
  p = product(load_amplitude(m + 2 * step), x);
  q = product(load_amplitude(m + 3 * step), y);
  b = {p.re + q.re, p.im + q.im};
}

template <class T>
FLASHKET_INLINE void apply_item(Amplitude<T> (&v)[4], const TrajectoryItem& item, const TrajectoryLanes<T>& lanes) {
  switch (item.kind) {
    case TrajectoryItemKind::map_a: {
      const T* m = lanes.maps + int64_t{item.index} * 8 * kLanes<T>;
      apply_map(v[0], v[1], m);
      apply_map(v[2], v[3], m);
      break;
    }
    case TrajectoryItemKind::map_b: {
      const T* m = lanes.maps + int64_t{item.index} * 8 * kLanes<T>;
      apply_map(v[0], v[2], m);
      apply_map(v[1], v[3], m);
      break;
    }
    case TrajectoryItemKind::turn: {
      const Amplitude<T> phase = load_amplitude(lanes.turns + int64_t{item.index} * 2 * kLanes<T>);
      v[1] = product(v[1], phase);
      v[2] = product(v[2], phase);
      break;
    }
    case TrajectoryItemKind::quarter: {
      FLASHKET_UNROLL
      for (int k = 1; k < 3; ++k)
        v[k] = item.index > 0 ? Amplitude<T>{-v[k].im, v[k].re} : Amplitude<T>{v[k].im, -v[k].re};
      break;
    }
  }
}

template <class T>
void run_step(const TrajectoryPlan& p, const TrajectoryStep& step, const TrajectoryLanes<T>& lanes, T* state) {
  constexpr int64_t unit = 2 * kLanes<T>;
  const int low = step.a < step.b ? step.a : step.b, high = step.a < step.b ? step.b : step.a;
  const int64_t stride_a = (int64_t{1} << step.a) * unit, stride_b = (int64_t{1} << step.b) * unit;
  const int64_t inner = (int64_t{1} << low) * unit, middle = (int64_t{1} << high) * unit;
  const int64_t end = (int64_t{1} << step.n_active) * unit;
  const TrajectoryItem *first = p.items + step.item_begin, *last = p.items + step.item_end;
  for (int64_t h = 0; h < end; h += 2 * middle) {
    for (int64_t m = h; m < h + middle; m += 2 * inner) {
      for (int64_t i = m; i < m + inner; i += unit) {
        T* at = state + i;
        Amplitude<T> v[4] = {load_amplitude(at), load_amplitude(at + stride_a), load_amplitude(at + stride_b),
                             load_amplitude(at + stride_a + stride_b)};
        for (const TrajectoryItem* item = first; item < last; ++item) apply_item(v, *item, lanes);
        store_amplitude(at, v[0]);
        store_amplitude(at + stride_a, v[1]);
        store_amplitude(at + stride_b, v[2]);
        store_amplitude(at + stride_a + stride_b, v[3]);
      }
    }
  }
}

template <class T>
void run(const TrajectoryPlan& p, const TrajectoryLanes<T>& lanes, T* state) {
  constexpr int64_t unit = 2 * kLanes<T>;
  store_amplitude<T>(state, {splat(T(1)), Vec<T>{}});
  int32_t n_active = 0;
  const auto grow = [&](int32_t wanted) {
    for (; n_active < wanted; ++n_active) {
      const T* own = lanes.factors + int64_t{n_active} * 2 * unit;
      const Amplitude<T> zero = load_amplitude(own), one = load_amplitude(own + unit);
      const int64_t size = (int64_t{1} << n_active) * unit;
      for (int64_t i = 0; i < size; i += unit) {
        const Amplitude<T> old = load_amplitude(state + i);
        store_amplitude(state + i, product(old, zero));
        store_amplitude(state + size + i, product(old, one));
      }
    }
  };
  for (int32_t i = 0; i < p.n_steps; ++i) {
    grow(p.steps[i].n_active);
    run_step(p, p.steps[i], lanes, state);
  }
  grow(p.n_qubits);
}

template <class T>
void write(const TrajectoryPlan& p, const T* state, int64_t rows, T* out, int64_t row_stride) {
  const int64_t size = int64_t{1} << p.n_qubits;
  // Runs of the lowest bits come from a table: where in the state they are.
  const int table_bits = p.n_qubits < 8 ? p.n_qubits : 8;
  int32_t position[kMaxQubits];
  for (int k = 0; k < p.n_qubits; ++k) position[p.last_wire[k]] = k;
  const auto state_index = [&](int64_t bits, int first, int last) {
    int64_t index = 0;
    for (int k = first; k < last; ++k) index |= (bits >> (k - first) & 1) << position[k];
    return index;
  };
  int64_t table[256];
  const int64_t run_length = int64_t{1} << table_bits;
  for (int64_t i = 0; i < run_length; ++i) table[i] = state_index(i, 0, table_bits) * 2 * kLanes<T>;
  for (int64_t r = 0; r < size / run_length; ++r) {
    const T* from = state + state_index(r, table_bits, p.n_qubits) * 2 * kLanes<T>;
    for (int64_t row = 0; row < rows; ++row) {
      T* to = out + row * row_stride + r * run_length;
      for (int64_t i = 0; i < run_length; ++i) {
        to[i] = from[table[i] + row];
        to[size + i] = from[table[i] + kLanes<T> + row];
      }
    }
  }
}

}  // namespace

extern const TrajectoryOps trajectory_ops;
const TrajectoryOps trajectory_ops = {{kLanes<float>, run<float>, write<float>},
                                      {kLanes<double>, run<double>, write<double>}};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
