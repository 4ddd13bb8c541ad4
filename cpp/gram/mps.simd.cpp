// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/mps.hpp"

#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int64_t kL = kLanes<double>;
constexpr int kColumns = FLASHKET_VECTOR_BYTES == 64 ? 4 : 2;  // sums in registers: a real and an imaginary part each

struct Strided {
  const double* data;
  int64_t stride;  // between successive k, in doubles
};

// c[b] (+)= sum_k a_k rows_k[b] for b < B. Rows and c are vectors, real and imaginary part side by side; a are vectors as
// well, or one number each, conjugated.
template <int B, bool kIsNumber>
FLASHKET_INLINE void combine(int64_t n, Strided a, Strided rows, double* c, bool is_first) {
  Vec<double> re[B], im[B];
  FLASHKET_UNROLL
  for (int b = 0; b < B; ++b) {
    re[b] = is_first ? Vec<double>{} : load(c + 2 * b * kL);
    im[b] = is_first ? Vec<double>{} : load(c + (2 * b + 1) * kL);
  }
  for (int64_t k = 0; k < n; ++k) {
    const double* p = a.data + k * a.stride;
    const double* row = rows.data + k * rows.stride;
    const Vec<double> x = kIsNumber ? splat(p[0]) : load(p), y = kIsNumber ? splat(-p[1]) : load(p + kL);
    FLASHKET_UNROLL
    for (int b = 0; b < B; ++b) {
      const Vec<double> u = load(row + 2 * b * kL), v = load(row + (2 * b + 1) * kL);
      re[b] += x * u;
      im[b] += x * v;
      re[b] -= y * v;
      im[b] += y * u;
    }
  }
  FLASHKET_UNROLL
  for (int b = 0; b < B; ++b) {
    store<double>(c + 2 * b * kL, re[b]);
    store<double>(c + (2 * b + 1) * kL, im[b]);
  }
}

// All `width` of them.
template <bool kIsNumber>
FLASHKET_INLINE void combine_row(int64_t n, int64_t width, Strided a, Strided rows, double* c, bool is_first) {
  int64_t b = 0;
  for (; b + kColumns <= width; b += kColumns)
    combine<kColumns, kIsNumber>(n, a, {rows.data + 2 * b * kL, rows.stride}, c + 2 * b * kL, is_first);
  for (; b < width; ++b) combine<1, kIsNumber>(n, a, {rows.data + 2 * b * kL, rows.stride}, c + 2 * b * kL, is_first);
}

// Takes the largest power of two out of every lane of a matrix of n complex vectors.
FLASHKET_INLINE void rescale(int64_t n, double* e, IntVec<double>& exponent) {
  Vec<double> largest{};
  for (int64_t i = 0; i < 2 * n; ++i)
    largest = vmax<double>(largest, (Vec<double>)((IntVec<double>)load(e + i * kL) & INT64_C(0x7fffffffffffffff)));
  const IntVec<double> power = ((IntVec<double>)largest >> 52) - INT64_C(1023);
  const Vec<double> scale = (Vec<double>)((INT64_C(1023) - power) << 52);
  exponent += power;
  for (int64_t i = 0; i < 2 * n; ++i) store<double>(e + i * kL, load(e + i * kL) * scale);
}

void overlap(int64_t n_sites, const int32_t* bonds_x, const double* x, const int32_t* bonds_y, const double* y,
             double* work, double* re, double* im, double* exponent) {
  int64_t widest = 1;
  for (int64_t j = 0; j <= n_sites; ++j) {
    const int64_t size = int64_t{bonds_x[j]} * bonds_y[j];
    widest = widest < size ? size : widest;
  }
  double *e = work, *next = e + 2 * widest * kL, *half = next + 2 * widest * kL;  // half: a row of the left bond of y
  IntVec<double> power{};
  store<double>(e, splat(1.0));
  store<double>(e + kL, Vec<double>{});
  for (int64_t j = 0; j < n_sites; ++j) {
    const int64_t xl = bonds_x[j], xr = bonds_x[j + 1], yl = bonds_y[j], yr = bonds_y[j + 1];
    for (int64_t z = 0; z < 2; ++z) {
      // half[x'][y] = sum_x conj(A[x][z][x']) E[x][y], then next[x'][y'] += sum_y half[x'][y] B[y][z][y'].
      for (int64_t r = 0; r < xr; ++r) {
        combine_row<true>(xl, yl, {x + 2 * (z * xr + r), 4 * xr}, {e, 2 * yl * kL}, half, true);
        combine_row<false>(yl, yr, {half, 2 * kL}, {y + 2 * z * yr * kL, 4 * yr * kL}, next + 2 * r * yr * kL, z == 0);
      }
    }
    x += 4 * xl * xr;
    y += 4 * yl * yr * kL;
    double* spare = e;
    e = next;
    next = spare;
    if (j % 4 == 3 || j + 1 == n_sites) rescale(xr * yr, e, power);
  }
  store<double>(re, load(e));
  store<double>(im, load(e + kL));
  store<double>(exponent, __builtin_convertvector(power, Vec<double>));
}

}  // namespace

extern const MpsOps mps_ops;
const MpsOps mps_ops = {kL, overlap};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
