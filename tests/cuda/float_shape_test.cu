// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Which float32 rows attention takes to the matrix units, where only sizes count that no test could run.
#include "attention/mma_float.hpp"
#include "check.hpp"

using namespace flashket;
using namespace flashket::cuda;

int main() {
  const KernelSpec kernel{&find_encoder("amplitude"), {64, 0}, nullptr, nullptr, Similarity::fidelity};
  Problem problem{};
  problem.n_key_heads = problem.group = 1;
  problem.v_dim = 64;
  const auto takes = [&](int64_t length) {
    problem.n_queries = problem.n_keys = length;
    return float_shape(kernel, problem, {}).steps > 0;
  };
  test::check(takes(64) && takes(1 << 18), "long sequences go to the matrix units");
  test::check(float_part_bytes(problem) == (int64_t{1} << 18) * 8 * 67 * 4, "sums of eight parts of the keys");
  test::check(!takes(1 << 20), "sums of parts must not fill the device");
  return test::finish("float_shape_test");
}
