// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Loops over a matrix of features are register blocks of R rows x W vectors of values; making features costs a few
// instructions a vector of them, against width(v) multiply-adds.
#include "attention/linear_ops.hpp"
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int kWide = FLASHKET_VECTOR_BYTES == 64 ? 4 : 2;  // vectors of values a block, by the number of registers

template <class T>
FLASHKET_INLINE void clear_behind(T* p) {
  FLASHKET_UNROLL
  for (int64_t l = 0; l < kFeatureAlign; l += kLanes<T>) store<T>(p + l, Vec<T>{});
}

// out[k width + i] = u_k table[i] for one more factor (1, u_1, u_2, ..): in place, from small tables to large ones.
// Level by level over all rows, so that no load waits for the stores of the level before.
template <class T>
void extend_tables(const T* u, int64_t u_row, int64_t u_plane, int64_t n_values, int64_t rows, int64_t width, T* table,
                   int64_t stride) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t t = 0; t < rows; ++t) {
    T* row = table + t * stride;
    if (width == 1) {
      for (int64_t k = 0; k < n_values; ++k) row[1 + k] = row[0] * u[t * u_row + k * u_plane];
      continue;
    }
    for (int64_t k = 0; k < n_values; ++k) {
      const Vec<T> factor = splat(u[t * u_row + k * u_plane]);
      T* to = row + (k + 1) * width;
      for (int64_t i = 0; i < width; i += L) store<T>(to + i, load(row + i) * factor);
    }
  }
}

template <class T>
void prepare_tensor(const FeatureForm& form, const T* c, const T* s, int64_t rows, T* factors, T* scratch) {
  const int64_t n = form.depth, count = rows * n, n_values = 2 * form.power;
  // u[k][t n + j]: cos and sin of multiples of the whole angle.
  T* u = scratch;
  for (int64_t i = 0; i < count; ++i) {
    u[i] = c[i] * c[i] - s[i] * s[i];
    u[count + i] = T(2) * c[i] * s[i];
  }
  for (int64_t k = 1; k < form.power; ++k) {
    const T *cos_one = u, *sin_one = u + count, *cos_k = u + 2 * (k - 1) * count, *sin_k = cos_k + count;
    T *cos_next = u + 2 * k * count, *sin_next = cos_next + count;
    for (int64_t i = 0; i < count; ++i) {
      cos_next[i] = cos_k[i] * cos_one[i] - sin_k[i] * sin_one[i];
      sin_next[i] = sin_k[i] * cos_one[i] + cos_k[i] * sin_one[i];
    }
  }
  for (int64_t t = 0; t < rows; ++t) factors[t * form.stride] = factors[t * form.stride + form.second] = 1;
  int64_t width = 1;
  for (int64_t j = 0; j < form.n_low; ++j, width *= n_values + 1)
    extend_tables(u + j, n, count, n_values, rows, width, factors, form.stride);
  width = 1;
  for (int64_t j = form.n_low; j < n; ++j, width *= n_values + 1)
    extend_tables(u + j, n, count, n_values, rows, width, factors + form.second, form.stride);
  for (int64_t t = 0; t < rows; ++t) clear_behind(factors + t * form.stride + form.width);
}

template <class T>
void prepare(const FeatureForm& form, const T* plane0, const T* plane1, int64_t rows, T* factors, T* scratch) {
  if (form.kind == FeatureKind::tensor) {
    prepare_tensor(form, plane0, plane1, rows, factors, scratch);
    return;
  }
  const int64_t depth = form.depth, one = form.has_one ? 1 : 0;
  if (form.pair == PairKind::product) {
    // The state of a product map, which is real: a product of one of (cos, sin) each.
    for (int64_t t = 0; t < rows; ++t) {
      T* row = factors + t * form.stride;
      row[0] = 1;
      int64_t width = 1;
      for (int64_t j = 0; j < depth; ++j, width *= 2) {
        const T c = plane0[t * depth + j], s = plane1[t * depth + j];
        for (int64_t i = 0; i < width; ++i) row[width + i] = row[i] * s;
        for (int64_t i = 0; i < width; ++i) row[i] *= c;
      }
      if (one) {
        row[width] = row[0];  // the order of a dot's terms is free: 1 takes the first place
        row[0] = 1;
      }
      clear_behind(row + form.width);
    }
    return;
  }
  const bool is_joined = form.kind != FeatureKind::hermitian;  // imaginary parts behind the real ones
  for (int64_t t = 0; t < rows; ++t) {
    T* row = factors + t * form.stride;
    if (one) row[0] = 1;
    memcpy(row + one, plane0 + t * depth, sizeof(T) * static_cast<size_t>(depth));
    if (form.pair == PairKind::complex_dot) {
      T* imaginary = is_joined ? row + one + depth : row + form.second;
      memcpy(imaginary, plane1 + t * depth, sizeof(T) * static_cast<size_t>(depth));
      clear_behind(imaginary + depth);
    }
    clear_behind(row + form.width);
  }
}

template <class T>
void generate(const FeatureForm& form, const FeatureBlock& block, const T* factors, int64_t rows, T* out,
              int64_t out_stride) {
  constexpr int64_t L = kLanes<T>;
  const int64_t last = block.first + block.count;
  for (int64_t t = 0; t < rows; ++t) {
    const T *a = factors + t * form.stride, *b = a + form.second;
    T* to = out + t * out_stride;
    // Whole vectors are stored; what they write behind their row the next row overwrites.
    if (form.kind == FeatureKind::tensor) {
      for (int64_t k = block.first; k < last; ++k, to += form.width) {
        const Vec<T> x = splat(b[k]);
        for (int64_t i = 0; i < form.width; i += L) store<T>(to + i, x * load(a + i));
      }
    } else if (form.kind == FeatureKind::square) {
      for (int64_t i = block.first; i < last; ++i) {
        const Vec<T> x = splat(a[i]);
        for (int64_t j = 0; j <= i; j += L) store<T>(to + j, x * load(a + j));
        to += i + 1;
      }
    } else {
      for (int64_t i = block.first; i < last; ++i) {
        const Vec<T> re = splat(a[i]), im = splat(b[i]);
        for (int64_t j = 0; j <= i; j += L) store<T>(to + j, re * load(a + j) + im * load(b + j));
        to += i + 1;
        for (int64_t j = 0; j < i; j += L) store<T>(to + j, re * load(b + j) - im * load(a + j));
        to += i;
      }
    }
    clear_behind(to);
  }
}

template <class T, int R, int W>
FLASHKET_INLINE void accumulate_block(const T* features, int64_t stride, int64_t rows, const T* v, int64_t v_stride,
                                      T* sums) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][W] = {};
  for (int64_t t = 0; t < rows; ++t) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(v + t * v_stride + w * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> f = splat(features[t * stride + r]);
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[r][w] += f * x[w];
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) {
      T* p = sums + r * v_stride + w * L;
      store<T>(p, load(p) + acc[r][w]);
    }
  }
}

// One register block at all columns of v. Features beyond the last are zeros, their sums nobody reads.
template <class T, int R, int W>
FLASHKET_INLINE void accumulate_columns(const T* features, int64_t stride, int64_t rows, int64_t n_features, const T* v,
                                        int64_t v_stride, T* sums, int64_t& column) {
  for (; column + W * kLanes<T> <= v_stride; column += W * kLanes<T>)
    for (int64_t f = 0; f < n_features; f += R)
      accumulate_block<T, R, W>(features + f, stride, rows, v + column, v_stride, sums + f * v_stride + column);
}

template <class T>
void accumulate(const T* features, int64_t stride, int64_t rows, int64_t n_features, const T* v, int64_t v_stride,
                T* sums, T* weights) {
  constexpr int64_t L = kLanes<T>;
  int64_t column = 0;
  accumulate_columns<T, 4, kWide>(features, stride, rows, n_features, v, v_stride, sums, column);
  accumulate_columns<T, 8, 1>(features, stride, rows, n_features, v, v_stride, sums, column);
  for (int64_t f = 0; f < n_features; f += L) {
    Vec<T> even = {}, odd = {};
    int64_t t = 0;
    for (; t + 2 <= rows; t += 2) {
      even += load(features + t * stride + f);
      odd += load(features + (t + 1) * stride + f);
    }
    if (t < rows) even += load(features + t * stride + f);
    store<T>(weights + f, load(weights + f) + (even + odd));
  }
}

template <class T, int R, int W>
FLASHKET_INLINE void apply_block(const T* features, int64_t stride, int64_t n_features, const T* sums, int64_t v_stride,
                                 T* numerator) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][W] = {};
  for (int64_t f = 0; f < n_features; ++f) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(sums + f * v_stride + w * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> y = splat(features[r * stride + f]);
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[r][w] += y * x[w];
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) {
      T* p = numerator + r * v_stride + w * L;
      store<T>(p, load(p) + acc[r][w]);
    }
  }
}

// Halves are added until one lane is left: fewer steps than lane after lane.
template <class T>
FLASHKET_INLINE T add_lanes(Vec<T> v) {
  T lanes[kLanes<T>];
  store<T>(lanes, v);
  FLASHKET_UNROLL
  for (int64_t half = kLanes<T> / 2; half > 0; half /= 2) {
    FLASHKET_UNROLL
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

template <class T>
void apply(const T* features, int64_t stride, int64_t rows, int64_t n_features, const T* sums, const T* weights,
           int64_t v_stride, T* numerator, T* denominator) {
  constexpr int64_t L = kLanes<T>;
  int64_t column = 0;
  for (; column + kWide * L <= v_stride; column += kWide * L)
    for (int64_t t = 0; t < rows; t += 4)
      apply_block<T, 4, kWide>(features + t * stride, stride, n_features, sums + column, v_stride,
                               numerator + t * v_stride + column);
  for (; column < v_stride; column += L)
    for (int64_t t = 0; t < rows; t += 8)
      apply_block<T, 8, 1>(features + t * stride, stride, n_features, sums + column, v_stride,
                           numerator + t * v_stride + column);
  for (int64_t t = 0; t < rows; ++t) {
    Vec<T> even = {}, odd = {};
    int64_t f = 0;
    for (; f + L < n_features; f += 2 * L) {
      even += load(features + t * stride + f) * load(weights + f);
      odd += load(features + t * stride + f + L) * load(weights + f + L);
    }
    if (f < n_features) even += load(features + t * stride + f) * load(weights + f);
    denominator[t] += add_lanes<T>(even + odd);
  }
}

template <class T>
void advance(const T* sums, const T* scale, int64_t n_features, int64_t width, T* current, T* total, T* norms) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t f = 0; f < n_features; ++f) {
    const Vec<T> w = splat(scale[f]), inverse = splat(T(1) / scale[f]);
    for (int64_t c = 0; c < width; c += L) {
      const int64_t at = f * width + c;
      const Vec<T> sum = load(sums + at), now = load(current + at) + w * sum;
      store<T>(current + at, now);
      store<T>(total + at, load(total + at) + sum);
      store<T>(norms + c, load(norms + c) + inverse * now * now);
    }
  }
}

template <class T>
void fold(const double* prefix, const double* scale, int64_t n_features, int64_t width, double* local, T* total,
          T* current) {
  for (int64_t f = 0; f < n_features; ++f) {
    const double w = scale[f];
    const int64_t row = f * width;
    for (int64_t c = 0; c < width; ++c) {
      const double sum = local[row + c] + static_cast<double>(total[row + c]);
      local[row + c] = sum;
      current[row + c] = static_cast<T>(w * (prefix[row + c] + sum));
      total[row + c] = 0;
    }
  }
}

template <class T>
T divide(const T* numerator, const double* wide, double inverse, int64_t width, T* result) {
  T most = 0;
  for (int64_t c = 0; c < width; ++c) {
    const double sum = static_cast<double>(numerator[c]) + (wide ? wide[c] : 0.0);
    const T value = static_cast<T>(sum * inverse);
    result[c] = value;
    const T magnitude = value < 0 ? -value : value;
    most = magnitude > most ? magnitude : most;
  }
  return most;
}

template <class T>
T largest(const T* x, int64_t count) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> most = {};
  int64_t i = 0;
  for (; i + L <= count; i += L) {
    const Vec<T> v = load(x + i);
    most = vmax<T>(most, vmax<T>(v, -v));
  }
  T result = max_lanes<T>(most);
  for (; i < count; ++i) {
    const T magnitude = x[i] < 0 ? -x[i] : x[i];
    result = magnitude > result ? magnitude : result;
  }
  return result;
}

template <class T>
constexpr LinearOps<T> make_ops() {
  return {prepare<T>, generate<T>, accumulate<T>, apply<T>, advance<T>, fold<T>, divide<T>, largest<T>};
}

}  // namespace

extern const LinearTable linear_ops;
const LinearTable linear_ops = {make_ops<float>(), make_ops<double>()};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
