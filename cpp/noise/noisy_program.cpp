// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "noise/noisy_program.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "core/buffer.hpp"
#include "core/gates.hpp"
#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace flashket {
namespace {

constexpr double kPi = 3.14159265358979323846;

PauliFactor identity() { return {PauliAxis::fixed, -1, {{0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}}; }

// second after first
PauliFactor product(const PauliFactor& second, const PauliFactor& first) {
  PauliFactor out{PauliAxis::fixed, -1, {}};
  for (int i = 0; i < 3; ++i) {
    out.m[i][0] = second.m[i][0];
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 3; ++k) out.m[i][j] += second.m[i][k + 1] * first.m[k][j];
  }
  return out;
}

PauliFactor rotation(PauliAxis axis, double cosine, double sine) {
  PauliFactor f = identity();
  const int at = static_cast<int>(axis) - 1, u = (at + 1) % 3, v = (at + 2) % 3;
  f.m[u][u + 1] = f.m[v][v + 1] = cosine;
  f.m[u][v + 1] = -sine;
  f.m[v][u + 1] = sine;
  return f;
}

PauliFactor fixed_map(Opcode opcode) {
  const double r = std::sqrt(0.5);
  switch (opcode) {
    case Opcode::h:
      return {PauliAxis::fixed, -1, {{0, 0, 0, 1}, {0, 0, -1, 0}, {0, 1, 0, 0}}};
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

bool is_constant(const AngleExpression& e) { return e.f0 < 0 && e.f1 < 0; }

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

void check(const NoisyGates& noisy) {
  require(noisy.n_qubits >= 1 && noisy.n_qubits <= kMaxPauliQubits, "too many qubits for density matrices");
  require(noisy.n_features >= 0, "n_features is negative");
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
        require(op.index >= 0 && op.index < noisy.n_channels && is_qubit(op.q0), "a channel is out of range");
        break;
      case NoiseKind::pair_channel:
        require(
            op.index >= 0 && op.index < noisy.n_pair_channels && is_qubit(op.q0) && is_qubit(op.q1) && op.q0 != op.q1,
            "a channel of a pair is out of range");
        break;
      default:
        throw std::invalid_argument("unknown kind of operation");
    }
  }
  require(next == noisy.gates.size(), "gates must appear once each, in order");
}

}  // namespace

PauliProgram::PauliProgram(const NoisyGates& noisy, bool is_transposed) {
  check(noisy);
  plan_.n_qubits = noisy.n_qubits;
  plan_.n_features = noisy.n_features;
  plan_.is_transposed = is_transposed;
  waiting_.resize(noisy.n_qubits);
  last_step_.assign(noisy.n_qubits, -1);
  for (int32_t q = 0; q < noisy.n_qubits; ++q) place_.push_back(q);
  for (const NoiseOperation& op : noisy.operations) {
    if (op.kind == NoiseKind::gate) {
      Gate g = noisy.gates[op.index];
      if (g.opcode == Opcode::swap) {
        std::swap(place_[g.q0], place_[g.q1]);
        continue;
      }
      g.q0 = place_[g.q0];
      if (takes_two_qubits(g.opcode)) g.q1 = place_[g.q1];
      add_gate(g);
    } else if (op.kind == NoiseKind::channel) {
      PauliFactor factor{PauliAxis::fixed, -1, {}};
      std::memcpy(factor.m, noisy.channels + 16 * op.index + 4, sizeof factor.m);
      add_factor(place_[op.q0], factor);
    } else {
      add_pair_channel(place_[op.q0], place_[op.q1], noisy.pair_channels + 16 * op.index);
    }
  }
  finish();
}

void PauliProgram::add_factor(int32_t q, const PauliFactor& factor) {
  std::vector<PauliFactor>& list = waiting_[q];
  if (factor.axis == PauliAxis::fixed && !list.empty() && list.back().axis == PauliAxis::fixed)
    list.back() = product(factor, list.back());
  else
    list.push_back(factor);
}

void PauliProgram::add_fixed(int32_t q, Opcode opcode) { add_factor(q, fixed_map(opcode)); }

// By `multiple` quarters of the angle.
void PauliProgram::add_rotation(int32_t q, PauliAxis axis, const AngleExpression& angle, int32_t multiple) {
  if (is_constant(angle)) {
    const double radians = angle.b0 * angle.b1 * (0.25 * multiple);
    add_factor(q, rotation(axis, std::cos(radians), std::sin(radians)));
  } else {
    PauliFactor factor = identity();
    factor.axis = axis;
    factor.use = use(angle, multiple);
    add_factor(q, factor);
  }
}

int32_t PauliProgram::use(const AngleExpression& angle, int32_t multiple) {
  AngleExpression own = angle;
  if (own.f0 < 0) own.a0 = 0, own.f0 = plan_.n_features;
  if (own.f1 < 0) own.a1 = 0, own.f1 = plan_.n_features;
  std::array<uint64_t, 5> bits;
  static_assert(sizeof bits == sizeof own);
  std::memcpy(bits.data(), &own, sizeof own);
  const auto [known, is_new] = known_uses_.try_emplace({bits, multiple}, static_cast<int32_t>(uses_.size()));
  if (is_new) {
    uses_.push_back({static_cast<int32_t>(angles_.size()), multiple});
    angles_.push_back(own);
  }
  return known->second;
}

void PauliProgram::add_quarter(int32_t a, int32_t b, int32_t sign) { add_item(a, b, {PauliItemKind::quarter, sign}); }

void PauliProgram::add_turn(int32_t a, int32_t b, const AngleExpression& angle, int32_t multiple) {
  if (is_constant(angle)) {
    const double radians = angle.b0 * angle.b1 * (0.25 * multiple);
    if (radians == kPi / 2) return add_quarter(a, b, 1);
    if (radians == -kPi / 2) return add_quarter(a, b, -1);
  }
  add_item(a, b, {PauliItemKind::turn, use(angle, multiple)});
}

// diag(1, 1, 1, e^it) = RZ(t/2) RZ(t/2) RZZ(-t/2) up to a phase.
void PauliProgram::add_controlled_phase(int32_t a, int32_t b, const AngleExpression& angle) {
  add_rotation(a, PauliAxis::z, angle, 2);
  add_rotation(b, PauliAxis::z, angle, 2);
  add_turn(a, b, angle, -2);
}

void PauliProgram::add_gate(const Gate& g) {
  const auto controlled_z = [&](int32_t a, int32_t b) {
    add_fixed(a, Opcode::s);
    add_fixed(b, Opcode::s);
    add_quarter(a, b, -1);
  };
  // RZ(t) of q1 where q0 is 1: RZ(t/2) RZZ(-t/2).
  const auto controlled_rz = [&] {
    add_rotation(g.q1, PauliAxis::z, g.angle, 2);
    add_turn(g.q0, g.q1, g.angle, -2);
  };
  const auto change = [&](int32_t q, PauliAxis to, int sign) {  // Z becomes X or Y
    if (to == PauliAxis::x)
      add_fixed(q, Opcode::h);
    else
      add_factor(q, rotation(PauliAxis::x, 0, sign));
  };
  switch (g.opcode) {
    case Opcode::rx:
      return add_rotation(g.q0, PauliAxis::x, g.angle, 4);
    case Opcode::ry:
      return add_rotation(g.q0, PauliAxis::y, g.angle, 4);
    case Opcode::rz:
    case Opcode::p:
      return add_rotation(g.q0, PauliAxis::z, g.angle, 4);
    case Opcode::cz:
      return controlled_z(g.q0, g.q1);
    case Opcode::cx:
      add_fixed(g.q1, Opcode::h);
      controlled_z(g.q0, g.q1);
      return add_fixed(g.q1, Opcode::h);
    case Opcode::cp:
      return add_controlled_phase(g.q0, g.q1, g.angle);
    case Opcode::rzz:
      return add_turn(g.q0, g.q1, g.angle, 4);
    case Opcode::rxx:
    case Opcode::ryy: {
      const PauliAxis axis = g.opcode == Opcode::rxx ? PauliAxis::x : PauliAxis::y;
      for (const int32_t q : {g.q0, g.q1}) change(q, axis, 1);
      add_turn(g.q0, g.q1, g.angle, 4);
      for (const int32_t q : {g.q0, g.q1}) change(q, axis, -1);
      return;
    }
    case Opcode::crz:
      return controlled_rz();
    case Opcode::crx:
    case Opcode::cry: {
      const PauliAxis axis = g.opcode == Opcode::crx ? PauliAxis::x : PauliAxis::y;
      change(g.q1, axis, 1);
      controlled_rz();
      return change(g.q1, axis, -1);
    }
    default:
      add_fixed(g.q0, g.opcode);
  }
}

int32_t PauliProgram::take_map(int32_t q) {
  const int32_t begin = static_cast<int32_t>(factors_.size());
  factors_.insert(factors_.end(), waiting_[q].begin(), waiting_[q].end());
  waiting_[q].clear();
  maps_.push_back({begin, static_cast<int32_t>(factors_.size())});
  return static_cast<int32_t>(maps_.size()) - 1;
}

void PauliProgram::add_item(int32_t a, int32_t b, PauliItem item) {
  const int32_t last = last_step_[a];
  if (last < 0 || last != last_step_[b]) {
    last_step_[a] = last_step_[b] = static_cast<int32_t>(steps_.size());
    steps_.push_back({a, b, {}});
  }
  Step& step = steps_[last_step_[a]];
  if (!waiting_[step.a].empty()) step.items.push_back({PauliItemKind::map_a, take_map(step.a)});
  if (!waiting_[step.b].empty()) step.items.push_back({PauliItemKind::map_b, take_map(step.b)});
  step.items.push_back(item);
}

void PauliProgram::add_pair_channel(int32_t a, int32_t b, const double* scales) {
  add_item(a, b, {PauliItemKind::channel, static_cast<int32_t>(channels_.size() / 16)});
  const bool is_exchanged = steps_[last_step_[a]].a != a;
  for (int k = 0; k < 16; ++k) channels_.push_back(scales[is_exchanged ? k / 4 + k % 4 * 4 : k]);
}

void PauliProgram::finish() {
  const int32_t n = plan_.n_qubits;
  std::vector<int32_t> alone(n, -1);  // the map of a qubit that no step names
  for (int32_t q = 0; q < n; ++q) {
    if (waiting_[q].empty()) continue;
    const int32_t map = take_map(q), last = last_step_[q];
    if (last < 0)
      alone[q] = map;
    else
      steps_[last].items.push_back({steps_[last].a == q ? PauliItemKind::map_a : PauliItemKind::map_b, map});
  }
  if (plan_.is_transposed) {
    std::reverse(steps_.begin(), steps_.end());
    for (Step& step : steps_) std::reverse(step.items.begin(), step.items.end());
  }

  // Qubits get their positions as they come; until its first item that joins it with another, a qubit's maps act on
  // its own factor.
  std::vector<int32_t> position(n, -1), order;
  std::vector<std::vector<int32_t>> first(n);
  const auto activate = [&](int32_t q) {
    if (position[q] >= 0) return false;
    position[q] = static_cast<int32_t>(order.size());
    order.push_back(q);
    return true;
  };
  for (Step& step : steps_) {
    const bool is_new[2] = {activate(step.a), activate(step.b)};
    const int32_t begin = static_cast<int32_t>(items_.size());
    bool has_joined = false;
    for (const PauliItem& item : step.items) {
      const bool is_a = item.kind == PauliItemKind::map_a, is_map = is_a || item.kind == PauliItemKind::map_b;
      has_joined |= !is_map;
      if (is_map && !has_joined && is_new[!is_a])
        first[is_a ? step.a : step.b].push_back(item.index);
      else
        items_.push_back(item);
    }
    plan_steps_.push_back({position[step.a], position[step.b], begin, static_cast<int32_t>(items_.size()),
                           static_cast<int32_t>(order.size())});
  }
  for (int32_t q = 0; q < n; ++q) {
    if (activate(q) && alone[q] >= 0) first[q].push_back(alone[q]);
  }

  std::vector<int32_t> wire(n);  // that ends at a place
  for (int32_t w = 0; w < n; ++w) wire[place_[w]] = w;
  for (const int32_t q : order) {
    first_wire_.push_back(plan_.is_transposed ? wire[q] : q);
    last_wire_.push_back(plan_.is_transposed ? q : wire[q]);
    first_items_.push_back(static_cast<int32_t>(first_maps_.size()));
    first_maps_.insert(first_maps_.end(), first[q].begin(), first[q].end());
    first_items_.push_back(static_cast<int32_t>(first_maps_.size()));
  }
  plan_.n_angles = static_cast<int32_t>(angles_.size());
  plan_.n_uses = static_cast<int32_t>(uses_.size());
  plan_.n_factors = static_cast<int32_t>(factors_.size());
  plan_.n_maps = static_cast<int32_t>(maps_.size());
  plan_.n_steps = static_cast<int32_t>(plan_steps_.size());
  plan_.angles = angles_.data();
  plan_.uses = uses_.data();
  plan_.factors = factors_.data();
  plan_.maps = maps_.data();
  plan_.items = items_.data();
  plan_.channels = channels_.data();
  plan_.steps = plan_steps_.data();
  plan_.first_wire = first_wire_.data();
  plan_.last_wire = last_wire_.data();
  plan_.first_items = first_items_.data();
  plan_.first_maps = first_maps_.data();
}

void pauli_vectors(const NoisyGates& noisy, const double* start, const MatrixView<const double>& x, bool is_transposed,
                   bool only_diagonal, const MatrixView<double>& out) {
  const PauliProgram program(noisy, is_transposed);
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
