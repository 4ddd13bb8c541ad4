// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The singular value decomposition that matrix product states need: of a small complex matrix the leading left singular
// vectors, and the matrix expressed in them. Rows are first orthogonalised with pivoting, which finds the rank;
// one-sided Jacobi rotations (Hestenes; Demmel and Veselic, SIAM J. Matrix Anal. Appl. 13, 1204 (1992)) then act on as
// many columns as the rank has, and converge in a few sweeps because the pivoting has sorted them.
#pragma once
#include <complex>
#include <cstdint>
#include <vector>

namespace flashket {

// Row-major, real and imaginary parts apart. Shrinking keeps the memory.
struct SplitMatrix {
  int64_t rows = 0, cols = 0;
  std::vector<double> re, im;

  void resize(int64_t n_rows, int64_t n_cols) {
    rows = n_rows;
    cols = n_cols;
    re.resize(rows * cols);
    im.resize(rows * cols);
  }
  void clear() {
    re.assign(re.size(), 0.0);
    im.assign(im.size(), 0.0);
  }
  std::complex<double> at(int64_t i, int64_t j) const { return {re[i * cols + j], im[i * cols + j]}; }
  void set(int64_t i, int64_t j, std::complex<double> v) {
    re[i * cols + j] = v.real();
    im[i * cols + j] = v.imag();
  }
  // The elements of another matrix, which becomes garbage, cut into n_rows rows.
  void take(SplitMatrix& other, int64_t n_rows) {
    re.swap(other.re);
    im.swap(other.im);
    cols = other.rows * other.cols / n_rows;
    rows = n_rows;
  }
};

struct SvdScratch {
  std::vector<double> row_re, row_im, residual_re, residual_im, column_re, column_im, norms;
  std::vector<int64_t> order;
};

// y += (re, im) x
void add_scaled(double re, double im, const double* x_re, const double* x_im, double* y_re, double* y_im, int64_t n);
// c = a b with b read as a.cols rows.
void multiply(const SplitMatrix& a, const SplitMatrix& b, SplitMatrix& c);
void transpose(const SplitMatrix& a, SplitMatrix& out);

// m ~ transpose(basis) rest with orthonormal rows in basis (bond x m.rows) and rest (bond x m.cols) of norm 1; bond is
// at most max_bond. Returns the part of the squared norm that is lost: singular values are dropped, smallest first,
// while their squares' sum is at most `cutoff` of the whole, and those below the rounding of double always.
double split(const SplitMatrix& m, int64_t max_bond, double cutoff, SplitMatrix& basis, SplitMatrix& rest,
             SvdScratch& scratch);

}  // namespace flashket
