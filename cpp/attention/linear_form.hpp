// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Kernels as sum_f w_f F_f(x) F_f(y), and rows as factors of their features.
// Fidelity of a product map, power p: cos^2p is a trigonometric polynomial of degree p, so (2p+1)^n products of
// (1, cos x, sin x, .., cos p x, sin p x). Fidelity of real vectors: x_i x_j, d(d+1)/2. Of complex states: the Hermitian
// matrix |x><x|, D^2 real numbers. Hadamard test: polynomials of (1, state) of degree `power`, here 1 and 2.
#pragma once
#include <string>
#include <vector>

#include "attention/linear_ops.hpp"
#include "gram/pack.hpp"

namespace flashket {

constexpr int64_t kMaxFeatures = 16384;  // beyond, a state of 64 values takes more than 8 MB a head

struct LinearForm {
  FeatureForm form{};
  std::vector<FeatureBlock> blocks;
  int64_t n_features = 0;     // 0: the kernel has no linear form, or it is too large
  int64_t state_rows = 0;     // features with the padding of every block
  int64_t feature_stride = 0;  // of a row of a block's features
  std::vector<double> scale;  // w of every state row, 1 for padding
  std::string reason;         // why not

  // Whether the factors are the features themselves.
  bool is_direct() const {
    return form.kind == FeatureKind::vector || (form.kind == FeatureKind::tensor && form.second_width == 1);
  }
};

LinearForm linear_form(const KernelSpec& spec);

template <class C>
const LinearOps<C>& linear_ops() {
  if constexpr (sizeof(C) == 4)
    return isa_ops().linear->f32;
  else
    return isa_ops().linear->f64;
}

// Encoded rows and their factors; memory of one worker. C is the type computed in.
template <class C>
class FactorRows {
 public:
  FactorRows(const KernelSpec& spec, const LinearForm& form, int64_t max_rows)
      : form_(&form),
        encoder_(spec),
        encode_rows_(encode_rows(*spec.encoder)),
        args_(spec.args()),
        depth_(form.form.depth),
        n_planes_(planes(form.form.pair)),
        input_(max_rows * spec.n_features()),
        planes_(2 * max_rows * depth_ + 16),
        factors_(max_rows * form.form.stride + 64),
        scratch_(max_rows * form.form.scratch + 64),
        features_(form.is_direct() ? 0 : kLinearTokens * form.feature_stride + 64),
        max_rows_(max_rows) {}

  template <class T>
  void load(const MatrixView<const T>& source, int64_t begin, int64_t end) {
    const int64_t rows = end - begin, width = source.cols;
    if (encode_rows_ != nullptr) {
      C* to = input_.data();
      for (int64_t i = begin; i < end; ++i)
        for (int64_t j = 0; j < width; ++j) *to++ = static_cast<C>(source(i, j));
      encode_rows_(input_.data(), rows, plane(0), plane(1), args_);
    } else {
      for (int64_t i = 0; i < rows; ++i) {
        const C* encoded = encoder_.encode(source, begin + i);
        for (int p = 0; p < n_planes_; ++p) std::copy_n(encoded + p * depth_, depth_, plane(p) + i * depth_);
      }
    }
    linear_ops<C>().prepare(form_->form, plane(0), plane(1), rows, factors_.data(), scratch_.data());
  }

  // Features of rows [first, first + rows) of those loaded; rows <= kLinearTokens. Good until the next call.
  const C* features(const FeatureBlock& block, int64_t first, int64_t rows) {
    const C* factors = factors_.data() + first * form_->form.stride;
    if (form_->is_direct()) return factors + block.first;
    linear_ops<C>().generate(form_->form, block, factors, rows, features_.data(), form_->feature_stride);
    return features_.data();
  }
  int64_t stride() const { return form_->is_direct() ? form_->form.stride : form_->feature_stride; }

  // The rows loaded, packed for the tile engine; missing rows of the last group are zero.
  void pack(int64_t rows, int64_t lanes, C* out) const {
    const C* source[2] = {planes_.data(), planes_.data() + max_rows_ * depth_};
    for (int64_t row = 0; row < round_up(rows, lanes); ++row) {
      C* to = out + row / lanes * lanes * depth_ * n_planes_ + row % lanes;
      for (int64_t d = 0; d < depth_; ++d)
        for (int p = 0; p < n_planes_; ++p, to += lanes) *to = row < rows ? source[p][row * depth_ + d] : C(0);
    }
  }

 private:
  static EncodeRows<C> encode_rows(const Encoder& encoder) {
    if constexpr (sizeof(C) == 4)
      return encoder.rows_f32;
    else
      return encoder.rows_f64;
  }
  C* plane(int p) { return planes_.data() + p * max_rows_ * depth_; }

  const LinearForm* form_;
  RowEncoder<C> encoder_;
  EncodeRows<C> encode_rows_;
  EncoderArgs args_;
  int64_t depth_;
  int n_planes_;
  Buffer<C> input_, planes_, factors_, scratch_, features_;
  int64_t max_rows_;
};

}  // namespace flashket
