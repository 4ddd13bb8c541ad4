// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Micro-kernels: R rows x 2 vectors of columns in registers. Sums are taken in three levels, kDepthBlock in registers,
// kLongDepth in the tile, the rest in double: the rounding of one long float32 sum of equal signs would exceed 2e-6.
#include "gram/tile.hpp"

#include "core/simd.hpp"
#include "gram/layout.hpp"
#include "gram/product.hpp"
#include "gram/transfer.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int64_t kBlockRows = FLASHKET_VECTOR_BYTES == 64 ? 8 : 4;  // by the number of registers: 32 or 16
constexpr int64_t kLongDepth = 4096;
// The three sums of a complex product in one pass need 32 registers; with 16 each has a pass of its own.
constexpr bool kIsFused = FLASHKET_VECTOR_BYTES == 64;

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

template <class T, int R, int W>
FLASHKET_INLINE void store_values(const Score& score, const Vec<T> (&overlap)[R][W], T* to) {
  // The common case without the questions that kernel_value asks for every vector.
  const bool is_plain = score.similarity == Similarity::fidelity && score.power == 1;
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < W; ++h) {
      const Vec<T> v = overlap[r][h];
      store<T>(to + r * kTileStride + h * kLanes<T>,
               is_plain ? vmin<T>(splat(T(1)), v * v) : kernel_value<T>(score, v, Vec<T>{}));
    }
  }
}

// Where row i of packed rows begins.
template <class T>
FLASHKET_INLINE const T* packed_row(const T* rows, int64_t i, int64_t panel_stride) {
  return rows + i / kPanelCols<T> * panel_stride + i % kPanelCols<T>;
}

// Calls block(rows' start, panel, where in the tile, number of rows as a constant) for all blocks of a tile. Packed
// panels lie panel_stride apart.
template <class T, class Block>
FLASHKET_INLINE void for_blocks(const T* a, const T* b, int64_t panel_stride, int64_t rows, int64_t cols,
                                const Block& block) {
  for (int64_t j = 0; j < cols; j += kPanelCols<T>) {
    const T* panel = b + j / kPanelCols<T> * panel_stride;
    for (int64_t i = 0; i < rows; i += kBlockRows) {
      const T* row = packed_row(a, i, panel_stride);
      if (rows - i == 1)
        block.template run<1>(row, panel, i * kTileStride + j);
      else
        block.template run<kBlockRows>(row, panel, i * kTileStride + j);
    }
  }
}

template <class T, int R, int V>
FLASHKET_INLINE void product_overlaps(const Score& score, bool is_tangent, const T* a, const T* b,
                                      Vec<T> (&acc)[R][V]) {
  if (is_tangent) {
    tangent_overlaps<T>(a, b, score.depth, score.group, acc);
    return;
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < V; ++h) acc[r][h] = splat(T(1));
  }
  paired_overlaps<T>(a, b, score.depth, acc);
}

template <class T>
struct ProductBlock {
  const Score& score;
  T* values;

  template <int R>
  FLASHKET_INLINE void run(const T* a, const T* b, int64_t at) const {
    Vec<T> acc[R][2];
    product_overlaps<T>(score, score.pair == PairKind::tangent, a, b, acc);
    store_values<T>(score, acc, values + at);
  }
};

#if FLASHKET_VECTOR_BYTES == 64
// Squares of 16 x 16 values leave for memory from the registers in which they were computed, as rows and turned as
// columns. Stores that wait for memory hold the few places that a processor has for stores, until then all later ones:
// a value that was kept in a tile first would queue up there behind them. So the next square is computed meanwhile.
template <bool kIsTangent, bool kIsPlain>
void stream_tile(const Score& score, const float* a, const float* b, const StreamPlace& to) {
  constexpr int64_t L = kLanes<float>, N = kPanelCols<float>;
  const int64_t pitch = score.pitch();
  for (int64_t j = 0; j < kStreamCols; j += L) {
    const float* panel = packed_row(b, j, pitch * N);
    for (int64_t i = 0; i < kStreamRows; i += L) {
      Vec<float> acc[L][1];
      product_overlaps<float>(score, kIsTangent, packed_row(a, i, pitch * N), panel, acc);
      float* row = to.values + i * to.stride + j;
      Vec<float> v[L];
      FLASHKET_UNROLL
      for (int r = 0; r < L; ++r) {
        if constexpr (kIsPlain)
          v[r] = vmin<float>(splat(1.0f), acc[r][0] * acc[r][0]);
        else
          v[r] = kernel_value<float>(score, acc[r][0], Vec<float>{});
        store_streaming<float>(row + r * to.stride, v[r]);
      }
      if (to.mirrored == nullptr) continue;
      transpose<float>(v);
      float* column = to.mirrored + j * to.stride + i;
      FLASHKET_UNROLL
      for (int c = 0; c < L; ++c) store_streaming<float>(column + c * to.stride, v[c]);
    }
  }
}

void score_streaming(const Score& score, const float* a, const float* b, const StreamPlace& to) {
  const bool is_plain = score.similarity == Similarity::fidelity && score.power == 1;
  if (score.pair == PairKind::tangent)
    (is_plain ? stream_tile<true, true> : stream_tile<true, false>)(score, a, b, to);
  else
    (is_plain ? stream_tile<false, true> : stream_tile<false, false>)(score, a, b, to);
}
#else
constexpr ScoreStreaming score_streaming = nullptr;
#endif

// A part of the sum over elements. The first part overwrites the tile, others add to it; `finished` turns sums into
// kernel values in the same breath.
template <class T, bool kIsDistance>
struct SumBlock {
  static constexpr int64_t kRows = kBlockRows, kPlanes = 1;
  int64_t length, im_offset;
  bool is_first;
  const Score* finished;
  T* values;
  int64_t plane;

  template <int R, int W>
  FLASHKET_INLINE void run(const T* a, const T* b, int64_t at) const {
    constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
    Vec<T> acc[R][W] = {};
    for (int64_t d = 0; d < length; ++d) {
      Vec<T> y[W];
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) y[w] = load(b + d * N + w * L);
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vec<T> x = splat(a[d * N + r]);
        FLASHKET_UNROLL
        for (int w = 0; w < W; ++w) {
          // Differences are squared one by one: |a|^2 + |b|^2 - 2 a.b would lose the digits of near rows.
          acc[r][w] += kIsDistance ? (x - y[w]) * (x - y[w]) : x * y[w];
        }
      }
    }
    T* to = values + at;
    if (!is_first) {
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) {
        FLASHKET_UNROLL
        for (int w = 0; w < W; ++w) acc[r][w] += load(to + r * kTileStride + w * L);
      }
    }
    if (finished) {
      store_values<T>(*finished, acc, to);
      return;
    }
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) store<T>(to + r * kTileStride + w * L, acc[r][w]);
    }
  }
};

// splat from memory, where arithmetic follows: compilers compute on the scalar first and spread the result, which
// takes a unit that multiplies; a load takes none.
template <class T>
FLASHKET_INLINE Vec<T> broadcast(const T* p) {
  Vec<T> v = splat(*p);
#if defined(__x86_64__) && FLASHKET_VECTOR_BYTES == 64
  __asm__("" : "+v"(v));
#elif defined(__x86_64__)
  __asm__("" : "+x"(v));
#endif
  return v;
}

// SumBlock for complex rows, im_offset from re to im: three real products instead of four, p = re re', q = im im',
// s = (re - im) (re' + im'), in one pass. Adders are idle beside multipliers: sums and differences cost nothing.
template <class T>
struct ComplexBlock {
  static constexpr int64_t kRows = 4, kPlanes = 2;
  int64_t length, im_offset;
  bool is_first;
  const Score* finished;
  T* values;
  int64_t plane;

  template <int R, int W>
  FLASHKET_INLINE void run(const T* a, const T* b, int64_t at) const {
    constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
    Vec<T> p[R][W] = {}, q[R][W] = {}, s[R][W] = {};
    for (int64_t d = 0; d < length; ++d) {
      Vec<T> re[W], im[W], sum[W];
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) {
        re[w] = load(b + d * N + w * L);
        im[w] = load(b + im_offset + d * N + w * L);
        sum[w] = re[w] + im[w];
      }
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vec<T> x = broadcast(a + d * N + r), y = broadcast(a + im_offset + d * N + r), difference = x - y;
        FLASHKET_UNROLL
        for (int w = 0; w < W; ++w) {
          p[r][w] += x * re[w];
          q[r][w] += y * im[w];
          s[r][w] += difference * sum[w];
        }
      }
    }
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) {
        T* to = values + at + r * kTileStride + w * L;
        Vec<T> re = p[r][w] + q[r][w], im = s[r][w] - p[r][w] + q[r][w];
        if (!is_first) {
          re += load(to);
          im += load(to + plane);
        }
        if (finished) {
          store<T>(to, kernel_value<T>(*finished, re, im));
        } else {
          store<T>(to, re);
          store<T>(to + plane, im);
        }
      }
    }
  }
};

// One of n_parts of a range of a panel comes nearer. Panels are too far apart for the machine to foresee which is next.
template <class T, class Block>
FLASHKET_INLINE void prefetch_part(const Block& block, const T* panel, int64_t part, int64_t n_parts) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t n_lines = block.length * kPanelCols<T> / kLine;
  for (int64_t line = part * n_lines / n_parts; line < (part + 1) * n_lines / n_parts; ++line)
    for (int64_t p = 0; p < Block::kPlanes; ++p) __builtin_prefetch(panel + p * block.im_offset + line * kLine, 0, 2);
}

// A range of the depth of a tile: blocks of rows by whole or half panels of columns. Of rows that are longer than a
// range, what comes next, the panel beside and the rows' next range, is fetched meanwhile.
template <class T, class Block>
FLASHKET_INLINE void sum_blocks(const T* a, const T* b, int64_t panel_stride, int64_t rows, int64_t cols,
                                const Block& block) {
  constexpr int64_t N = kPanelCols<T>, R = Block::kRows, kBlocks = N / R;
  const int64_t n_panels = (cols + N - 1) / N, n_blocks = (rows + R - 1) / R, next = block.length * N;
  for (int64_t p = 0; p < n_panels; ++p) {
    const T* panel = b + p * panel_stride;
    for (int64_t i = 0; i < rows; i += R) {
      if (Block::kPlanes == 2 && rows > R && panel_stride > 2 * next) {
        prefetch_part(block, p + 1 < n_panels ? panel + panel_stride : b + next, i / R, n_blocks);
        prefetch_part(block, a + i / N * panel_stride + next, p * kBlocks + i % N / R, n_panels * kBlocks);
      }
      const T* row = packed_row(a, i, panel_stride);
      const int64_t at = i * kTileStride + p * N;
      if (rows - i == 1)
        block.template run<1, 2>(row, panel, at);
      else if (cols - p * N <= kLanes<T>)
        block.template run<R, 1>(row, panel, at);
      else
        block.template run<R, 2>(row, panel, at);
    }
  }
}

// rows' re + sign im over one depth block, packed with kDepthBlock elements a row.
template <class T>
FLASHKET_INLINE void combine_planes(const T* re, int64_t im_offset, int64_t panel_stride, int64_t rows, int64_t length,
                                    T sign, T* out) {
  constexpr int64_t N = kPanelCols<T>;
  for (int64_t i = 0; i < rows; i += N) {
    const T* from = packed_row(re, i, panel_stride);
    T* to = out + i * kDepthBlock;
    for (int64_t e = 0; e < length * N; e += kLanes<T>)
      store<T>(to + e, load(from + e) + sign * load(from + im_offset + e));
  }
}

struct DepthRange {
  int64_t begin, length;
  bool is_first, is_last;
};

// p, q and s of a range in three passes, each to a plane of its own.
template <class T>
FLASHKET_INLINE void add_complex_in_passes(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols,
                                           const DepthRange& range, T* values, int64_t plane) {
  constexpr int64_t N = kPanelCols<T>;
  const int64_t stride = score.pitch() * N, im = score.depth * N;
  const auto add = [&](const T* left, const T* right, int64_t panel_stride, T* to) {
    sum_blocks(left, right, panel_stride, rows, cols,
               SumBlock<T, false>{range.length, 0, range.is_first, nullptr, to, plane});
  };
  add(a, b, stride, values);
  add(a + im, b + im, stride, values + plane);
  T* left = values + 9 * plane;
  T* right = left + plane / kTileStride * kDepthBlock;
  combine_planes<T>(a, im, stride, rows, range.length, T(-1), left);
  combine_planes<T>(b, im, stride, cols, range.length, T(1), right);
  add(left, right, kDepthBlock * N, values + 2 * plane);
}

// Adds a range of the depth to the planes of sums: one of a real kernel, re and im of a complex one, or p, q and s.
template <class T>
FLASHKET_INLINE void sum_range(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols,
                               const DepthRange& range, T* values, int64_t plane) {
  constexpr int64_t N = kPanelCols<T>;
  const int64_t stride = score.pitch() * N, length = range.length;
  const Score* finished = range.is_last ? &score : nullptr;
  a += range.begin * N;
  b += range.begin * N;
  const auto add = [&]<class Block>() {
    sum_blocks(a, b, stride, rows, cols, Block{length, score.depth * N, range.is_first, finished, values, plane});
  };
  if (score.pair == PairKind::real_dot)
    add.template operator()<SumBlock<T, false>>();
  else if (score.pair == PairKind::distance)
    add.template operator()<SumBlock<T, true>>();
  else if constexpr (kIsFused)
    add.template operator()<ComplexBlock<T>>();
  else
    add_complex_in_passes(score, a, b, rows, cols, range, values, plane);
}

// Sums to kernel values where that was not done in registers: those kept in double, and of a complex kernel p, q and s.
template <class T, class Sum>
FLASHKET_INLINE void finish(const Score& score, const Sum* sums, int64_t rows, int64_t cols, T* values, int64_t plane) {
  const bool is_complex = score.pair == PairKind::complex_dot;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t at = i * kTileStride; at < i * kTileStride + cols; at += kLanes<T>) {
      Vec<T> re = {}, im = {};
      if constexpr (!kIsFused && sizeof(Sum) == sizeof(T)) {
        const Vec<T> p = re = load(sums + at);
        if (is_complex) {
          const Vec<T> q = load(sums + plane + at);
          re = p + q;
          im = load(sums + 2 * plane + at) - p + q;
        }
      } else {
        for (int64_t l = 0; l < kLanes<T>; ++l) {
          const Sum p = sums[at + l], q = is_complex ? sums[plane + at + l] : 0;
          re[l] = static_cast<T>(kIsFused ? p : p + q);
          if (is_complex) im[l] = static_cast<T>(kIsFused ? q : sums[2 * plane + at + l] - p + q);
        }
      }
      store<T>(values + at, kernel_value<T>(score, re, im));
    }
}

template <class T>
void score_tile(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols, T* values, int64_t plane) {
  if (score.pair == PairKind::product || score.pair == PairKind::tangent) {
    for_blocks(a, b, score.pitch() * kPanelCols<T>, rows, cols, ProductBlock<T>{score, values});
    return;
  }
  if (score.pair == PairKind::transfer) {
    for (int64_t i0 = 0; i0 < rows; i0 += kTileRows) {
      const int64_t count = rows - i0 < kTileRows ? rows - i0 : kTileRows;
      T* re = values + i0 * kTileStride;
      transfer_tile<T>(score, a + i0 * score.pitch(), b, count, cols, re, re + plane);
      for (int64_t i = 0; i < count; ++i)
        for (int64_t at = i * kTileStride; at < i * kTileStride + cols; at += kLanes<T>)
          store<T>(re + at, kernel_value<T>(score, load(re + at), load(re + plane + at)));
    }
    return;
  }
  if (score.pair == PairKind::complex_dot && score.similarity != Similarity::fidelity) {
    // Re <x|y> alone is the dot product of rows that hold all re, then all im.
    Score real = score;
    real.pair = PairKind::real_dot;
    real.depth = 2 * score.depth;
    score_tile(real, a, b, rows, cols, values, plane);
    return;
  }
  const bool is_complex = score.pair == PairKind::complex_dot, is_long = score.depth > kLongDepth;
  const int64_t depth_block = is_complex && kIsFused ? kDepthBlock / 2 : kDepthBlock;
  const int n_planes = !is_complex ? 1 : kIsFused ? 2 : 3;
  double* sums = reinterpret_cast<double*>(values + 3 * plane);
  for (int64_t start = 0; start < score.depth; start += kLongDepth) {
    const int64_t stop = start + kLongDepth < score.depth ? start + kLongDepth : score.depth;
    for (int64_t begin = start; begin < stop; begin += depth_block) {
      const int64_t end = begin + depth_block < stop ? begin + depth_block : stop;
      sum_range(score, a, b, rows, cols, {begin, end - begin, begin == start, !is_long && end == stop}, values, plane);
    }
    if (!is_long) break;
    for (int p = 0; p < n_planes; ++p)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t at = p * plane + i * kTileStride; at < p * plane + i * kTileStride + cols; ++at) {
          const double part = static_cast<double>(values[at]);
          sums[at] = start == 0 ? part : sums[at] + part;
        }
  }
  if (is_long)
    finish<T, double>(score, sums, rows, cols, values, plane);
  else if (is_complex && !kIsFused)
    finish<T, T>(score, values, rows, cols, values, plane);
}

template <class T>
void finish_row(const Score& score, T* overlaps, int64_t count) {
  for (int64_t j = 0; j < count; j += kLanes<T>) {
    Vec<T> v = {};
    const int64_t n = count - j < kLanes<T> ? count - j : kLanes<T>;
    memcpy(&v, overlaps + j, n * sizeof(T));
    v = kernel_value<T>(score, v, Vec<T>{});
    memcpy(overlaps + j, &v, n * sizeof(T));
  }
}

struct ScaledBlock {
  const Score& score;
  double* mantissa;
  double* exponent;

  template <int R>
  FLASHKET_INLINE void run(const double* a, const double* b, int64_t at) const {
    constexpr int H = R < 4 ? R : 4;  // mantissas and exponents of more rows would not fit the registers
    FLASHKET_UNROLL
    for (int r = 0; r < R; r += H)
      scaled_overlaps<H>(a + r, b, score.depth, mantissa + at + r * kTileStride, exponent + at + r * kTileStride);
  }
};

void log_tile(const Score& score, const double* a, const double* b, int64_t rows, int64_t cols, double* values,
              int64_t plane) {
  constexpr double ln2 = 0.69314718055994530942;
  if (score.pair == PairKind::transfer && score.similarity == Similarity::fidelity) {
    for (int64_t i0 = 0; i0 < rows; i0 += kTileRows)
      log_transfer_tile(score, a + i0 * score.pitch(), b, rows - i0 < kTileRows ? rows - i0 : kTileRows, cols,
                        values + i0 * kTileStride);
    return;
  }
  Score first = score;
  first.power = 1;  // the power multiplies the log instead of underflowing the value
  const bool is_scaled = score.pair == PairKind::product && score.similarity == Similarity::fidelity;
  if (is_scaled) {
    for_blocks(a, b, score.pitch() * kPanelCols<double>, rows, cols, ScaledBlock{score, values, values + plane});
  } else {
    if (score.similarity == Similarity::projected) first.similarity = Similarity::dot;
    score_tile<double>(first, a, b, rows, cols, values, plane);
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t at = i * kTileStride; at < i * kTileStride + cols; ++at) {
      if (is_scaled) {
        // Rounding may leave an overlap a hair above 1.
        const double value = 2 * (::log(__builtin_fabs(values[at])) + values[plane + at] * ln2);
        values[at] = score.power * (value > 0 ? 0 : value);
      } else if (score.similarity == Similarity::projected) {
        values[at] *= -0.5 * score.gamma;
      } else {
        values[at] = score.power * ::log(values[at]);
      }
    }
}

}  // namespace

extern const TileOps<float> tile_ops_f32;
const TileOps<float> tile_ops_f32 = {kPanelCols<float>, score_tile<float>,     finish_row<float>, pack_rows<float>,
                                     store_tile<float>, store_mirrored<float>, score_streaming};
extern const TileOps<double> tile_ops_f64;
const TileOps<double> tile_ops_f64 = {kPanelCols<double>,
                                      score_tile<double>,
                                      finish_row<double>,
                                      pack_rows<double>,
                                      store_tile<double>,
                                      store_mirrored<double>,
                                      nullptr};
extern const ScoreTile<double> log_tile_f64;
const ScoreTile<double> log_tile_f64 = log_tile;

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
