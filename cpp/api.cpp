// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "attention/attention.hpp"
#include "flashket/flashket.hpp"
#include "gram/gram.hpp"
#include "gram/matvec.hpp"
#include "states/states.hpp"

namespace flashket {
namespace {

KernelSpec make_spec(const char* encoder, std::vector<double> params) {
  if (!(params[0] >= 1)) throw std::invalid_argument("[kernel] n_features must be positive");
  KernelSpec spec{};
  spec.encoder = &find_encoder(encoder);
  spec.params = std::move(params);
  spec.similarity = Similarity::fidelity;
  spec.power = 1;
  return spec;
}

std::shared_ptr<const KernelSpec> with_similarity(const KernelSpec& spec, Similarity similarity, int power) {
  if (power < 1) throw std::invalid_argument("[kernel] power must be positive");
  if (spec.similarity == Similarity::projected)
    throw std::invalid_argument("[kernel] Bloch vectors have no overlap: start from the feature map");
  auto copy = std::make_shared<KernelSpec>(spec);
  copy->similarity = similarity;
  copy->power = power;
  return copy;
}

template <class T>
MatrixView<T> rows(T* data, int64_t n, int64_t width) {
  return {data, n, width, width, 1};
}

template <class T>
Tensor4View<T> tensor(T* data, int64_t batch, int64_t heads, int64_t length, int64_t width) {
  return {data, {batch, heads, length, width}, {heads * length * width, length * width, width, 1}};
}

template <class T>
void run_gram(const Kernel& kernel, const T* x, int64_t n, const T* y, int64_t m, T* out, int64_t shots,
              uint64_t seed) {
  if (shots > 0 && kernel.spec().similarity == Similarity::projected)
    throw std::invalid_argument("[gram] a projected kernel is no outcome's probability: shots must be 0");
  const int64_t width = kernel.n_features();
  const MatrixView<const T> left = rows(x, n, width), right = rows(y, m, width);
  gram<T>(kernel.spec(), left, y ? &right : nullptr, rows(out, n, y ? m : n), {false, {shots}, seed});
}

template <class T>
void run_gram_matvec(const Kernel& kernel, const T* x, int64_t n, const T* y, int64_t m, const T* a, int64_t p,
                     T* out) {
  const int64_t width = kernel.n_features();
  const MatrixView<const T> left = rows(x, n, width), right = rows(y, m, width);
  gram_matvec<T>(kernel.spec(), left, y ? &right : nullptr, rows(a, y ? m : n, p), rows(out, n, p), {});
}

template <class T>
void run_attention(const Kernel& kernel, const AttentionShape& s, const T* q, const T* k, const T* v, T* out,
                   bool causal) {
  if (s.kv_heads < 1 || s.heads % s.kv_heads != 0)
    throw std::invalid_argument("[attention] heads must be a multiple of kv_heads");
  const int64_t width = kernel.n_features();
  AttentionArrays<T> arrays{
      tensor(q, s.batch, s.heads, s.queries, width), tensor(k, s.batch, s.kv_heads, s.keys, width),
      tensor(v, s.batch, s.kv_heads, s.keys, s.v_dim), tensor(out, s.batch, s.heads, s.queries, s.v_dim)};
  AttentionOptions options;
  options.causal = causal;
  attention<T>(kernel.spec(), arrays, options);
}

}  // namespace

Kernel Kernel::angle(int64_t n_features, double bandwidth) {
  return Kernel(std::make_shared<KernelSpec>(make_spec("angle", {static_cast<double>(n_features), bandwidth})));
}

Kernel Kernel::amplitude(int64_t n_features, double bias) {
  if (!(bias >= 0)) throw std::invalid_argument("[kernel] bias must not be negative");
  return Kernel(std::make_shared<KernelSpec>(make_spec("amplitude", {static_cast<double>(n_features), bias})));
}

Kernel Kernel::program(int32_t n_qubits, int32_t n_features, int64_t n_gates, const int32_t* opcodes,
                       const int32_t* qubits, const int32_t* features, const double* coefficients) {
  KernelSpec spec = make_spec("program", {static_cast<double>(n_features)});
  spec.program = CompiledProgram::from_arrays(n_qubits, n_features, n_gates, opcodes, qubits, features, coefficients);
  spec.program_view = spec.program->view();
  return Kernel(std::make_shared<KernelSpec>(std::move(spec)));
}

Kernel Kernel::fidelity(int power) const { return Kernel(with_similarity(*spec_, Similarity::fidelity, power)); }
Kernel Kernel::hadamard_test(int power) const { return Kernel(with_similarity(*spec_, Similarity::hadamard, power)); }

Kernel Kernel::projected(double gamma) const {
  if (!(gamma > 0)) throw std::invalid_argument("[kernel] gamma must be positive");
  auto copy = std::make_shared<KernelSpec>(*spec_);
  const std::string encoder = spec_->encoder->name;
  if (spec_->similarity != Similarity::projected)
    copy->encoder = &find_encoder(encoder == "program" ? "bloch" : encoder + "_bloch");
  if (encoder == "amplitude") {
    const double n_amplitudes = spec_->params[0] + (spec_->params[1] > 0 ? 1 : 0);
    copy->params.push_back(std::max(1.0, std::ceil(std::log2(n_amplitudes))));
  }
  copy->similarity = Similarity::projected;
  copy->power = 1;
  copy->gamma = gamma;
  return Kernel(std::move(copy));
}

int64_t Kernel::n_features() const { return spec_->n_features(); }

void gram(const Kernel& kernel, const float* x, int64_t n, const float* y, int64_t m, float* out, int64_t shots,
          uint64_t seed) {
  run_gram(kernel, x, n, y, m, out, shots, seed);
}
void gram(const Kernel& kernel, const double* x, int64_t n, const double* y, int64_t m, double* out, int64_t shots,
          uint64_t seed) {
  run_gram(kernel, x, n, y, m, out, shots, seed);
}

void gram_matvec(const Kernel& kernel, const float* x, int64_t n, const float* y, int64_t m, const float* a, int64_t p,
                 float* out) {
  run_gram_matvec(kernel, x, n, y, m, a, p, out);
}
void gram_matvec(const Kernel& kernel, const double* x, int64_t n, const double* y, int64_t m, const double* a,
                 int64_t p, double* out) {
  run_gram_matvec(kernel, x, n, y, m, a, p, out);
}

void states(const Kernel& kernel, const float* x, int64_t n, std::complex<float>* out, int64_t n_amplitudes) {
  states<float>(kernel.spec(), rows(x, n, kernel.n_features()), reinterpret_cast<float*>(out), n_amplitudes);
}
void states(const Kernel& kernel, const double* x, int64_t n, std::complex<double>* out, int64_t n_amplitudes) {
  states<double>(kernel.spec(), rows(x, n, kernel.n_features()), reinterpret_cast<double*>(out), n_amplitudes);
}

void attention(const Kernel& kernel, const AttentionShape& shape, const float* q, const float* k, const float* v,
               float* out, bool causal) {
  run_attention(kernel, shape, q, k, v, out, causal);
}
void attention(const Kernel& kernel, const AttentionShape& shape, const double* q, const double* k, const double* v,
               double* out, bool causal) {
  run_attention(kernel, shape, q, k, v, out, causal);
}

std::string isa() { return isa_ops().name; }

}  // namespace flashket
