// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "emulator/block.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "core/device.hpp"
#include "core/runtime.hpp"
#include "emulator/asan.hpp"
#include "emulator/fiber.hpp"

// Where __shared__ variables lie (see device.hpp): the linker gives the ends of a section with a C name.
extern "C" {
extern char __start_flashket_shared[] __attribute__((visibility("hidden")));
extern char __stop_flashket_shared[] __attribute__((visibility("hidden")));
}

namespace flashket::cuda {

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

enum class State { ready, at_collective, at_barrier, done };

struct Copy {
  char* to;
  int64_t group;
  char bytes[16];
};

struct Thread {
  Fiber fiber;
  int index = 0;
  State state = State::done;
  // What it waits for.
  const char* name = nullptr;
  Together together = nullptr;
  void* mine = nullptr;
  uint32_t mask = 0;
  bool aligned = false;
  Site site{};
  int votes = 0;  // of the barrier it came from
  // Asynchronous copies under way, oldest first, and the number of groups committed.
  std::vector<Copy> copies;
  int64_t groups = 0;
};

struct Block {
  const char* kernel;
  int threads;
  void (*body)(void*);
  void* context;
  char* dynamic;
  size_t dynamic_bytes;
  int at_barrier = 0, first_at_barrier = 0, votes = 0, done = 0;
  uint32_t alive[kMaxThreads / kLanes] = {}, collected[kMaxThreads / kLanes] = {};  // lanes, by warp; at a collective
  std::exception_ptr error = nullptr;
};

// The section exists even where no kernel declares a shared variable.
__attribute__((section("flashket_shared"), used)) char anchor[16];

std::mutex launch_lock;
std::vector<std::unique_ptr<Thread>> pool;  // stacks are kept from block to block and launch to launch
Block* block = nullptr;
Thread* current = nullptr;

std::string at(Site site) {
  if (!site.file) return "";
  const char* slash = strrchr(site.file, '/');
  return std::string(" at ") + (slash ? slash + 1 : site.file) + ":" + std::to_string(site.line);
}

std::string where() {
  return std::string("[emulator] kernel ") + block->kernel + ", block (" + std::to_string(blockIdx.x) + ", " +
         std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + ")";
}

std::string threads_text(int first, int last) {
  std::string text = first == last ? "thread " : "threads ";
  text += std::to_string(first);
  if (first != last) text += " to " + std::to_string(last);
  return text;
}

std::string waits_for(const Thread& t) {
  if (t.state == State::done) return "exited";
  std::string text = std::string(t.state == State::ready ? "runs" : "waits in ");
  if (t.state != State::ready) text += t.name + at(t.site);
  if (t.state == State::at_collective) {
    char mask[16];
    snprintf(mask, sizeof mask, "%08x", t.mask);
    text += std::string(" for lanes ") + mask;
  }
  return text;
}

// Who waits where, in runs of threads with the same fate.
std::string stuck() {
  std::string text;
  int listed = 0;
  for (int i = 0; i < block->threads && listed < 8; ++listed) {
    const std::string fate = waits_for(*pool[i]);
    int last = i;
    while (last + 1 < block->threads && waits_for(*pool[last + 1]) == fate) ++last;
    if (!text.empty()) text += "; ";
    text += threads_text(i, last) + " " + fate;
    i = last + 1;
  }
  return text;
}

Thread& me(const char* name) {
  if (!block || !current) throw DeviceError(std::string("[emulator] ") + name + " called outside a kernel");
  return *current;
}

void wait(Thread& t) { t.fiber.leave(); }

// Runs the collective that t waits in, if all that it needs have come.
bool try_together(Thread& t) {
  const int first = t.index / kLanes * kLanes;
  const uint32_t needed = t.mask & block->alive[t.index / kLanes];
  uint32_t& collected = block->collected[t.index / kLanes];
  if (needed & ~collected) return false;
  void* lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    lanes[l] = nullptr;
    if (!(needed >> l & 1)) continue;
    const Thread& other = *pool[first + l];
    if (other.together != t.together || other.mask != t.mask) return false;
    if (t.aligned && other.site.line != t.site.line) return false;
    lanes[l] = other.mine;
  }
  if (t.aligned && needed != 0xffffffffu)
    fail(std::string(t.name) + " needs all 32 lanes of the warp, some have exited or do not exist", t.site);
  if (t.together) t.together(lanes, t.site);
  for (int l = 0; l < kLanes; ++l)
    if (needed >> l & 1) pool[first + l]->state = State::ready;
  collected &= ~needed;
  return true;
}

void finish(Thread& t) {
  t.state = State::done;
  ++block->done;
  if (block->at_barrier) fail("exits while others wait at a barrier: " + stuck(), {});
  const int warp = t.index / kLanes;
  block->alive[warp] &= ~(1u << t.index % kLanes);
  for (int i = warp * kLanes; i < std::min((warp + 1) * kLanes, block->threads); ++i)
    if (pool[i]->state == State::at_collective) try_together(*pool[i]);
}

void thread_main(void* self) {
  Thread& t = *static_cast<Thread*>(self);
  try {
    block->body(block->context);
    finish(t);
  } catch (...) {
    block->error = std::current_exception();
  }
}

enum class Order { forward, reverse, random };

Order wanted_order() {
  const char* text = getenv("FLASHKET_EMULATOR_ORDER");
  if (!text || !*text || !strcmp(text, "forward")) return Order::forward;
  if (!strcmp(text, "reverse")) return Order::reverse;
  if (!strcmp(text, "random")) return Order::random;
  throw DeviceError(std::string("[emulator] FLASHKET_EMULATOR_ORDER: wanted forward, reverse or random, got ") + text);
}

void poison_shared() {
  memset(__start_flashket_shared, kPoison, static_cast<size_t>(__stop_flashket_shared - __start_flashket_shared));
  memset(block->dynamic, kPoison, block->dynamic_bytes);
}

void run_block(std::vector<int>& order, Order kind, std::mt19937& random) {
  poison_shared();
  block->at_barrier = block->votes = block->done = 0;
  for (int w = 0; w * kLanes < block->threads; ++w) {
    const int lanes = std::min(kLanes, block->threads - w * kLanes);
    block->alive[w] = lanes == kLanes ? 0xffffffffu : (1u << lanes) - 1;
    block->collected[w] = 0;
  }
  for (int i = 0; i < block->threads; ++i) {
    Thread& t = *pool[i];
    t.index = i;
    t.state = State::ready;
    t.copies.clear();
    t.groups = 0;
    t.fiber.start(thread_main, &t);
  }
  while (block->done < block->threads) {
    if (kind == Order::random) std::shuffle(order.begin(), order.end(), random);
    bool moved = false;
    for (const int i : order) {
      Thread& t = *pool[i];
      if (t.state != State::ready) continue;
      moved = true;
      current = &t;
      threadIdx = {static_cast<unsigned>(i), 0, 0};
      t.fiber.resume();
      current = nullptr;
      if (block->error) std::rethrow_exception(block->error);
    }
    if (!moved) throw DeviceError(where() + ": threads wait for each other for ever: " + stuck());
  }
}

void check_launch_shape(const char* kernel, Shape grid, int threads, size_t shared_bytes) {
  const std::string place = std::string("[emulator] launch of ") + kernel + ": ";
  if (threads < 1 || threads > kMaxThreads)
    throw DeviceError(place + "wanted 1 to 1024 threads a block, got " + std::to_string(threads));
  if (shared_bytes > kSharedPerBlock)
    throw DeviceError(place + "wanted at most " + std::to_string(kSharedPerBlock) + " bytes of shared memory, got " +
                      std::to_string(shared_bytes));
  if (grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535)
    throw DeviceError(place + "wanted a grid of at most 2147483647 x 65535 x 65535 blocks, got " +
                      std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z));
}

struct Scope {
  explicit Scope(Block* b) { block = b; }
  ~Scope() { block = nullptr, current = nullptr; }
};

}  // namespace

void fail(const std::string& what, Site site) {
  if (!block) throw DeviceError("[emulator] outside a kernel: " + what);
  throw DeviceError(where() + (current ? ", thread " + std::to_string(current->index) : "") + ": " + what + at(site));
}

void collective(const char* name, Together together, void* mine, uint32_t mask, bool aligned, Site site) {
  Thread& t = me(name);
  if (!(mask >> t.index % kLanes & 1)) fail(std::string(name) + ": the lane's own bit is not in its mask", site);
  t.name = name;
  t.together = together;
  t.mine = mine;
  t.mask = mask;
  t.aligned = aligned;
  t.site = site;
  t.state = State::at_collective;
  block->collected[t.index / kLanes] |= 1u << t.index % kLanes;
  if (!try_together(t)) wait(t);
}

int barrier(const char* name, bool predicate, Site site) {
  Thread& t = me(name);
  t.name = name;
  t.site = site;
  t.state = State::at_barrier;
  if (block->done) fail(std::string(name) + " is not reached by all threads: " + stuck(), site);
  if (block->at_barrier == 0) block->first_at_barrier = t.index;
  const Thread& first = *pool[block->first_at_barrier];
  if (first.site.line != site.line || strcmp(first.site.file, site.file))
    fail(std::string(name) + " while thread " + std::to_string(first.index) + " " + waits_for(first), site);
  block->votes += predicate;
  if (++block->at_barrier == block->threads) {
    for (int i = 0; i < block->threads; ++i) {
      pool[i]->state = State::ready;
      pool[i]->votes = block->votes;
    }
    block->at_barrier = block->votes = 0;
  } else {
    wait(t);
  }
  return t.votes;
}

void check_shared_16(const void* p, const char* what, Site site) {
  if (reinterpret_cast<uintptr_t>(p) % 16) fail(std::string(what) + ": the address is not 16-byte aligned", site);
#if !defined(FLASHKET_ASAN)
  const char* c = static_cast<const char*>(p);
  const bool is_dynamic = c >= block->dynamic && c + 16 <= block->dynamic + block->dynamic_bytes;
  const bool is_static = c >= __start_flashket_shared && c + 16 <= __stop_flashket_shared;
  if (!is_dynamic && !is_static) fail(std::string(what) + ": the address is not in the block's shared memory", site);
#endif
}

void copy_async(void* to_shared, const void* from_global, bool is_valid, Site site) {
  Thread& t = me("copy_async_16");
  check_shared_16(to_shared, "copy_async_16, destination", site);
  if (reinterpret_cast<uintptr_t>(from_global) % 16)
    fail("copy_async_16, source: the address is not 16-byte aligned", site);
  Copy copy{static_cast<char*>(to_shared), t.groups, {}};
  if (is_valid) memcpy(copy.bytes, from_global, 16);
  memset(to_shared, kPoison, 16);  // whoever still reads the old values, or reads before the wait, gets NaN
  t.copies.push_back(copy);
}

void copy_async_commit() { ++me("copy_async_commit").groups; }

void copy_async_wait(int pending) {
  Thread& t = me("copy_async_wait");
  size_t n = 0;
  for (; n < t.copies.size() && t.copies[n].group < t.groups - pending; ++n)
    memcpy(t.copies[n].to, t.copies[n].bytes, 16);
  t.copies.erase(t.copies.begin(), t.copies.begin() + static_cast<ptrdiff_t>(n));
}

void* dynamic_shared() {
  me("dynamic_shared");
  return block->dynamic;
}

int lane() { return me("a warp function").index % kLanes; }

void run(const char* kernel, Shape grid, int threads, size_t shared_bytes, void (*body)(void*), void* context) {
  check_launch_shape(kernel, grid, threads, shared_bytes);
  const Order kind = wanted_order();
  const std::lock_guard<std::mutex> lock(launch_lock);
  while (pool.size() < static_cast<size_t>(threads)) pool.push_back(std::make_unique<Thread>());

  // Exactly the bytes asked for, so that AddressSanitizer sees the first one beyond.
  void* dynamic = nullptr;
  if (posix_memalign(&dynamic, 128, shared_bytes)) throw std::bad_alloc();
  const std::unique_ptr<void, void (*)(void*)> owner(dynamic, free);
  Block b{kernel, threads, body, context, static_cast<char*>(dynamic), shared_bytes};
  const Scope scope(&b);
  blockDim = dim3(static_cast<unsigned>(threads));
  gridDim = dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));

  const char* seed = getenv("FLASHKET_EMULATOR_SEED");
  std::mt19937 random(seed ? static_cast<unsigned>(strtoul(seed, nullptr, 10)) : 0u);
  std::vector<int> order(static_cast<size_t>(threads));
  std::iota(order.begin(), order.end(), 0);
  if (kind == Order::reverse) std::reverse(order.begin(), order.end());
  const int64_t blocks = grid.x * grid.y * grid.z;
  std::vector<int64_t> block_order;
  if (kind == Order::random) {
    block_order.resize(static_cast<size_t>(blocks));
    std::iota(block_order.begin(), block_order.end(), int64_t{0});
    std::shuffle(block_order.begin(), block_order.end(), random);
  }
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t n = kind == Order::random    ? block_order[static_cast<size_t>(i)]
                      : kind == Order::reverse ? blocks - 1 - i
                                               : i;
    blockIdx = {static_cast<unsigned>(n % grid.x), static_cast<unsigned>(n / grid.x % grid.y),
                static_cast<unsigned>(n / grid.x / grid.y)};
    run_block(order, kind, random);
  }
}

}  // namespace emulator
}  // namespace flashket::cuda
