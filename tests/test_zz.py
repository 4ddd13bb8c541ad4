# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""ZZ: Qiskit's convention, written out once more by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, rows, tolerance


def zz_state(x, pairs, reps):
    """Phases 2 x_j on bit j and 2 (pi - x_i)(pi - x_j) on the parity of bits i and j."""
    n = len(x)
    index = np.arange(2**n)
    bits = (index[:, None] >> np.arange(n)) & 1
    phase = 2 * bits @ x + sum(2 * (np.pi - x[i]) * (np.pi - x[j]) * (bits[:, i] ^ bits[:, j]) for i, j in pairs)
    hadamard = np.array([[(-1) ** bin(a & b).count("1") for b in index] for a in index]) / np.sqrt(2**n)
    state = np.eye(2**n)[0].astype(complex)
    for _ in range(reps):
        state = np.exp(1j * phase) * (hadamard @ state)
    return state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reps", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_state(n, reps, dtype):
    x = rows(6, n, dtype)
    expected = [zz_state(row, list(combinations(range(n), 2)), reps) for row in x.astype(float)]
    np.testing.assert_allclose(fk.states(x, feature_map=fk.ZZ(n, reps=reps)), expected, atol=tolerance("value", dtype))


@pytest.mark.parametrize(
    ("entanglement", "pairs"), [("linear", [(0, 1), (1, 2)]), ("circular", [(2, 0), (0, 1), (1, 2)]), ([(2, 0)], [(2, 0)])]
)
def test_entanglement_and_bandwidth(entanglement, pairs):
    x = rows(3, 3, np.float64)
    got = fk.states(x, feature_map=fk.ZZ(3, entanglement=entanglement, bandwidth=0.6))
    np.testing.assert_allclose(got, [zz_state(0.6 * row, pairs, 2) for row in x], atol=1e-12)


def test_gates_are_qiskits():
    names = [(gate.name, gate.qubits) for gate in fk.ZZ(3, reps=1, entanglement="circular").program().gates]
    pairs = [(2, 0), (0, 1), (1, 2)]
    expected = [("h", (j,)) for j in range(3)] + [("p", (j,)) for j in range(3)]
    for i, j in pairs:
        expected += [("cx", (i, j)), ("p", (j,)), ("cx", (i, j))]
    assert names == expected


def test_default_is_two_repetitions():
    assert fk.ZZ(3) == fk.ZZ(3, reps=2, entanglement="full", bandwidth=1.0)
