// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// FlashKet's C++ API: find_package(flashket), link flashket::flashket. Row-major contiguous arrays of float or double.
#pragma once
#include <complex>
#include <cstdint>
#include <memory>
#include <string>

namespace flashket {

struct KernelSpec;

// A feature map and a similarity; immutable, cheap to copy.
class Kernel {
 public:
  // K = prod_j cos^2(bandwidth (x_j - y_j) / 2)
  static Kernel angle(int64_t n_features, double bandwidth = 1);
  // |x> = (x, sqrt(bias)) / norm. Rows must not be zero when bias is 0.
  static Kernel amplitude(int64_t n_features, double bias = 0);
  // Any gate list as plain arrays: opcodes (g), qubits (g, 2; second -1 if unused), features (g, 2; -1 unused),
  // coefficients (g, 4): gate angle = (a0 x[f0] + b0) (a1 x[f1] + b1). Opcodes count h x y z s sdg t tdg rx ry rz p cx
  // cz cp rzz rxx ryy swap crx cry crz from 0. Throws std::invalid_argument.
  static Kernel program(int32_t n_qubits, int32_t n_features, int64_t n_gates, const int32_t* opcodes,
                        const int32_t* qubits, const int32_t* features, const double* coefficients);

  Kernel fidelity(int power = 1) const;       // |<x|y>|^(2 power), the default
  Kernel hadamard_test(int power = 1) const;  // ((1 + Re <x|y>) / 2)^power
  // exp(-gamma / 2 sum |r - r'|^2) over the one-qubit Bloch vectors; without shots.
  Kernel projected(double gamma = 1) const;

  int64_t n_features() const;
  const KernelSpec& spec() const { return *spec_; }

 private:
  explicit Kernel(std::shared_ptr<const KernelSpec> spec) : spec_(std::move(spec)) {}
  std::shared_ptr<const KernelSpec> spec_;
};

// out (n, m): the Gram matrix of x (n, d) and y (m, d); y == nullptr: y is x and m = n. shots 0: exact.
void gram(const Kernel& kernel, const float* x, int64_t n, const float* y, int64_t m, float* out, int64_t shots = 0,
          uint64_t seed = 0);
void gram(const Kernel& kernel, const double* x, int64_t n, const double* y, int64_t m, double* out, int64_t shots = 0,
          uint64_t seed = 0);

// out (n, p) = K a with K the Gram matrix of x (n, d) and y (m, d), a (m, p); K is not stored. y == nullptr: y is x.
void gram_matvec(const Kernel& kernel, const float* x, int64_t n, const float* y, int64_t m, const float* a, int64_t p,
                 float* out);
void gram_matvec(const Kernel& kernel, const double* x, int64_t n, const double* y, int64_t m, const double* a,
                 int64_t p, double* out);
// out (n, n_amplitudes): the state of every row of x (n, d); qubit 0 is the lowest bit of the amplitude's number.
// Amplitude fills up with zeros. Throws std::invalid_argument for angle kernels, whose states are never built.
void states(const Kernel& kernel, const float* x, int64_t n, std::complex<float>* out, int64_t n_amplitudes);
void states(const Kernel& kernel, const double* x, int64_t n, std::complex<double>* out, int64_t n_amplitudes);

struct AttentionShape {
  int64_t batch, heads, kv_heads, queries, keys, v_dim;
};

// out (B, Hq, Lq, Dv) = weights . v, weights = kernel values over their sum; causal is bottom-right aligned.
void attention(const Kernel& kernel, const AttentionShape& shape, const float* q, const float* k, const float* v,
               float* out, bool causal);
void attention(const Kernel& kernel, const AttentionShape& shape, const double* q, const double* k, const double* v,
               double* out, bool causal);

std::string isa();
int num_threads();
void set_num_threads(int n);

}  // namespace flashket
