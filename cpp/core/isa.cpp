// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "core/isa.hpp"

#include <cstdlib>
#include <stdexcept>

// CMake lists the encoders (the stems of feature_maps/, controls/, states/) and the instruction sets.
#include "flashket_lists.hpp"

namespace flashket {

#define FLASHKET_DECLARE_ENCODER(name) extern const Encoder name##_encoder;
#define FLASHKET_DECLARE_ISA(isa)                       \
  namespace isa_##isa {                                 \
    FLASHKET_FOR_EACH_ENCODER(FLASHKET_DECLARE_ENCODER) \
    extern const TileOps<float> tile_ops_f32;           \
    extern const TileOps<double> tile_ops_f64;          \
    extern const ScoreTile<double> log_tile_f64;        \
    extern const ConsumeOps consume_ops;                \
    extern const LinearTable linear_ops;                \
    extern const MpsOps mps_ops;                        \
    extern const NoiseOps noise_ops;                    \
    extern const PauliOps pauli_ops;                    \
    extern const TrajectoryOps trajectory_ops;          \
  }
FLASHKET_FOR_EACH_ISA(FLASHKET_DECLARE_ISA)

namespace {

// The compiler's run-time check asks CPUID and, through XGETBV, whether the system saves the registers.
bool is_supported(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
  }
  if (isa == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return isa == "baseline";
}

// Best first.
const std::vector<IsaOps>& all_isas() {
#define FLASHKET_ENCODER_ADDRESS(name) &FLASHKET_CURRENT_ISA::name##_encoder,
#define FLASHKET_ISA_ENTRY(isa) \
  {#isa,                        \
   &isa_##isa::tile_ops_f32,    \
   &isa_##isa::tile_ops_f64,    \
   isa_##isa::log_tile_f64,     \
   &isa_##isa::consume_ops,     \
   &isa_##isa::linear_ops,      \
   &isa_##isa::mps_ops,         \
   &isa_##isa::noise_ops,       \
   &isa_##isa::pauli_ops,       \
   &isa_##isa::trajectory_ops,  \
   encoders_##isa()},
#define FLASHKET_ENCODER_LIST(isa)                                                           \
  static const auto encoders_##isa = [] {                                                    \
    namespace FLASHKET_CURRENT_ISA = isa_##isa;                                              \
    return std::vector<const Encoder*>{FLASHKET_FOR_EACH_ENCODER(FLASHKET_ENCODER_ADDRESS)}; \
  };
  FLASHKET_FOR_EACH_ISA(FLASHKET_ENCODER_LIST)
  static const std::vector<IsaOps> isas = {FLASHKET_FOR_EACH_ISA(FLASHKET_ISA_ENTRY)};
  return isas;
}

const IsaOps& choose() {
  const char* forced = std::getenv("FLASHKET_ISA");
  if (forced == nullptr || *forced == '\0') {
    for (const IsaOps& isa : all_isas())
      if (is_supported(isa.name)) return isa;
    return all_isas().back();
  }
  for (const IsaOps& isa : all_isas())
    if (isa.name == std::string(forced)) {
      if (is_supported(isa.name)) return isa;
      throw std::runtime_error(std::string("[isa] FLASHKET_ISA=") + forced +
                               " is not supported by this CPU and operating system");
    }
  std::string known;
  for (const IsaOps& isa : all_isas()) known += std::string(known.empty() ? "" : ", ") + isa.name;
  throw std::runtime_error(std::string("[isa] FLASHKET_ISA must be one of ") + known + ", got '" + forced + "'");
}

}  // namespace

const IsaOps& isa_ops() {
  static const IsaOps& chosen = choose();
  return chosen;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const IsaOps& isa : all_isas())
    if (is_supported(isa.name)) names.push_back(isa.name);
  return names;
}

const Encoder& find_encoder(const std::string& name) {
  for (const Encoder* encoder : isa_ops().encoders)
    if (encoder->name == name) return *encoder;
  throw std::invalid_argument("no encoder named '" + name + "'");
}

}  // namespace flashket
