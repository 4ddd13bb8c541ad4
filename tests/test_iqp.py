# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""IQP: PennyLane's convention, written out once more by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, rows, tolerance


def iqp_state(x, pairs, reps):
    """Phases on a Hadamard state; bit j of the basis index belongs to feature j."""
    n = len(x)
    index = np.arange(2**n)
    signs = 1 - 2 * ((index[:, None] >> np.arange(n)) & 1)
    phase = -0.5 * (signs @ x + sum(x[i] * x[j] * signs[:, i] * signs[:, j] for i, j in pairs))
    hadamard = np.array([[(-1) ** bin(a & b).count("1") for b in index] for a in index]) / np.sqrt(2**n)
    state = np.eye(2**n)[0].astype(complex)
    for _ in range(reps):
        state = np.exp(1j * phase) * (hadamard @ state)
    return state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reps", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_state(n, reps, dtype):
    x = rows(6, n, dtype)
    got = fk.states(x, feature_map=fk.IQP(n, reps=reps))
    assert got.dtype == (np.complex64 if dtype == np.float32 else np.complex128)
    expected = [iqp_state(row, list(combinations(range(n), 2)), reps) for row in x.astype(float)]
    np.testing.assert_allclose(got, expected, atol=tolerance("value", dtype))


@pytest.mark.parametrize(
    ("entanglement", "pairs"),
    [("linear", [(0, 1), (1, 2), (2, 3)]), ("circular", [(3, 0), (0, 1), (1, 2), (2, 3)]), ([(2, 0), (1, 3)], [(2, 0), (1, 3)]), ([], [])],
)
def test_entanglement_and_bandwidth(entanglement, pairs):
    x = rows(3, 4, np.float64)
    got = fk.states(x, feature_map=fk.IQP(4, entanglement=entanglement, bandwidth=0.6))
    np.testing.assert_allclose(got, [iqp_state(0.6 * row, pairs, 1) for row in x], atol=1e-12)


def test_circular_of_two_qubits_is_linear():
    assert fk.IQP(2, entanglement="circular").program() == fk.IQP(2, entanglement="linear").program()


def test_entanglement_pairs_are_kept_as_data():
    feature_map = fk.IQP(3, entanglement=[[0, 1], [1, 2]])
    assert feature_map.entanglement == ((0, 1), (1, 2))
    assert hash(feature_map) == hash(fk.IQP(3, entanglement=((0, 1), (1, 2))))
