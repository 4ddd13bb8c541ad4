// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "noise/pauli_program.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "core/buffer.hpp"
#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace flashket {
namespace {

PauliFactor rotation(PauliAxis axis, double cosine, double sine) {
  PauliFactor f{-1, -1, {{0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}};
  const int at = static_cast<int>(axis), u = (at + 1) % 3, v = (at + 2) % 3;
  f.m[u][u + 1] = f.m[v][v + 1] = cosine;
  f.m[u][v + 1] = -sine;
  f.m[v][u + 1] = sine;
  return f;
}

PauliFactor fixed_map(Opcode opcode) {
  const double r = std::sqrt(0.5);
  switch (opcode) {
    case Opcode::h:
      return {-1, -1, {{0, 0, 0, 1}, {0, 0, -1, 0}, {0, 1, 0, 0}}};
    case Opcode::x:
      return rotation(PauliAxis::x, -1, 0);
    case Opcode::y:
      return rotation(PauliAxis::y, -1, 0);
    case Opcode::z:
      return rotation(PauliAxis::z, -1, 0);
    case Opcode::s:
      return rotation(PauliAxis::z, 0, 1);
    case Opcode::sdg:
      return rotation(PauliAxis::z, 0, -1);
    case Opcode::t:
      return rotation(PauliAxis::z, r, r);
    case Opcode::tdg:
      return rotation(PauliAxis::z, r, -r);
    default:
      throw std::invalid_argument("no gate of one qubit without an angle");
  }
}

PauliFactor lowered(const NoiseFactor& f, const PauliChannels& channels) {
  switch (f.kind) {
    case NoiseFactorKind::fixed:
      return fixed_map(f.opcode);
    case NoiseFactorKind::rotation:
      return rotation(f.axis, std::cos(f.radians), std::sin(f.radians));
    case NoiseFactorKind::turning:
      return {static_cast<int32_t>(f.axis), f.index, {}};
    default: {
      PauliFactor factor{-1, -1, {}};
      std::memcpy(factor.m, channels.single + 16 * int64_t{f.index} + 4, sizeof factor.m);
      return factor;
    }
  }
}

// second after first, both fixed
PauliFactor product(const PauliFactor& second, const PauliFactor& first) {
  PauliFactor out{-1, -1, {}};
  for (int i = 0; i < 3; ++i) {
    out.m[i][0] = second.m[i][0];
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 3; ++k) out.m[i][j] += second.m[i][k + 1] * first.m[k][j];
  }
  return out;
}

}  // namespace

PauliProgram::PauliProgram(const NoisyGates& noisy, const PauliChannels& channels, bool is_transposed)
    : steps_(noisy, {is_transposed, false, channels.n_single, channels.n_pair}) {
  for (const auto& map : steps_.maps) {
    const int32_t begin = static_cast<int32_t>(factors_.size());
    for (const NoiseFactor& f : map) {
      const PauliFactor factor = lowered(f, channels);
      const bool has_last = static_cast<int32_t>(factors_.size()) > begin;
      if (factor.axis < 0 && has_last && factors_.back().axis < 0)
        factors_.back() = product(factor, factors_.back());
      else
        factors_.push_back(factor);
    }
    maps_.push_back({begin, static_cast<int32_t>(factors_.size())});
  }
  for (const NoiseItem& item : steps_.items) {
    const bool is_exchanged = item.kind == NoiseItemKind::channel_exchanged;
    if (is_exchanged || item.kind == NoiseItemKind::channel) {
      items_.push_back({PauliItemKind::channel, static_cast<int32_t>(scales_.size() / 16)});
      for (int k = 0; k < 16; ++k)
        scales_.push_back(channels.pair[16 * int64_t{item.index} + (is_exchanged ? k / 4 + k % 4 * 4 : k)]);
    } else {
      const PauliItemKind kinds[] = {PauliItemKind::map_a, PauliItemKind::map_b, PauliItemKind::turn,
                                     PauliItemKind::quarter};
      items_.push_back({kinds[static_cast<int>(item.kind)], item.index});
    }
  }
  for (const NoiseStep& s : steps_.steps) plan_steps_.push_back({s.a, s.b, s.item_begin, s.item_end, s.n_active});
  for (const std::vector<int32_t>& maps : steps_.first_maps) {
    first_items_.push_back(static_cast<int32_t>(first_maps_.size()));
    first_maps_.insert(first_maps_.end(), maps.begin(), maps.end());
    first_items_.push_back(static_cast<int32_t>(first_maps_.size()));
  }
  plan_ = {.n_qubits = noisy.n_qubits,
           .n_angles = static_cast<int32_t>(steps_.angles.size()),
           .n_uses = static_cast<int32_t>(steps_.uses.size()),
           .n_maps = static_cast<int32_t>(maps_.size()),
           .n_steps = static_cast<int32_t>(plan_steps_.size()),
           .is_transposed = is_transposed,
           .angles = steps_.angles.data(),
           .uses = steps_.uses.data(),
           .factors = factors_.data(),
           .maps = maps_.data(),
           .items = items_.data(),
           .channels = scales_.data(),
           .steps = plan_steps_.data(),
           .first_wire = steps_.first_wire.data(),
           .last_wire = steps_.last_wire.data(),
           .first_items = first_items_.data(),
           .first_maps = first_maps_.data()};
}

void pauli_vectors(const NoisyGates& noisy, const PauliChannels& channels, const double* start,
                   const MatrixView<const double>& x, bool is_transposed, bool only_diagonal,
                   const MatrixView<double>& out) {
  const PauliProgram program(noisy, channels, is_transposed);
  const PauliPlan& plan = program.plan();
  const PauliOps& ops = *isa_ops().pauli;
  const int64_t lanes = ops.lanes, n_groups = (x.rows + lanes - 1) / lanes;
  struct Memory {
    Buffer<double> state, scratch, x;
  };
  PerWorker<Memory> memory;
  parallel_for(n_groups, [&](int64_t group, int worker) {
    Memory& own = memory.get(worker, [&] {
      return Memory{Buffer<double>((int64_t{1} << 2 * plan.n_qubits) * lanes), Buffer<double>(ops.scratch(plan)),
                    Buffer<double>((x.cols + 1) * lanes)};
    });
    const int64_t first = group * lanes, rows = std::min(lanes, x.rows - first);
    for (int64_t j = 0; j <= x.cols; ++j)
      for (int64_t l = 0; l < lanes; ++l)
        own.x.data()[j * lanes + l] = j < x.cols ? x(first + std::min(l, rows - 1), j) : 0;
    ops.run(plan, start, own.x.data(), own.state.data(), own.scratch.data());
    ops.write(plan, own.state.data(), rows, only_diagonal, out.data + first * out.row_stride, out.row_stride);
  });
}

}  // namespace flashket
