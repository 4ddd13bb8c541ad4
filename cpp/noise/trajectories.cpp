// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "noise/trajectories.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/buffer.hpp"
#include "core/gates.hpp"
#include "core/isa.hpp"
#include "core/parallel.hpp"
#include "core/philox.hpp"
#include "noise/trajectory.hpp"

namespace flashket {
namespace {

using Amplitude = std::complex<double>;

struct Matrix {
  Amplitude m[2][2];
};

Matrix operator*(const Matrix& a, const Matrix& b) {
  // By hand: std::complex looks for infinities in every product.
  const auto times = [](Amplitude p, Amplitude q) {
    return Amplitude(p.real() * q.real() - p.imag() * q.imag(), p.real() * q.imag() + p.imag() * q.real());
  };
  Matrix out;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) out.m[i][j] = times(a.m[i][0], b.m[0][j]) + times(a.m[i][1], b.m[1][j]);
  return out;
}

Matrix adjoint(const Matrix& a) {
  return {{{std::conj(a.m[0][0]), std::conj(a.m[1][0])}, {std::conj(a.m[0][1]), std::conj(a.m[1][1])}}};
}

Matrix rotation(PauliAxis axis, double cosine, double sine) {  // of half the angle
  const Amplitude c(cosine, 0), is(0, -sine);
  switch (axis) {
    case PauliAxis::x:
      return {{{c, is}, {is, c}}};
    case PauliAxis::y:
      return {{{c, -sine}, {sine, c}}};
    default:
      return {{{c + is, 0}, {0, c - is}}};
  }
}

Matrix fixed_matrix(Opcode opcode) {
  const Factor f = fixed_factor(opcode);
  return {{{{f.m[0][0], f.m[0][1]}, {f.m[0][2], f.m[0][3]}}, {{f.m[1][0], f.m[1][1]}, {f.m[1][2], f.m[1][3]}}}};
}

const Matrix kPaulis[] = {{{{1, 0}, {0, 1}}}, {{{0, 1}, {1, 0}}}, {{{0, {0, -1}}, {{0, 1}, 0}}}, {{{1, 0}, {0, -1}}}};

struct MapFactor {
  NoiseFactor noise;
  Matrix fixed;  // of kinds fixed and rotation
};

// Uniform in the open interval (0, 1).
double uniform(uint64_t key, int64_t row, int64_t trajectory, int64_t operation) {
  const PhiloxBlock b = philox({{static_cast<uint32_t>(trajectory), static_cast<uint32_t>(row),
                                 static_cast<uint32_t>(operation), static_cast<uint32_t>(row >> 32)}},
                               key);
  const uint64_t bits = (uint64_t{b.word[1]} << 32 | b.word[0]) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

// Where a trajectory has its first error.
constexpr int64_t kAnywhere = -1;
constexpr int64_t kNowhere = INT64_MAX;

int choose(const double* cumulative, int count, double u, int64_t operation, int64_t first_error) {
  if (operation < first_error) return 0;
  if (operation == first_error) u = cumulative[0] + u * (1 - cumulative[0]);
  int k = operation == first_error;
  while (k + 1 < count && u >= cumulative[k]) ++k;
  return k;
}

template <class T>
const TrajectoryFunctions<T>& functions() {
  if constexpr (sizeof(T) == 4)
    return isa_ops().trajectory->f32;
  else
    return isa_ops().trajectory->f64;
}

template <class T>
class Trajectories {
 public:
  Trajectories(const NoisyGates& noisy, const KrausChannels& channels, const TrajectoryStart& start,
               const TrajectoryOptions& options)
      : steps_(noisy, {options.is_backward, true, channels.n_single, channels.n_pair}),
        channels_(channels),
        start_(start),
        options_(options),
        key_(stream_key(options.seed, StreamDomain::trajectories, options.is_backward, 0)),
        n_operations_(static_cast<int64_t>(noisy.operations.size())) {
    for (const auto& map : steps_.maps) {
      std::vector<MapFactor> factors;
      for (const NoiseFactor& f : map) {
        const bool is_fixed = f.kind == NoiseFactorKind::fixed || f.kind == NoiseFactorKind::rotation;
        const Matrix own = f.kind == NoiseFactorKind::fixed ? fixed_matrix(f.opcode)
                           : is_fixed ? rotation(f.axis, std::cos(f.radians / 2), std::sin(f.radians / 2))
                                      : kPaulis[0];
        if (is_fixed && !factors.empty() && factors.back().noise.kind == NoiseFactorKind::fixed)
          factors.back().fixed = own * factors.back().fixed;
        else
          factors.push_back({f, own});
        if (is_fixed) factors.back().noise.kind = NoiseFactorKind::fixed;
      }
      maps_.push_back(std::move(factors));
    }
    for (const NoiseItem& item : steps_.items) {
      const TrajectoryItemKind kinds[] = {TrajectoryItemKind::map_a, TrajectoryItemKind::map_b,
                                          TrajectoryItemKind::turn, TrajectoryItemKind::quarter};
      const bool is_quarter = item.kind == NoiseItemKind::quarter;
      items_.push_back(
          {kinds[static_cast<int>(item.kind)], is_quarter && options.is_backward ? -item.index : item.index});
    }
    for (const NoiseStep& s : steps_.steps) plan_steps_.push_back({s.a, s.b, s.item_begin, s.item_end, s.n_active});
    plan_ = {steps_.n_qubits, static_cast<int32_t>(plan_steps_.size()), items_.data(), plan_steps_.data(),
             steps_.last_wire.data()};
  }

  void run(const MatrixView<const double>& x, const MatrixView<T>& out) const {
    const TrajectoryFunctions<T>& f = functions<T>();
    const int64_t total = x.rows * options_.per_row, n_groups = (total + f.lanes - 1) / f.lanes;
    const int64_t n = plan_.n_qubits, n_uses = static_cast<int64_t>(steps_.uses.size());
    const int64_t n_maps = static_cast<int64_t>(maps_.size());
    struct Memory {
      Buffer<T> state, factors, maps, turns;
      std::vector<Matrix> products;
      std::vector<double> cosines, sines;  // of half the uses' angles
    };
    PerWorker<Memory> memory;
    parallel_for(n_groups, [&](int64_t group, int worker) {
      Memory& own = memory.get(worker, [&] {
        return Memory{Buffer<T>((int64_t{2} << n) * f.lanes),
                      Buffer<T>(4 * n * f.lanes),
                      Buffer<T>(8 * n_maps * f.lanes),
                      Buffer<T>(2 * n_uses * f.lanes),
                      std::vector<Matrix>(n_maps),
                      std::vector<double>(n_uses),
                      std::vector<double>(n_uses)};
      });
      const int64_t first = group * f.lanes, rows = std::min(f.lanes, total - first);
      for (int64_t lane = 0; lane < f.lanes; ++lane) {
        const int64_t t = first + std::min(lane, rows - 1), row = t / options_.per_row;
        if (lane == 0 || t % options_.per_row == 0) turn(x, row, own.cosines, own.sines);
        const Draw which = draw_of(options_.first_row + row, t % options_.per_row);
        draw(which, own.cosines, own.sines, own.products);
        const auto put = [&](T* to, Amplitude value) {
          to[lane] = static_cast<T>(value.real());
          to[f.lanes + lane] = static_cast<T>(value.imag());
        };
        for (int64_t k = 0; k < n; ++k) {
          const Matrix factor = first_factor(k, which, own.products);
          for (int i = 0; i < 2; ++i) put(own.factors.data() + (4 * k + 2 * i) * f.lanes, factor.m[i][0]);
        }
        for (int64_t k = 0; k < n_maps; ++k)
          for (int i = 0; i < 4; ++i) put(own.maps.data() + (8 * k + 2 * i) * f.lanes, own.products[k].m[i / 2][i % 2]);
        for (int64_t k = 0; k < n_uses; ++k) {
          const double c = own.cosines[k], s = own.sines[k], sign = options_.is_backward ? -1 : 1;
          put(own.turns.data() + 2 * k * f.lanes, {c * c - s * s, sign * 2 * c * s});
        }
      }
      f.run(plan_, {own.factors.data(), own.maps.data(), own.turns.data()}, own.state.data());
      f.write(plan_, own.state.data(), rows, out.data + first * out.row_stride, out.row_stride);
    });
  }

 private:
  void turn(const MatrixView<const double>& x, int64_t row, std::vector<double>& cosines,
            std::vector<double>& sines) const {
    const auto feature = [&](int32_t j) { return j < steps_.n_features ? x(row, j) : 0.0; };
    for (size_t k = 0; k < steps_.uses.size(); ++k) {
      const AngleExpression& e = steps_.angles[steps_.uses[k].angle];
      const double angle = (e.a0 * feature(e.f0) + e.b0) * (e.a1 * feature(e.f1) + e.b1);
      cosines[k] = std::cos(angle * (0.125 * steps_.uses[k].multiple));
      sines[k] = std::sin(angle * (0.125 * steps_.uses[k].multiple));
    }
  }

  struct Draw {
    int64_t row, trajectory, first_error;
  };

  Draw draw_of(int64_t row, int64_t index) const {
    const FirstError& first = options_.first_error;
    if (first.size == 0) return {row, options_.first_trajectory + index, kAnywhere};
    if (index == 0) return {row, 0, kNowhere};
    const int64_t trajectory = options_.first_trajectory + index - 1;
    const double u = uniform(key_, row, trajectory, first.size);
    const int64_t at = std::upper_bound(first.cumulative, first.cumulative + first.size, u) - first.cumulative;
    return {row, trajectory, std::min(at, first.size - 1)};
  }

  double uniform_of(const Draw& which, int64_t operation) const {
    return uniform(key_, which.row, which.trajectory, operation);
  }

  // The maps of one trajectory.
  void draw(const Draw& which, const std::vector<double>& cosines, const std::vector<double>& sines,
            std::vector<Matrix>& products) const {
    for (size_t i = 0; i < maps_.size(); ++i) {
      Matrix product = kPaulis[0];
      for (const MapFactor& factor : maps_[i]) {
        const NoiseFactor& f = factor.noise;
        if (f.kind == NoiseFactorKind::fixed) {
          product = factor.fixed * product;
        } else if (f.kind == NoiseFactorKind::turning) {
          product = rotation(f.axis, cosines[f.index], sines[f.index]) * product;
        } else {
          const double u = uniform_of(which, f.operation);
          if (f.kind == NoiseFactorKind::channel) {
            const int64_t k =
                choose(channels_.cumulative + kMaxKraus * f.index, kMaxKraus, u, f.operation, which.first_error);
            const Amplitude* m = channels_.operators + 4 * (kMaxKraus * f.index + k);
            product = Matrix{{{m[0], m[1]}, {m[2], m[3]}}} * product;
          } else {
            const int string =
                choose(channels_.pair_cumulative + 16 * int64_t{f.index}, 16, u, f.operation, which.first_error);
            const int digit = f.side == 0 ? string & 3 : string >> 2;
            if (digit > 0) product = kPaulis[digit] * product;
          }
        }
      }
      products[i] = options_.is_backward ? adjoint(product) : product;
    }
  }

  // The first column: what a qubit brings when it takes part.
  Matrix first_factor(int64_t position, const Draw& which, const std::vector<Matrix>& products) const {
    const int64_t wire = steps_.first_wire[position], operation = n_operations_ + wire;
    const double cumulative[2] = {start_.first_probability[wire], 1};
    const int k = choose(cumulative, 2, uniform_of(which, operation), operation, which.first_error);
    const Amplitude* vector = start_.vectors + 4 * wire + 2 * k;
    Matrix factor{{{vector[0], 0}, {vector[1], 0}}};
    for (const int32_t map : steps_.first_maps[position]) factor = products[map] * factor;
    return factor;
  }

  NoiseSteps steps_;
  KrausChannels channels_;
  TrajectoryStart start_;
  TrajectoryOptions options_;
  uint64_t key_;
  int64_t n_operations_;
  std::vector<std::vector<MapFactor>> maps_;
  std::vector<TrajectoryItem> items_;
  std::vector<TrajectoryStep> plan_steps_;
  TrajectoryPlan plan_{};
};

}  // namespace

template <class T>
void trajectories(const NoisyGates& noisy, const KrausChannels& channels, const TrajectoryStart& start,
                  const MatrixView<const double>& x, const TrajectoryOptions& options, const MatrixView<T>& out) {
  Trajectories<T>(noisy, channels, start, options).run(x, out);
}

template void trajectories(const NoisyGates&, const KrausChannels&, const TrajectoryStart&,
                           const MatrixView<const double>&, const TrajectoryOptions&, const MatrixView<float>&);
template void trajectories(const NoisyGates&, const KrausChannels&, const TrajectoryStart&,
                           const MatrixView<const double>&, const TrajectoryOptions&, const MatrixView<double>&);

}  // namespace flashket
