// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Which instruction set runs. Every .simd.cpp file is compiled once per set, into its own namespace; one table each.
#pragma once
#include <string>
#include <vector>

#include "attention/consume.hpp"
#include "attention/linear_ops.hpp"
#include "core/types.hpp"
#include "gram/mps.hpp"
#include "gram/tile.hpp"
#include "noise/pauli.hpp"
#include "noise/shots.hpp"
#include "noise/trajectory.hpp"

namespace flashket {

struct IsaOps {
  const char* name;
  const TileOps<float>* tile_f32;
  const TileOps<double>* tile_f64;
  // log of the kernel value, -inf for 0. Always in double: products of many factors keep their exponent apart.
  ScoreTile<double> log_tile;
  const ConsumeOps* consume;
  const LinearTable* linear;
  const MpsOps* mps;
  const NoiseOps* noise;
  const PauliOps* pauli;
  const TrajectoryOps* trajectory;
  std::vector<const Encoder*> encoders;
};

// The best set that the CPU and the operating system support, or the one that FLASHKET_ISA names.
// Throws std::runtime_error where FLASHKET_ISA names one that is unknown or not supported here.
const IsaOps& isa_ops();

std::vector<std::string> available_isas();

// Throws std::invalid_argument for an unknown name.
const Encoder& find_encoder(const std::string& name);

template <class T>
const TileOps<T>& tile_ops() {
  if constexpr (sizeof(T) == 4)
    return *isa_ops().tile_f32;
  else
    return *isa_ops().tile_f64;
}

template <class T>
SampleRun<T> sample_run() {
  if constexpr (sizeof(T) == 4)
    return isa_ops().noise->sample_f32;
  else
    return isa_ops().noise->sample_f64;
}

template <class T>
const MultiplyOps<T>& multiply_ops() {
  if constexpr (sizeof(T) == 4)
    return isa_ops().consume->multiply_f32;
  else
    return isa_ops().consume->multiply_f64;
}

}  // namespace flashket
