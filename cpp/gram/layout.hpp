// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Moves of data around the tile engine: rows into panels, tiles into matrices. For files compiled per instruction set.
#pragma once

#include "core/simd.hpp"
#include "gram/tile.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

template <class T>
constexpr int64_t kPanelCols = 2 * kLanes<T>;

// Stage S of the transposition of kLanes x kLanes elements: rows i and i + S trade their off-diagonal S x S squares.
template <class T, int S>
FLASHKET_INLINE void transpose_stage(Vec<T>* v) {
  constexpr int L = static_cast<int>(kLanes<T>);
  FLASHKET_UNROLL
  for (int i = 0; i < L; ++i)
    if (!(i & S)) transpose_pair<T, S>(v[i], v[i + S], std::make_index_sequence<L>());
}

template <class T>
FLASHKET_INLINE void transpose(Vec<T>* v) {
  transpose_stage<T, 1>(v);
  if constexpr (kLanes<T> > 2) transpose_stage<T, 2>(v);
  if constexpr (kLanes<T> > 4) transpose_stage<T, 4>(v);
  if constexpr (kLanes<T> > 8) transpose_stage<T, 8>(v);
}

template <class T>
void pack_rows(const T* rows, int64_t row_stride, int64_t count, int64_t elements, T* panel) {
  constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
  for (int64_t first = 0; first < count; first += L) {
    const T* from = rows + first * row_stride;
    T* to = panel + first;
    int64_t e = 0;
    if (count - first >= L) {
      for (; e + L <= elements; e += L) {
        Vec<T> v[L];
        FLASHKET_UNROLL
        for (int r = 0; r < L; ++r) v[r] = load(from + r * row_stride + e);
        transpose<T>(v);
        FLASHKET_UNROLL
        for (int r = 0; r < L; ++r) store<T>(to + (e + r) * N, v[r]);
      }
    }
    const int64_t rest = count - first < L ? count - first : L;
    for (; e < elements; ++e)
      for (int64_t r = 0; r < rest; ++r) to[e * N + r] = from[r * row_stride + e];
  }
}

template <class T>
FLASHKET_INLINE void store_streaming(T* p, Vec<T> v) {  // p on a vector's boundary
#if defined(__x86_64__)
  FLASHKET_X86(stream_ps)(reinterpret_cast<float*>(p), (FLASHKET_X86_FLOATS)v);
#else
  store<T>(p, v);
#endif
}

// Streaming: whole lines past the cache, the ends plainly. A line must see one kind of store only: a streaming store to
// a line that is in cache writes it to memory first.
template <class T>
FLASHKET_INLINE void store_segment(const T* from, int64_t n, T* to, bool is_streaming) {
  constexpr int64_t L = kLanes<T>, kLine = 64 / sizeof(T);
  if (!is_streaming) {
    memcpy(to, from, n * sizeof(T));
    return;
  }
  int64_t head = -static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) / sizeof(T)) & (kLine - 1);
  if (head > n) head = n;
  const int64_t end = head + (n - head) / kLine * kLine;
  if (head > 0) memcpy(to, from, head * sizeof(T));
  for (int64_t j = head; j < end; j += L) store_streaming<T>(to + j, load(from + j));
  if (end < n) memcpy(to + end, from + end, (n - end) * sizeof(T));
}

template <class T>
void store_tile(const T* tile, int64_t rows, int64_t cols, T* to, int64_t to_stride, bool is_streaming) {
  for (int64_t i = 0; i < rows; ++i) store_segment(tile + i * kTileStride, cols, to + i * to_stride, is_streaming);
}

// Surplus rows and columns of the tile up to whole vectors are read, never stored.
template <class T>
void store_mirrored(const T* tile, int64_t rows, int64_t cols, T* to, int64_t to_stride, bool is_streaming) {
  constexpr int64_t L = kLanes<T>;
  constexpr int64_t kStrip = 128;  // rows turned at a time
  alignas(64) T turned[L * kStrip];
  for (int64_t i0 = 0; i0 < rows; i0 += kStrip) {
    const int64_t strip = rows - i0 < kStrip ? rows - i0 : kStrip;
    for (int64_t j = 0; j < cols; j += L) {
      for (int64_t i = 0; i < strip; i += L) {
        Vec<T> v[L];
        FLASHKET_UNROLL
        for (int r = 0; r < L; ++r) v[r] = load(tile + (i0 + i + r) * kTileStride + j);
        transpose<T>(v);
        FLASHKET_UNROLL
        for (int r = 0; r < L; ++r) store<T>(turned + r * kStrip + i, v[r]);
      }
      const int64_t count = cols - j < L ? cols - j : L;
      for (int64_t c = 0; c < count; ++c)
        store_segment(turned + c * kStrip, strip, to + (j + c) * to_stride + i0, is_streaming);
    }
  }
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
