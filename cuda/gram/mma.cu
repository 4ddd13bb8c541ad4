// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Tiles of kernel values on the matrix units, fp16 operands and fp32 sums, for products, real and complex dots.
//
// A block of 8 warps, 4 x 2, computes 128 x 128 values (complex split: 128 x 64), a warp 32 x 64 (32 x 32). Steps of 32
// elements of both operands' planes pass through shared memory, the next step under way while one is multiplied; rows
// there are an odd number of 16 bytes apart, so that ldmatrix meets no bank twice.
//
//   product  each k16 product is the product of 4 cosines of differences; values are multiplied up in registers
//   real     x.y        complex  re = a a' + b b', im = a b' - b a' of x = a + ib, y = a' + ib', then |.|^2
//
// Split: x y = hi lo' + lo hi' + hi hi', the small parts first. The matrix units cut sums instead of rounding them,
// which adds up over a long depth: so sums stay short (32 elements, of complex rows 16) and join their total by
// compensated addition in fp32. Cost: 1 (half) or 3 (split) products of 16 for 4 features of a pair; 4 times that for
// complex. What is read comes mostly from L2: blocks at work share rows (tiles.hpp). One streaming store a value.
#include "gram/overlap.hpp"
#include "gram/parts.hpp"
#include "gram/score.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256;

template <PlaneForm kForm, bool kIsSplit>
struct MmaShape {
  static constexpr int rows = 128, cols = kForm == PlaneForm::complex && kIsSplit ? 64 : 128;
  static constexpr int warp_rows = rows / 4, warp_cols = cols / 2;
  static constexpr int m = warp_rows / 16, n = warp_cols / 8;  // products of 16 x 8 of a warp
  static constexpr int parts = kIsSplit ? 2 : 1, planes = parts * (kForm == PlaneForm::complex ? 2 : 1);
  static constexpr int pitch = planes * kPlaneStep + 8;  // from row to row in shared memory
  static constexpr int stage = (rows + cols) * pitch;
  static constexpr int staged_pitch = cols + 1;
  static constexpr size_t operand_bytes = 2 * stage * sizeof(half_t);
  static constexpr size_t staged_bytes = rows * staged_pitch * sizeof(float);
  static constexpr size_t shared_bytes = operand_bytes > staged_bytes ? operand_bytes : staged_bytes;
  static constexpr int blocks = kForm == PlaneForm::product ? 2 : 1;
};

// A thread's share of every step: one column of 16-byte pieces of both operands.
template <class S>
struct Loader {
  static constexpr int pieces = S::planes * kPlaneStep / 8, together = kThreads / pieces;  // rows at a time
  static_assert(S::rows % together == 0 && S::cols % together == 0 && (S::rows + S::cols) / together <= 32);
  const half_t *x, *y;
  half_t* to;
  uint32_t valid;  // a bit for each of its rows, those of x first
  int64_t apart;

  FK_DEVICE Loader(const half_t* x_planes, const half_t* y_planes, const Region& region, int64_t i0, int64_t j0,
                   int64_t row_elements, half_t* stages) {
    const int row = static_cast<int>(threadIdx.x) / pieces, piece = static_cast<int>(threadIdx.x) % pieces;
    x = x_planes + (i0 + row) * row_elements + piece * 8;
    y = y_planes + (j0 + row) * row_elements + piece * 8;
    to = stages + row * S::pitch + piece * 8;
    valid = 0;
    for (int r = 0; r < S::rows; r += together)
      if (i0 + row + r < region.rows) valid |= 1u << r / together;
    for (int r = 0; r < S::cols; r += together)
      if (j0 + row + r < region.cols) valid |= 1u << (S::rows + r) / together;
    apart = together * row_elements;
  }

  FK_DEVICE void skip(int64_t steps) {
    x += steps * (S::planes * kPlaneStep);
    y += steps * (S::planes * kPlaneStep);
  }

  // The next step on its way to shared memory; rows beyond the region become zeros and are not read.
  FK_DEVICE void load(int stage) {
#pragma unroll
    for (int r = 0; r < S::rows; r += together)
      copy_async_16(to + stage * S::stage + r * S::pitch, x + r / together * apart, valid >> r / together & 1);
#pragma unroll
    for (int r = 0; r < S::cols; r += together)
      copy_async_16(to + stage * S::stage + (S::rows + r) * S::pitch, y + r / together * apart,
                    valid >> (S::rows + r) / together & 1);
    copy_async_commit();
    skip(1);
  }
};

// The fragment of a 16 x 16 piece of the left operand, and of 16 columns of the right one: registers 0, 1 of its first
// 8 columns, 2, 3 of the others.
template <int kPitch>
FK_DEVICE void load_left(uint32_t (&a)[4], const half_t* from) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  load_matrix_x4(a, from + (lane & 15) * kPitch + (lane >> 4) * 8);
}
template <int kPitch>
FK_DEVICE void load_right(uint32_t (&b)[4], const half_t* from) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  load_matrix_x4(b, from + ((lane & 7) + (lane >> 4) * 8) * kPitch + ((lane >> 3) & 1) * 8);
}

// Of a warp: lane l holds rows l / 4, l / 4 + 8 and columns 2 (l % 4), + 1 of every 16 x 8 piece.
template <class S>
struct Accumulators {
  float value[S::m][S::n][4];
};

template <class S, bool kIsSplit>
FK_DEVICE void multiply_product(const half_t* left, const half_t* right, Accumulators<S>& total) {
#pragma unroll
  for (int k = 0; k < kPlaneStep; k += 16) {
    uint32_t a[S::m][S::parts][4];
#pragma unroll
    for (int i = 0; i < S::m; ++i)
#pragma unroll
      for (int p = 0; p < S::parts; ++p) load_left<S::pitch>(a[i][p], left + i * 16 * S::pitch + p * kPlaneStep + k);
#pragma unroll
    for (int j = 0; j < S::n; j += 2) {
      uint32_t b[S::parts][4];
#pragma unroll
      for (int p = 0; p < S::parts; ++p) load_right<S::pitch>(b[p], right + j * 8 * S::pitch + p * kPlaneStep + k);
      float group[S::m][2][4] = {};
      if constexpr (kIsSplit) {
#pragma unroll
        for (int i = 0; i < S::m; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h) mma_half(group[i][h], a[i][1], b[0][2 * h], b[0][2 * h + 1]);
#pragma unroll
        for (int i = 0; i < S::m; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h) mma_half(group[i][h], a[i][0], b[1][2 * h], b[1][2 * h + 1]);
      }
#pragma unroll
      for (int i = 0; i < S::m; ++i)
#pragma unroll
        for (int h = 0; h < 2; ++h) mma_half(group[i][h], a[i][0], b[0][2 * h], b[0][2 * h + 1]);
#pragma unroll
      for (int i = 0; i < S::m; ++i)
#pragma unroll
        for (int h = 0; h < 2; ++h)
#pragma unroll
          for (int e = 0; e < 4; ++e) total.value[i][j + h][e] *= group[i][h][e];
    }
  }
}

template <class S, bool kIsSplit>
FK_DEVICE void multiply_real(const half_t* left, const half_t* right, Accumulators<S>& total, Accumulators<S>& rest) {
  constexpr int K = kPlaneStep / 16;
  uint32_t a[K][S::m][S::parts][4];
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int i = 0; i < S::m; ++i)
#pragma unroll
      for (int p = 0; p < S::parts; ++p)
        load_left<S::pitch>(a[k][i][p], left + i * 16 * S::pitch + p * kPlaneStep + 16 * k);
#pragma unroll
  for (int j = 0; j < S::n; j += 2) {
    uint32_t b[K][S::parts][4];
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int p = 0; p < S::parts; ++p)
        load_right<S::pitch>(b[k][p], right + j * 8 * S::pitch + p * kPlaneStep + 16 * k);
    const auto multiply = [&](int part_a, int part_b) {
#pragma unroll
      for (int k = 0; k < K; ++k)
#pragma unroll
        for (int i = 0; i < S::m; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h)
            mma_half(kIsSplit ? rest.value[i][j + h] : total.value[i][j + h], a[k][i][part_a], b[k][part_b][2 * h],
                     b[k][part_b][2 * h + 1]);
    };
    if constexpr (kIsSplit) {
      multiply(1, 0);
      multiply(0, 1);
    }
    multiply(0, 0);
    if constexpr (kIsSplit) {
#pragma unroll
      for (int i = 0; i < S::m; ++i)
#pragma unroll
        for (int h = 0; h < 2; ++h)
#pragma unroll
          for (int e = 0; e < 4; ++e) add_compensated(total.value[i][j + h][e], rest.value[i][j + h][e]);
    }
  }
}

FK_DEVICE void negate(uint32_t (&a)[4]) {
#pragma unroll
  for (int e = 0; e < 4; ++e) a[e] ^= 0x80008000u;
}

template <class S, bool kIsSplit>
FK_DEVICE void multiply_complex(const half_t* left, const half_t* right, Accumulators<S>& re, Accumulators<S>& im,
                                Accumulators<S>& rest_re, Accumulators<S>& rest_im) {
#pragma unroll
  for (int k = 0; k < kPlaneStep; k += 16) {
    uint32_t a[S::m][S::planes][4];
#pragma unroll
    for (int i = 0; i < S::m; ++i)
#pragma unroll
      for (int p = 0; p < S::planes; ++p) load_left<S::pitch>(a[i][p], left + i * 16 * S::pitch + p * kPlaneStep + k);
#pragma unroll
    for (int j = 0; j < S::n; j += 2) {
      uint32_t b[S::planes][4];
#pragma unroll
      for (int p = 0; p < S::planes; ++p) load_right<S::pitch>(b[p], right + j * 8 * S::pitch + p * kPlaneStep + k);
      // Planes: parts of the real part, then of the imaginary part.
      const auto multiply = [&](int part_a, int part_b) {
#pragma unroll
        for (int i = 0; i < S::m; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            float (&to_re)[4] = kIsSplit ? rest_re.value[i][j + h] : re.value[i][j + h];
            float (&to_im)[4] = kIsSplit ? rest_im.value[i][j + h] : im.value[i][j + h];
            const uint32_t (&x_re)[4] = a[i][part_a];
            uint32_t x_im[4];
#pragma unroll
            for (int e = 0; e < 4; ++e) x_im[e] = a[i][S::parts + part_a][e];
            const uint32_t* y_re = &b[part_b][2 * h];
            const uint32_t* y_im = &b[S::parts + part_b][2 * h];
            mma_half(to_re, x_re, y_re[0], y_re[1]);
            mma_half(to_im, x_re, y_im[0], y_im[1]);
            mma_half(to_re, x_im, y_im[0], y_im[1]);
            negate(x_im);
            mma_half(to_im, x_im, y_re[0], y_re[1]);
          }
      };
      if constexpr (kIsSplit) {
        multiply(1, 0);
        multiply(0, 1);
      }
      multiply(0, 0);
      if constexpr (kIsSplit) {
#pragma unroll
        for (int i = 0; i < S::m; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              add_compensated(re.value[i][j + h][e], rest_re.value[i][j + h][e]);
              add_compensated(im.value[i][j + h][e], rest_im.value[i][j + h][e]);
            }
      }
    }
  }
}

template <PlaneForm kForm, bool kIsSplit>
FK_KERNEL void __launch_bounds__(kThreads, (MmaShape<kForm, kIsSplit>::blocks))
    ScoreMma(Scoring scoring, const half_t* x, const half_t* y, int steps, Region region, TileGrid grid, Finish finish,
             Parts<float> parts, Output<float> out) {
  using S = MmaShape<kForm, kIsSplit>;
  int64_t i0, j0;
  if (!tile_of_block(grid, region, blockIdx.x, S::rows, S::cols, i0, j0)) return;
  half_t* stages = dynamic_shared<half_t>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warp_row = warp / 2 * S::warp_rows, warp_col = warp % 2 * S::warp_cols;

  constexpr bool kIsProduct = kForm == PlaneForm::product, kIsComplex = kForm == PlaneForm::complex;
  Accumulators<S> total, im, rest, rest_im;
#pragma unroll
  for (int i = 0; i < S::m; ++i)
#pragma unroll
    for (int j = 0; j < S::n; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        total.value[i][j][e] = kIsProduct ? 1.0f : 0.0f;
        im.value[i][j][e] = rest.value[i][j][e] = rest_im.value[i][j][e] = 0.0f;
      }

  Loader<S> loader(x, y, region, i0, j0, int64_t{steps} * (S::planes * kPlaneStep), stages);
  if constexpr (!kIsProduct) {
    const int begin = static_cast<int>(blockIdx.y) * static_cast<int>(parts.steps);
    loader.skip(begin);
    steps = steps - begin < parts.steps ? steps - begin : static_cast<int>(parts.steps);
  }
  loader.load(0);
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) {
      loader.load((step + 1) % 2);
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    const half_t* left = stages + step % 2 * S::stage + warp_row * S::pitch;
    const half_t* right = stages + step % 2 * S::stage + (S::rows + warp_col) * S::pitch;
    if constexpr (kIsProduct) {
      multiply_product<S, kIsSplit>(left, right, total);
      // Each of the two groups of a step brought kProductScale^2 along.
      if (step % 4 == 3) {
#pragma unroll
        for (int i = 0; i < S::m; ++i)
#pragma unroll
          for (int j = 0; j < S::n; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) total.value[i][j][e] *= 0x1p-32f;
      }
    } else if constexpr (kIsComplex) {
      multiply_complex<S, kIsSplit>(left, right, total, im, rest, rest_im);
    } else {
      multiply_real<S, kIsSplit>(left, right, total, rest);
    }
    __syncthreads();
  }

  // Overlaps to shared memory; the common similarity is finished here, where a value costs two instructions.
  const bool is_plain = scoring.similarity == Similarity::fidelity && scoring.power == 1;
  const float scale =
      kIsProduct ? power_of_two<float>(-8 * (steps % 4)) : static_cast<float>(1 / (kSumScale * kSumScale));
  if (!kIsProduct && parts.sums != nullptr) {
    constexpr int kSides = kIsComplex ? 2 : 1;
    float *re_sums = parts.plane(region, kSides, 0), *im_sums = parts.plane(region, kSides, kSides - 1);
#pragma unroll
    for (int i = 0; i < S::m; ++i)
#pragma unroll
      for (int j = 0; j < S::n; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int64_t row = i0 + warp_row + i * 16 + lane / 4 + e / 2 * 8,
                        col = j0 + warp_col + j * 8 + lane % 4 * 2 + e % 2;
          if (row >= region.rows || col >= region.cols) continue;
          re_sums[row * region.cols + col] = (total.value[i][j][e] + rest.value[i][j][e]) * scale;
          if (kIsComplex) im_sums[row * region.cols + col] = (im.value[i][j][e] + rest_im.value[i][j][e]) * scale;
        }
    return;
  }
  float* tile = dynamic_shared<float>();
#pragma unroll
  for (int i = 0; i < S::m; ++i)
#pragma unroll
    for (int j = 0; j < S::n; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float value = total.value[i][j][e];
        if (kIsSplit && !kIsProduct) value += rest.value[i][j][e];
        value *= scale;
        if constexpr (kIsComplex) {
          float other = im.value[i][j][e];
          if (kIsSplit) other += rest_im.value[i][j][e];
          other *= scale;
          value = value * value + other * other;
        } else if (is_plain) {
          value *= value;
        }
        if (is_plain) value = value > 1.0f ? 1.0f : value;
        const int r = warp_row + i * 16 + lane / 4 + e / 2 * 8, c = warp_col + j * 8 + lane % 4 * 2 + e % 2;
        tile[r * S::staged_pitch + c] = value;
      }
  __syncthreads();
  store_tile<kThreads, S::rows, S::cols, S::staged_pitch>(
      tile, region, i0, j0, out, [&](float value, int64_t row, int64_t col) {
        if (!is_plain) {
          if (kIsComplex)
            value = raise(value > 1.0f ? 1.0f : value, scoring.power);
          else
            value = kernel_value(scoring, value, 0.0f);
        }
        if (region.is_same && finish.is_normalised && row == col && value == value) value = 1.0f;
        return value;
      });
}

template <PlaneForm kForm, bool kIsSplit>
void launch_mma(const PlaneShape& shape, const Scoring& scoring, const half_t* x, const half_t* y, const Region& region,
                const Finish& finish, const Output<float>& out, Stream stream) {
  using S = MmaShape<kForm, kIsSplit>;
  const TileGrid grid = tile_grid(region, S::rows, S::cols);
  const auto run = [&](int64_t count, const Parts<float>& parts) {
    launch("ScoreMma", ScoreMma<kForm, kIsSplit>, {grid.blocks(), count}, kThreads, S::shared_bytes, stream, scoring, x,
           y, shape.steps(), region, grid, finish, parts, out);
  };
  if constexpr (kForm != PlaneForm::product)
    run_in_parts(scoring, region, finish, S::rows, S::cols, shape.steps(), kForm == PlaneForm::complex ? 2 : 1, out,
                 stream, run);
  else
    run(1, {nullptr, shape.steps()});
}

}  // namespace

size_t mma_shared_bytes(const PlaneShape& shape) {
  switch (shape.form) {
    case PlaneForm::product:
      return shape.is_split ? MmaShape<PlaneForm::product, true>::shared_bytes
                            : MmaShape<PlaneForm::product, false>::shared_bytes;
    case PlaneForm::real:
      return shape.is_split ? MmaShape<PlaneForm::real, true>::shared_bytes
                            : MmaShape<PlaneForm::real, false>::shared_bytes;
    default:
      return shape.is_split ? MmaShape<PlaneForm::complex, true>::shared_bytes
                            : MmaShape<PlaneForm::complex, false>::shared_bytes;
  }
}

void score_mma(const PlaneShape& shape, const Scoring& scoring, const half_t* x, const half_t* y, const Region& region,
               const Finish& finish, const Output<float>& out, Stream stream) {
  switch (shape.form) {
    case PlaneForm::product:
      return shape.is_split ? launch_mma<PlaneForm::product, true>(shape, scoring, x, y, region, finish, out, stream)
                            : launch_mma<PlaneForm::product, false>(shape, scoring, x, y, region, finish, out, stream);
    case PlaneForm::real:
      return shape.is_split ? launch_mma<PlaneForm::real, true>(shape, scoring, x, y, region, finish, out, stream)
                            : launch_mma<PlaneForm::real, false>(shape, scoring, x, y, region, finish, out, stream);
    case PlaneForm::complex:
      return shape.is_split ? launch_mma<PlaneForm::complex, true>(shape, scoring, x, y, region, finish, out, stream)
                            : launch_mma<PlaneForm::complex, false>(shape, scoring, x, y, region, finish, out, stream);
  }
}

}  // namespace flashket::cuda
