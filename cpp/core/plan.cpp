// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan.hpp"

#include <algorithm>

namespace flashket {
namespace {

constexpr size_t kPassWindow = 4096, kTileWindow = 192;  // operations looked ahead; bounds the time of planning
constexpr int32_t kMinRunBits = 6;                       // contiguous amplitudes of a gathered block: whole cache lines

constexpr uint64_t bit(int q) { return uint64_t{1} << q; }
constexpr uint64_t low_bits(int n) { return n >= 64 ? ~uint64_t{0} : bit(n) - 1; }

// What of `pending` can run when unitaries may act on `allowed` qubits only. An operation waits for earlier ones that
// wait, unless both are diagonal. Returns the number of unitaries; `taken` gets the positions.
int32_t absorb(const std::vector<Operation>& pending, size_t window, uint64_t allowed, bool with_polynomials,
               std::vector<size_t>* taken) {
  uint64_t closed = 0, diagonal_waits = 0;  // qubits on which a unitary or a phase waits
  int32_t n_unitaries = 0;
  const size_t end = std::min(window, pending.size());
  for (size_t i = 0; i < end; ++i) {
    const Operation& op = pending[i];
    bool is_ready;
    if (op.kind == OperationKind::unitary) {
      is_ready = (op.qubits & ~allowed) == 0 && (op.qubits & (closed | diagonal_waits)) == 0;
      if (is_ready)
        ++n_unitaries;
      else
        closed |= op.qubits;
      if ((allowed & ~(closed | diagonal_waits)) == 0) break;
    } else {
      is_ready = (op.qubits & closed) == 0 && (with_polynomials || op.kind != OperationKind::polynomial);
      if (!is_ready) diagonal_waits |= op.qubits;
    }
    if (is_ready && taken) taken->push_back(i);
  }
  return n_unitaries;
}

// Removes the taken operations from pending and returns them.
std::vector<Operation> extract(std::vector<Operation>& pending, const std::vector<size_t>& taken) {
  std::vector<Operation> out;
  if (taken.empty()) return out;
  size_t next = 0, kept = taken[0];
  for (size_t i = taken[0]; i < pending.size(); ++i) {
    if (next < taken.size() && taken[next] == i) {
      out.push_back(pending[i]);
      ++next;
    } else {
      pending[kept++] = pending[i];
    }
  }
  pending.resize(kept);
  return out;
}

// Adds up to `count` of the candidates, each time the one that lets most unitaries run.
uint64_t grow(const std::vector<Operation>& pending, size_t window, uint64_t allowed, uint64_t candidates,
              int32_t count, bool with_polynomials) {
  int32_t best_score = absorb(pending, window, allowed, with_polynomials, nullptr);
  for (int32_t step = 0; step < count; ++step) {
    uint64_t best = 0;
    for (uint64_t rest = candidates & ~allowed; rest; rest &= rest - 1) {
      const uint64_t candidate = rest & (~rest + 1);
      const int32_t score = absorb(pending, window, allowed | candidate, with_polynomials, nullptr);
      if (score > best_score) {
        best_score = score;
        best = candidate;
      }
    }
    if (best == 0) break;
    allowed |= best;
  }
  return allowed;
}

// The qubits of the next pass: the lowest ones, for contiguous runs, and those that let most unitaries run.
uint64_t choose_block(const std::vector<Operation>& pending, int32_t n, int32_t block_bits) {
  const uint64_t low = low_bits(std::min(kMinRunBits, block_bits));
  const int32_t free = block_bits - kMinRunBits;
  uint64_t best = grow(pending, kPassWindow, low, low_bits(n), free, true);
  int32_t best_score = absorb(pending, kPassWindow, best, true, nullptr);
  // Neighbouring qubits are what most circuits join: where growing from one qubit finds no way, a window of them does.
  for (int32_t first = kMinRunBits; first + free <= n; ++first) {
    const uint64_t window = low | (low_bits(free) << first);
    const int32_t score = absorb(pending, kPassWindow, window, true, nullptr);
    if (score > best_score) {
      best_score = score;
      best = window;
    }
  }
  for (int32_t q = 0; q < n && __builtin_popcountll(best) < block_bits; ++q) best |= bit(q);
  return best;
}

class Planner {
 public:
  Planner(int32_t n_qubits, PlanShape shape) : n_(n_qubits) { plan_.shape = shape; }

  Plan run(std::vector<Operation> pending) {
    const int32_t block_bits = plan_.shape.block_bits;
    do {  // at least one pass: it writes the product state
      const uint64_t local = n_ <= block_bits ? low_bits(n_) : choose_block(pending, n_, block_bits);
      std::vector<size_t> taken;
      absorb(pending, n_ <= block_bits ? pending.size() : kPassWindow, local, true, &taken);
      add_pass(local, extract(pending, taken));
    } while (!pending.empty());
    return std::move(plan_);
  }

 private:
  void add_pass(uint64_t local, std::vector<Operation> pending) {
    Pass pass{};
    pass.tile_begin = static_cast<int32_t>(plan_.tiles.size());
    for (int32_t q = 0; q < n_; ++q) {
      if (local & bit(q))
        pass.local[pass.n_local++] = q;
      else
        pass.outer[pass.n_outer++] = q;
    }
    while (pass.run_bits < pass.n_local && pass.local[pass.run_bits] == pass.run_bits) ++pass.run_bits;
    const uint64_t lanes = local & low_bits(plan_.shape.lane_bits);
    const int32_t n_high = std::max(pass.n_local - plan_.shape.lane_bits, 0);
    const int32_t n_registers = std::min(plan_.shape.register_bits, n_high);
    while (!pending.empty()) {
      if (pending[0].kind == OperationKind::polynomial) {
        Tile tile{};
        tile.polynomial = pending[0].index;
        tile.op_begin = tile.op_end = static_cast<int32_t>(plan_.operations.size());
        plan_.tiles.push_back(tile);
        pending.erase(pending.begin());
        continue;
      }
      uint64_t active = grow(pending, kTileWindow, lanes, local, n_registers, false);
      const uint64_t high = local & ~lanes;
      for (uint64_t rest = high; rest && __builtin_popcountll(active & high) < n_registers; rest &= rest - 1)
        active |= rest & (~rest + 1);
      std::vector<size_t> taken;
      absorb(pending, kTileWindow, active, false, &taken);
      add_tile(pass, active & high, extract(pending, taken));
    }
    pass.tile_end = static_cast<int32_t>(plan_.tiles.size());
    plan_.passes.push_back(pass);
  }

  void add_tile(const Pass& pass, uint64_t registers, const std::vector<Operation>& operations) {
    Tile tile{};
    tile.polynomial = -1;
    tile.op_begin = static_cast<int32_t>(plan_.operations.size());
    int32_t position_of[kMaxQubits], register_of[kMaxQubits];
    std::fill_n(position_of, kMaxQubits, -1);
    std::fill_n(register_of, kMaxQubits, -1);
    for (int32_t i = 0; i < pass.n_local; ++i) {
      const int32_t q = pass.local[i];
      position_of[q] = i;
      if (registers & bit(q)) {
        register_of[q] = tile.n_registers;
        tile.registers[tile.n_registers++] = i;
      }
    }
    for (const Operation& op : operations) {
      PlannedOperation planned{};
      planned.kind = op.kind;
      planned.index = op.index;
      for (uint64_t rest = op.qubits; rest; rest &= rest - 1) {
        const int32_t q = __builtin_ctzll(rest), position = position_of[q];
        if (op.kind == OperationKind::unitary)
          planned.place = register_of[q] >= 0 ? register_of[q] : kMaxRegisterQubits + position;
        else if (register_of[q] >= 0)
          planned.register_mask |= 1u << register_of[q];
        else if (position < 0)
          planned.outer_mask |= bit(q);
        else if (position < plan_.shape.lane_bits)
          planned.lane_mask |= 1u << position;
        else
          planned.block_mask |= static_cast<int64_t>(bit(position));
      }
      plan_.operations.push_back(planned);
    }
    tile.op_end = static_cast<int32_t>(plan_.operations.size());
    plan_.tiles.push_back(tile);
  }

  int32_t n_;
  Plan plan_;
};

}  // namespace

Plan make_plan(int32_t n_qubits, const std::vector<Operation>& operations, PlanShape shape) {
  Plan plan = Planner(n_qubits, shape).run(operations);
  int32_t largest_tile = 0;
  for (const Tile& tile : plan.tiles) largest_tile = std::max(largest_tile, tile.op_end - tile.op_begin);
  plan.view = {static_cast<int32_t>(plan.passes.size()),
               static_cast<int32_t>(plan.operations.size()),
               largest_tile,
               plan.passes.data(),
               plan.tiles.data(),
               plan.operations.data()};
  return plan;
}

}  // namespace flashket
