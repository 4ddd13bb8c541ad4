// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Tiles of kernel values by plain multiply-adds: every pair kind, similarity and precision.
//
// A block of 16 x 16 threads computes a tile of 64 x 64 values (32 x 32 for transfer matrices, whose state is five
// numbers a value), each thread a square of 4 x 4 (2 x 2) neighbours in registers. Operands pass through shared memory
// transposed, [element][row], a chunk of the depth at a time: per 16 products two vector loads. Sums of kSummedTerms
// terms join their total by compensated addition. Products computed in double keep their exponent apart.
// Global memory: (rows + cols) row_elements reads a tile, most of them from L2, and one store a value.
#include "gram/overlap.hpp"
#include "gram/parts.hpp"
#include "gram/score.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256, kSide = 16;

template <Pair kPair>
constexpr int kMicro = kPair == Pair::transfer ? 2 : 4;
template <Pair kPair>
constexpr bool kIsSum = kPair != Pair::product && kPair != Pair::transfer;
// Steps of the depth in shared memory at a time: whole runs between two compensated additions or normalisations.
template <Pair kPair, class C>
constexpr int kChunk = kPair == Pair::transfer  ? kScaledSteps<C> / (sizeof(C) == 8 ? 4 : 1)
                       : kPair == Pair::product ? 16
                                                : (sizeof(C) == 8 ? 16 : 32);

template <class C, Pair kPair>
struct SimtShape {
  static constexpr int micro = kMicro<kPair>, tile = kSide * micro;
  static constexpr int elements = elements_per_step(kPair), chunk = kChunk<kPair, C>;
  static constexpr int pitch = tile + (sizeof(C) == 8 ? 2 : 4);  // of an element's row, keeps vectors aligned
  static constexpr int operand = chunk * elements * pitch;
  static constexpr int staged = tile * (tile + 1);
  static constexpr int shared = 2 * operand > staged ? 2 * operand : staged;
  static_assert(shared * sizeof(C) <= 48 * 1024);
  // Complex sums in double with their compensations fill 128 registers alone.
  static constexpr int blocks = sizeof(C) == 8 && (kPair == Pair::complex_dot || kPair == Pair::transfer) ? 1 : 2;
};

// A chunk of the rows i0 .. to shared memory, [element][row]. Rows and steps that are missing become zeros, missing
// factors of a product become 1 (cos 0, sin 0).
template <class C, Pair kPair>
FK_DEVICE void load_chunk(const C* rows, int64_t pitch, int64_t i0, int64_t count, int64_t depth, int64_t d0, C* to) {
  using S = SimtShape<C, kPair>;
  constexpr int kPerRow = S::chunk * S::elements;
  for (int at = static_cast<int>(threadIdx.x); at < S::tile * kPerRow; at += kThreads) {
    const int r = at / kPerRow, k = at % kPerRow;
    // Elements that lie next to each other in a row are read by neighbouring threads.
    const int e = kPair == Pair::complex_dot ? k / S::chunk : k % S::elements;
    const int64_t d = d0 + (kPair == Pair::complex_dot ? k % S::chunk : k / S::elements);
    C value = kPair == Pair::product && e == 0 ? C(1) : C(0);
    if (i0 + r < count && d < depth) value = rows[(i0 + r) * pitch + element_offset(kPair, depth, d, e)];
    to[static_cast<int>((d - d0) * S::elements + e) * S::pitch + r] = value;
  }
}

// The overlaps of one thread's square.
template <class C, Pair kPair>
struct Square {
  static constexpr int R = kMicro<kPair>;
  static constexpr bool is_scaled = kPair == Pair::product && sizeof(C) == 8;
  C total[R][R], part[R][R], total_im[R][R], part_im[R][R];
  int exponent[R][R];
  TransferState<C> state[R][R];

  FK_DEVICE void begin() {
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int c = 0; c < R; ++c) {
        total[r][c] = kPair == Pair::product ? C(1) : C(0);
        part[r][c] = total_im[r][c] = part_im[r][c] = C(0);
        exponent[r][c] = 0;
      }
    }
  }

  // One step: a[e][r] and b[e][c] are the elements of the thread's rows and columns.
  FK_DEVICE void step(const C (&a)[elements_per_step(kPair)][R], const C (&b)[elements_per_step(kPair)][R],
                      bool is_first, int64_t depth) {
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int c = 0; c < R; ++c) {
        if constexpr (kPair == Pair::product) {
          total[r][c] *= a[0][r] * b[0][c] + a[1][r] * b[1][c];
        } else if constexpr (kPair == Pair::real_dot) {
          part[r][c] += a[0][r] * b[0][c];
        } else if constexpr (kPair == Pair::distance) {
          const C apart = a[0][r] - b[0][c];
          part[r][c] += apart * apart;
        } else if constexpr (kPair == Pair::complex_dot) {
          part[r][c] += a[0][r] * b[0][c];
          part[r][c] += a[1][r] * b[1][c];
          part_im[r][c] += a[0][r] * b[1][c];
          part_im[r][c] -= a[1][r] * b[0][c];
        } else {
          if (is_first) {
            state[r][c].begin(a[0][r], a[1][r], b[0][c], b[1][c], depth);
          } else {
            C x[kTransferElements], y[kTransferElements];
#pragma unroll
            for (int e = 0; e < kTransferElements; ++e) {
              x[e] = a[e][r];
              y[e] = b[e][c];
            }
            state[r][c].step(x, y);
          }
        }
      }
    }
  }

  // Between two runs of steps.
  FK_DEVICE void fold() {
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int c = 0; c < R; ++c) {
        if constexpr (kPair == Pair::product) {
          if (is_scaled) normalise(total[r][c], exponent[r][c]);
        } else if constexpr (kPair == Pair::transfer) {
          state[r][c].normalise_all();
        } else {
          add_compensated(total[r][c], part[r][c]);
          if (kPair == Pair::complex_dot) add_compensated(total_im[r][c], part_im[r][c]);
        }
      }
    }
  }

  FK_DEVICE Overlap<C> overlap(int r, int c) const {
    if constexpr (kPair == Pair::transfer) return state[r][c].overlap();
    if constexpr (kPair == Pair::product) return {total[r][c], C(0), exponent[r][c]};
    return {total[r][c] + part[r][c], total_im[r][c] + part_im[r][c], 0};
  }
};

template <class C, Pair kPair>
FK_KERNEL void __launch_bounds__(kThreads, (SimtShape<C, kPair>::blocks))
    ScoreSimt(Scoring scoring, const C* x, const C* y, int64_t pitch, Region region, TileGrid grid, Finish finish,
              Parts<C> parts, Output<C> out) {
  using S = SimtShape<C, kPair>;
  constexpr int R = S::micro;
  __shared__ __align__(16) C shared[S::shared];
  int64_t i0, j0;
  if (!tile_of_block(grid, region, blockIdx.x, S::tile, S::tile, i0, j0)) return;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  const int64_t depth = scoring.depth;
  C *left = shared, *right = shared + S::operand;

  Square<C, kPair> square;
  square.begin();
  // Of this block's part, whole chunks.
  const int64_t begin = kIsSum<kPair> ? int64_t{blockIdx.y} * parts.steps * S::chunk : 0;
  const int64_t end = kIsSum<kPair> && begin + parts.steps * S::chunk < depth ? begin + parts.steps * S::chunk : depth;
  for (int64_t d0 = begin; d0 < end; d0 += S::chunk) {
    load_chunk<C, kPair>(x, pitch, i0, region.rows, depth, d0, left);
    load_chunk<C, kPair>(y, pitch, j0, region.cols, depth, d0, right);
    __syncthreads();
    // A step of zeros would end a line of matrices; sums and products may take it.
    const int steps = kPair == Pair::transfer && depth - d0 < S::chunk ? static_cast<int>(depth - d0) : S::chunk;
#pragma unroll(kPair == Pair::transfer ? 1 : 2)
    for (int d = 0; d < steps; ++d) {
      C a[S::elements][R], b[S::elements][R];
#pragma unroll
      for (int e = 0; e < S::elements; ++e) {
#pragma unroll
        for (int r = 0; r < R; ++r) {
          a[e][r] = left[(d * S::elements + e) * S::pitch + ty * R + r];
          b[e][r] = right[(d * S::elements + e) * S::pitch + tx * R + r];
        }
      }
      square.step(a, b, d0 + d == 0, depth);
      if (Square<C, kPair>::is_scaled && (d + 1) % kScaledFactors<C> == 0) square.fold();
    }
    if (!Square<C, kPair>::is_scaled) square.fold();
    __syncthreads();
  }

  if (kIsSum<kPair> && parts.sums != nullptr) {
    constexpr int kSides = kPair == Pair::complex_dot ? 2 : 1;
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int c = 0; c < R; ++c) {
        const int64_t i = i0 + ty * R + r, j = j0 + tx * R + c;
        if (i >= region.rows || j >= region.cols) continue;
        const Overlap<C> s = square.overlap(r, c);
        parts.plane(region, kSides, 0)[i * region.cols + j] = s.re;
        if (kSides == 2) parts.plane(region, kSides, 1)[i * region.cols + j] = s.im;
      }
    }
    return;
  }
#pragma unroll
  for (int r = 0; r < R; ++r) {
#pragma unroll
    for (int c = 0; c < R; ++c) {
      const Overlap<C> s = square.overlap(r, c);
      C* to = shared + (ty * R + r) * (S::tile + 1) + tx * R + c;
      if (finish.is_log) {
        *to = log_kernel_value(scoring, s);
      } else if (kPair == Pair::transfer || kPair == Pair::product) {
        const C scale = power_of_two<C>(s.exponent);
        *to = kernel_value(scoring, s.re * scale, s.im * scale);
      } else {
        *to = kernel_value(scoring, s.re, s.im);
      }
    }
  }
  __syncthreads();
  store_tile<kThreads, S::tile, S::tile, S::tile + 1>(
      shared, region, i0, j0, out, [&](C value, int64_t row, int64_t col) {
        return finish_value(finish, region.is_same, value, row, col, [&](C v) { return out.as_stored(v); });
      });
}

template <class C, Pair kPair>
void launch_simt(const Scoring& scoring, const C* x, const C* y, int64_t pitch, const Region& region,
                 const Finish& finish, const Output<C>& out, Stream stream) {
  using S = SimtShape<C, kPair>;
  const TileGrid grid = tile_grid(region, S::tile, S::tile);
  const auto run = [&](int64_t count, const Parts<C>& parts) {
    launch("ScoreSimt", ScoreSimt<C, kPair>, {grid.blocks(), count}, kThreads, 0, stream, scoring, x, y, pitch, region,
           grid, finish, parts, out);
  };
  const int64_t chunks = (scoring.depth + S::chunk - 1) / S::chunk;
  if constexpr (kIsSum<kPair>)
    run_in_parts(scoring, region, finish, S::tile, S::tile, chunks, kPair == Pair::complex_dot ? 2 : 1, out, stream,
                 run);
  else
    run(1, {nullptr, chunks});
}

}  // namespace

template <class C>
void score_simt(const Scoring& scoring, const C* x, const C* y, int64_t pitch, const Region& region,
                const Finish& finish, const Output<C>& out, Stream stream) {
  switch (scoring.pair) {
    case Pair::product:
      return launch_simt<C, Pair::product>(scoring, x, y, pitch, region, finish, out, stream);
    case Pair::real_dot:
      return launch_simt<C, Pair::real_dot>(scoring, x, y, pitch, region, finish, out, stream);
    case Pair::complex_dot:
      return launch_simt<C, Pair::complex_dot>(scoring, x, y, pitch, region, finish, out, stream);
    case Pair::distance:
      return launch_simt<C, Pair::distance>(scoring, x, y, pitch, region, finish, out, stream);
    case Pair::transfer:
      return launch_simt<C, Pair::transfer>(scoring, x, y, pitch, region, finish, out, stream);
  }
}

template void score_simt(const Scoring&, const float*, const float*, int64_t, const Region&, const Finish&,
                         const Output<float>&, Stream);
template void score_simt(const Scoring&, const double*, const double*, int64_t, const Region&, const Finish&,
                         const Output<double>&, Stream);

}  // namespace flashket::cuda
