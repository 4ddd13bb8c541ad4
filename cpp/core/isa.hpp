// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Which instruction set runs. Every .simd.cpp file is compiled once per set, into its own namespace; one table each.
#pragma once
#include <string>
#include <vector>

#include "attention/consume.hpp"
#include "attention/linear_ops.hpp"
#include "core/types.hpp"
#include "gram/tile.hpp"

namespace flashket {

struct IsaOps {
  const char* name;
  const TileOps* tile;
  const ConsumeOps* consume;
  const LinearTable* linear;
  std::vector<const Encoder*> encoders;
};

// The best set that the CPU and the operating system support, or the one that FLASHKET_ISA names.
// Throws std::runtime_error where FLASHKET_ISA names one that is unknown or not supported here.
const IsaOps& isa_ops();

std::vector<std::string> available_isas();

// Throws std::invalid_argument for an unknown name.
const Encoder& find_encoder(const std::string& name);

template <class T>
constexpr TileShape tile_shape(const TileOps& ops) {
  if constexpr (sizeof(T) == 4)
    return ops.shape_f32;
  else
    return ops.shape_f64;
}

template <class T>
constexpr ScoreTile<T> score_tile(const TileOps& ops) {
  if constexpr (sizeof(T) == 4)
    return ops.score_f32;
  else
    return ops.score_f64;
}

}  // namespace flashket
