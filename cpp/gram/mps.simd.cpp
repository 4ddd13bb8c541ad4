// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/mps.hpp"

#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Two rows y at a time: for few of them wider vectors would compute what nobody asks for.
typedef double Pair __attribute__((vector_size(16)));

template <class V>
using IntOf = decltype(V{} < V{});
template <class V>
constexpr int64_t kL = sizeof(V) / sizeof(double);
constexpr int kColumns = FLASHKET_VECTOR_BYTES == 64 ? 4 : 2;  // sums in registers: a real and an imaginary part each

template <class V>
FLASHKET_INLINE V load_vector(const double* p) {
  V v;
  memcpy(&v, p, sizeof v);
  return v;
}

template <class V>
FLASHKET_INLINE void store_vector(double* p, V v) {
  memcpy(p, &v, sizeof v);
}

struct Strided {
  const double* data;
  int64_t stride;  // between successive k, in doubles
};

// c[b] (+)= sum_k a_k rows_k[b] for b < B. Rows and c are vectors, real and imaginary part side by side; a are vectors
// as well, or one number each, conjugated.
template <class V, int B, bool kIsNumber>
FLASHKET_INLINE void combine(int64_t n, Strided a, Strided rows, double* c, bool is_first) {
  V re[B], im[B];
  FLASHKET_UNROLL
  for (int b = 0; b < B; ++b) {
    re[b] = is_first ? V{} : load_vector<V>(c + 2 * b * kL<V>);
    im[b] = is_first ? V{} : load_vector<V>(c + (2 * b + 1) * kL<V>);
  }
  for (int64_t k = 0; k < n; ++k) {
    const double* p = a.data + k * a.stride;
    const double* row = rows.data + k * rows.stride;
    const V x = kIsNumber ? p[0] - V{} : load_vector<V>(p), y = kIsNumber ? -p[1] - V{} : load_vector<V>(p + kL<V>);
    FLASHKET_UNROLL
    for (int b = 0; b < B; ++b) {
      const V u = load_vector<V>(row + 2 * b * kL<V>), v = load_vector<V>(row + (2 * b + 1) * kL<V>);
      re[b] += x * u;
      im[b] += x * v;
      re[b] -= y * v;
      im[b] += y * u;
    }
  }
  FLASHKET_UNROLL
  for (int b = 0; b < B; ++b) {
    store_vector<V>(c + 2 * b * kL<V>, re[b]);
    store_vector<V>(c + (2 * b + 1) * kL<V>, im[b]);
  }
}

// All `width` of them.
template <class V, bool kIsNumber>
FLASHKET_INLINE void combine_row(int64_t n, int64_t width, Strided a, Strided rows, double* c, bool is_first) {
  int64_t b = 0;
  for (; b + kColumns <= width; b += kColumns)
    combine<V, kColumns, kIsNumber>(n, a, {rows.data + 2 * b * kL<V>, rows.stride}, c + 2 * b * kL<V>, is_first);
  for (; b < width; ++b)
    combine<V, 1, kIsNumber>(n, a, {rows.data + 2 * b * kL<V>, rows.stride}, c + 2 * b * kL<V>, is_first);
}

// Takes the largest power of two out of every lane of a matrix of n complex vectors.
template <class V>
FLASHKET_INLINE void rescale(int64_t n, double* e, IntOf<V>& exponent) {
  V largest{};
  for (int64_t i = 0; i < 2 * n; ++i) {
    const V size = (V)((IntOf<V>)load_vector<V>(e + i * kL<V>) & INT64_C(0x7fffffffffffffff));
    largest = size > largest ? size : largest;
  }
  const IntOf<V> power = ((IntOf<V>)largest >> 52) - INT64_C(1023);
  const V scale = (V)((INT64_C(1023) - power) << 52);
  exponent += power;
  for (int64_t i = 0; i < 2 * n; ++i) store_vector<V>(e + i * kL<V>, load_vector<V>(e + i * kL<V>) * scale);
}

template <class V>
void overlap(int64_t n_sites, const int32_t* bonds_x, const double* x, const int32_t* bonds_y, const double* y,
             double* work, double* re, double* im, double* exponent) {
  int64_t widest = 1;
  for (int64_t j = 0; j <= n_sites; ++j) {
    const int64_t size = int64_t{bonds_x[j]} * bonds_y[j];
    widest = widest < size ? size : widest;
  }
  double *e = work, *next = e + 2 * widest * kL<V>,
         *half = next + 2 * widest * kL<V>;  // half: a row of the left bond of y
  IntOf<V> power{};
  store_vector<V>(e, 1.0 - V{});
  store_vector<V>(e + kL<V>, V{});
  for (int64_t j = 0; j < n_sites; ++j) {
    const int64_t xl = bonds_x[j], xr = bonds_x[j + 1], yl = bonds_y[j], yr = bonds_y[j + 1];
    for (int64_t z = 0; z < 2; ++z) {
      // half[x'][y] = sum_x conj(A[x][z][x']) E[x][y], then next[x'][y'] += sum_y half[x'][y] B[y][z][y'].
      for (int64_t r = 0; r < xr; ++r) {
        combine_row<V, true>(xl, yl, {x + 2 * (z * xr + r), 4 * xr}, {e, 2 * yl * kL<V>}, half, true);
        combine_row<V, false>(yl, yr, {half, 2 * kL<V>}, {y + 2 * z * yr * kL<V>, 4 * yr * kL<V>},
                              next + 2 * r * yr * kL<V>, z == 0);
      }
    }
    x += 4 * xl * xr;
    y += 4 * yl * yr * kL<V>;
    double* spare = e;
    e = next;
    next = spare;
    if (j % 4 == 3 || j + 1 == n_sites) rescale<V>(xr * yr, e, power);
  }
  store_vector<V>(re, load_vector<V>(e));
  store_vector<V>(im, load_vector<V>(e + kL<V>));
  store_vector<V>(exponent, __builtin_convertvector(power, V));
}

}  // namespace

extern const MpsOps mps_ops;
const MpsOps mps_ops = {{2, overlap<Pair>}, {kLanes<double>, overlap<Vec<double>>}};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
