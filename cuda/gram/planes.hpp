// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Operands of the matrix units; see planes.cu for what they hold. Of gram/ and of attention of float32 rows.
#pragma once
#include "core/device.hpp"
#include "core/runtime.hpp"

namespace flashket::cuda {

enum class PlaneForm : int { product, real, complex };

constexpr int kPlaneStep = 32;       // elements of a plane that lie together: two k16 products of the matrix units
constexpr double kProductScale = 4;  // of the 16 elements of 4 features
constexpr double kSumScale = 16384;  // of elements of sums

struct PlaneShape {
  PlaneForm form;
  bool is_split;
  int64_t depth;  // features of a product, elements of a real row, complex elements
  int64_t least_steps = 0;

  FK_HD int planes() const { return (is_split ? 2 : 1) * (form == PlaneForm::complex ? 2 : 1); }
  FK_HD int64_t steps() const {
    const int64_t elements = form == PlaneForm::product ? (depth + 3) / 4 * 16 : depth;
    const int64_t steps = (elements + kPlaneStep - 1) / kPlaneStep;
    return steps > least_steps ? steps : least_steps;
  }
  FK_HD int64_t row_elements() const { return steps() * planes() * kPlaneStep; }
};

// `count` rows, pitch elements apart, to planes. Products take rows of doubles: rounded to float, cosine and sine of
// equal angles would all err the same way. Sums take rows of floats.
void make_planes(const PlaneShape& shape, const double* rows, int64_t count, int64_t pitch, half_t* planes,
                 Stream stream);
void make_planes(const PlaneShape& shape, const float* rows, int64_t count, int64_t pitch, half_t* planes,
                 Stream stream);

}  // namespace flashket::cuda
