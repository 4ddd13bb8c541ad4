// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The Bloch vectors of angle encoding, in closed form: RY(t)|0> has (sin t, 0, cos t), RX(t)|0> has (0, -sin t, cos t).
// Distances of two rows are the same for both, so a row becomes sin(b x_j), cos(b x_j) whichever rotation it is.
// params: n_features, bandwidth. Cost: n sincos.
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t depth(const EncoderArgs& args) { return 2 * static_cast<int64_t>(args.params[0]); }
int64_t scratch(const EncoderArgs&) { return 0; }

template <class T>
void row(const T* x, T* out, T*, const EncoderArgs& args) {
  const int64_t n = static_cast<int64_t>(args.params[0]);
  for (int64_t j = 0; j < n; ++j) {
    const double angle = args.params[1] * static_cast<double>(x[j]);
    out[j] = static_cast<T>(::sin(angle));
    out[n + j] = static_cast<T>(::cos(angle));
  }
}

}  // namespace

extern const Encoder angle_bloch_encoder;
const Encoder angle_bloch_encoder = {"angle_bloch", PairKind::distance, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
