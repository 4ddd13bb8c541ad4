// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What attention and its gradients share: the arguments as they came, checked, and in device memory.
#pragma once
#include "attention/attention.hpp"
#include "bindings/convert.hpp"

namespace flashket::cuda::bindings {

// (normalization, temperature, causal, shots, seed, arithmetic)
AttentionOptions parse_attention_options(const nb::tuple& options);

// q (B, Hq, Lq, D), k (B, Hkv, Lk, D), v (B, Hkv, Lk, Dv), out (B, Hq, Lq, Dv), mask broadcastable to (B, Hq, Lq, Lk),
// kv_lens (B,); the constructor throws where they do not fit.
struct AttentionViews {
  AttentionViews(const KernelSpec& spec, const In& queries, const In& keys, const In& values, const Out& result,
                 const std::optional<In>& visible, const std::optional<In>& lengths, const Place& place);

  View q, k, v, out;
  std::optional<View> mask, kv_lens;
  int64_t mask_stride[4] = {};

 private:
  void check_mask(const std::vector<int64_t>& shape);
};

struct StagedAttention {
  StagedAttention(const AttentionViews& views, Staged::Use out_use, const Place& place);

  Staged q, k, v, out;
  std::optional<Staged> mask, kv_lens;
  AttentionArrays arrays;
};

Tensor4 tensor4(const Staged& array);

}  // namespace flashket::cuda::bindings
