# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""HardwareEfficient: the circuit written out once more as dense matrices by hand."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, rows, tolerance
from flashket.spec import parse_spec


def he_state(x, layers, seed, bandwidth=1.0):
    """Kronecker products: bit j of the basis index belongs to feature j, so qubit 0 is the last factor."""
    n = len(x)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, (layers, n))
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    signs = (-1.0) ** (bits[:, :-1] & bits[:, 1:]).sum(axis=1)
    state = np.eye(2**n)[0].astype(complex)
    for layer in range(layers):
        half = bandwidth * np.asarray(x) / 2
        ry = [np.array([[np.cos(h), -np.sin(h)], [np.sin(h), np.cos(h)]]) for h in half]
        rz = [np.diag(np.exp([-0.5j * t, 0.5j * t])) for t in phases[layer]]
        state = reduce(np.kron, ry[::-1]) @ state
        state = reduce(np.kron, rz[::-1]) @ state
        state = signs * state
    return state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("layers", "seed"), [(1, 0), (2, 0), (3, 5)])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_state(n, layers, seed, dtype):
    x = rows(6, n, dtype)
    expected = [he_state(row, layers, seed) for row in x.astype(float)]
    got = fk.states(x, feature_map=fk.HardwareEfficient(n, layers=layers, seed=seed))
    np.testing.assert_allclose(got, expected, atol=tolerance("value", dtype))


def test_bandwidth_scales_the_features_only():
    x = rows(4, 3, np.float64)
    got = fk.states(x, feature_map=fk.HardwareEfficient(3, bandwidth=0.4))
    np.testing.assert_allclose(got, [he_state(row, 2, 0, 0.4) for row in x], atol=1e-12)


def test_kernel_is_the_overlap():
    x, y = rows(5, 4, np.float64), rows(3, 4, np.float64, 1)
    states = [np.array([he_state(row, 2, 3) for row in data]) for data in (x, y)]
    overlaps = states[0].conj() @ states[1].T
    feature_map = fk.HardwareEfficient(4, seed=3)
    np.testing.assert_allclose(fk.gram(x, y, kernel=fk.Fidelity(feature_map)), np.abs(overlaps) ** 2, atol=1e-12)
    np.testing.assert_allclose(fk.gram(x, y, kernel=fk.HadamardTest(feature_map)), (1 + overlaps.real) / 2, atol=1e-12)


def test_gates():
    gates = fk.HardwareEfficient(3, layers=1).program().gates
    assert [(gate.name, gate.qubits) for gate in gates] == [
        *(("ry", (j,)) for j in range(3)),
        *(("rz", (j,)) for j in range(3)),
        *(("cz", (j, j + 1)) for j in range(2)),
    ]
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (1, 3))[0]
    assert [gate.angle[0].offset for gate in gates[3:6]] == phases.tolist()


def test_defaults_and_spec():
    assert fk.HardwareEfficient(3) == fk.HardwareEfficient(3, layers=2, seed=0, bandwidth=1.0)
    assert parse_spec("he:6,layers=3,seed=4,bandwidth=0.5") == fk.Fidelity(fk.HardwareEfficient(6, layers=3, seed=4, bandwidth=0.5))
    assert fk.HardwareEfficient(3, seed=1).program() != fk.HardwareEfficient(3, seed=2).program()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, r"\[HardwareEfficient\] layers must be a positive integer, got 0"),
        ({"seed": -1}, r"\[HardwareEfficient\] seed must be a non-negative integer, got -1"),
        ({"seed": 0.5}, r"seed must be a non-negative integer, got 0.5"),
        ({"seed": True}, r"seed must be a non-negative integer, got True"),
        ({"bandwidth": np.inf}, r"bandwidth must be a finite number, got inf"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(fk.InputError, match=message):
        fk.HardwareEfficient(3, **options)
