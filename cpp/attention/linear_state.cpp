// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The state that AttentionState keeps. All in double: decoding reads a state that may hold few keys.
#include <cmath>

#include "attention/linear.hpp"
#include "core/parallel.hpp"

namespace flashket {

template <class T>
void linear_update(const KernelSpec& spec, const LinearForm& form, const Tensor4View<const T>& k,
                   const Tensor4View<const T>& v, const LinearState& state) {
  const int64_t n_keys = k.shape[2], v_dim = v.shape[3], v_stride = state.v_stride;
  const LinearOps<double>& ops = linear_ops<double>();
  struct Scratch {
    FactorRows<double> keys;
    Buffer<double> values;
  };
  PerWorker<Scratch> scratch;
  parallel_for(state.batch * state.kv_heads, [&](int64_t set, int worker) {
    Scratch& s = scratch.get(worker, [&] {
      return Scratch{FactorRows<double>(spec, form, kLinearTokens), Buffer<double>(kLinearTokens * v_stride)};
    });
    const auto keys = k.matrix(set / state.kv_heads, set % state.kv_heads);
    const auto values = v.matrix(set / state.kv_heads, set % state.kv_heads);
    double* sums = state.sums + set * form.state_rows * v_stride;
    double* weights = state.weights + set * form.state_rows;
    for (int64_t begin = 0; begin < n_keys; begin += kLinearTokens) {
      const int64_t rows = std::min(kLinearTokens, n_keys - begin);
      s.keys.load(keys, begin, begin + rows);
      std::fill_n(s.values.data(), rows * v_stride, 0.0);
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t c = 0; c < v_dim; ++c)
          s.values.data()[t * v_stride + c] = static_cast<double>(values(begin + t, c));
      for (const FeatureBlock& block : form.blocks) {
        const double* features = s.keys.features(block, 0);
        ops.accumulate(features, rows, block.features, s.values.data(), v_stride, sums + block.offset * v_stride,
                       weights + block.offset);
      }
    }
  });
}

template <class T>
void linear_read(const KernelSpec& spec, const LinearForm& form, const Tensor4View<const T>& q,
                 const LinearState& state, const Tensor4View<T>& out, double* ratios) {
  const int64_t n_heads = q.shape[1], n_queries = q.shape[2], v_dim = out.shape[3], v_stride = state.v_stride;
  const int64_t group = n_heads / state.kv_heads, n_blocks = round_up(n_queries, kLinearTokens) / kLinearTokens;
  const LinearOps<double>& ops = linear_ops<double>();
  struct Scratch {
    FactorRows<double> queries;
    Buffer<double> features, numerator, denominator;
  };
  // |z| in the kernel's own product; |F(q)| is 1.
  Buffer<double> norms(state.batch * state.kv_heads);
  for (int64_t set = 0; set < state.batch * state.kv_heads; ++set) {
    double sum = 0;
    const double* weights = state.weights + set * form.state_rows;
    for (int64_t f = 0; f < form.state_rows; ++f) sum += form.scale[f] * weights[f] * weights[f];
    norms.data()[set] = std::sqrt(sum);
  }
  PerWorker<Scratch> scratch;
  parallel_for(state.batch * n_heads * n_blocks, [&](int64_t index, int worker) {
    Scratch& s = scratch.get(worker, [&] {
      return Scratch{FactorRows<double>(spec, form, kLinearTokens), Buffer<double>(kLinearTokens * form.block_rows),
                     Buffer<double>(kLinearTokens * v_stride), Buffer<double>(kLinearTokens)};
    });
    const int64_t head = index / n_blocks % n_heads, batch = index / n_blocks / n_heads;
    const int64_t set = batch * state.kv_heads + head / group, begin = index % n_blocks * kLinearTokens;
    const int64_t rows = std::min(kLinearTokens, n_queries - begin);
    s.queries.load(q.matrix(batch, head), begin, begin + rows);
    double *numerator = s.numerator.data(), *denominator = s.denominator.data();
    std::fill_n(numerator, kLinearTokens * v_stride, 0.0);
    std::fill_n(denominator, kLinearTokens, 0.0);
    for (const FeatureBlock& block : form.blocks) {
      const double* features = s.queries.features(block, 0);
      for (int64_t f = 0; f < block.features; ++f)
        for (int64_t t = f * kLinearTokens; t < (f + 1) * kLinearTokens; ++t)
          s.features.data()[t] = features[t] * form.scale[block.offset + f];
      ops.apply(s.features.data(), rows, block.features,
                state.sums + set * form.state_rows * v_stride + block.offset * v_stride,
                state.weights + set * form.state_rows + block.offset, v_stride, numerator, denominator);
    }
    const MatrixView<T> result = out.matrix(batch, head);
    for (int64_t t = 0; t < rows; ++t) {
      const double norm = norms.data()[set];
      ratios[(batch * n_heads + head) * n_queries + begin + t] = norm > 0 ? denominator[t] / norm : 0;
      for (int64_t c = 0; c < v_dim; ++c)
        result(begin + t, c) = static_cast<T>(numerator[t * v_stride + c] / denominator[t]);
    }
  });
}

template void linear_update(const KernelSpec&, const LinearForm&, const Tensor4View<const float>&,
                            const Tensor4View<const float>&, const LinearState&);
template void linear_update(const KernelSpec&, const LinearForm&, const Tensor4View<const double>&,
                            const Tensor4View<const double>&, const LinearState&);
template void linear_read(const KernelSpec&, const LinearForm&, const Tensor4View<const float>&, const LinearState&,
                          const Tensor4View<float>&, double*);
template void linear_read(const KernelSpec&, const LinearForm&, const Tensor4View<const double>&, const LinearState&,
                          const Tensor4View<double>&, double*);

}  // namespace flashket
