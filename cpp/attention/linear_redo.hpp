// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Rows of the linear form that are computed again. A row is (batch, head, query) in that order, counted through; lists
// of rows are sorted.
#pragma once
#include <vector>

#include "attention/attention.hpp"

namespace flashket {

constexpr int64_t kRedoRows = 256;  // gathered at a time

// One past the last of the rows from `first` on that belong to one head, at most kRedoRows.
inline size_t same_head(const std::vector<int64_t>& rows, size_t first, int64_t n_queries) {
  size_t last = first + 1;
  while (last < rows.size() && last - first < kRedoRows && rows[last] / n_queries == rows[first] / n_queries) ++last;
  return last;
}

template <class T>
void gather(const MatrixView<const T>& q, const std::vector<int64_t>& rows, size_t first, size_t last,
            int64_t n_queries, T* to) {
  for (size_t i = first; i < last; ++i)
    for (int64_t j = 0; j < q.cols; ++j) *to++ = q(rows[i] % n_queries, j);
}

template <class T>
Tensor4View<T> rows_of(T* data, int64_t length, int64_t size, int64_t stride, int64_t step = 1) {
  return {data, {1, 1, length, size}, {0, 0, stride, step}};
}
template <class T>
Tensor4View<T> rows_of(T* data, int64_t length, int64_t size) {
  return rows_of(data, length, size, size);
}

// The quadratic form for single rows, gathered by head; returns how many of them had only kernel values of 0.
template <class T>
int64_t attend_rows(const KernelSpec& spec, const AttentionArrays<T>& a, const AttentionOptions& options,
                    const std::vector<int64_t>& rows);

}  // namespace flashket
