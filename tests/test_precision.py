# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Sums whose terms all have one sign: rounding errors that add up instead of cancelling."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk


@pytest.mark.parametrize("width", [300, 3000, 5000, 70000])
def test_long_float32_dots_of_constant_rows(width):
    x = np.full((1, width), 0.7, np.float32)
    y = np.full((1, width), 1.3, np.float32)
    y[:, : width // 8] *= -1
    expected = (1 - 2 * (width // 8) / width) ** 2
    assert abs(fk.gram(x, y, kernel=fk.Fidelity(fk.Amplitude(width)))[0, 0] - expected) < 2e-6


@pytest.mark.parametrize("n_qubits", [12, 13])
def test_float32_overlap_of_equal_large_states(n_qubits):
    x = np.full((1, n_qubits), 0.4, np.float32)
    assert abs(fk.gram(x, x.copy(), kernel=fk.Fidelity(fk.IQP(n_qubits)))[0, 0] - 1) < 2e-6


@pytest.mark.parametrize("normalization", ["sum", "softmax"])
def test_float32_attention_over_many_equal_keys(normalization):
    n_keys = 2**18
    k = np.full((1, 1, n_keys, 1), 0.3, np.float32)
    for value in (0.123, 0.1599, 0.2091):
        v = np.full((1, 1, n_keys, 1), value, np.float32)
        out = fk.attention(k[:, :, :1] + np.float32(0.4), k, v, kernel=fk.Fidelity(fk.Angle(1)), normalization=normalization)
        np.testing.assert_allclose(out, v[:, :, :1], rtol=5e-6)


def test_scores_that_overflow_become_nan_not_a_mean():
    from flashket.controls import ScaledDot

    q = np.full((1, 1, 1, 1), 1e20, np.float32)
    k = np.array([1e20, -1e20], np.float32).reshape(1, 1, 2, 1)
    out = fk.attention(q, k, np.ones((1, 1, 2, 1), np.float32), kernel=ScaledDot(1), normalization="softmax")
    assert np.isnan(out).all()
