// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Angle encoding: |x> = prod_j RY(x_j)|0> (or RX), <x|y> = prod_j cos((x_j - y_j) / 2), for RY and RX alike.
// Schuld, "Supervised quantum machine learning models are kernel methods", arXiv:2101.11020, sec. V.
// No state is built: a row becomes the planes c_j = cos(b x_j / 2), s_j = sin(b x_j / 2) and the pair kernel multiplies
// c c' + s s'. Angles are reduced in double whatever the element type. params: n_features, bandwidth. Cost: n sincos.
#include "core/half_angles.hpp"
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t depth(const EncoderArgs& args) { return static_cast<int64_t>(args.params[0]); }
int64_t scratch(const EncoderArgs&) { return 0; }

template <class T>
void row(const T* x, T* out, T*, const EncoderArgs& args) {
  const int64_t n = depth(args);
  const double half_bandwidth = 0.5 * args.params[1];
  for (int64_t j = 0; j < n; ++j) {
    const double half_angle = half_bandwidth * static_cast<double>(x[j]);
    out[j] = static_cast<T>(::cos(half_angle));
    out[n + j] = static_cast<T>(::sin(half_angle));
  }
}

template <class T>
void rows(const T* x, int64_t count, T* cosine, T* sine, const EncoderArgs& args) {
  half_angles(x, count * depth(args), 0.5 * args.params[1], cosine, sine);
}

}  // namespace

extern const Encoder angle_encoder;
const Encoder angle_encoder = {"angle",    PairKind::product, depth,       scratch,
                               row<float>, row<double>,       rows<float>, rows<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
