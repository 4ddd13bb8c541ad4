// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Micro-kernels: R rows x 2 vectors of columns in registers. Dots are summed in three levels, kDepthBlock in registers,
// kLongDepth in the tile, the rest in double: the rounding of one long float32 sum of equal signs would exceed 2e-6.
#include "gram/tile.hpp"

#include "core/simd.hpp"
#include "gram/transfer.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int64_t kBlockRows = FLASHKET_VECTOR_BYTES == 64 ? 8 : 4;  // by the number of registers: 32 or 16
constexpr int64_t kDepthBlock = 64;
constexpr int64_t kLongDepth = 4096;
template <class T>
constexpr int64_t kPanelCols = 2 * kLanes<T>;

template <class T>
FLASHKET_INLINE Vec<T> raise(Vec<T> v, int power) {
  if (power == 1) return v;
  Vec<T> result = splat(T(1));
  for (; power > 0; power >>= 1, v = v * v)
    if (power & 1) result = result * v;
  return result;
}

// Rounding may carry a kernel value past its bounds; sampling needs a probability.
template <class T>
FLASHKET_INLINE Vec<T> kernel_value(const Score& score, Vec<T> re, Vec<T> im) {
  if (score.similarity == Similarity::dot) return re;
  if (score.similarity == Similarity::projected) return exp_nonpositive(re * static_cast<T>(-0.5 * score.gamma));
  if (score.similarity == Similarity::hadamard)
    re = vmax<T>(Vec<T>{}, re * T(0.5) + T(0.5));
  else
    re = re * re + im * im;
  return raise<T>(vmin<T>(splat(T(1)), re), score.power);  // in this order NaN stays NaN
}

template <class T, int R>
FLASHKET_INLINE void product_block(const Score& score, const T* a, const T* b, T* out) {
  constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
  Vec<T> acc[R][2];
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) acc[r][0] = acc[r][1] = splat(T(1));
  // Overlaps below the root of the smallest number have a kernel value of 0 anyway; dropping them in time avoids
  // denormals.
  const T tiny = sizeof(T) == 4 ? T(1e-25) : T(1e-170);
  for (int64_t begin = 0; begin < score.depth; begin += 32) {
    const int64_t end = begin + 32 < score.depth ? begin + 32 : score.depth;
    for (int64_t d = begin; d < end; ++d) {
      const T* ad = a + d * 2 * kBlockRows;
      const T* bd = b + d * 2 * N;
      const Vec<T> c0 = load(bd), c1 = load(bd + L), s0 = load(bd + N), s1 = load(bd + N + L);
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vec<T> c = splat(ad[r]), s = splat(ad[kBlockRows + r]);
        acc[r][0] *= c * c0 + s * s0;
        acc[r][1] *= c * c1 + s * s1;
      }
    }
    if (end == score.depth) break;
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      FLASHKET_UNROLL
      for (int h = 0; h < 2; ++h) {
        const Vec<T> v = acc[r][h];
        acc[r][h] = select<T>((v < tiny) & (v > -tiny), Vec<T>{}, v);
      }
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < 2; ++h) store<T>(out + r * kTileCols + h * L, kernel_value<T>(score, acc[r][h], Vec<T>{}));
  }
}

// Part of the depth. The first part of a sum overwrites the tile, others add to it; the last turns sums into values.
struct DepthRange {
  int64_t begin, end;
  bool is_first, is_last;
};

template <class T, int R>
FLASHKET_INLINE void real_block(const Score& score, const T* a, const T* b, const DepthRange& range, T* out) {
  constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
  Vec<T> acc[R][2] = {};
  for (int64_t d = range.begin; d < range.end; ++d) {
    const Vec<T> b0 = load(b + d * N), b1 = load(b + d * N + L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> x = splat(a[d * kBlockRows + r]);
      acc[r][0] += x * b0;
      acc[r][1] += x * b1;
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < 2; ++h) {
      T* p = out + r * kTileCols + h * L;
      Vec<T> v = acc[r][h];
      if (!range.is_first) v += load(p);
      store<T>(p, range.is_last ? kernel_value<T>(score, v, Vec<T>{}) : v);
    }
  }
}

// Differences are squared one by one: |a|^2 + |b|^2 - 2 a.b would lose the digits of near rows.
template <class T, int R>
FLASHKET_INLINE void distance_block(const Score& score, const T* a, const T* b, const DepthRange& range, T* out) {
  constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
  Vec<T> acc[R][2] = {};
  for (int64_t d = range.begin; d < range.end; ++d) {
    const Vec<T> b0 = load(b + d * N), b1 = load(b + d * N + L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> x = splat(a[d * kBlockRows + r]);
      acc[r][0] += (x - b0) * (x - b0);
      acc[r][1] += (x - b1) * (x - b1);
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < 2; ++h) {
      T* p = out + r * kTileCols + h * L;
      Vec<T> v = acc[r][h];
      if (!range.is_first) v += load(p);
      store<T>(p, range.is_last ? kernel_value<T>(score, v, Vec<T>{}) : v);
    }
  }
}

template <class T, int R>
FLASHKET_INLINE void complex_block(const Score& score, const T* a, const T* b, const DepthRange& range, T* out,
                                   T* out_im) {
  constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
  Vec<T> re[R][2] = {}, im[R][2] = {};
  for (int64_t d = range.begin; d < range.end; ++d) {
    const T* ad = a + d * 2 * kBlockRows;
    const T* bd = b + d * 2 * N;
    const Vec<T> br[2] = {load(bd), load(bd + L)}, bi[2] = {load(bd + N), load(bd + N + L)};
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> ar = splat(ad[r]), ai = splat(ad[kBlockRows + r]);
      FLASHKET_UNROLL
      for (int h = 0; h < 2; ++h) {
        re[r][h] += ar * br[h];
        re[r][h] += ai * bi[h];
        im[r][h] += ar * bi[h];
        im[r][h] -= ai * br[h];
      }
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < 2; ++h) {
      const int64_t at = r * kTileCols + h * L;
      Vec<T> x = re[r][h], y = im[r][h];
      if (!range.is_first) {
        x += load(out + at);
        y += load(out_im + at);
      }
      if (range.is_last) {
        store<T>(out + at, kernel_value<T>(score, x, y));
      } else {
        store<T>(out + at, x);
        store<T>(out_im + at, y);
      }
    }
  }
}

template <class T, int R>
FLASHKET_INLINE void any_block(const Score& score, const T* a, const T* b, const DepthRange& range, T* out, T* out_im) {
  switch (score.pair) {
    case PairKind::product:
      product_block<T, R>(score, a, b, out);
      break;
    case PairKind::real_dot:
      real_block<T, R>(score, a, b, range, out);
      break;
    case PairKind::distance:
      distance_block<T, R>(score, a, b, range, out);
      break;
    case PairKind::complex_dot:
      // Half the rows at a time: four sums a pair would not fit the registers.
      FLASHKET_UNROLL
      for (int r = 0; r < R; r += 4) {
        complex_block < T, R<4 ? R : 4>(score, a + r, b, range, out + r * kTileCols, out_im + r * kTileCols);
      }
      break;
    case PairKind::transfer:  // score_tile
      break;
  }
}

template <class T>
FLASHKET_INLINE void score_range(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols,
                                 const DepthRange& range, T* values, T* other) {
  const int64_t row_size = score.row_elements();
  for (int64_t j = 0; j < cols; j += kPanelCols<T>) {
    const T* panel = b + j * row_size;
    for (int64_t i = 0; i < rows; i += kBlockRows) {
      const T* block = a + i * row_size;
      T* out = values + i * kTileCols + j;
      T* out_im = other + i * kTileCols + j;
      if (rows - i == 1)
        any_block<T, 1>(score, block, panel, range, out, out_im);
      else
        any_block<T, kBlockRows>(score, block, panel, range, out, out_im);
    }
  }
}

template <class T>
void score_tile(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols, T* values, T* other) {
  if (score.pair == PairKind::product) {
    score_range(score, a, b, rows, cols, {0, score.depth, true, true}, values, other);
    return;
  }
  if (score.pair == PairKind::transfer) {
    transfer_tile<T, kBlockRows, kPanelCols<T>>(score, a, b, rows, cols, values, other);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t at = i * kTileCols; at < i * kTileCols + cols; at += kLanes<T>)
        store<T>(values + at, kernel_value<T>(score, load(values + at), load(other + at)));
    return;
  }
  const bool is_long = score.depth > kLongDepth;
  double* sums = reinterpret_cast<double*>(other + kTileSize);  // is_long only: real parts, then imaginary parts
  if (is_long) memset(sums, 0, 2 * kTileSize * sizeof(double));
  for (int64_t start = 0; start < score.depth; start += kLongDepth) {
    const int64_t stop = start + kLongDepth < score.depth ? start + kLongDepth : score.depth;
    for (int64_t begin = start; begin < stop; begin += kDepthBlock) {
      const int64_t end = begin + kDepthBlock < stop ? begin + kDepthBlock : stop;
      score_range(score, a, b, rows, cols, {begin, end, begin == start, !is_long && end == stop}, values, other);
    }
    if (!is_long) return;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t at = i * kTileCols; at < i * kTileCols + cols; ++at) {
        sums[at] += static_cast<double>(values[at]);
        if (score.pair == PairKind::complex_dot) sums[kTileSize + at] += static_cast<double>(other[at]);
      }
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; j += kLanes<T>) {
      const int64_t at = i * kTileCols + j;
      Vec<T> re, im;
      for (int64_t l = 0; l < kLanes<T>; ++l) {
        re[l] = static_cast<T>(sums[at + l]);
        im[l] = static_cast<T>(sums[kTileSize + at + l]);
      }
      store<T>(values + at, kernel_value<T>(score, re, im));
    }
}

// Product with mantissa and exponent apart. Eight factors of at least 2^-106 each cannot underflow a double.
template <int R>
FLASHKET_INLINE void scaled_product_block(const Score& score, const double* a, const double* b, double* mantissa,
                                          double* exponent) {
  constexpr int64_t L = kLanes<double>, N = kPanelCols<double>;
  FLASHKET_UNROLL
  for (int h = 0; h < 2; ++h) {
    Vec<double> acc[R];
    IntVec<double> power_of_two[R] = {};
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) acc[r] = splat(1.0);
    for (int64_t begin = 0; begin < score.depth; begin += 8) {
      const int64_t end = begin + 8 < score.depth ? begin + 8 : score.depth;
      for (int64_t d = begin; d < end; ++d) {
        const double* ad = a + d * 2 * kBlockRows;
        const double* bd = b + d * 2 * N + h * L;
        const Vec<double> c = load(bd), s = load(bd + N);
        FLASHKET_UNROLL
        for (int r = 0; r < R; ++r) acc[r] *= splat(ad[r]) * c + splat(ad[kBlockRows + r]) * s;
      }
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) {
        const IntVec<double> bits = (IntVec<double>)acc[r];
        const IntVec<double> field = (bits >> 52) & INT64_C(0x7ff);
        const IntVec<double> is_normal = field != INT64_C(0);
        power_of_two[r] += (field - INT64_C(1023)) & is_normal;
        const IntVec<double> scaled = (bits & INT64_C(0x800fffffffffffff)) | INT64_C(0x3ff0000000000000);
        acc[r] = (Vec<double>)((scaled & is_normal) | (bits & ~is_normal));
      }
    }
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      store<double>(mantissa + r * kTileCols + h * L, acc[r]);
      store<double>(exponent + r * kTileCols + h * L, __builtin_convertvector(power_of_two[r], Vec<double>));
    }
  }
}

void log_tile(const Score& score, const double* a, const double* b, int64_t rows, int64_t cols, double* values,
              double* other) {
  constexpr double ln2 = 0.69314718055994530942;
  if (score.pair == PairKind::product && score.similarity == Similarity::fidelity) {
    for (int64_t j = 0; j < cols; j += kPanelCols<double>)
      for (int64_t i = 0; i < rows; i += kBlockRows)
        scaled_product_block<kBlockRows>(score, a + i * score.row_elements(), b + j * score.row_elements(),
                                         values + i * kTileCols + j, other + i * kTileCols + j);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = i * kTileCols; j < i * kTileCols + cols; ++j) {
        // Rounding may leave an overlap a hair above 1.
        const double value = 2 * (::log(__builtin_fabs(values[j])) + other[j] * ln2);
        values[j] = score.power * (value > 0 ? 0 : value);
      }
    return;
  }
  if (score.pair == PairKind::transfer && score.similarity == Similarity::fidelity) {
    log_transfer_tile<kBlockRows, kPanelCols<double>>(score, a, b, rows, cols, values);
    return;
  }
  Score first = score;
  if (score.similarity == Similarity::projected) {
    first.similarity = Similarity::dot;
    score_tile<double>(first, a, b, rows, cols, values, other);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = i * kTileCols; j < i * kTileCols + cols; ++j) values[j] *= -0.5 * score.gamma;
    return;
  }
  first.power = 1;  // the power multiplies the log instead of underflowing the value
  score_tile<double>(first, a, b, rows, cols, values, other);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = i * kTileCols; j < i * kTileCols + cols; ++j) values[j] = score.power * ::log(values[j]);
}

}  // namespace

extern const TileOps tile_ops;
const TileOps tile_ops = {
    {kBlockRows, kPanelCols<float>}, {kBlockRows, kPanelCols<double>}, score_tile<float>, score_tile<double>, log_tile};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
