// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "gram/gram.hpp"
#include "gram/score.hpp"

namespace flashket::cuda {
namespace {

void require(bool is_met, const char* text) {
  if (!is_met) throw std::invalid_argument(text);
}

}  // namespace

void check_gram(const KernelSpec& spec, const Rows& x, const Rows* y, const GramOptions& options) {
  require(spec.encoder != nullptr, "[gram] a kernel needs an encoder");
  require(spec.power >= 1, "[gram] power must be a positive integer");
  require(options.shots >= 0 && options.shots < int64_t{1} << 31, "[gram] shots must be in 0..2^31-1");
  require(!options.log || options.shots == 0, "[gram] log needs exact values: an estimate of 0 has no logarithm");
  require(x.count >= 0 && (y == nullptr || (y->count >= 0 && y->length == x.length)),
          "[gram] rows of X and Y must have the same length");
}

template <class T>
void gram(const KernelSpec& spec, const Rows& x, const Rows* y, T* out, int64_t stride, const GramOptions& options,
          Stream stream) {
  check_gram(spec, x, y, options);
  const int64_t n = x.count, m = y ? y->count : n;
  require(stride >= m, "[gram] rows of the result must not overlap");
  if (n == 0 || m == 0) return;
  Scorer<T>(spec, x, y, options, stream).score({.rows = n, .cols = m, .is_symmetric = y == nullptr}, out, stride);
}

template <class T>
void encode(const KernelSpec& spec, const Rows& x, T* out, int64_t pitch, Stream stream) {
  require(pitch >= spec.row_elements(), "[encode] encoded rows must not overlap");
  if (x.count == 0) return;
  if constexpr (sizeof(T) == 4)
    spec.encoder->encode_f32(x, out, pitch, spec.args(), stream);
  else
    spec.encoder->encode_f64(x, out, pitch, spec.args(), stream);
}

template void gram(const KernelSpec&, const Rows&, const Rows*, float*, int64_t, const GramOptions&, Stream);
template void gram(const KernelSpec&, const Rows&, const Rows*, double*, int64_t, const GramOptions&, Stream);
template void encode(const KernelSpec&, const Rows&, float*, int64_t, Stream);
template void encode(const KernelSpec&, const Rows&, double*, int64_t, Stream);

}  // namespace flashket::cuda
