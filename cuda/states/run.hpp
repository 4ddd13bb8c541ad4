// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The program engine as its encoders use it.
#pragma once
#include "core/encoder.hpp"

namespace flashket::cuda::statevector {

enum class Layout : int32_t {
  planes,       // 2^n real parts, then 2^n imaginary parts
  interleaved,  // 2^n complex numbers
  bloch,        // 3 n numbers, <X> of the qubits, <Y>, <Z>: only of states that fit into shared memory
  // fp16 operands of the matrix units (gram/planes.hpp), hi alone and hi and lo: float states of 5 qubits and more that
  // fit into shared memory. `out` then is half_t's, as is the pitch.
  halves,
  split,
};

// The states of all rows; `pitch` elements from row to row.
template <class T>
void run_program(const CompiledProgram& program, const Rows& x, T* out, int64_t pitch, Layout layout, Stream stream);

// Whether the state of so many qubits fits into a block's shared memory.
template <class T>
bool fits_block(int32_t n_qubits);

// For tests: the most qubits that a block holds, so that small states take the path of large ones. 7 at least.
class BlockBitsScope {
 public:
  explicit BlockBitsScope(int32_t bits);
  ~BlockBitsScope();
  BlockBitsScope(const BlockBitsScope&) = delete;

 private:
  int32_t previous_;
};

}  // namespace flashket::cuda::statevector
