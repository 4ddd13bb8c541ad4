# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests share: the one table of tolerances, the discovered kernels, and data. conftest.py makes it importable."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from itertools import product
from typing import Any

import numpy as np

import flashket as fk
from flashket import planner, reference
from flashket.feature_maps import FeatureMap, discovered
from flashket.kernels import Kernel
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE

TOLERANCES = {
    # operation: (float32, float64); what the number bounds
    "value": (2e-6, 1e-12),  # |kernel value or amplitude - oracle|
    "product": (1e-5, 1e-12),  # relative error of a product of up to 256 factors
    "log": (1e-5, 1e-12),  # |log K - oracle| / max(1, |log K|), where no cancellation makes the value itself inexact
    "attention": (5e-6, 1e-10),  # |out - oracle| / max|out|
    "eigenvalue": (1e-6, 1e-14),  # -smallest eigenvalue / n
}


def tolerance(operation: str, dtype: Any) -> float:
    """Return the bound for an operation and dtype."""
    return TOLERANCES[operation][np.dtype(dtype).itemsize // 8]


# One instance of every option that changes the path, found by the map's SPEC name; a new map is tested with its defaults.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "angle": [{}, {"rotation": "rx", "bandwidth": 0.7}],
    "amplitude": [{}, {"bias": 0.5}],
    "iqp": [{}, {"reps": 2, "entanglement": "circular", "bandwidth": 0.8}],
    "zz": [{}, {"reps": 1, "entanglement": "linear", "bandwidth": 0.6}],
    "he": [{}, {"layers": 3, "seed": 7, "bandwidth": 0.8}],
    "circuit": [],  # made from a Program, not from a width
}


def any_circuit(n_features: int) -> fk.Circuit:
    """Return a circuit of every gate, on a qubit more than features, its angles of one and of two factors."""
    n_qubits = n_features + 1
    gates = [fk.Gate("h", (j,)) for j in range(n_qubits)]
    for i, name in enumerate(OPCODES):
        first, second = fk.Linear(0.7, i % n_features, 0.1), fk.Linear(-0.6, (i + 1) % n_features, 0.4)
        qubits = (i % n_qubits, (i + 1) % n_qubits)[: 2 if name in TWO_QUBIT else 1]
        gates.append(fk.Gate(name, qubits, (first, second)[: 1 + i % 2] if name in WITH_ANGLE else ()))
    return fk.Circuit(fk.Program(n_qubits, n_features, tuple(gates)))


def feature_maps(n_features: int) -> list[FeatureMap]:
    """Return every discovered map with n_features and a circuit, those whose states would be too wide left out."""
    maps = [map_class(n_features, **options) for name, map_class in discovered().items() for options in OPTIONS.get(name, [{}])]
    maps.append(any_circuit(n_features))
    return [feature_map for feature_map in maps if n_features <= 10 or planner._state_qubits(fk.Fidelity(feature_map), "attention") == 0]


def kernels(n_features: int) -> list[Kernel]:
    """Return every map of that width with every similarity and a power."""
    maps = feature_maps(n_features)
    pairs = product(maps, ((fk.Fidelity, 1), (fk.HadamardTest, 1), (fk.Fidelity, 3), (fk.HadamardTest, 8)))
    # Options and powers vary together: each appears, not each with each.
    overlaps = [
        kernel(feature_map, power=power) for i, (feature_map, (kernel, power)) in enumerate(pairs) if power == 1 or (i // 4 + i) % 2 == 0
    ]
    projected = [fk.Projected(feature_map, gamma=(1.0, 0.3)[i % 2]) for i, feature_map in enumerate(maps)]
    return overlaps + [kernel for kernel in projected if planner._state_qubits(kernel, "gram") <= 12]


DTYPES = (np.float32, np.float64)


@cache
def rows(n: int, n_features: int, dtype: Any, seed: int = 0) -> Any:
    """Return angles in -2..2, none of the rows zero; do not write to it."""
    data = np.random.default_rng((seed, n, n_features)).uniform(-2, 2, (n, n_features)).astype(dtype)
    data.flags.writeable = False
    return data


@cache
def expected_gram(kernel: Kernel, n: int, m: int | None, dtype: Any, log: bool = False) -> Any:
    """Return the oracle for rows(n, ..) against rows(m, .., seed=1), or against themselves; do not write to it."""
    y = None if m is None else rows(m, kernel.n_features, dtype, 1)
    return reference.gram(rows(n, kernel.n_features, dtype), y, kernel, log=log)


def run_python(code: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, env=env, check=False)


_PEAK = """
import numpy as np, flashket as fk
from flashket.benchmark.metrics import PeakMemory
{setup}
memory = PeakMemory()
before = memory.read()["peak_bytes"]
result = {call}
print(memory.read()["peak_bytes"] - before)
{after}
"""


def peak_bytes(setup: str, call: str, after: str = "", **environment: str) -> list[int]:
    """Return by how much a call raises the memory of a fresh process, and the numbers that ``after`` prints.

    A child begins with its parent's ru_maxrss, so that alone would hide whatever is smaller than pytest. Freed arrays go back
    to the system at once: memory that is used again would hide, too.
    """
    result = run_python(_PEAK.format(setup=setup, call=call, after=after), MALLOC_MMAP_THRESHOLD_="65536", **environment)
    assert result.returncode == 0, result.stderr
    return [int(number) for number in result.stdout.split()]


def binomial_p_value(counts: Any, shots: int, p: float) -> float:
    """Return the chi-square test's p-value of counts under binomial(shots, p), outcomes pooled to at least 10 expected."""
    from scipy import stats  # the device tests do without

    low, high = int(stats.binom.ppf(1e-9, shots, p)), int(stats.binom.ppf(1 - 1e-9, shots, p))
    outcomes = np.arange(low, high + 1)
    assert counts.min() >= low and counts.max() <= high
    expected = stats.binom.pmf(outcomes, shots, p) * counts.size
    observed = np.bincount(counts.astype(int) - low, minlength=outcomes.size)
    edges, total = [0], 0.0
    for index, value in enumerate(expected):
        total += value
        if total >= 10:
            edges.append(index + 1)
            total = 0.0
    starts = edges[:-1]
    if len(starts) < 2:
        return 1.0
    pooled, wanted = np.add.reduceat(observed, starts), np.add.reduceat(expected, starts)
    statistic = ((pooled - wanted) ** 2 / wanted).sum()
    return float(stats.chi2.sf(statistic, len(starts) - 1))
