// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the emulator finds: races, divergence, early reads, wrong addresses, too little memory.
#include "check.hpp"

#if defined(FLASHKET_EMULATE)
namespace flashket::cuda {
namespace {

FK_KERNEL void SomeExitKernel() {
  if (threadIdx.x >= 40) return;
  __syncthreads();
}
FK_KERNEL void OtherBarrierKernel() {
  if (threadIdx.x < 40)
    __syncthreads();
  else
    __syncthreads();
}
FK_KERNEL void MixedWaitKernel() {
  if (threadIdx.x < 3)
    __syncwarp();
  else
    __syncthreads();
}
FK_KERNEL void MissingLaneKernel(int* out) {
  if (threadIdx.x == 5) return;
  uint32_t a[4] = {};
  float c[4] = {};
  mma_half(c, a, 0, 0);
  out[threadIdx.x] = static_cast<int>(c[0]);
}
FK_KERNEL void WrongMaskKernel(int* out) { out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 0); }

void test_divergence() {
  for (const char* order : {"forward", "reverse", "random"}) {
    setenv("FLASHKET_EMULATOR_ORDER", order, 1);
    const Array<int> out(64, nullptr);
    std::string text = test::error_of([&] { launch("SomeExitKernel", SomeExitKernel, {2}, 64, 0, nullptr); });
    test::check(test::contains(text, "SomeExitKernel") && test::contains(text, "exited"),
                "exit before a barrier: " + text);
    text = test::error_of([&] { launch("OtherBarrierKernel", OtherBarrierKernel, {1}, 64, 0, nullptr); });
    test::check(test::contains(text, "__syncthreads while thread"), "two barriers: " + text);
    text = test::error_of([&] { launch("MixedWaitKernel", MixedWaitKernel, {1}, 64, 0, nullptr); });
    test::check(test::contains(text, "for ever"), "warp and block barrier: " + text);
    text = test::error_of([&] { launch("MissingLaneKernel", MissingLaneKernel, {1}, 32, 0, nullptr, out.data()); });
    test::check(test::contains(text, "all 32 lanes"), "mma with a lane missing: " + text);
    text = test::error_of([&] { launch("WrongMaskKernel", WrongMaskKernel, {1}, 32, 0, nullptr, out.data()); });
    test::check(test::contains(text, "not in its mask"), "a lane outside its mask: " + text);
  }
  setenv("FLASHKET_EMULATOR_ORDER", "forward", 1);
}

FK_KERNEL void RaceKernel(int* out, bool has_barrier) {
  __shared__ int tile[64];
  tile[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (has_barrier) __syncthreads();
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

void test_order() {
  for (const bool has_barrier : {true, false}) {
    std::vector<std::vector<int>> results;
    for (const char* order : {"forward", "reverse", "random"}) {
      setenv("FLASHKET_EMULATOR_ORDER", order, 1);
      const Array<int> out(64, nullptr);
      launch("RaceKernel", RaceKernel, {1}, 64, 0, nullptr, out.data(), has_barrier);
      results.push_back(test::to_host(out));
    }
    const bool is_same = results[0] == results[1] && results[1] == results[2];
#if defined(FLASHKET_ASAN)
    if (!has_barrier) continue;  // __shared__ still holds the right values of the first order
#endif
    test::check(is_same == has_barrier, has_barrier ? "order changes a correct kernel" : "a race stays hidden");
  }
  setenv("FLASHKET_EMULATOR_ORDER", "sideways", 1);
  const Array<int> out(64, nullptr);
  const std::string text =
      test::error_of([&] { launch("RaceKernel", RaceKernel, {1}, 64, 0, nullptr, out.data(), true); });
  test::check(test::contains(text, "sideways"), "an unknown order");
  setenv("FLASHKET_EMULATOR_ORDER", "forward", 1);
}

FK_KERNEL void EarlyReadKernel(const float* in, float* out) {
  float* tile = dynamic_shared<float>();
  out[0] = tile[0];  // nothing written yet
  tile[0] = 3;
  copy_async_16(tile, in);
  copy_async_commit();
  copy_async_16(tile + 4, in + 4);
  copy_async_commit();
  out[1] = tile[0];  // under way
  copy_async_wait<1>();
  out[2] = tile[0];
  out[3] = tile[4];  // the younger group
  copy_async_wait<0>();
  out[4] = tile[4];
  copy_async_16(tile, in);
  copy_async_wait<0>();
  out[5] = tile[0];  // never committed
}

void test_early_reads() {
  const Array<float> in = test::to_device<float>({1, 2, 3, 4, 5, 6, 7, 8}), out(6, nullptr);
  test::check(std::isnan(test::to_host(out)[0]), "fresh device memory");
  launch("EarlyReadKernel", EarlyReadKernel, {1}, 1, 32, nullptr, in.data(), out.data());
  const std::vector<float> got = test::to_host(out);
  test::check(std::isnan(got[0]), "shared memory nobody wrote");
  test::check(std::isnan(got[1]), "a copy under way");
  test::check(got[2] == 1, "a copy waited for");
  test::check(std::isnan(got[3]), "a younger group");
  test::check(got[4] == 5, "the last group");
  test::check(std::isnan(got[5]), "a copy never committed");
}

#if !defined(FLASHKET_ASAN)
FK_KERNEL void StaleSharedKernel(int* out) {
  __shared__ int value;
  out[blockIdx.x] = value;
  value = 42;
}

void test_shared_is_fresh() {
  const Array<int> out(3, nullptr);
  launch("StaleSharedKernel", StaleSharedKernel, {3}, 1, 0, nullptr, out.data());
  for (const int v : test::to_host(out)) test::check(v == -1, "shared memory of the block before");
}
#endif

FK_KERNEL void CopyKernel(const char* in, int to, int from) {
  copy_async_16(dynamic_shared<char>() + to, in + from);
  copy_async_commit();
  copy_async_wait<0>();
}
#if !defined(FLASHKET_ASAN)
FK_KERNEL void CopyToGlobalKernel(char* to, const char* from) { copy_async_16(to, from); }
#endif
FK_KERNEL void LoadKernel(uint32_t* out, int offset) {
  uint32_t r[4];
  load_matrix_x4(r, dynamic_shared<char>() + 16 * threadIdx.x + offset);
  out[threadIdx.x] = r[0];
}

void test_addresses() {
  const Array<char> in(64, nullptr);
  const Array<uint32_t> out(32, nullptr);
  const auto copy = [&](int to, int from) {
    return test::error_of([&] { launch("CopyKernel", CopyKernel, {1}, 1, 64, nullptr, in.data(), to, from); });
  };
  test::check(copy(16, 48).empty(), "an aligned copy");
  test::check(test::contains(copy(8, 0), "16-byte aligned"), "destination not aligned");
  test::check(test::contains(copy(0, 4), "16-byte aligned"), "source not aligned");
  const auto load = [&](int offset) {
    return test::error_of([&] { launch("LoadKernel", LoadKernel, {1}, 32, 1024, nullptr, out.data(), offset); });
  };
  test::check(load(0).empty(), "an aligned row");
  test::check(test::contains(load(2), "16-byte aligned"), "a row not aligned");
#if !defined(FLASHKET_ASAN)
  test::check(test::contains(copy(64, 0), "shared memory"), "destination beyond shared memory");
  const std::string text = test::error_of(
      [&] { launch("CopyToGlobalKernel", CopyToGlobalKernel, {1}, 1, 0, nullptr, in.data(), in.data() + 16); });
  test::check(test::contains(text, "not in the block's shared memory"), "a copy to device memory");
#endif
}

FK_KERNEL void NothingKernel() {}
FK_KERNEL void VoteKernel(int* out) {
  const int i = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x);
  const int count = __syncthreads_count(i % 3 == 0);
  const int any = __syncthreads_or(i == 5), all = __syncthreads_and(i < n);
  out[i] = 100 * count + 10 * any + all;
}

void test_launches() {
  const auto error = [](Grid grid, int threads, size_t shared) {
    return test::error_of([&] { launch("NothingKernel", NothingKernel, grid, threads, shared, nullptr); });
  };
  test::check(error({1}, 1024, 232448).empty(), "the largest block");
  test::check(error({0}, 5000, 0).empty(), "an empty grid does nothing");
  test::check(!error({1}, 1025, 0).empty() && !error({1}, 0, 0).empty(), "threads a block");
  test::check(!error({1}, 32, 232449).empty(), "shared memory");
  test::check(!error({1, 65536}, 32, 0).empty() && !error({1, 1, 65536}, 32, 0).empty(), "grid");
  const Array<int> out(70, nullptr);
  launch("VoteKernel", VoteKernel, {1}, 70, 0, nullptr, out.data());
  for (const int v : test::to_host(out)) test::check(v == 2411, "votes of a block");
  test::check(!test::error_of([] { __syncthreads(); }).empty(), "a barrier outside a kernel");
}

// The sum is cut, not rounded, 25 bits below the largest term.
FK_KERNEL void TinyTermsKernel(float* out, float tiny) {
  uint32_t a[4] = {};
  if (threadIdx.x < 4) a[0] = pack_half(tiny * 1024, tiny * 1024), a[2] = a[0];  // row 0, all 16 columns
  const uint32_t b = pack_half(0x1p-10f, 0x1p-10f);
  float c[4] = {1, 1, 1, 1};
  mma_half(c, a, b, b);
  if (threadIdx.x == 0) out[0] = c[0];
}

void test_truncation() {
  const Array<float> out(1, nullptr);
  const auto sum = [&](float tiny) {
    launch("TinyTermsKernel", TinyTermsKernel, {1}, 32, 0, nullptr, out.data(), tiny);
    return test::to_host(out)[0];
  };
  test::check(sum(0x1p-20f) == 1 + 0x1p-16f, "terms that fit");
  test::check(sum(0x1p-24f) == 1 + 0x1p-20f, "terms in the extra bit");
  test::check(sum(0x1.8p-24f) == 1 + 0x1p-20f, "terms cut to the extra bit");
  test::check(sum(0x1.8p-25f) == 1, "terms cut to nothing");
}

void test_memory() {
  setenv("FLASHKET_EMULATOR_MEMORY", "1000000", 1);
  size_t asked = 0, free_bytes = 0;
  {
    const Array<float> first(100000, nullptr);
    try {
      const Array<double> second(100000, nullptr);
    } catch (const OutOfDeviceMemory& error) {
      asked = error.asked, free_bytes = error.free_bytes;
    }
    const Array<float> third(100000, nullptr);  // still usable
    test::check(device_properties(0).free_memory < 250000, "free memory");
  }
  test::check(asked == 800000 && free_bytes > 500000 && free_bytes <= 600000, "out of memory");
  test::check(device_properties(0).free_memory > 900000, "memory given back");
  unsetenv("FLASHKET_EMULATOR_MEMORY");
  test::check(device_properties(0).name == "CPU emulator" && device_properties(0).major == 0, "it says what it is");
  test::check(!test::error_of([] { device_properties(1); }).empty(), "there is one device");

  struct Counted {
    int live = 0, calls = 0;
  } counted;
  const Allocator allocator{&counted,
                            [](void* context, size_t bytes, Stream) -> void* {
                              Counted& c = *static_cast<Counted*>(context);
                              return ++c.calls == 3 ? nullptr
                                                    : (++c.live, aligned_alloc(256, (bytes + 255) / 256 * 256));
                            },
                            [](void* context, void* memory, size_t, Stream) {
                              --static_cast<Counted*>(context)->live;
                              free(memory);
                            }};
  bool is_refused = false;
  {
    Array<float> kept;
    {
      const AllocatorScope scope(&allocator);
      kept = Array<float>(10, nullptr);
      const Array<float> other(20, nullptr);
      test::check(counted.live == 2, "the caller's allocator");
      try {
        const Array<float> refused(30, nullptr);
      } catch (const OutOfDeviceMemory& error) {
        is_refused = error.asked == 120;
      }
    }
    test::check(counted.live == 1, "memory outlives the scope of its allocator");
  }
  test::check(counted.live == 0 && is_refused, "the caller's allocator gets everything back");
}

}  // namespace
}  // namespace flashket::cuda

int main() {
  using namespace flashket::cuda;
  test_divergence();
  test_order();
  test_early_reads();
#if !defined(FLASHKET_ASAN)
  test_shared_is_fresh();
#endif
  test_addresses();
  test_launches();
  test_truncation();
  test_memory();
  return test::finish("emulator_test");
}
#else
int main() { return flashket::cuda::test::finish("emulator_test (nothing to test on a GPU)"); }
#endif
