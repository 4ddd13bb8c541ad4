// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "noise/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "core/gates.hpp"

namespace flashket {
namespace {

constexpr double kPi = 3.14159265358979323846;

bool is_constant(const AngleExpression& e) { return e.f0 < 0 && e.f1 < 0; }

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

void check(const NoisyGates& noisy, const StepOptions& options) {
  require(noisy.n_qubits >= 1 && noisy.n_features >= 0, "n_qubits and n_features are out of range");
  const auto is_qubit = [&](int32_t q) { return q >= 0 && q < noisy.n_qubits; };
  for (const Gate& g : noisy.gates) {
    require(g.opcode >= Opcode::h && g.opcode <= Opcode::crz, "unknown opcode");
    require(is_qubit(g.q0), "a gate's qubit is out of range");
    require(!takes_two_qubits(g.opcode) || (is_qubit(g.q1) && g.q1 != g.q0), "a gate's qubits are out of range");
    require(g.angle.f0 < noisy.n_features && g.angle.f1 < noisy.n_features, "a gate's feature is out of range");
  }
  size_t next = 0;
  for (const NoiseOperation& op : noisy.operations) {
    switch (op.kind) {
      case NoiseKind::gate:
        require(op.index >= 0 && static_cast<size_t>(op.index) == next++, "gates must appear once each, in order");
        break;
      case NoiseKind::channel:
        require(op.index >= 0 && op.index < options.n_channels && is_qubit(op.q0), "a channel is out of range");
        break;
      case NoiseKind::pair_channel:
        require(
            op.index >= 0 && op.index < options.n_pair_channels && is_qubit(op.q0) && is_qubit(op.q1) && op.q0 != op.q1,
            "a channel of a pair is out of range");
        break;
      default:
        throw std::invalid_argument("unknown kind of operation");
    }
  }
  require(next == noisy.gates.size(), "gates must appear once each, in order");
}

}  // namespace

NoiseSteps::NoiseSteps(const NoisyGates& noisy, const StepOptions& options)
    : n_qubits(noisy.n_qubits), n_features(noisy.n_features) {
  check(noisy, options);
  waiting_.resize(n_qubits);
  last_pass_.assign(n_qubits, -1);
  for (int32_t q = 0; q < n_qubits; ++q) place_.push_back(q);
  for (size_t i = 0; i < noisy.operations.size(); ++i) {
    const NoiseOperation& op = noisy.operations[i];
    const int32_t operation = static_cast<int32_t>(i);
    if (op.kind == NoiseKind::gate) {
      Gate g = noisy.gates[op.index];
      if (g.opcode == Opcode::swap) {
        std::swap(place_[g.q0], place_[g.q1]);
        continue;
      }
      g.q0 = place_[g.q0];
      if (takes_two_qubits(g.opcode)) g.q1 = place_[g.q1];
      add_gate(g);
      continue;
    }
    NoiseFactor factor{NoiseFactorKind::channel, Opcode::h, PauliAxis::x, 0, op.index, operation, 0};
    if (op.kind == NoiseKind::channel) {
      waiting_[place_[op.q0]].push_back(factor);
    } else if (options.splits_pairs) {
      factor.kind = NoiseFactorKind::pair_channel;
      for (const int32_t q : {op.q0, op.q1}) {
        waiting_[place_[q]].push_back(factor);
        factor.side = 1;
      }
    } else {
      add_item(place_[op.q0], place_[op.q1], {NoiseItemKind::channel, op.index});
      const Pass& pass = passes_[last_pass_[place_[op.q0]]];
      if (pass.a != place_[op.q0]) passes_[last_pass_[pass.a]].items.back().kind = NoiseItemKind::channel_exchanged;
    }
  }
  finish(options.is_backward);
}

void NoiseSteps::add_fixed(int32_t q, Opcode opcode) {
  waiting_[q].push_back({NoiseFactorKind::fixed, opcode, PauliAxis::x, 0, 0, 0, 0});
}

// By `multiple` quarters of the angle.
void NoiseSteps::add_rotation(int32_t q, PauliAxis axis, const AngleExpression& angle, int32_t multiple) {
  NoiseFactor factor{NoiseFactorKind::rotation, Opcode::h, axis, 0, 0, 0, 0};
  if (is_constant(angle)) {
    factor.radians = angle.b0 * angle.b1 * (0.25 * multiple);
  } else {
    factor.kind = NoiseFactorKind::turning;
    factor.index = use(angle, multiple);
  }
  waiting_[q].push_back(factor);
}

int32_t NoiseSteps::use(const AngleExpression& angle, int32_t multiple) {
  AngleExpression own = angle;
  if (own.f0 < 0) own.a0 = 0, own.f0 = n_features;
  if (own.f1 < 0) own.a1 = 0, own.f1 = n_features;
  std::array<uint64_t, 5> bits;
  static_assert(sizeof bits == sizeof own);
  std::memcpy(bits.data(), &own, sizeof own);
  const auto [known, is_new] = known_uses_.try_emplace({bits, multiple}, static_cast<int32_t>(uses.size()));
  if (is_new) {
    uses.push_back({static_cast<int32_t>(angles.size()), multiple});
    angles.push_back(own);
  }
  return known->second;
}

void NoiseSteps::add_turn(int32_t a, int32_t b, const AngleExpression& angle, int32_t multiple) {
  const double radians = angle.b0 * angle.b1 * (0.25 * multiple);
  if (is_constant(angle) && std::abs(radians) == kPi / 2)
    add_item(a, b, {NoiseItemKind::quarter, radians > 0 ? 1 : -1});
  else
    add_item(a, b, {NoiseItemKind::turn, use(angle, multiple)});
}

void NoiseSteps::add_gate(const Gate& g) {
  // RZ(t/2) RZZ(-t/2) turns q1 by t where q0 is 1; with RZ(t/2) of q0, too, it is diag(1, 1, 1, e^it).
  const auto controlled = [&](const AngleExpression& angle, bool is_phase) {
    if (is_phase) add_rotation(g.q0, PauliAxis::z, angle, 2);
    add_rotation(g.q1, PauliAxis::z, angle, 2);
    add_turn(g.q0, g.q1, angle, -2);
  };
  const auto turn_x = [&](int32_t q, double radians) { add_rotation(q, PauliAxis::x, {0, radians, 0, 1, -1, -1}, 4); };
  const AngleExpression half_turn{0, kPi, 0, 1, -1, -1};
  switch (g.opcode) {
    case Opcode::rx:
      return add_rotation(g.q0, PauliAxis::x, g.angle, 4);
    case Opcode::ry:
      return add_rotation(g.q0, PauliAxis::y, g.angle, 4);
    case Opcode::rz:
    case Opcode::p:
      return add_rotation(g.q0, PauliAxis::z, g.angle, 4);
    case Opcode::cz:
      return controlled(half_turn, true);
    case Opcode::cx:
      add_fixed(g.q1, Opcode::h);
      controlled(half_turn, true);
      return add_fixed(g.q1, Opcode::h);
    case Opcode::cp:
      return controlled(g.angle, true);
    case Opcode::crz:
      return controlled(g.angle, false);
    case Opcode::crx:
      add_fixed(g.q1, Opcode::h);
      controlled(g.angle, false);
      return add_fixed(g.q1, Opcode::h);
    case Opcode::cry:
      turn_x(g.q1, kPi / 2);  // Y becomes Z
      controlled(g.angle, false);
      return turn_x(g.q1, -kPi / 2);
    case Opcode::rzz:
      return add_turn(g.q0, g.q1, g.angle, 4);
    case Opcode::rxx:
      for (const int32_t q : {g.q0, g.q1}) add_fixed(q, Opcode::h);
      add_turn(g.q0, g.q1, g.angle, 4);
      for (const int32_t q : {g.q0, g.q1}) add_fixed(q, Opcode::h);
      return;
    case Opcode::ryy:
      for (const int32_t q : {g.q0, g.q1}) turn_x(q, kPi / 2);
      add_turn(g.q0, g.q1, g.angle, 4);
      for (const int32_t q : {g.q0, g.q1}) turn_x(q, -kPi / 2);
      return;
    default:
      add_fixed(g.q0, g.opcode);
  }
}

int32_t NoiseSteps::take_map(int32_t q) {
  maps.push_back(std::move(waiting_[q]));
  waiting_[q].clear();
  return static_cast<int32_t>(maps.size()) - 1;
}

void NoiseSteps::add_item(int32_t a, int32_t b, NoiseItem item) {
  const int32_t last = last_pass_[a];
  if (last < 0 || last != last_pass_[b]) {
    last_pass_[a] = last_pass_[b] = static_cast<int32_t>(passes_.size());
    passes_.push_back({a, b, {}});
  }
  Pass& pass = passes_[last_pass_[a]];
  if (!waiting_[pass.a].empty()) pass.items.push_back({NoiseItemKind::map_a, take_map(pass.a)});
  if (!waiting_[pass.b].empty()) pass.items.push_back({NoiseItemKind::map_b, take_map(pass.b)});
  pass.items.push_back(item);
}

void NoiseSteps::finish(bool is_backward) {
  std::vector<int32_t> alone(n_qubits, -1);  // the map of a qubit that no step names
  for (int32_t q = 0; q < n_qubits; ++q) {
    if (waiting_[q].empty()) continue;
    const int32_t map = take_map(q), last = last_pass_[q];
    if (last < 0)
      alone[q] = map;
    else
      passes_[last].items.push_back({passes_[last].a == q ? NoiseItemKind::map_a : NoiseItemKind::map_b, map});
  }
  if (is_backward) {
    std::reverse(passes_.begin(), passes_.end());
    for (Pass& pass : passes_) std::reverse(pass.items.begin(), pass.items.end());
  }

  // Qubits get their positions as they come; until its first item that joins it with another, a qubit's maps act on
  // its own factor.
  std::vector<int32_t> position(n_qubits, -1), order;
  std::vector<std::vector<int32_t>> first(n_qubits);
  const auto activate = [&](int32_t q) {
    if (position[q] >= 0) return false;
    position[q] = static_cast<int32_t>(order.size());
    order.push_back(q);
    return true;
  };
  for (const Pass& pass : passes_) {
    const bool is_new[2] = {activate(pass.a), activate(pass.b)};
    const int32_t begin = static_cast<int32_t>(items.size());
    bool has_joined = false;
    for (const NoiseItem& item : pass.items) {
      const bool is_a = item.kind == NoiseItemKind::map_a, is_map = is_a || item.kind == NoiseItemKind::map_b;
      has_joined |= !is_map;
      if (is_map && !has_joined && is_new[!is_a])
        first[is_a ? pass.a : pass.b].push_back(item.index);
      else
        items.push_back(item);
    }
    steps.push_back({position[pass.a], position[pass.b], begin, static_cast<int32_t>(items.size()),
                     static_cast<int32_t>(order.size())});
  }
  for (int32_t q = 0; q < n_qubits; ++q) {
    if (activate(q) && alone[q] >= 0) first[q].push_back(alone[q]);
  }

  std::vector<int32_t> wire(n_qubits);  // that ends at a place
  for (int32_t w = 0; w < n_qubits; ++w) wire[place_[w]] = w;
  for (const int32_t q : order) {
    first_wire.push_back(is_backward ? wire[q] : q);
    last_wire.push_back(is_backward ? q : wire[q]);
    first_maps.push_back(std::move(first[q]));
  }
}

}  // namespace flashket
