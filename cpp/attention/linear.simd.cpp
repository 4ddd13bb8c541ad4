// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Loops over a matrix of features are register blocks of R features or rows x W vectors of values, near the port limit
// of one multiply-add a feature, row and vector; making a vector of features costs one multiplication.
#include "attention/linear_ops.hpp"
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int kWide = FLASHKET_VECTOR_BYTES == 64 ? 4 : 2;  // vectors of values a block, by the number of registers

constexpr int64_t kRows = kLinearTokens;
constexpr int64_t kRegisterRows = 16;

// to[t] = x[t] y[t] for the rows of a group.
template <class T>
FLASHKET_INLINE void multiply_rows(const T* x, const T* y, T* to) {
  FLASHKET_UNROLL
  for (int64_t t = 0; t < kRows; t += kLanes<T>) store<T>(to + t, load(x + t) * load(y + t));
}

template <class T>
void clear_padding(T* features, int64_t n_features) {
  for (; n_features % kFeatureAlign != 0; ++n_features) memset(features + n_features * kRows, 0, sizeof(T) * kRows);
}

template <class T>
void set_ones(T* row) {
  for (int64_t t = 0; t < kRows; ++t) row[t] = 1;
}

// table[k width + i] = u_k table[i] for one more factor (1, u_1, u_2, ..).
template <class T>
void extend_table(const T* u, int64_t u_stride, int64_t n_values, int64_t width, T* table) {
  for (int64_t k = 0; k < n_values; ++k)
    for (int64_t i = 0; i < width; ++i)
      multiply_rows(table + i * kRows, u + k * u_stride, table + ((k + 1) * width + i) * kRows);
}

template <class T>
void prepare_tensor(const FeatureForm& form, const T* c, const T* s, T* factors, T* scratch) {
  const int64_t n = form.depth, count = kRows * n, n_values = 2 * form.power;
  // u[k][j][t]: cos and sin of multiples of the whole angle.
  T* u = scratch;
  for (int64_t i = 0; i < count; i += kLanes<T>) {
    const Vec<T> cosine = load(c + i), sine = load(s + i);
    store<T>(u + i, cosine * cosine - sine * sine);
    store<T>(u + count + i, T(2) * cosine * sine);
  }
  for (int64_t k = 1; k < form.power; ++k) {
    const T *cos_one = u, *sin_one = u + count, *cos_k = u + 2 * (k - 1) * count, *sin_k = cos_k + count;
    T *cos_next = u + 2 * k * count, *sin_next = cos_next + count;
    for (int64_t i = 0; i < count; ++i) {
      cos_next[i] = cos_k[i] * cos_one[i] - sin_k[i] * sin_one[i];
      sin_next[i] = sin_k[i] * cos_one[i] + cos_k[i] * sin_one[i];
    }
  }
  set_ones(factors);
  int64_t width = 1;
  for (int64_t j = 0; j < form.n_low; ++j, width *= n_values + 1)
    extend_table(u + j * kRows, count, n_values, width, factors);
  clear_padding(factors, form.width);
  if (form.second_width == 1) return;
  T* second = factors + form.second * kRows;
  set_ones(second);
  width = 1;
  for (int64_t j = form.n_low; j < n; ++j, width *= n_values + 1)
    extend_table(u + j * kRows, count, n_values, width, second);
}

template <class T>
void prepare(const FeatureForm& form, const T* plane0, const T* plane1, T* factors, T* scratch) {
  if (form.kind == FeatureKind::tensor) {
    prepare_tensor(form, plane0, plane1, factors, scratch);
    return;
  }
  const int64_t depth = form.depth, one = form.has_one ? 1 : 0;
  T* state = factors + one * kRows;
  if (one) set_ones(factors);
  if (form.pair == PairKind::product) {
    // The state of a product map, which is real: products of one of (cos, sin) each.
    set_ones(state);
    int64_t width = 1;
    for (int64_t j = 0; j < depth; ++j, width *= 2)
      for (int64_t i = 0; i < width; ++i) {
        multiply_rows(state + i * kRows, plane1 + j * kRows, state + (width + i) * kRows);
        multiply_rows(state + i * kRows, plane0 + j * kRows, state + i * kRows);
      }
  } else {
    const size_t bytes = sizeof(T) * static_cast<size_t>(depth * kRows);
    memcpy(state, plane0, bytes);
    // Imaginary parts: more elements of the vector, or a table of their own.
    T* imaginary = form.kind == FeatureKind::hermitian ? factors + form.second * kRows : state + depth * kRows;
    if (form.pair == PairKind::complex_dot) memcpy(imaginary, plane1, bytes);
  }
  clear_padding(factors, form.width);
}

template <class T>
void generate(const FeatureForm& form, const FeatureBlock& block, const T* factors, T* out) {
  const int64_t last = block.first + block.count;
  const T *a = factors, *b = factors + form.second * kRows;
  T* to = out;
  if (form.kind == FeatureKind::tensor) {
    for (int64_t k = block.first; k < last; ++k)
      for (int64_t i = 0; i < form.width; ++i, to += kRows) multiply_rows(a + i * kRows, b + k * kRows, to);
  } else if (form.kind == FeatureKind::square) {
    for (int64_t i = block.first; i < last; ++i)
      for (int64_t j = 0; j <= i; ++j, to += kRows) multiply_rows(a + j * kRows, a + i * kRows, to);
  } else {
    for (int64_t i = block.first; i < last; ++i) {
      const T *re = a + i * kRows, *im = b + i * kRows;
      for (int64_t j = 0; j <= i; ++j, to += kRows)
        for (int64_t t = 0; t < kRows; t += kLanes<T>)
          store<T>(to + t, load(re + t) * load(a + j * kRows + t) + load(im + t) * load(b + j * kRows + t));
      for (int64_t j = 0; j < i; ++j, to += kRows)
        for (int64_t t = 0; t < kRows; t += kLanes<T>)
          store<T>(to + t, load(re + t) * load(b + j * kRows + t) - load(im + t) * load(a + j * kRows + t));
    }
  }
  clear_padding(out, block.features);
}

// Sums of kRegisterRows rows at a time: equal rows round in one direction, which a longer sum would show.
template <class T, int R, int W>
FLASHKET_INLINE void accumulate_block(const T* features, int64_t rows, const T* v, int64_t v_stride, T* sums) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t begin = 0; begin < rows; begin += kRegisterRows) {
    const int64_t end = begin + kRegisterRows < rows ? begin + kRegisterRows : rows;
    Vec<T> acc[R][W] = {};
    for (int64_t t = begin; t < end; ++t) {
      Vec<T> x[W];
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) x[w] = load(v + t * v_stride + w * L);
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vec<T> f = splat(features[r * kRows + t]);
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
}

// Halves are added until one lane is left: fewer steps than lane after lane.
template <class T>
FLASHKET_INLINE T add_lanes(Vec<T> v) {
  typedef T Half __attribute__((vector_size(FLASHKET_VECTOR_BYTES / 2)));
  constexpr int64_t H = kLanes<T> / 2;
  Half halves[2];
  memcpy(halves, &v, sizeof v);
  const Half sum = halves[0] + halves[1];
  T lanes[H];
  memcpy(lanes, &sum, sizeof sum);
  FLASHKET_UNROLL
  for (int64_t half = H / 2; half > 0; half /= 2) {
    FLASHKET_UNROLL
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

template <class T>
void accumulate(const T* features, int64_t rows, int64_t n_features, const T* v, int64_t v_stride, T* sums,
                T* weights) {
  constexpr int64_t L = kLanes<T>;
  int64_t column = 0;
  // Features beyond the last are zeros, their sums nobody reads.
  for (; column + kWide * L <= v_stride; column += kWide * L)
    for (int64_t f = 0; f < n_features; f += 4)
      accumulate_block<T, 4, kWide>(features + f * kRows, rows, v + column, v_stride, sums + f * v_stride + column);
  for (; column < v_stride; column += L)
    for (int64_t f = 0; f < n_features; f += 8)
      accumulate_block<T, 8, 1>(features + f * kRows, rows, v + column, v_stride, sums + f * v_stride + column);
  for (int64_t f = 0; f < n_features; ++f) {
    const T* row = features + f * kRows;
    Vec<T> sum = {};
    int64_t t = 0;
    for (; t + L <= rows; t += L) sum += load(row + t);
    T total = add_lanes<T>(sum);
    for (; t < rows; ++t) total += row[t];
    weights[f] += total;
  }
}

template <class T, int R, int W>
FLASHKET_INLINE void apply_block(const T* features, int64_t n_features, const T* sums, int64_t v_stride, T* numerator) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][W] = {};
  for (int64_t f = 0; f < n_features; ++f) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(sums + f * v_stride + w * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> y = splat(features[f * kRows + r]);
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

template <class T>
void apply(const T* features, int64_t rows, int64_t n_features, const T* sums, const T* weights, int64_t v_stride,
           T* numerator, T* denominator) {
  constexpr int64_t L = kLanes<T>;
  int64_t column = 0;
  for (; column + kWide * L <= v_stride; column += kWide * L)
    for (int64_t t = 0; t < rows; t += 4)
      apply_block<T, 4, kWide>(features + t, n_features, sums + column, v_stride, numerator + t * v_stride + column);
  for (; column < v_stride; column += L)
    for (int64_t t = 0; t < rows; t += 8)
      apply_block<T, 8, 1>(features + t, n_features, sums + column, v_stride, numerator + t * v_stride + column);
  constexpr int64_t W = 4 * L < kRows ? 4 : kRows / L;
  for (int64_t t = 0; t < kRows; t += W * L) {
    Vec<T> acc[W] = {};
    for (int64_t f = 0; f < n_features; ++f) {
      const Vec<T> weight = splat(weights[f]);
      FLASHKET_UNROLL
      for (int64_t w = 0; w < W; ++w) acc[w] += weight * load(features + f * kRows + t + w * L);
    }
    FLASHKET_UNROLL
    for (int64_t w = 0; w < W; ++w) {
      T* p = denominator + t + w * L;
      store<T>(p, load(p) + acc[w]);
    }
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

// As many numbers of C as doubles fill a vector.
template <class T>
struct Narrow {
  typedef T Vec __attribute__((vector_size(sizeof(T) * kLanes<double>)));
};

template <class T>
T divide(const T* numerator, const double* wide, double inverse, int64_t width, T* result) {
  Vec<T> most = {};
  if (wide == nullptr) {
    const Vec<T> factor = splat(static_cast<T>(inverse));
    for (int64_t c = 0; c < width; c += kLanes<T>) {
      const Vec<T> value = load(numerator + c) * factor;
      store<T>(result + c, value);
      most = vmax<T>(most, vmax<T>(value, -value));
    }
    return max_lanes<T>(most);
  }
  typedef typename Narrow<T>::Vec Part;
  for (int64_t c = 0; c < width; c += kLanes<double>) {
    Part part;
    memcpy(&part, numerator + c, sizeof part);
    const Vec<double> sum = __builtin_convertvector(part, Vec<double>) + load(wide + c);
    part = __builtin_convertvector(sum * inverse, Part);
    memcpy(result + c, &part, sizeof part);
  }
  return largest(result, width);
}

template <class T>
constexpr LinearOps<T> make_ops() {
  return {prepare<T>, generate<T>, accumulate<T>, apply<T>, advance<T>, fold<T>, divide<T>, largest<T>};
}

}  // namespace

extern const LinearTable linear_ops;
const LinearTable linear_ops = {make_ops<float>(), make_ops<double>()};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
