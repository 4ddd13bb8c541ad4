// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Rows of the host as factors of their features; feature_form.hpp tells which features.
#pragma once
#include "attention/feature_form.hpp"
#include "gram/pack.hpp"

namespace flashket {

inline LinearForm linear_form(const KernelSpec& spec) {
  Score score = spec.score();
  if (score.pair == PairKind::product) score.depth = spec.n_features();
  return linear_form(score);
}

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
        encode_qubits_(encode_qubits(*spec.encoder)),
        args_(spec.args()),
        depth_(form.form.depth),
        n_planes_(form.form.pair == PairKind::product || form.form.pair == PairKind::complex_dot ? 2 : 1),
        n_groups_(round_up(max_rows, kLinearTokens) / kLinearTokens),
        input_(kLinearTokens * (spec.n_features() + 2 * depth_)),
        planes_(n_groups_ * n_planes_ * depth_ * kLinearTokens),
        factors_(n_groups_ * form.form.stride * kLinearTokens),
        scratch_(form.form.scratch * kLinearTokens + 64),
        features_(form.is_direct() ? 0 : form.block_rows * kLinearTokens) {}

  // Encodes rows [begin, end) of the source, at most max_rows; missing rows of the last group are zero.
  template <class T>
  void load(const MatrixView<const T>& source, int64_t begin, int64_t end) {
    for (int64_t group = 0; begin < end; ++group, begin += kLinearTokens) {
      const int64_t rows = std::min(kLinearTokens, end - begin);
      encode(source, begin, rows, plane(group, 0));
      linear_ops<C>().prepare(form_->form, plane(group, 0), plane(group, n_planes_ - 1),
                              factors_.data() + group * form_->form.stride * kLinearTokens, scratch_.data());
    }
  }

  // Features of one group of the rows loaded. Good until the next call.
  const C* features(const FeatureBlock& block, int64_t group) {
    const C* factors = factors_.data() + group * form_->form.stride * kLinearTokens;
    if (form_->is_direct()) return factors + block.first * kLinearTokens;
    linear_ops<C>().generate(form_->form, block, factors, features_.data());
    return features_.data();
  }

  // The rows loaded, packed for the tile engine. lanes divides kLinearTokens.
  void pack(int64_t rows, int64_t lanes, int64_t pitch, C* panels) const {
    for (int64_t row = 0; row < rows; row += lanes) {
      C* out = panels + row * pitch;
      const C* from = planes_.data() + row / kLinearTokens * n_planes_ * depth_ * kLinearTokens + row % kLinearTokens;
      if (form_->form.pair == PairKind::product) {
        for (int64_t d = 0; d < depth_; d += 2, out += 4 * lanes) pack_pair(from, d, lanes, out);
        continue;
      }
      for (int64_t e = 0; e < n_planes_ * depth_; ++e, out += lanes) std::copy_n(from + e * kLinearTokens, lanes, out);
    }
  }

 private:
  // Features d and d + 1 as PairKind::product has them; an angle of 0 beside the last.
  void pack_pair(const C* from, int64_t d, int64_t lanes, C* out) const {
    const C *cosine = from + d * kLinearTokens, *sine = cosine + depth_ * kLinearTokens;
    const bool has_other = d + 1 < depth_;
    for (int64_t l = 0; l < lanes; ++l) {
      const C c = cosine[l], s = sine[l];
      const C c1 = has_other ? cosine[kLinearTokens + l] : C(1), s1 = has_other ? sine[kLinearTokens + l] : C(0);
      out[l] = c * c1 - s * s1;
      out[lanes + l] = s * c1 + c * s1;
      out[2 * lanes + l] = c * c1 + s * s1;
      out[3 * lanes + l] = s * c1 - c * s1;
    }
  }

  // Rows -> [plane][depth][kLinearTokens].
  template <class T>
  void encode(const MatrixView<const T>& source, int64_t begin, int64_t rows, C* to) {
    C *x = input_.data(), *encoded = x + kLinearTokens * source.cols;
    const C* from[2] = {encoded, encoded + rows * depth_};
    if (rows < kLinearTokens) std::fill_n(to, n_planes_ * depth_ * kLinearTokens, C(0));
    if (encode_qubits_ != nullptr) {
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < source.cols; ++j) x[i * source.cols + j] = static_cast<C>(source(begin + i, j));
      encode_qubits_(x, rows, encoded, encoded + rows * depth_, args_);
    }
    for (int64_t i = 0; i < rows; ++i) {
      if (encode_qubits_ == nullptr) {
        from[0] = encoder_.encode(source, begin + i) - i * depth_;
        from[1] = from[0] + depth_;
      }
      for (int p = 0; p < n_planes_; ++p)
        for (int64_t d = 0; d < depth_; ++d) to[(p * depth_ + d) * kLinearTokens + i] = from[p][i * depth_ + d];
    }
  }

  static EncodeQubits<C> encode_qubits(const Encoder& encoder) {
    if constexpr (sizeof(C) == 4)
      return encoder.qubits_f32;
    else
      return encoder.qubits_f64;
  }
  C* plane(int64_t group, int p) { return planes_.data() + (group * n_planes_ + p) * depth_ * kLinearTokens; }

  const LinearForm* form_;
  RowEncoder<C> encoder_;
  EncodeQubits<C> encode_qubits_;
  EncoderArgs args_;
  int64_t depth_;
  int n_planes_;
  int64_t n_groups_;
  Buffer<C> input_, planes_, factors_, scratch_, features_;
};

}  // namespace flashket
