// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Attention whose scores are kernel values, forward and backward. Names no feature map.
#pragma once
#include "gram/gram.hpp"

namespace flashket::cuda {

enum class Normalization { sum, softmax };

// (B, H, L, D) in device memory; the last axis is contiguous, the others have strides in elements (0: broadcast).
struct Tensor4 {
  void* data;
  Dtype dtype;
  int64_t shape[4], stride[4];
};

struct AttentionArrays {
  Tensor4 q;                         // (B, Hq, Lq, D)
  Tensor4 k;                         // (B, Hkv, Lk, D), Hq % Hkv == 0
  Tensor4 v;                         // (B, Hkv, Lk, Dv)
  Tensor4 out;                       // (B, Hq, Lq, Dv)
  const uint8_t* mask = nullptr;     // nonzero = attend; strides may be 0
  int64_t mask_stride[4] = {};       // (B, Hq, Lq, Lk)
  const int64_t* kv_lens = nullptr;  // (B,) in device memory, each 0 .. Lk; nothing at or beyond affects the result
};

// How sums are taken: over pairs of rows; over features of keys and of queries, where the kernel has finitely many
// (attention/linear.hpp); automatic: the linear form where that costs clearly less, see linear_form_pays().
enum class AttentionForm { automatic, pairs, linear };

struct AttentionOptions {
  Normalization normalization = Normalization::sum;
  double temperature = 1;  // softmax only
  bool causal = false;     // query i sees key j iff j <= i + kv_len - Lq
  int64_t shots = 0;       // 0: exact
  uint64_t seed = 0;
  Arithmetic arithmetic = Arithmetic::automatic;
  AttentionForm form = AttentionForm::automatic;
};

// Rows without admissible key become 0; rows whose admissible kernel values are all exactly 0 become uniform over those
// keys and are added to *zero_rows (device memory, may be nullptr). NaN in q, k or v reaches its own rows. With 16-bit
// inputs the matrix units work in fp16 with fp32 sums; float32 and float64 keep the numbers contract, also where rows
// of float32 are split for the matrix units (mma_float.hpp; Arithmetic::simt: never). row_sums, if given, gets (B, Hq,
// Lq) float or double denominators (sum) for the backward pass.
void attention(const KernelSpec& spec, const AttentionArrays& arrays, const AttentionOptions& options,
               int64_t* zero_rows, void* row_sums, Stream stream);

// Whether attention() of such shapes and dtypes takes the linear form; data need not be there.
bool takes_linear_form(const KernelSpec& spec, const AttentionArrays& arrays, const AttentionOptions& options);

struct AttentionGradients {
  Tensor4 d_out;          // (B, Hq, Lq, Dv)
  Tensor4 d_q, d_k, d_v;  // written, same shapes and dtype as q, k, v
};

// Gradients of attention() without shots, with respect to q, k and v as they came in (before encoding).
void attention_backward(const KernelSpec& spec, const AttentionArrays& arrays, const AttentionOptions& options,
                        const AttentionGradients& gradients, Stream stream);

}  // namespace flashket::cuda
