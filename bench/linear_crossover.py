# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""From how many keys the linear form of attention costs less than the quadratic one, beside what the planner assumes.

    FLASHKET_NUM_THREADS=1 python bench/linear_crossover.py --values 64 --dtype float32

As many queries as keys, two heads, angles evenly within 1.5. CPU time, medians; between two lengths the ratio is interpolated.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np

import flashket as fk
from flashket.backends.cpu import core

HEADS = 2
SHORTEST, LONGEST = 256, 16384
KERNELS = (
    *(fk.Fidelity(fk.Angle(n)) for n in (3, 4, 5, 6)),
    *(fk.Fidelity(fk.Amplitude(n)) for n in (8, 16, 32, 64)),
    fk.HadamardTest(fk.Amplitude(64)),
    fk.Fidelity(fk.ZZ(3)),
    fk.Fidelity(fk.IQP(5)),
)


def seconds(call: Callable[[], object]) -> float:
    """Return the median CPU time of a call."""
    call()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.1 and len(times) < 15):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def ratios(kernel: fk.Fidelity | fk.HadamardTest, values: int, dtype: str, causal: bool) -> Iterator[tuple[int, float, bool]]:
    """Yield (keys, time of the linear form over the quadratic one's, whether the planner takes it) until it costs half."""
    module, spec, length = core(), kernel._lower(), SHORTEST
    while length <= LONGEST:
        rng = np.random.default_rng(0)
        q, k = (rng.uniform(-1.5, 1.5, (1, HEADS, length, kernel.n_features)).astype(dtype) for _ in range(2))
        v = rng.normal(size=(1, HEADS, length, values)).astype(dtype)
        out = np.empty_like(v)
        call = partial(module.attention, spec, q, k, v, out, "sum", 1.0, causal, None, None, 0, 0)
        linear, quadratic = (seconds(partial(call, form)) for form in ("linear", "quadratic"))
        yield length, linear / quadratic, module.linear_form_pays(spec, 1, HEADS, HEADS, length, length, values, causal)
        if linear < 0.5 * quadratic:
            return
        length = int(1.25 * length) // 16 * 16


def crossover(rows: list[tuple[int, float, bool]]) -> str:
    """Return where the ratio becomes 1, in words."""
    if rows[0][1] < 1:
        return f"below {rows[0][0]}"
    for (before, high, _), (after, low, _) in pairwise(rows):
        if high >= 1 > low:
            part = math.log(high) / math.log(high / low)
            return str(round(before * (after / before) ** part))
    return f"beyond {rows[-1][0]}"


def main() -> None:
    """Print a line for every kernel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=64, help="width of a value")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    for kernel in KERNELS:
        for causal in (False, True):
            rows = list(ratios(kernel, options.values, options.dtype, causal))
            taken = next((str(length) for length, _, pays in rows if pays), f"beyond {rows[-1][0]}")
            name = f"{kernel!r}{', causal' if causal else ''}"
            print(f"{name:40} crossover {crossover(rows):12} taken from {taken} (of the lengths measured)", flush=True)


if __name__ == "__main__":
    main()
