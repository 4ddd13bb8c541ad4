// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A point in a stream's work: what orders streams of libraries that do not share theirs. event.cpp is the CUDA runtime,
// emulator/event.cpp the CPU.
#pragma once
#include "core/runtime.hpp"

namespace flashket::cuda {

class Event {
 public:
  explicit Event(Stream stream);  // after all that the stream holds now
  ~Event();
  Event(const Event&) = delete;
  void block(Stream waiting) const;  // what is put on `waiting` from now on starts after the point
  bool is_done() const;              // whether the point is passed; does not wait

 private:
  void* event_;
};

}  // namespace flashket::cuda
