// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "limits.hpp"

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "flashket/flashket.hpp"
#include "flashket_lists.hpp"

#define FLASHKET_DECLARE(isa)                       \
  double limit_fma_f32_isa_##isa(int64_t);          \
  double limit_fma_f64_isa_##isa(int64_t);          \
  double limit_instructions_f32_isa_##isa(int64_t); \
  double limit_instructions_f64_isa_##isa(int64_t); \
  double limit_read_isa_##isa(const float*, int64_t);
extern "C" {
FLASHKET_FOR_EACH_ISA(FLASHKET_DECLARE)
}

namespace bench {
namespace {

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

// Amount per second, the best of a few runs: a limit is what the machine can do, not what it did while it was
// disturbed.
template <class Call>
double best_rate(const Call& call) {
  double best = 0;
  for (int run = 0; run < 7; ++run) {
    const double begin = cpu_seconds();
    const double amount = call();
    best = std::max(best, amount / (cpu_seconds() - begin));
  }
  return best;
}

struct Rates {
  double fma_f32, fma_f64, instructions_f32, instructions_f64;
  double (*read)(const float*, int64_t);
};

const Rates& rates() {
  static const Rates measured = [] {
    constexpr int64_t kRounds = 300000;  // about 3 ms
    const std::string isa = flashket::isa();
#define FLASHKET_MEASURE(name)                                                         \
  if (isa == #name)                                                                    \
    return Rates{best_rate([] { return limit_fma_f32_isa_##name(kRounds); }),          \
                 best_rate([] { return limit_fma_f64_isa_##name(kRounds); }),          \
                 best_rate([] { return limit_instructions_f32_isa_##name(kRounds); }), \
                 best_rate([] { return limit_instructions_f64_isa_##name(kRounds); }), limit_read_isa_##name};
    FLASHKET_FOR_EACH_ISA(FLASHKET_MEASURE)
    return Rates{};
  }();
  return measured;
}

// Bandwidth depends on the size: small arrays stay in a cache. Measured on an array of the work's own size, once each.
double memory_rate(double bytes, bool write) {
  static std::map<std::pair<int64_t, bool>, double> known;
  const int64_t count = std::max<int64_t>(1, static_cast<int64_t>(bytes) / 4);
  const auto key = std::make_pair(count, write);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  std::vector<float> array(count, 1.0f);
  const int64_t repeats = std::max<int64_t>(1, (int64_t{1} << 24) / (4 * count));  // short calls are not timed alone
  const double rate = best_rate([&] {
    double amount = 0;
    for (int64_t i = 0; i < repeats; ++i) {
      if (write) {
        std::memset(array.data(), static_cast<int>(i), 4 * count);
        benchmark::ClobberMemory();
      }
      amount += write ? 4.0 * double(count) : rates().read(array.data(), count);
    }
    return amount;
  });
  return known[key] = rate;
}

}  // namespace

void run(benchmark::State& state, const Work& work, double goal_percent, const std::function<void()>& call) {
  flashket::set_num_threads(work.threads);
  double limit = 0;
  std::string kind = "none";
  const auto consider = [&](const char* name, double amount, double rate) {
    if (amount > 0 && amount / rate > limit) {
      limit = amount / rate;
      kind = name;
    }
  };
  consider("fma", work.flops, work.f64 ? rates().fma_f64 : rates().fma_f32);
  consider("instructions", work.instructions, work.f64 ? rates().instructions_f64 : rates().instructions_f32);
  if (work.filled > 0) consider("fill", work.filled, memory_rate(work.filled, true));
  if (work.read > 0) consider("read", work.read, memory_rate(work.read, false));
  call();  // results' pages are touched, panels allocated
  const double begin = cpu_seconds();
  for (auto _ : state) {
    call();
    benchmark::ClobberMemory();
  }
  const double seconds = (cpu_seconds() - begin) / double(state.iterations());
  state.counters["percent_of_limit"] = 100 * limit / seconds;
  state.counters["goal"] = goal_percent;
  state.SetLabel(kind + " " + flashket::isa());
}

}  // namespace bench
