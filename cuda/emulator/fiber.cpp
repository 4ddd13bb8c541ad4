// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Two switches: a dozen instructions on x86-64; elsewhere (or with FLASHKET_PORTABLE_FIBERS) ucontext makes the stack
// and _setjmp, _longjmp switch, which costs no system call either.
#undef _FORTIFY_SOURCE  // its longjmp takes a jump to another stack for an attack
#include "emulator/fiber.hpp"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "emulator/asan.hpp"
#if defined(FLASHKET_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__) && !defined(FLASHKET_PORTABLE_FIBERS)
#define FLASHKET_ASSEMBLY_SWITCH 1
#endif

namespace flashket::cuda::emulator {
namespace {

#if defined(FLASHKET_ASAN)
constexpr size_t kStackBytes = 512 * 1024;  // frames are several times larger
#else
constexpr size_t kStackBytes = 128 * 1024;
#endif

const size_t page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
Fiber* running = nullptr;

#if defined(FLASHKET_ASAN)
const void* scheduler_stack = nullptr;
size_t scheduler_stack_bytes = 0;
void* scheduler_fake_stack = nullptr;
#endif

#if defined(FLASHKET_ASSEMBLY_SWITCH)
void* scheduler_stack_pointer = nullptr;

// Saves the callee-saved registers on this stack and its pointer in *from, goes on where `to` was left.
extern "C" void flashket_switch_stack(void** from, void* to);
asm(R"(
.text
.p2align 4
.globl flashket_switch_stack
.hidden flashket_switch_stack
.type flashket_switch_stack, @function
flashket_switch_stack:
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .cfi_endproc
.size flashket_switch_stack, .-flashket_switch_stack
)");
#else
struct Portable {
  ucontext_t context;
  jmp_buf state;
};
jmp_buf scheduler_state;
#endif

}  // namespace

Fiber::Fiber() {
  void* memory = mmap(nullptr, page_bytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<char*>(memory);
  mprotect(mapping_, page_bytes, PROT_NONE);  // an overflow faults here, not in another stack
#if defined(FLASHKET_ASSEMBLY_SWITCH)
  machine_ = nullptr;
#else
  machine_ = new Portable;
#endif
}

Fiber::~Fiber() {
#if !defined(FLASHKET_ASSEMBLY_SWITCH)
  delete static_cast<Portable*>(machine_);
#endif
  munmap(mapping_, page_bytes + kStackBytes);
}

void Fiber::start(void (*entry)(void*), void* argument) {
#if defined(FLASHKET_ASAN)
  if (!is_done_) __asan_unpoison_memory_region(mapping_ + page_bytes, kStackBytes);  // frames left behind
#endif
  entry_ = entry;
  argument_ = argument;
  is_fresh_ = true;
  is_done_ = false;
  fake_stack_ = nullptr;
#if defined(FLASHKET_ASSEMBLY_SWITCH)
  // What the switch pops: six registers, then begin() as return address, with the stack as a call leaves it.
  void** top = reinterpret_cast<void**>(mapping_ + page_bytes + kStackBytes);
  top[-1] = nullptr;
  top[-2] = reinterpret_cast<void*>(&Fiber::begin);
  for (int i = 3; i <= 8; ++i) top[-i] = nullptr;
  machine_ = top - 8;
#endif
}

void Fiber::begin() noexcept {
#if defined(FLASHKET_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  Fiber* self = running;
  self->entry_(self->argument_);
  self->is_done_ = true;
  self->leave();
  abort();  // never resumed
}

void Fiber::resume() {
  running = this;
#if defined(FLASHKET_ASAN)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, mapping_ + page_bytes, kStackBytes);
#endif
  switch_in();
#if defined(FLASHKET_ASAN)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

void Fiber::leave() {
#if defined(FLASHKET_ASAN)
  __sanitizer_start_switch_fiber(is_done_ ? nullptr : &fake_stack_, scheduler_stack, scheduler_stack_bytes);
#endif
  switch_out();
#if defined(FLASHKET_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack_, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

#if defined(FLASHKET_ASSEMBLY_SWITCH)
void Fiber::switch_in() {
  is_fresh_ = false;
  flashket_switch_stack(&scheduler_stack_pointer, machine_);
}
void Fiber::switch_out() { flashket_switch_stack(&machine_, scheduler_stack_pointer); }
#else
void Fiber::switch_in() {
  if (_setjmp(scheduler_state)) return;
  Portable* portable = static_cast<Portable*>(machine_);
  if (!is_fresh_) _longjmp(portable->state, 1);
  is_fresh_ = false;
  getcontext(&portable->context);
  portable->context.uc_stack.ss_sp = mapping_ + page_bytes;
  portable->context.uc_stack.ss_size = kStackBytes;
  portable->context.uc_link = nullptr;
  makecontext(&portable->context, reinterpret_cast<void (*)()>(&Fiber::begin), 0);
  setcontext(&portable->context);
  abort();
}
void Fiber::switch_out() {
  if (!_setjmp(static_cast<Portable*>(machine_)->state)) _longjmp(scheduler_state, 1);
}
#endif

}  // namespace flashket::cuda::emulator
