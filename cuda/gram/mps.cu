// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A block of 256 threads sweeps a square of pairs along the chain, (32 / chi)^2 of them, with everything of a site in
// shared memory: the tensors of its rows, padded with zeros to chi, and for each pair the matrix E and the product
// H_z = A_z^dagger E. Every thread makes 2 x 2 numbers of each: 8 complex FMA for 6 shared loads in the first product,
// 4 for 4 in the second. Traffic to global memory: the tensors, once for every square of pairs, from L2 mostly. Every
// few sites a power of two is taken out of E: overlaps of hundreds of qubits underflow in any format. Host twin:
// cpp/gram/mps.simd.cpp.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "gram/mps.hpp"
#include "gram/mps_sweep.hpp"

namespace flashket::cuda {
namespace {

constexpr int64_t kMaxBlocks = (int64_t{1} << 31) - 1;

// Shared memory of a block, in complex numbers.
template <int Chi>
struct SweepShape {
  static constexpr int side = 32 / Chi;  // pairs along each edge of the square
  static constexpr int half = Chi / 2;   // threads along each edge of a pair's matrix
  static constexpr int pair_threads = half * half;
  static constexpr int line = Chi + 1;  // of a matrix; odd, so that its columns lie in different banks
  static constexpr int matrix = Chi * line;
  static constexpr int tensors = side * 2 * matrix;      // a site of one operand's rows, [row][z][left][right]
  static constexpr int products = side * side * matrix;  // one matrix a pair
  static constexpr int total = 2 * tensors + 3 * products;
};

// Where the tensors of this site begin, and the bond on their left, for the rows of one operand.
template <int Chi, class C>
struct Operand {
  const MpsPointers<C>& mps;
  int64_t first;
  Complex<C>* shared;

  FK_DEVICE int64_t row(int i) const { return first + i < mps.rows ? first + i : mps.rows - 1; }

  // at[i]: of row i, in complex numbers; moved on by the site. Returns the largest left bond.
  FK_DEVICE int load(int64_t site, int64_t (&at)[SweepShape<Chi>::side]) const {
    using S = SweepShape<Chi>;
    int largest = 0;
#pragma unroll
    for (int i = 0; i < S::side; ++i) {
      const int32_t* bonds = mps.bonds + row(i) * (mps.n_sites + 1) + site;
      const int left = bonds[0], right = bonds[1];
      const auto* from = reinterpret_cast<const Complex<C>*>(mps.tensors) + at[i];
      for (int e = static_cast<int>(threadIdx.x); e < 2 * Chi * Chi; e += kMpsThreads) {
        const int l = e / (2 * Chi), z = e / Chi % 2, r = e % Chi;
        shared[i * 2 * S::matrix + z * S::matrix + l * S::line + r] =
            l < left && r < right ? from[(l * 2 + z) * right + r] : Complex<C>{C(0), C(0)};
      }
      at[i] += int64_t{2} * left * right;
      largest = left > largest ? left : largest;
    }
    return largest;
  }
};

// The largest |.| of a pair's threads.
template <int Chi, class C>
FK_DEVICE C largest_of_pair(C value, C* scratch) {
  constexpr int threads = SweepShape<Chi>::pair_threads, lanes = threads < kWarp ? threads : kWarp;
#pragma unroll
  for (int bit = lanes / 2; bit > 0; bit /= 2) {
    const C other = __shfl_xor_sync(0xffffffffu, value, bit);
    value = other > value ? other : value;
  }
  if constexpr (threads > kWarp) {
    const int warp = static_cast<int>(threadIdx.x) / kWarp,
              first = static_cast<int>(threadIdx.x) / threads * threads / kWarp;
    if (threadIdx.x % kWarp == 0) scratch[warp] = value;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < threads / kWarp; ++w) value = scratch[first + w] > value ? scratch[first + w] : value;
    __syncthreads();
  }
  return value;
}

template <int Chi, class C>
FK_KERNEL void __launch_bounds__(kMpsThreads)
    MpsGramKernel(MpsPointers<C> x, MpsPointers<C> y, SweepOptions options, void* out, int64_t stride) {
  using S = SweepShape<Chi>;
  __shared__ C scratch[kMpsThreads / kWarp];
  const int64_t i0 = options.first_row + blockIdx.x / options.columns * S::side;
  const int64_t j0 = blockIdx.x % options.columns * S::side;
  if (options.is_same && j0 + S::side <= i0) return;  // below the diagonal: its mirror writes it
  auto* memory = dynamic_shared<Complex<C>>();
  const Operand<Chi, C> left{x, i0, memory}, right{y, j0, memory + S::tensors};
  const int t = static_cast<int>(threadIdx.x), pair = t / S::pair_threads, px = pair / S::side, py = pair % S::side;
  const int r0 = t % S::pair_threads / S::half, c0 = t % S::half;
  const Complex<C>* a = left.shared + px * 2 * S::matrix;
  const Complex<C>* b = right.shared + py * 2 * S::matrix;
  Complex<C>* e = memory + 2 * S::tensors + pair * 3 * S::matrix;
  Complex<C>* h = e + S::matrix;  // of z = 0, then of z = 1

  int64_t at_x[S::side], at_y[S::side];
#pragma unroll
  for (int i = 0; i < S::side; ++i) {
    at_x[i] = x.offsets[left.row(i)];
    at_y[i] = y.offsets[right.row(i)];
  }
  Complex<C> v[2][2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int r = r0 + i * S::half, c = c0 + j * S::half;
      e[r * S::line + c] = {r == 0 && c == 0 ? C(1) : C(0), C(0)};
    }
  }
  int exponent = 0;
  for (int64_t site = 0; site < x.n_sites; ++site) {
    const int depth_x = left.load(site, at_x), depth_y = right.load(site, at_y);
    __syncthreads();
    {
      Complex<C> sum[2][2][2] = {};  // [z][right bond of x][left bond of y]
      for (int l = 0; l < depth_x; ++l) {
        const Complex<C> e0 = e[l * S::line + c0], e1 = e[l * S::line + c0 + S::half];
#pragma unroll
        for (int z = 0; z < 2; ++z) {
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            const Complex<C> factor = a[z * S::matrix + l * S::line + r0 + i * S::half];
            multiply_add<true>(sum[z][i][0], factor, e0);
            multiply_add<true>(sum[z][i][1], factor, e1);
          }
        }
      }
#pragma unroll
      for (int z = 0; z < 2; ++z)
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int j = 0; j < 2; ++j) h[z * S::matrix + (r0 + i * S::half) * S::line + c0 + j * S::half] = sum[z][i][j];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; ++i) v[i][0] = v[i][1] = {C(0), C(0)};
#pragma unroll
    for (int z = 0; z < 2; ++z) {
      for (int k = 0; k < depth_y; ++k) {
        const Complex<C>* row = b + z * S::matrix + k * S::line;
        const Complex<C> b0 = row[c0], b1 = row[c0 + S::half];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const Complex<C> factor = h[z * S::matrix + (r0 + i * S::half) * S::line + k];
          multiply_add<false>(v[i][0], factor, b0);
          multiply_add<false>(v[i][1], factor, b1);
        }
      }
    }
    if (site % kRescaleSites == kRescaleSites - 1 || site + 1 == x.n_sites) {
      C largest = C(0);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const C re = magnitude(v[i][j].re), im = magnitude(v[i][j].im), size = re > im ? re : im;
          largest = size > largest ? size : largest;
        }
      }
      const int shift = shift_of(largest_of_pair<Chi>(largest, scratch));
      const C scale = power_of_two<C>(-shift);
      exponent += shift;
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j) v[i][j] = {v[i][j].re * scale, v[i][j].im * scale};
    }
    // Nobody reads E any more: the first product is behind a barrier.
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j) e[(r0 + i * S::half) * S::line + c0 + j * S::half] = v[i][j];
    __syncthreads();
  }
  const int64_t i = i0 + px, j = j0 + py;
  if (r0 != 0 || c0 != 0 || i >= x.rows || j >= y.rows || (options.is_same && j < i)) return;
  finish_pair(options, Overlap<C>{v[0][0].re, v[0][0].im, exponent}, i, j, out, stride);
}

template <int Chi, class C>
void sweep(const MpsPointers<C>& x, const MpsPointers<C>& y, SweepOptions options, void* out, int64_t stride,
           Stream stream) {
  using S = SweepShape<Chi>;
  options.columns = (y.rows + S::side - 1) / S::side;
  const int64_t rows = (x.rows + S::side - 1) / S::side,
                rows_at_once = std::max<int64_t>(1, kMaxBlocks / options.columns);
  for (int64_t first = 0; first < rows; first += rows_at_once) {
    options.first_row = first * S::side;
    launch("MpsGramKernel", MpsGramKernel<Chi, C>, Grid{std::min(rows_at_once, rows - first) * options.columns},
           kMpsThreads, sizeof(Complex<C>) * S::total, stream, x, y, options, out, stride);
  }
}

int32_t checked_bond(const MpsView& host) {
  const int32_t largest = host.rows > 0 ? host.largest_bond() : 1;
  if (largest > kMaxMpsBond)
    throw std::invalid_argument("mps: overlaps on the device take bonds of at most " + std::to_string(kMaxMpsBond) +
                                ", got " + std::to_string(largest) + "; use backend=\"cpu\" or truncate the states");
  return largest;
}

void check(const MpsGramOptions& options, int64_t sites_x, int64_t sites_y) {
  if (options.similarity != Similarity::fidelity && options.similarity != Similarity::hadamard)
    throw std::invalid_argument("mps: the similarity must be fidelity or hadamard");
  if (sites_x != sites_y) throw std::invalid_argument("mps: states of different numbers of qubits");
  if (options.power < 1 || options.readings.shots < 0 || (options.log && options.readings.shots > 0))
    throw std::invalid_argument("mps: bad power, shots or log");
  if (options.readings.is_noisy()) throw std::invalid_argument("mps: noise models run on the host");
}

}  // namespace

template <class C>
DeviceMps<C>::DeviceMps(const MpsView& host, Stream stream)
    : rows(host.rows), n_sites(host.n_sites), largest_bond(checked_bond(host)) {
  if (rows == 0) return;
  std::vector<int64_t> offsets(rows);
  std::vector<C> tensors;
  for (int64_t i = 0; i < rows; ++i) {
    offsets[i] = static_cast<int64_t>(tensors.size()) / 2;
    const int32_t* bonds = host.bonds_of(i);
    int64_t size = 0;
    for (int64_t j = 0; j < n_sites; ++j) size += int64_t{4} * bonds[j] * bonds[j + 1];
    tensors.insert(tensors.end(), host.tensors_of(i), host.tensors_of(i) + size);
  }
  bonds_ = Array<int32_t>(rows * (n_sites + 1), stream);
  offsets_ = Array<int64_t>(rows, stream);
  tensors_ = Array<C>(static_cast<int64_t>(tensors.size()), stream);
  copy_to_device(bonds_.get(), host.bonds, bonds_.size(), stream);
  copy_to_device(offsets_.get(), offsets.data(), offsets_.size(), stream);
  copy_to_device(tensors_.get(), tensors.data(), tensors_.size(), stream);
}
template class DeviceMps<float>;
template class DeviceMps<double>;

template <class C, class T>
void mps_gram(const DeviceMps<C>& x, const DeviceMps<C>* y, T* out, int64_t stride, const MpsGramOptions& options,
              Stream stream) {
  const DeviceMps<C>& other = y ? *y : x;
  check(options, x.n_sites, other.n_sites);
  if (x.rows == 0 || other.rows == 0) return;
  const bool is_sampled = options.readings.shots > 0;
  SweepOptions o{};
  o.scoring = {Pair::complex_dot, options.similarity, is_sampled ? 1 : options.power, 1, 1};
  o.finish = {options.log, true, options.readings.shots, options.power,
              stream_key(options.seed, StreamDomain::gram, 0, 0)};
  o.is_same = y == nullptr;
  o.is_double = sizeof(T) == 8;
  const MpsPointers<C> a = pointers(x), b = pointers(other);
  const int32_t bond = std::max(x.largest_bond, other.largest_bond);
  if (bond <= 4)
    sweep<4>(a, b, o, out, stride, stream);
  else if (bond <= 8)
    sweep<8>(a, b, o, out, stride, stream);
  else if (bond <= 16)
    sweep<16>(a, b, o, out, stride, stream);
  else if (bond <= 32 && sizeof(Complex<C>) * SweepShape<32>::total <= shared_per_block())
    sweep<32>(a, b, o, out, stride, stream);
  else
    sweep_large(a, b, x.largest_bond, other.largest_bond, o, out, stride, stream);
}
template void mps_gram(const DeviceMps<float>&, const DeviceMps<float>*, float*, int64_t, const MpsGramOptions&,
                       Stream);
template void mps_gram(const DeviceMps<double>&, const DeviceMps<double>*, float*, int64_t, const MpsGramOptions&,
                       Stream);
template void mps_gram(const DeviceMps<double>&, const DeviceMps<double>*, double*, int64_t, const MpsGramOptions&,
                       Stream);

template <class T>
void mps_gram(const MpsView& x, const MpsView* y, T* out, int64_t stride, const MpsGramOptions& options,
              Stream stream) {
  check(options, x.n_sites, y ? y->n_sites : x.n_sites);
  if (y) checked_bond(*y);
  const DeviceMps<double> left(x, stream);
  if (!y) return mps_gram<double, T>(left, nullptr, out, stride, options, stream);
  const DeviceMps<double> right(*y, stream);
  mps_gram<double, T>(left, &right, out, stride, options, stream);
}
template void mps_gram(const MpsView&, const MpsView*, float*, int64_t, const MpsGramOptions&, Stream);
template void mps_gram(const MpsView&, const MpsView*, double*, int64_t, const MpsGramOptions&, Stream);

}  // namespace flashket::cuda
