// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "attention/linear_redo.hpp"

#include "core/buffer.hpp"

namespace flashket {

template <class T>
int64_t attend_rows(const KernelSpec& spec, const AttentionArrays<T>& a, const AttentionOptions& options,
                    const std::vector<int64_t>& rows) {
  const int64_t n_heads = a.q.shape[1], n_queries = a.q.shape[2], width = a.q.shape[3], v_dim = a.v.shape[3];
  AttentionOptions quadratic = options;
  quadratic.causal = false;
  quadratic.form = AttentionForm::quadratic;
  int64_t n_zero = 0;
  Buffer<T> queries(kRedoRows * width), result(kRedoRows * v_dim);
  for (size_t first = 0, last; first < rows.size(); first = last) {
    const int64_t head_index = rows[first] / n_queries, batch = head_index / n_heads, head = head_index % n_heads;
    last = same_head(rows, first, n_queries);
    const int64_t n = static_cast<int64_t>(last - first), kv_head = head / (n_heads / a.k.shape[1]);
    const int64_t kv_len = a.kv_lens ? a.kv_lens[batch] : a.k.shape[2];
    const auto limit = [&](int64_t row) { return options.causal ? row % n_queries + kv_len - n_queries + 1 : kv_len; };
    const int64_t n_keys = limit(rows[last - 1]);
    const MatrixView<const T> k = a.k.matrix(batch, kv_head), v = a.v.matrix(batch, kv_head);
    const MatrixView<T> out = a.out.matrix(batch, head);
    gather(a.q.matrix(batch, head), rows, first, last, n_queries, queries.data());
    Buffer<bool> mask(options.causal ? n * n_keys : 0);
    for (int64_t i = 0; options.causal && i < n; ++i)
      for (int64_t j = 0; j < n_keys; ++j) mask.data()[i * n_keys + j] = j < limit(rows[first + i]);
    const Tensor4View<const bool> mask_view = rows_of(static_cast<const bool*>(mask.data()), n, n_keys);
    AttentionArrays<T> gathered{rows_of(static_cast<const T*>(queries.data()), n, width),
                                rows_of(k.data, n_keys, width, k.row_stride, k.col_stride),
                                rows_of(v.data, n_keys, v_dim, v.row_stride, v.col_stride),
                                rows_of(result.data(), n, v_dim)};
    if (options.causal) gathered.mask = &mask_view;
    n_zero += attention<T>(spec, gathered, quadratic);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < v_dim; ++c) out(rows[first + i] % n_queries, c) = result.data()[i * v_dim + c];
  }
  return n_zero;
}

template int64_t attend_rows(const KernelSpec&, const AttentionArrays<float>&, const AttentionOptions&,
                             const std::vector<int64_t>&);
template int64_t attend_rows(const KernelSpec&, const AttentionArrays<double>&, const AttentionOptions&,
                             const std::vector<int64_t>&);

}  // namespace flashket
