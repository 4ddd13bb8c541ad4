// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A stack of its own for every CUDA thread of a block, and the switch between it and the scheduler.
#pragma once
#include <cstddef>

namespace flashket::cuda::emulator {

// Only one thread of the process may use fibers at a time: launch() holds a lock.
class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next resume() calls entry(argument); whatever ran before is forgotten without unwinding.
  void start(void (*entry)(void*), void* argument);
  // Scheduler: runs the fiber until it leaves or its entry returns.
  void resume();
  // Fiber: back to the scheduler.
  void leave();

 private:
  [[noreturn]] static void begin() noexcept;
  void switch_in();
  void switch_out();

  char* mapping_;  // a guard page, then the stack
  void* machine_;  // where to go on: a stack pointer, or the state of the portable switch
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  bool is_fresh_ = true, is_done_ = true;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
};

}  // namespace flashket::cuda::emulator
