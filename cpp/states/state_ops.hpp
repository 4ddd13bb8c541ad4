// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// How a circuit's state is made in the caller's complex array, and a large one by several threads. One table for each
// instruction set, reached through Encoder::states.
#pragma once
#include "core/program_view.hpp"
#include "core/types.hpp"

namespace flashket {

template <class T>
struct StateFunctions {
  // The state of a row x as interleaved complex numbers. Memory: row_elements + worker_elements.
  void (*encode)(const T* x, T* out, T* scratch, const EncoderArgs& args);
  // The same in parts: prepare once; then pass after pass, and within a pass all blocks in any order, each worker with
  // memory of its own.
  void (*prepare)(const T* x, T* row_memory, const EncoderArgs& args);
  void (*run_block)(T* out, T* row_memory, T* worker_memory, const EncoderArgs& args, int32_t pass, int64_t block);
  const PlanView& (*plan)(const EncoderArgs& args);
  int64_t (*row_elements)(const EncoderArgs& args);
  int64_t (*worker_elements)(const EncoderArgs& args);
};

struct StateOps {
  StateFunctions<float> f32;
  StateFunctions<double> f64;
};

}  // namespace flashket
