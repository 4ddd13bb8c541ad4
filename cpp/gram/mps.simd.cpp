// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/mps.hpp"

#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

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

// Takes the largest power of two out of every lane of a matrix of n complex vectors, or the same out of all lanes.
template <class V, bool kIsCommon = false>
FLASHKET_INLINE void rescale(int64_t n, double* e, IntOf<V>& exponent) {
  V largest{};
  for (int64_t i = 0; i < 2 * n; ++i) {
    const V size = (V)((IntOf<V>)load_vector<V>(e + i * kL<V>) & INT64_C(0x7fffffffffffffff));
    largest = size > largest ? size : largest;
  }
  if constexpr (kIsCommon) {
    double all = 0;
    for (int64_t l = 0; l < kL<V>; ++l) all = largest[l] > all ? largest[l] : all;
    largest = all - V{};
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

// Four columns of a row. Bonds are small: wider vectors would mostly hold what fills them up.
typedef double Block __attribute__((vector_size(32)));
constexpr int64_t kBlock = kL<Block>;

int64_t filled_up(int64_t bond) { return (bond + kBlock - 1) / kBlock * kBlock; }

// Complex numbers p + k step + r row, their imaginary parts `imaginary` doubles behind.
struct Numbers {
  const double* data;
  int64_t step, row, imaginary;
};

// re + i im of row r += sum_k a_kr rows_k; kIsConjugated: of the conjugated a.
template <int R, bool kIsConjugated>
FLASHKET_INLINE void add_products(int64_t n, const Numbers& a, Strided rows, Block (&re)[R], Block (&im)[R]) {
  for (int64_t k = 0; k < n; ++k) {
    const Block u = load_vector<Block>(rows.data + k * rows.stride),
                v = load_vector<Block>(rows.data + k * rows.stride + kBlock);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const double* p = a.data + k * a.step + r * a.row;
      const Block x = p[0] - Block{}, y = (kIsConjugated ? -p[a.imaginary] : p[a.imaginary]) - Block{};
      re[r] += x * u;
      im[r] += x * v;
      re[r] -= y * v;
      im[r] += y * u;
    }
  }
}

// One matrix as planes of blocks, [row][column / kBlock][re, im][column % kBlock].
template <int R>
FLASHKET_INLINE void store_rows(double* to, int64_t row_size, Block (&re)[R], Block (&im)[R]) {
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    store_vector<Block>(to + r * row_size, re[r]);
    store_vector<Block>(to + r * row_size + kBlock, im[r]);
  }
}

// Rows [first, first + R) of the next matrix; half: room for two rows of E of each.
template <int R>
FLASHKET_INLINE void advance_rows(int64_t first, int64_t xl, int64_t xr, int64_t yl, int64_t yr, const double* x,
                                  const double* y, const double* e, double* half, double* next) {
  const int64_t left_size = 2 * filled_up(yl), right_size = 2 * filled_up(yr);
  for (int64_t z = 0; z < 2; ++z)
    for (int64_t b = 0; b < left_size; b += 2 * kBlock) {
      Block re[R] = {}, im[R] = {};
      add_products<R, true>(xl, {x + 2 * (z * xr + first), 4 * xr, 2, 1}, {e + b, left_size}, re, im);
      store_rows<R>(half + z * R * left_size + b, left_size, re, im);
    }
  for (int64_t b = 0; b < right_size; b += 2 * kBlock) {
    Block re[R] = {}, im[R] = {};
    for (int64_t z = 0; z < 2; ++z)
      for (int64_t k = 0; k < yl; k += kBlock)  // the columns of a block lie side by side
        add_products<R, false>(yl - k < kBlock ? yl - k : kBlock,
                               {half + z * R * left_size + 2 * k, 1, left_size, kBlock},
                               {y + (2 * k + z) * right_size + b, 2 * right_size}, re, im);
    store_rows<R>(next + first * right_size + b, right_size, re, im);
  }
}

void overlap_single(int64_t n_sites, const int32_t* bonds_x, const double* x, const int32_t* bonds_y, const double* y,
                    double* work, double* re, double* im, double* exponent) {
  int64_t widest = 1;
  for (int64_t j = 0; j <= n_sites; ++j) {
    const int64_t size = bonds_x[j] * filled_up(bonds_y[j]);
    widest = widest < size ? size : widest;
  }
  double *e = work, *next = e + 2 * widest, *half = next + 2 * widest;
  IntOf<Block> power{};
  store_vector<Block>(e, Block{1});
  store_vector<Block>(e + kBlock, Block{});
  for (int64_t j = 0; j < n_sites; ++j) {
    const int64_t xl = bonds_x[j], xr = bonds_x[j + 1], yl = bonds_y[j], yr = bonds_y[j + 1];
    int64_t r = 0;
    for (; r + 4 <= xr; r += 4) advance_rows<4>(r, xl, xr, yl, yr, x, y, e, half, next);
    for (; r + 2 <= xr; r += 2) advance_rows<2>(r, xl, xr, yl, yr, x, y, e, half, next);
    for (; r < xr; ++r) advance_rows<1>(r, xl, xr, yl, yr, x, y, e, half, next);
    x += 4 * xl * xr;
    y += 4 * yl * filled_up(yr);
    double* spare = e;
    e = next;
    next = spare;
    if (j % 4 == 3 || j + 1 == n_sites) rescale<Block, true>(xr * filled_up(yr) / kBlock, e, power);
  }
  *re = e[0];
  *im = e[kBlock];
  *exponent = static_cast<double>(power[0]);
}

}  // namespace

extern const MpsOps mps_ops;
const MpsOps mps_ops = {{1, kBlock, overlap_single}, {kLanes<double>, 1, overlap<Vec<double>>}};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
