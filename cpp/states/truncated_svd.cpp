// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "states/truncated_svd.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace flashket {
namespace {

constexpr double kRounding = 1e-29;   // squared singular values below this part of the whole are rounding errors
constexpr double kConverged = 1e-30;  // squared cosine between columns that count as orthogonal
constexpr int kMaxSweeps = 40;

// Sums in four parts: the compiler may not reorder additions, and one chain of them would wait for each.
double squared_norm(const double* re, const double* im, int64_t n) {
  double sum[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int l = 0; l < 4; ++l) sum[l] += re[i + l] * re[i + l] + im[i + l] * im[i + l];
  for (; i < n; ++i) sum[0] += re[i] * re[i] + im[i] * im[i];
  return sum[0] + sum[1] + (sum[2] + sum[3]);
}

// sum conj(a) b
std::complex<double> dot(const double* a_re, const double* a_im, const double* b_re, const double* b_im, int64_t n) {
  double re[4] = {}, im[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int l = 0; l < 4; ++l) {
      re[l] += a_re[i + l] * b_re[i + l] + a_im[i + l] * b_im[i + l];
      im[l] += a_re[i + l] * b_im[i + l] - a_im[i + l] * b_re[i + l];
    }
  for (; i < n; ++i) {
    re[0] += a_re[i] * b_re[i] + a_im[i] * b_im[i];
    im[0] += a_re[i] * b_im[i] - a_im[i] * b_re[i];
  }
  return {re[0] + re[1] + (re[2] + re[3]), im[0] + im[1] + (im[2] + im[3])};
}

// Rows of m in an orthonormal basis of their span, as columns of coefficients; returns the rank.
int64_t pivoted_coefficients(const SplitMatrix& m, double total, SvdScratch& s) {
  const int64_t n = m.cols;
  s.residual_re = m.re;
  s.residual_im = m.im;
  s.row_re.resize(n);
  s.row_im.resize(n);
  const int64_t most = std::min(m.rows, n);
  s.column_re.resize(most * m.rows);
  s.column_im.resize(most * m.rows);
  s.norms.resize(m.rows);
  for (int64_t i = 0; i < m.rows; ++i) s.norms[i] = squared_norm(&s.residual_re[i * n], &s.residual_im[i * n], n);
  for (int64_t k = 0; k < most; ++k) {
    const int64_t pivot = std::max_element(s.norms.begin(), s.norms.end()) - s.norms.begin();
    if (s.norms[pivot] <= kRounding * total) return k;
    const double scale = 1 / std::sqrt(s.norms[pivot]);
    for (int64_t j = 0; j < n; ++j) {
      s.row_re[j] = s.residual_re[pivot * n + j] * scale;
      s.row_im[j] = s.residual_im[pivot * n + j] * scale;
    }
    for (int64_t i = 0; i < m.rows; ++i) {
      double *re = &s.residual_re[i * n], *im = &s.residual_im[i * n];
      const std::complex<double> c = dot(s.row_re.data(), s.row_im.data(), re, im, n);
      s.column_re[k * m.rows + i] = c.real();
      s.column_im[k * m.rows + i] = c.imag();
      add_scaled(-c.real(), -c.imag(), s.row_re.data(), s.row_im.data(), re, im, n);
      s.norms[i] = i == pivot ? 0 : squared_norm(re, im, n);
    }
  }
  return most;
}

// Rotates columns p and q so that they become orthogonal; returns whether they were not.
bool rotate(double* __restrict p_re, double* __restrict p_im, double* __restrict q_re, double* __restrict q_im,
            int64_t n, double& p_norm, double& q_norm) {
  const std::complex<double> overlap = dot(p_re, p_im, q_re, q_im, n);
  const double size = std::sqrt(std::norm(overlap));
  if (size * size <= kConverged * p_norm * q_norm) return false;
  const double zeta = (q_norm - p_norm) / (2 * size);
  const double t = (zeta >= 0 ? 1 : -1) / (std::fabs(zeta) + std::sqrt(1 + zeta * zeta));
  const double c = 1 / std::sqrt(1 + t * t), s = c * t;
  // q's phase is turned so that the overlap is real.
  const double e_re = overlap.real() / size, e_im = -overlap.imag() / size;
  for (int64_t i = 0; i < n; ++i) {
    const double qr = q_re[i] * e_re - q_im[i] * e_im, qi = q_re[i] * e_im + q_im[i] * e_re;
    const double pr = p_re[i], pi = p_im[i];
    p_re[i] = c * pr - s * qr;
    p_im[i] = c * pi - s * qi;
    q_re[i] = s * pr + c * qr;
    q_im[i] = s * pi + c * qi;
  }
  p_norm -= t * size;
  q_norm += t * size;
  return true;
}

void orthogonalise(int64_t n_columns, int64_t n, SvdScratch& s) {
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    for (int64_t k = 0; k < n_columns; ++k) s.norms[k] = squared_norm(&s.column_re[k * n], &s.column_im[k * n], n);
    bool is_rotated = false;
    for (int64_t p = 0; p + 1 < n_columns; ++p)
      for (int64_t q = p + 1; q < n_columns; ++q)
        is_rotated |= rotate(&s.column_re[p * n], &s.column_im[p * n], &s.column_re[q * n], &s.column_im[q * n], n,
                             s.norms[p], s.norms[q]);
    if (!is_rotated) break;
  }
  for (int64_t k = 0; k < n_columns; ++k) s.norms[k] = squared_norm(&s.column_re[k * n], &s.column_im[k * n], n);
}

}  // namespace

void add_scaled(double re, double im, const double* __restrict x_re, const double* __restrict x_im,
                double* __restrict y_re, double* __restrict y_im, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    y_re[i] += re * x_re[i] - im * x_im[i];
    y_im[i] += re * x_im[i] + im * x_re[i];
  }
}

void multiply(const SplitMatrix& a, const SplitMatrix& b, SplitMatrix& c) {
  const int64_t width = b.rows * b.cols / a.cols;
  c.resize(a.rows, width);
  c.clear();
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t k = 0; k < a.cols; ++k)
      add_scaled(a.re[i * a.cols + k], a.im[i * a.cols + k], &b.re[k * width], &b.im[k * width], &c.re[i * width],
                 &c.im[i * width], width);
}

void transpose(const SplitMatrix& a, SplitMatrix& out) {
  out.resize(a.cols, a.rows);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.cols; ++j) {
      out.re[j * a.rows + i] = a.re[i * a.cols + j];
      out.im[j * a.rows + i] = a.im[i * a.cols + j];
    }
}

double split(const SplitMatrix& m, int64_t max_bond, double cutoff, SplitMatrix& basis, SplitMatrix& rest,
             SvdScratch& s) {
  const double total = squared_norm(m.re.data(), m.im.data(), m.rows * m.cols);
  const int64_t rank = std::max<int64_t>(pivoted_coefficients(m, total, s), 1);
  s.norms.resize(std::max<int64_t>(rank, m.rows));
  orthogonalise(rank, m.rows, s);
  s.order.resize(rank);
  std::iota(s.order.begin(), s.order.end(), int64_t{0});
  std::sort(s.order.begin(), s.order.end(),
            [&](int64_t a, int64_t b) { return s.norms[a] != s.norms[b] ? s.norms[a] > s.norms[b] : a < b; });
  int64_t bond = rank;
  double lost = 0;
  while (bond > 1) {
    const double next = s.norms[s.order[bond - 1]];
    if (bond <= max_bond && next > kRounding * total && lost + next > cutoff * total) break;
    lost += next;
    --bond;
  }
  basis.resize(bond, m.rows);
  rest.resize(bond, m.cols);
  rest.clear();
  for (int64_t k = 0; k < bond; ++k) {
    const int64_t column = s.order[k];
    const double scale = 1 / std::sqrt(s.norms[column]);
    for (int64_t i = 0; i < m.rows; ++i) {
      const double re = basis.re[k * m.rows + i] = s.column_re[column * m.rows + i] * scale;
      const double im = basis.im[k * m.rows + i] = s.column_im[column * m.rows + i] * scale;
      add_scaled(re, -im, &m.re[i * m.cols], &m.im[i * m.cols], &rest.re[k * m.cols], &rest.im[k * m.cols], m.cols);
    }
  }
  const double scale = 1 / std::sqrt(squared_norm(rest.re.data(), rest.im.data(), bond * m.cols));
  for (int64_t i = 0; i < bond * m.cols; ++i) {
    rest.re[i] *= scale;
    rest.im[i] *= scale;
  }
  return lost / total;
}

}  // namespace flashket
