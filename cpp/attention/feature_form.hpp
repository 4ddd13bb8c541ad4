// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Kernels as sum_f w_f F_f(x) F_f(y): which features, of what a row's factors are, in which order. Host and device
// make the same features from this description.
// Fidelity of a product map, power p: cos^2p is a trigonometric polynomial of degree p, so (2p+1)^n products of
// (1, cos x, sin x, .., cos p x, sin p x). Fidelity of real vectors: x_i x_j, d(d+1)/2. Of complex states: the
// Hermitian matrix |x><x|, D^2 real numbers. Hadamard test: polynomials of (1, state) of degree `power`, here 1 and 2.
#pragma once
#include <string>
#include <vector>

#include "attention/linear_ops.hpp"

namespace flashket {

constexpr int64_t kMaxFeatures = 16384;  // beyond, a state of 64 values takes more than 8 MB a head

struct LinearForm {
  FeatureForm form{};
  std::vector<FeatureBlock> blocks;
  int64_t n_features = 0;     // 0: the kernel has no linear form, or it is too large
  int64_t state_rows = 0;     // features with the padding of every block
  int64_t block_rows = 0;     // features of the largest block, padded
  std::vector<double> scale;  // w of every state row, 1 for padding
  std::string reason;         // why not

  // Whether the factors are the features themselves.
  bool is_direct() const {
    return form.kind == FeatureKind::vector || (form.kind == FeatureKind::tensor && form.second_width == 1);
  }
};

// score.depth of a product is the number of its features.
LinearForm linear_form(const Score& score);

}  // namespace flashket
