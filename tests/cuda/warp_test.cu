// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Warp functions and matrix units through kernels, against plain loops: the layouts core/device.hpp states. Runs on a
// GPU as well, where it checks the emulator's idea of them.
#include <random>

#include "check.hpp"

namespace flashket::cuda {
namespace {

enum class Type { half, bfloat16 };

// Host twins of the conversions, by arithmetic instead of bits.
double decode(uint16_t bits, Type type) {
  const int mantissa_bits = type == Type::half ? 10 : 7, bias = type == Type::half ? 15 : 127;
  const int exponent = bits >> mantissa_bits & (type == Type::half ? 31 : 255);
  const double mantissa = (bits & ((1 << mantissa_bits) - 1)) * std::ldexp(1.0, -mantissa_bits);
  const double value = exponent ? std::ldexp(1 + mantissa, exponent - bias) : std::ldexp(mantissa, 1 - bias);
  return bits & 0x8000 ? -value : value;
}

// A (16, 16), B (16, 8), both row-major, through shared memory: load_matrix_x4 gives A's fragment, the transposed load
// of the same rows gives B's.
FK_KERNEL void ProductKernel(const uint16_t* a, const uint16_t* b, const float* c, float* out, bool is_half) {
  __shared__ __align__(16) uint16_t a_tile[16][24];  // 48 bytes a row
  __shared__ __align__(16) uint16_t b_tile[16][8];
  const int lane = static_cast<int>(threadIdx.x);
  copy_async_16(&a_tile[lane / 2][lane % 2 * 8], a + lane * 8);
  copy_async_16(&b_tile[lane % 16][0], b + lane % 16 * 8);
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  uint32_t fa[4], fb[4];
  load_matrix_x4(fa, &a_tile[lane % 16][lane / 16 * 8]);
  load_matrix_x4_transposed(fb, &b_tile[lane % 16][0]);
  const int row = lane / 4, column = lane % 4 * 2;
  float f[4] = {c[row * 8 + column], c[row * 8 + column + 1], c[(row + 8) * 8 + column], c[(row + 8) * 8 + column + 1]};
  if (is_half)
    mma_half(f, fa, fb[0], fb[1]);
  else
    mma_bfloat16(f, fa, fb[0], fb[1]);
  out[row * 8 + column] = f[0];
  out[row * 8 + column + 1] = f[1];
  out[(row + 8) * 8 + column] = f[2];
  out[(row + 8) * 8 + column + 1] = f[3];
}

void test_products() {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (const Type type : {Type::half, Type::bfloat16}) {
    std::vector<uint16_t> a(256), b(128);
    std::vector<float> c(128);
    // Any bits of moderate exponent are a number.
    const auto number = [&] {
      const uint32_t bits = static_cast<uint32_t>(random());
      return static_cast<uint16_t>(type == Type::half ? (bits & 0x87ff) | 0x3800 : (bits & 0x80ff) | 0x3f00);
    };
    for (uint16_t& v : a) v = number();
    for (uint16_t& v : b) v = number();
    for (float& v : c) v = normal(random);
    const Array<uint16_t> da = test::to_device(a), db = test::to_device(b);
    const Array<float> dc = test::to_device(c), out(128, nullptr);
    launch("ProductKernel", ProductKernel, {1}, 32, 0, nullptr, da.data(), db.data(), dc.data(), out.data(),
           type == Type::half);
    const std::vector<float> got = test::to_host(out);
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        double wanted = c[i * 8 + j];
        for (int k = 0; k < 16; ++k) wanted += decode(a[i * 16 + k], type) * decode(b[k * 8 + j], type);
        test::check_close<double>(got[i * 8 + j], wanted, 1e-5, "mma " + std::to_string(i) + ", " + std::to_string(j));
      }
  }
}

// A (16, 8), B (8, 8), row-major, of tf32 numbers.
FK_KERNEL void Tf32Kernel(const uint32_t* a, const uint32_t* b, const float* c, float* out) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  const uint32_t fa[4] = {a[g * 8 + t], a[(g + 8) * 8 + t], a[g * 8 + t + 4], a[(g + 8) * 8 + t + 4]};
  float f[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  mma_tf32(f, fa, b[t * 8 + g], b[(t + 4) * 8 + g]);
  for (int e = 0; e < 4; ++e) out[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = f[e];
}

void test_tf32_products() {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  std::vector<uint32_t> a(128), b(64);
  std::vector<double> va, vb;
  std::vector<float> c(128);
  const auto number = [&](std::vector<double>& values) {
    uint32_t bits = (static_cast<uint32_t>(random()) & 0x80ffe000u) | 0x3f000000u;
    const double mantissa = 1 + (bits >> 13 & 1023) * 0x1p-10;
    values.push_back((bits >> 31 ? -mantissa : mantissa) * (bits >> 23 & 1 ? 1.0 : 0.5));
    return bits;
  };
  for (uint32_t& v : a) v = number(va);
  for (uint32_t& v : b) v = number(vb);
  for (float& v : c) v = normal(random);
  const Array<uint32_t> da = test::to_device(a), db = test::to_device(b);
  const Array<float> dc = test::to_device(c), out(128, nullptr);
  launch("Tf32Kernel", Tf32Kernel, {1}, 32, 0, nullptr, da.data(), db.data(), dc.data(), out.data());
  const std::vector<float> got = test::to_host(out);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      double wanted = c[i * 8 + j];
      for (int k = 0; k < 8; ++k) wanted += va[i * 8 + k] * vb[k * 8 + j];
      test::check_close<double>(got[i * 8 + j], wanted, 1e-5, "tf32 " + std::to_string(i) + ", " + std::to_string(j));
    }
}

// NaN and infinity reach their own rows and columns only.
void test_not_numbers() {
  for (const bool is_half : {true, false}) {
    const uint16_t one = is_half ? 0x3c00 : 0x3f80, infinity = is_half ? 0x7c00 : 0x7f80;
    std::vector<uint16_t> a(256, one), b(128, one);
    for (int k = 0; k < 16; ++k) a[3 * 16 + k] = infinity + 1;  // row 3: nothing but NaN
    a[5 * 16 + 9] = infinity;
    b[4 * 8 + 6] = infinity + 1;  // in column 6
    const Array<uint16_t> da = test::to_device(a), db = test::to_device(b);
    const Array<float> dc = test::to_device(std::vector<float>(128, 0.0f)), out(128, nullptr);
    launch("ProductKernel", ProductKernel, {1}, 32, 0, nullptr, da.data(), db.data(), dc.data(), out.data(), is_half);
    const std::vector<float> got = test::to_host(out);
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        const float v = got[i * 8 + j];
        test::check(i == 3 || j == 6 ? std::isnan(v) : i == 5 ? v > 3e38f : v == 16, "NaN or infinity in mma");
      }
  }
}

// Four matrices, number m's element (r, c) = 100 m + 10 r + c.
FK_KERNEL void LoadKernel(uint32_t* plain, uint32_t* transposed) {
  __shared__ __align__(16) uint16_t tile[32][8];
  const int lane = static_cast<int>(threadIdx.x);
  for (int c = 0; c < 8; ++c) tile[lane][c] = static_cast<uint16_t>(100 * (lane / 8) + 10 * (lane % 8) + c);
  __syncwarp();
  uint32_t r[4];
  load_matrix_x4(r, tile[lane]);
  for (int m = 0; m < 4; ++m) plain[lane * 4 + m] = r[m];
  load_matrix_x4_transposed(r, tile[lane]);
  for (int m = 0; m < 4; ++m) transposed[lane * 4 + m] = r[m];
}

void test_loads() {
  const Array<uint32_t> plain(128, nullptr), transposed(128, nullptr);
  launch("LoadKernel", LoadKernel, {1}, 32, 0, nullptr, plain.data(), transposed.data());
  const std::vector<uint32_t> p = test::to_host(plain), t = test::to_host(transposed);
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t m = 0; m < 4; ++m) {
      const uint32_t row = lane / 4, column = lane % 4 * 2, base = 100 * m;
      test::check(p[lane * 4 + m] == ((base + 10 * row + column) | (base + 10 * row + column + 1) << 16), "ldmatrix");
      test::check(t[lane * 4 + m] == ((base + 10 * column + row) | (base + 10 * (column + 1) + row) << 16),
                  "ldmatrix.trans");
    }
}

FK_KERNEL void ShuffleKernel(int* out) {
  const int lane = static_cast<int>(threadIdx.x), value = 100 + lane;
  out[lane] = __shfl_sync(0xffffffffu, value, 5);
  out[32 + lane] = __shfl_sync(0xffffffffu, value, 3, 8);
  out[64 + lane] = __shfl_xor_sync(0xffffffffu, value, 9);
  out[96 + lane] = __shfl_down_sync(0xffffffffu, value, 4, 16);
  out[128 + lane] = __shfl_up_sync(0xffffffffu, value, 3, 8);
  const unsigned long long wide = __shfl_xor_sync(0xffffffffu, 1ull << 40 | static_cast<unsigned>(lane), 1);
  out[160 + lane] = static_cast<int>(wide & 0xffffffffu) + static_cast<int>(wide >> 40) * 1000;
  double sum = lane;
  for (int bit = 16; bit > 0; bit /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, bit);
  out[192 + lane] = static_cast<int>(sum);
  out[224 + lane] = static_cast<int>(__ballot_sync(0xffffffffu, lane % 3 == 0));
  // Two halves of the warp on their own.
  const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  out[256 + lane] = __shfl_xor_sync(half, value, 2);
  out[288 + lane] = 2 * (__any_sync(half, lane == 3) != 0) + (__all_sync(half, lane < 16) != 0);
}

void test_shuffles() {
  const Array<int> out(320, nullptr);
  launch("ShuffleKernel", ShuffleKernel, {1}, 32, 0, nullptr, out.data());
  const std::vector<int> got = test::to_host(out);
  int multiples_of_three = 0;
  for (int l = 0; l < 32; l += 3) multiples_of_three |= 1 << l;
  for (int l = 0; l < 32; ++l) {
    const int wanted[] = {105,
                          100 + l / 8 * 8 + 3,
                          100 + (l ^ 9),
                          100 + (l % 16 + 4 < 16 ? l + 4 : l),
                          100 + (l % 8 >= 3 ? l - 3 : l),
                          1000 + (l ^ 1),
                          31 * 16,
                          multiples_of_three,
                          100 + (l ^ 2),
                          l < 16 ? 3 : 0};
    for (int k = 0; k < 10; ++k)
      test::check(got[k * 32 + l] == wanted[k], "warp function " + std::to_string(k) + ", lane " + std::to_string(l) +
                                                    ": wanted " + std::to_string(wanted[k]) + ", got " +
                                                    std::to_string(got[k * 32 + l]));
  }
}

// A ring of three stages: the copies of a stage are waited for while two younger groups are under way.
FK_KERNEL void PipelineKernel(const float* in, float* out, int stages) {
  float* ring = dynamic_shared<float>();  // 3 x 128
  const int i = static_cast<int>(threadIdx.x), other = 31 - i;
  const auto fetch = [&](int s) {
    if (s < stages + 2) copy_async_16(ring + s % 3 * 128 + 4 * i, in + s * 128 + 4 * i, s < stages);
    copy_async_commit();
  };
  fetch(0);
  fetch(1);
  for (int s = 0; s < stages + 2; ++s) {
    fetch(s + 2);
    copy_async_wait<2>();
    __syncthreads();
    for (int k = 0; k < 4; ++k) out[s * 128 + 4 * other + k] = ring[s % 3 * 128 + 4 * other + k];
    __syncthreads();
  }
}

void test_pipeline() {
  const int stages = 7;
  std::vector<float> host(stages * 128);
  for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<float>(i) + 1;
  const Array<float> in = test::to_device(host), out((stages + 2) * 128, nullptr);
  launch("PipelineKernel", PipelineKernel, {1}, 32, 3 * 128 * sizeof(float), nullptr, in.data(), out.data(), stages);
  const std::vector<float> got = test::to_host(out);
  for (size_t i = 0; i < got.size(); ++i)
    test::check(got[i] == (i < host.size() ? host[i] : 0.0f), "pipeline element " + std::to_string(i));
}

FK_KERNEL void AtomicKernel(float* sum, double* wide, int* most, unsigned* least, unsigned long long* count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(sum, 0.5f);
  atomicAdd(wide, 0.25);
  atomicMax(most, i);
  atomicMin(least, static_cast<unsigned>(i + 7));
  atomicAdd(count, 1ull << 33);
}

void test_atomics() {
  const Array<float> sum = test::to_device<float>({0});
  const Array<double> wide = test::to_device<double>({0});
  const Array<int> most = test::to_device<int>({-1});
  const Array<unsigned> least = test::to_device<unsigned>({0xffffffffu});
  const Array<unsigned long long> count = test::to_device<unsigned long long>({0});
  launch("AtomicKernel", AtomicKernel, {5}, 70, 0, nullptr, sum.data(), wide.data(), most.data(), least.data(),
         count.data());
  test::check(test::to_host(sum)[0] == 175, "atomicAdd(float)");
  test::check(test::to_host(wide)[0] == 87.5, "atomicAdd(double)");
  test::check(test::to_host(most)[0] == 349, "atomicMax");
  test::check(test::to_host(least)[0] == 7, "atomicMin");
  test::check(test::to_host(count)[0] == 350ull << 33, "atomicAdd(unsigned long long)");
}

FK_KERNEL void ConvertKernel(const float* x, uint16_t* half, uint16_t* bfloat16, float* back, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  half[i] = to_half(x[i]).bits;
  bfloat16[i] = to_bfloat16(x[i]).bits;
  back[i] = to_float(half_t{half[i]});
}

// Nearest, ties to even: no neighbour is nearer, and of two as near the last bit is 0.
void test_conversions() {
  std::mt19937 random(3);
  std::vector<float> x = {0.0f, -0.0f, 1.0f, 65504.0f, 65519.0f, 0x1p-14f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, -0x1.002p0f};
  for (int i = 0; i < 20000; ++i)
    x.push_back(
        std::ldexp(1 + static_cast<float>(random() & 0x7fffff) * 0x1p-23f, static_cast<int>(random() % 40) - 26) *
        (random() & 1 ? 1 : -1));
  for (float& v : x) v = std::fabs(v) > 65519.0f ? 1.5f : v;
  const int n = static_cast<int>(x.size());
  const Array<float> dx = test::to_device(x), back(n, nullptr);
  const Array<uint16_t> half(n, nullptr), bfloat16(n, nullptr);
  launch("ConvertKernel", ConvertKernel, {(n + 127) / 128}, 128, 0, nullptr, dx.data(), half.data(), bfloat16.data(),
         back.data(), n);
  const std::vector<uint16_t> h = test::to_host(half), b = test::to_host(bfloat16);
  const std::vector<float> f = test::to_host(back);
  for (int i = 0; i < n; ++i) {
    const double value = x[i];
    test::check(static_cast<double>(f[i]) == decode(h[i], Type::half), "half to float");
    for (const Type type : {Type::half, Type::bfloat16}) {
      const uint16_t bits = type == Type::half ? h[i] : b[i];
      const double error = std::fabs(decode(bits, type) - value);
      test::check((bits >> 15 != 0) == std::signbit(x[i]), "sign of a rounded number");
      for (const int step : {-1, 1}) {
        if ((bits & 0x7fff) == 0 && step < 0) continue;
        if (type == Type::half && (bits & 0x7fff) == 0x7bff && step > 0) continue;
        const double other = std::fabs(decode(static_cast<uint16_t>(bits + step), type) - value);
        test::check(error < other || (error == other && bits % 2 == 0), "float " + std::to_string(value) + " rounded");
      }
    }
  }
}

}  // namespace
}  // namespace flashket::cuda

int main() {
  using namespace flashket::cuda;
  if (!test::has_device("warp_test")) return 0;
  for (const char* order : {"forward", "reverse", "random"}) {
    setenv("FLASHKET_EMULATOR_ORDER", order, 1);
    test_products();
    test_tf32_products();
    test_not_numbers();
    test_loads();
    test_shuffles();
    test_pipeline();
    test_atomics();
    test_conversions();
  }
  return test::finish("warp_test");
}
