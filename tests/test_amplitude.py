# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Amplitude: formula, width, bias, and what normalisation must survive."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, rows, tolerance
from flashket import reference


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [0.0, 2.5])
def test_fidelity_is_squared_cosine(bias, dtype):
    x, y = rows(7, 5, dtype), rows(9, 5, dtype, 1)
    a, b = x.astype(float), y.astype(float)
    cosine = (a @ b.T + bias) / np.sqrt(np.outer((a**2).sum(1) + bias, (b**2).sum(1) + bias))
    got = fk.gram(x, y, kernel=fk.Fidelity(fk.Amplitude(5, bias=bias)))
    np.testing.assert_allclose(got, cosine**2, atol=tolerance("value", dtype), rtol=0)
    got = fk.gram(x, y, kernel=fk.HadamardTest(fk.Amplitude(5, bias=bias)))
    np.testing.assert_allclose(got, (1 + cosine) / 2, atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize(
    ("n_features", "bias", "n_qubits"),
    [(1, 0, 1), (1, 1, 1), (2, 0, 1), (2, 1, 2), (3, 0, 2), (4, 0, 2), (4, 1, 3), (64, 0, 6), (64, 0.5, 7)],
)
def test_number_of_qubits(n_features, bias, n_qubits):
    feature_map = fk.Amplitude(n_features, bias=bias)
    assert feature_map.n_qubits == n_qubits
    assert fk.states(np.ones((1, n_features)), feature_map=feature_map).shape == (1, 2**n_qubits)


def test_states_hold_row_then_bias_then_zeros():
    state = fk.states([[2.0, -1.0, 2.0]], feature_map=fk.Amplitude(3, bias=16.0))
    np.testing.assert_allclose(state, [[0.4, -0.2, 0.4, 0.8]], atol=1e-15)
    state = fk.states([[2.0, -1.0, 2.0]], feature_map=fk.Amplitude(3))
    np.testing.assert_allclose(state, [[2 / 3, -1 / 3, 2 / 3, 0]], atol=1e-15)


def test_sign_blindness_and_its_cures():
    x, minus = [[1.0, 2.0]], [[-1.0, -2.0]]
    assert fk.gram(x, minus, kernel=fk.Fidelity(fk.Amplitude(2)))[0, 0] == pytest.approx(1)
    assert fk.gram(x, minus, kernel=fk.Fidelity(fk.Amplitude(2, bias=5.0)))[0, 0] == pytest.approx(0)
    assert fk.gram(x, minus, kernel=fk.HadamardTest(fk.Amplitude(2)))[0, 0] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.float32, 1e30), (np.float32, 1e-30), (np.float64, 1e200), (np.float64, 1e-200), (np.float64, 1e-310)]
)
def test_length_does_not_matter_without_bias(dtype, scale):
    """Squares of these overflow or underflow; the normalised row must not."""
    x = rows(5, 6, np.float64)
    scaled = (x * scale).astype(dtype)
    kernel = fk.Fidelity(fk.Amplitude(6))
    bound = 1e-5 if scale == 1e-310 else 10 * tolerance("value", dtype)
    np.testing.assert_allclose(fk.gram(scaled, kernel=kernel), fk.gram(x, kernel=kernel), atol=bound)


@pytest.mark.parametrize("n_queries", [1, 3])
@pytest.mark.parametrize("scale", [1e-310, 1e-323])
def test_denormal_rows_in_attention(scale, n_queries):
    x = np.random.default_rng(0).integers(1, 9, (1, 1, 20, 5)).astype(np.float64)
    small = x * scale
    v = np.eye(20, 32)[None, None]
    kernel = fk.Fidelity(fk.Amplitude(5))
    got = fk.attention(small[:, :, :n_queries], small, v, kernel=kernel)
    np.testing.assert_allclose(got, reference.attention(small[:, :, :n_queries] * 2.0**900, small * 2.0**900, v, kernel), atol=1e-14)


def test_zero_row_needs_bias():
    x = np.array([[0.0, 0.0], [1.0, 1.0]])
    with pytest.raises(fk.InputError, match=r"\[gram\] X must have no all-zero row for Amplitude\(2\).*row 0.*bias > 0"):
        fk.gram(x, kernel=fk.Fidelity(fk.Amplitude(2)))
    assert fk.gram(x, kernel=fk.Fidelity(fk.Amplitude(2, bias=2.0)))[0, 1] == pytest.approx(0.5)


def test_no_gate_list():
    with pytest.raises(fk.InputError, match=r"\[Amplitude\] program\(\)"):
        fk.Amplitude(4).program()
