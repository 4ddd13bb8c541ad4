// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "states/mps.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/parallel.hpp"
#include "states/truncated_svd.hpp"

namespace flashket {
namespace {

using Complex = std::complex<double>;

// Gates that act on the same qubits with no other gate on them in between, as one matrix.
struct Block {
  int32_t q0, q1;  // q1 = -1: one qubit
  std::vector<const Gate*> gates;
};

std::vector<Block> blocks_of(int32_t n_qubits, const std::vector<Gate>& gates) {
  std::vector<Block> blocks;
  std::vector<int64_t> last(n_qubits, -1);  // the newest block on every qubit
  for (const Gate& gate : gates) {
    const int64_t at = last[gate.q0];
    const bool is_covered = at >= 0 && (gate.q1 < 0 || (last[gate.q1] == at && blocks[at].q1 >= 0));
    if (is_covered) {
      blocks[at].gates.push_back(&gate);
      continue;
    }
    last[gate.q0] = static_cast<int64_t>(blocks.size());
    if (gate.q1 >= 0) last[gate.q1] = static_cast<int64_t>(blocks.size());
    blocks.push_back({gate.q0, gate.q1, {&gate}});
  }
  return blocks;
}

double evaluate(const AngleExpression& e, const double* x) {
  const double first = e.f0 < 0 ? e.b0 : e.a0 * x[e.f0] + e.b0;
  const double second = e.f1 < 0 ? e.b1 : e.a1 * x[e.f1] + e.b1;
  return first * second;
}

// Row-major matrix of N x N.
template <int N>
struct Matrix {
  Complex m[N][N] = {};

  static Matrix identity() {
    Matrix result;
    for (int i = 0; i < N; ++i) result.m[i][i] = 1;
    return result;
  }
  friend Matrix operator*(const Matrix& a, const Matrix& b) {
    Matrix c;
    for (int i = 0; i < N; ++i)
      for (int k = 0; k < N; ++k) {
        if (a.m[i][k] == 0.0) continue;
        for (int j = 0; j < N; ++j) c.m[i][j] += a.m[i][k] * b.m[k][j];
      }
    return c;
  }
};

Matrix<2> make(Complex a, Complex b, Complex c, Complex d) {
  Matrix<2> result;
  result.m[0][0] = a;
  result.m[0][1] = b;
  result.m[1][0] = c;
  result.m[1][1] = d;
  return result;
}

Matrix<2> one_qubit_matrix(Opcode opcode, double angle) {
  constexpr double r = 0.70710678118654752440;
  const double c = std::cos(0.5 * angle), s = std::sin(0.5 * angle);
  const Complex i(0, 1);
  switch (opcode) {
    case Opcode::h:
      return make(r, r, r, -r);
    case Opcode::x:
    case Opcode::cx:
      return make(0, 1, 1, 0);
    case Opcode::y:
      return make(0, -i, i, 0);
    case Opcode::z:
    case Opcode::cz:
      return make(1, 0, 0, -1);
    case Opcode::s:
      return make(1, 0, 0, i);
    case Opcode::sdg:
      return make(1, 0, 0, -i);
    case Opcode::t:
      return make(1, 0, 0, Complex(r, r));
    case Opcode::tdg:
      return make(1, 0, 0, Complex(r, -r));
    case Opcode::rx:
    case Opcode::crx:
      return make(c, -i * s, -i * s, c);
    case Opcode::ry:
    case Opcode::cry:
      return make(c, -s, s, c);
    case Opcode::rz:
    case Opcode::crz:
      return make(Complex(c, -s), 0, 0, Complex(c, s));
    case Opcode::p:
    case Opcode::cp:
      return make(1, 0, 0, Complex(std::cos(angle), std::sin(angle)));
    default:
      throw std::invalid_argument("mps: unknown gate");
  }
}

// Basis (z of gate.q0, z of gate.q1), the first the more significant.
Matrix<4> two_qubit_matrix(Opcode opcode, double angle) {
  Matrix<4> result;
  auto& m = result.m;
  const double c = std::cos(0.5 * angle), s = std::sin(0.5 * angle);
  if (opcode == Opcode::swap) {
    m[0][0] = m[1][2] = m[2][1] = m[3][3] = 1;
  } else if (opcode == Opcode::rzz) {
    m[0][0] = m[3][3] = Complex(c, -s);
    m[1][1] = m[2][2] = Complex(c, s);
  } else if (opcode == Opcode::rxx || opcode == Opcode::ryy) {
    for (int i = 0; i < 4; ++i) m[i][i] = c;
    m[1][2] = m[2][1] = Complex(0, -s);
    m[0][3] = m[3][0] = Complex(0, opcode == Opcode::rxx ? -s : s);
  } else {
    const Matrix<2> target = one_qubit_matrix(opcode, angle);
    m[0][0] = m[1][1] = 1;
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 2; ++j) m[2 + i][2 + j] = target.m[i][j];
  }
  return result;
}

// The block's matrix in the basis (z of `first`, z of `second`), the first the more significant.
Matrix<4> matrix_of(const Block& block, int32_t first, const double* x) {
  Matrix<4> product = Matrix<4>::identity();
  for (const Gate* gate : block.gates) {
    const double angle = evaluate(gate->angle, x);
    Matrix<4> embedded;
    const bool is_first = gate->q0 == first;
    if (gate->q1 >= 0) {
      const Matrix<4> m = two_qubit_matrix(gate->opcode, angle);
      const int place[4] = {0, is_first ? 1 : 2, is_first ? 2 : 1, 3};
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) embedded.m[place[i]][place[j]] = m.m[i][j];
    } else {
      const Matrix<2> m = one_qubit_matrix(gate->opcode, angle);
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j)
          for (int other = 0; other < 2; ++other) {
            const int row = is_first ? 2 * i + other : 2 * other + i, col = is_first ? 2 * j + other : 2 * other + j;
            embedded.m[row][col] = m.m[i][j];
          }
    }
    product = embedded * product;
  }
  return product;
}

// One row's state while gates act on it. All tensors left of `center` have orthonormal columns (left, z) -> right, all
// right of it orthonormal rows left -> (z, right).
class Builder {
 public:
  Builder(int32_t n_qubits, const MpsOptions& options) : n_(n_qubits), options_(options), tensors_(n_qubits) {}

  MpsRow build(const std::vector<Block>& blocks, const double* x) {
    reset();
    for (const Block& block : blocks) {
      if (block.q1 < 0) {
        Matrix<2> matrix = Matrix<2>::identity();
        for (const Gate* gate : block.gates) matrix = one_qubit_matrix(gate->opcode, evaluate(gate->angle, x)) * matrix;
        apply(site_[block.q0], matrix);
        continue;
      }
      int32_t left = std::min(site_[block.q0], site_[block.q1]), right = std::max(site_[block.q0], site_[block.q1]);
      for (; right > left + 1; --right) exchange(right - 1);
      apply_pair(left, matrix_of(block, order_[left], x));
    }
    MpsRow row;
    row.truncation_error = log_kept_ == 0 ? 0 : -std::expm1(log_kept_);
    for (const SplitMatrix& t : tensors_) {
      row.bonds.push_back(static_cast<int32_t>(t.rows / 2));
      for (int64_t i = 0; i < t.rows * t.cols; ++i) row.tensors.emplace_back(t.re[i], t.im[i]);
    }
    row.bonds.push_back(1);
    return row;
  }

  const std::vector<int32_t>& order() const { return order_; }

 private:
  void reset() {
    order_.resize(n_);
    site_.resize(n_);
    for (int32_t j = 0; j < n_; ++j) {
      order_[j] = site_[j] = j;
      tensors_[j].resize(2, 1);
      tensors_[j].set(0, 0, 1);
      tensors_[j].set(1, 0, 0);
    }
    center_ = 0;
    log_kept_ = 0;
  }

  void apply(int32_t j, const Matrix<2>& g) {
    SplitMatrix& t = tensors_[j];
    for (int64_t l = 0; l < t.rows; l += 2)
      for (int64_t r = 0; r < t.cols; ++r) {
        const Complex a = t.at(l, r), b = t.at(l + 1, r);
        t.set(l, r, g.m[0][0] * a + g.m[0][1] * b);
        t.set(l + 1, r, g.m[1][0] * a + g.m[1][1] * b);
      }
  }

  void exchange(int32_t j) {
    apply_pair(j, two_qubit_matrix(Opcode::swap, 0));
    std::swap(order_[j], order_[j + 1]);
    site_[order_[j]] = j;
    site_[order_[j + 1]] = j + 1;
  }

  // Joins sites j and j + 1 to (left, z) x (z', right).
  void join(int32_t j, SplitMatrix& out) const {
    const SplitMatrix &a = tensors_[j], &b = tensors_[j + 1];
    const int64_t width = 2 * b.cols;  // b is (middle, z') x right: rows of a product are z' beside right
    out.resize(a.rows, width);
    out.clear();
    for (int64_t i = 0; i < a.rows; ++i)
      for (int64_t m = 0; m < a.cols; ++m)
        add_scaled(a.re[i * a.cols + m], a.im[i * a.cols + m], &b.re[m * width], &b.im[m * width], &out.re[i * width],
                   &out.im[i * width], width);
  }

  void move_center(int32_t to_left, int32_t to_right) {
    while (center_ < to_left) {
      // (left, z) x right splits as it lies; what remains goes into the next tensor.
      const SplitMatrix& t = tensors_[center_];
      log_kept_ += std::log1p(-split(t, options_.max_bond, 0, basis_, rest_, svd_));
      multiply(rest_, tensors_[center_ + 1], next_);
      transpose(basis_, tensors_[center_]);
      tensors_[center_ + 1].take(next_, 2 * rest_.rows);
      ++center_;
    }
    while (center_ > to_right) {
      const SplitMatrix& t = tensors_[center_];
      const int64_t left = t.rows / 2, width = 2 * t.cols;
      flipped_.resize(width, left);  // (z, right) x left
      for (int64_t l = 0; l < left; ++l)
        for (int64_t k = 0; k < width; ++k) flipped_.set(k, l, {t.re[l * width + k], t.im[l * width + k]});
      log_kept_ += std::log1p(-split(flipped_, options_.max_bond, 0, basis_, rest_, svd_));
      // basis: bond x (z, right) is the tensor; rest: bond x left goes to the right of the one before.
      tensors_[center_].take(basis_, 2 * basis_.rows);
      const SplitMatrix& before = tensors_[center_ - 1];
      transpose(rest_, flipped_);
      multiply(before, flipped_, next_);
      const int64_t rows = next_.rows;
      tensors_[center_ - 1].take(next_, rows);
      --center_;
    }
  }

  void apply_pair(int32_t j, const Matrix<4>& g) {
    const bool goes_right = center_ <= j;
    move_center(j, j + 1);
    join(j, joined_);
    const int64_t left = joined_.rows / 2, right = joined_.cols / 2, width = joined_.cols;
    theta_.resize(joined_.rows, joined_.cols);
    theta_.clear();
    for (int to = 0; to < 4; ++to)
      for (int from = 0; from < 4; ++from) {
        const Complex value = g.m[to][from];
        if (value == 0.0) continue;
        for (int64_t l = 0; l < left; ++l) {
          const int64_t source = (2 * l + from / 2) * width + from % 2 * right;
          const int64_t target = (2 * l + to / 2) * width + to % 2 * right;
          add_scaled(value.real(), value.imag(), &joined_.re[source], &joined_.im[source], &theta_.re[target],
                     &theta_.im[target], right);
        }
      }
    if (goes_right) {
      log_kept_ += std::log1p(-split(theta_, options_.max_bond, options_.cutoff, basis_, rest_, svd_));
      transpose(basis_, tensors_[j]);
      tensors_[j + 1].take(rest_, 2 * rest_.rows);
      center_ = j + 1;
    } else {
      transpose(theta_, flipped_);
      log_kept_ += std::log1p(-split(flipped_, options_.max_bond, options_.cutoff, basis_, rest_, svd_));
      transpose(rest_, tensors_[j]);
      tensors_[j + 1].take(basis_, 2 * basis_.rows);
      center_ = j;
    }
  }

  int32_t n_, center_ = 0;
  MpsOptions options_;
  double log_kept_ = 0;
  std::vector<int32_t> order_, site_;
  std::vector<SplitMatrix> tensors_;  // (left, z) x right
  SplitMatrix joined_, theta_, flipped_, basis_, rest_, next_;
  SvdScratch svd_;
};

}  // namespace

MpsStates mps_states(int32_t n_qubits, const std::vector<Gate>& gates, const MatrixView<const double>& x,
                     const MpsOptions& options) {
  if (n_qubits < 1 || options.max_bond < 1 || !(options.cutoff >= 0))
    throw std::invalid_argument("mps: n_qubits and max_bond must be positive, cutoff not negative");
  for (const Gate& g : gates) {
    const bool is_pair = g.opcode >= Opcode::cx;
    if (g.opcode < Opcode::h || g.opcode > Opcode::crz || g.q0 < 0 || g.q0 >= n_qubits || is_pair != (g.q1 >= 0) ||
        g.q1 >= n_qubits || g.q1 == g.q0 || g.angle.f0 >= x.cols || g.angle.f1 >= x.cols)
      throw std::invalid_argument("mps: bad gate");
  }
  const std::vector<Block> blocks = blocks_of(n_qubits, gates);
  MpsStates states;
  states.rows.resize(x.rows);
  PerWorker<Builder> builders;
  parallel_for(x.rows, [&](int64_t i, int worker) {
    std::vector<double> row(x.cols);
    for (int64_t j = 0; j < x.cols; ++j) row[j] = x(i, j);
    Builder& builder = builders.get(worker, [&] { return Builder(n_qubits, options); });
    states.rows[i] = builder.build(blocks, row.data());
    if (i == 0) states.order = builder.order();
  });
  return states;
}

}  // namespace flashket
