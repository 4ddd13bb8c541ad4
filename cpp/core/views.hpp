// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace flashket {

// element (i, j) lies at data[i * row_stride + j * col_stride]; strides in elements, 0 and negative included.
template <class T>
struct MatrixView {
  T* data;
  int64_t rows, cols, row_stride, col_stride;

  T& operator()(int64_t i, int64_t j) const { return data[i * row_stride + j * col_stride]; }
};

// (batch, head, position, feature)
template <class T>
struct Tensor4View {
  T* data;
  int64_t shape[4], stride[4];

  MatrixView<T> matrix(int64_t batch, int64_t head) const {
    return {data + batch * stride[0] + head * stride[1], shape[2], shape[3], stride[2], stride[3]};
  }
};

}  // namespace flashket
