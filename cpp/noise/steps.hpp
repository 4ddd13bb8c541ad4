// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gates and channels in order, made into steps: everything on one qubit waits until a gate joins it with another, which
// is always exp(-i t/2 ZZ) between maps of the two qubits. Steps that follow each other on the same pair of qubits, as
// seen from these two, are one. Density matrices and trajectories run the same steps, either forward or backward.
#pragma once
#include <array>
#include <map>
#include <tuple>
#include <vector>

#include "core/program.hpp"

namespace flashket {

enum class NoiseKind : int32_t { gate, channel, pair_channel };

struct NoiseOperation {
  NoiseKind kind;
  int32_t index, q0, q1;
};

struct NoisyGates {
  int32_t n_qubits, n_features;
  std::vector<Gate> gates;
  std::vector<NoiseOperation> operations;
};

enum class PauliAxis : int32_t { x, y, z };

enum class NoiseFactorKind : int32_t { fixed, rotation, turning, channel, pair_channel };

// What acts on one qubit.
struct NoiseFactor {
  NoiseFactorKind kind;
  Opcode opcode;   // fixed
  PauliAxis axis;  // rotation by `radians`, turning by use `index`
  double radians;
  int32_t index;      // of a use or a channel
  int32_t operation;  // of a channel: its place among the operations
  int32_t side;       // of a pair channel: 0 for its q0, 1 for its q1
};

enum class NoiseItemKind : int32_t {
  map_a,              // index: a map
  map_b,              //
  turn,               // exp(-i t/2 ZZ), index: the use of t
  quarter,            // the same for t = +-pi/2, index: the sign
  channel,            // of both qubits, index: the channel; its first qubit is a
  channel_exchanged,  // its first qubit is b
};

struct NoiseItem {
  NoiseItemKind kind;
  int32_t index;
};

// Qubits take part from the first step that names them: until then they are a factor of their own.
struct NoiseStep {
  int32_t a, b;  // positions
  int32_t item_begin, item_end;
  int32_t n_active;  // how many qubits take part in this step
};

struct StepOptions {
  bool is_backward;   // from the last operation to the first
  bool splits_pairs;  // a channel of a pair becomes a factor of each qubit, not an item
  int64_t n_channels, n_pair_channels;
};

struct NoiseSteps {
  // Throws std::invalid_argument naming what does not fit.
  NoiseSteps(const NoisyGates& noisy, const StepOptions& options);

  int32_t n_qubits, n_features;
  std::vector<AngleExpression> angles;  // in place of -1 features are n_features: a row ends in a zero
  std::vector<AngleUse> uses;
  std::vector<std::vector<NoiseFactor>> maps;  // factors in the order of the circuit, also backward
  std::vector<NoiseItem> items;
  std::vector<NoiseStep> steps;
  std::vector<int32_t> first_wire;               // of each position: where its first factor comes from
  std::vector<int32_t> last_wire;                // of each position: where it ends
  std::vector<std::vector<int32_t>> first_maps;  // of each position, before its first step

 private:
  struct Pass {
    int32_t a, b;
    std::vector<NoiseItem> items;
  };

  void add_gate(const Gate& g);
  void add_fixed(int32_t q, Opcode opcode);
  void add_rotation(int32_t q, PauliAxis axis, const AngleExpression& angle, int32_t multiple);
  void add_turn(int32_t a, int32_t b, const AngleExpression& angle, int32_t multiple);
  void add_item(int32_t a, int32_t b, NoiseItem item);
  int32_t use(const AngleExpression& angle, int32_t multiple);
  int32_t take_map(int32_t q);
  void finish(bool is_backward);

  std::vector<std::vector<NoiseFactor>> waiting_;  // of each qubit
  std::vector<int32_t> last_pass_, place_;
  std::vector<Pass> passes_;
  std::map<std::tuple<std::array<uint64_t, 5>, int32_t>, int32_t> known_uses_;
};

}  // namespace flashket
