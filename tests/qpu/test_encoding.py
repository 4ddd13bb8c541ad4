# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Bound circuits prepare the states that the maps promise, their signs included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flashket as fk
from contract import feature_maps
from flashket.qpu.estimators import encode


def state(program: fk.Program) -> np.ndarray:
    return fk.states(np.zeros((1, 0)), feature_map=fk.Circuit(program))[0]


@pytest.mark.parametrize("feature_map", feature_maps(4), ids=repr)
def test_circuit_prepares_the_state(feature_map: fk.feature_maps.FeatureMap) -> None:
    rng = np.random.default_rng(3)
    for row in rng.uniform(-2, 2, (5, 4)):
        wanted = fk.states(row[None], feature_map=feature_map)[0]
        np.testing.assert_allclose(state(encode(feature_map, row)), wanted, atol=1e-12)


@given(st.integers(1, 40), st.sampled_from([0.0, 0.5]), st.integers(0, 2**32 - 1))
def test_amplitude_of_any_width(n_features: int, bias: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    row = rng.normal(size=n_features) * rng.integers(0, 2, n_features) * 10.0 ** rng.integers(-3, 4)
    row[rng.integers(n_features)] = -1.0
    feature_map = fk.Amplitude(n_features, bias=bias)
    program = encode(feature_map, row)
    np.testing.assert_allclose(state(program), fk.states(row[None], feature_map=feature_map)[0], atol=1e-12)
    assert sum(gate.name == "cx" for gate in program.gates) <= max(0, 2**feature_map.n_qubits - 2)


def test_amplitude_of_huge_and_tiny_numbers() -> None:
    for scale in (1e300, 1e-300):
        np.testing.assert_allclose(state(encode(fk.Amplitude(2), [3 * scale, -4 * scale])), [0.6, -0.8], atol=1e-12)


@pytest.mark.parametrize("row", [[1.0], [np.nan, 0.0], [0.0, 0.0], [[1.0, 2.0], [3.0, 4.0]]])
def test_bad_rows(row: object) -> None:
    with pytest.raises(fk.InputError, match=r"\[encode\]"):
        encode(fk.Amplitude(2), row)


@pytest.mark.parametrize("size", [20.0, 1e5, 1e17, 1e60])
def test_huge_angles_lose_whole_turns_alone(size: float) -> None:
    rows = np.array([[size, 0.3], [0.7, -size]])
    for feature_map in (fk.Angle(2), fk.Angle(2, rotation="rx"), fk.ZZ(2, reps=1), fk.IQP(2)):
        for row in rows:
            program = encode(feature_map, row)
            assert max(abs(factor.offset) for gate in program.gates for factor in gate.angle) <= 4 * np.pi
            found = fk.states(np.zeros((1, 0)), feature_map=fk.Circuit(program))
            np.testing.assert_allclose(found, fk.states(row[None], feature_map=feature_map), atol=1e-10 if size < 1e4 else 2e-3)
