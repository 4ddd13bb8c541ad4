// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Attention whose scores are kernel values. The Lq x Lk matrix exists one tile at a time. Names no feature map.
#pragma once
#include "core/views.hpp"
#include "gram/pack.hpp"
#include "noise/shots.hpp"

namespace flashket {

enum class Normalization { sum, softmax };

// automatic: linear.hpp's form where it is cheaper and possible. quadratic and linear are for comparison. in_place: few
// queries of rows that nobody has checked, which are read where they are; every bad row that counts shows in the
// output.
enum class AttentionForm { automatic, quadratic, linear, in_place };

// What attention() returns where form in_place cannot run, or an output is not finite.
constexpr int64_t kNotInPlace = -1;

template <class T>
struct AttentionArrays {
  Tensor4View<const T> q;                         // (B, Hq, Lq, D)
  Tensor4View<const T> k;                         // (B, Hkv, Lk, D), Hq % Hkv == 0
  Tensor4View<const T> v;                         // (B, Hkv, Lk, Dv)
  Tensor4View<T> out;                             // (B, Hq, Lq, Dv)
  const Tensor4View<const bool>* mask = nullptr;  // (B, Hq, Lq, Lk), true = attend; strides may be 0
  const int64_t* kv_lens = nullptr;               // (B,), each 0 .. Lk; nothing at or beyond is read
};

struct AttentionOptions {
  Normalization normalization = Normalization::sum;
  double temperature = 1;  // softmax only
  bool causal = false;     // query i sees key j iff j <= i + kv_len - Lq
  Readings readings;
  uint64_t seed = 0;
  AttentionForm form = AttentionForm::automatic;
};

// Returns how many rows had admissible keys but only kernel values of 0, which makes them uniform over those keys.
// Rows without admissible key become 0. Throws std::bad_alloc, std::invalid_argument.
template <class T>
int64_t attention(const KernelSpec& spec, const AttentionArrays<T>& arrays, const AttentionOptions& options);

}  // namespace flashket
