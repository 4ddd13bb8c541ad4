# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Finite shots: exact binomials, independent entries, and streams that do not depend on threads or blocks."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import binomial_p_value, rows


def at_probability(p, n, m):
    """Return (x, y, kernel) with the same fidelity p in every entry."""
    x = np.broadcast_to(np.zeros(1), (n, 1))
    y = np.broadcast_to(np.array([2 * np.arccos(np.sqrt(p))]), (m, 1))
    return x, y, fk.Fidelity(fk.Angle(1))


@pytest.mark.parametrize("p", [1e-4, 0.02, 0.3, 0.5, 0.8, 0.9995])
@pytest.mark.parametrize("shots", [1, 7, 100, 10_000])
def test_samples_are_binomial(shots, p):
    x, y, kernel = at_probability(p, 150, 200)
    estimates = fk.gram(x, y, kernel=kernel, shots=shots, seed=5)
    counts = np.rint(estimates * shots)
    np.testing.assert_allclose(counts / shots, estimates, atol=1e-12)
    assert binomial_p_value(counts.ravel(), shots, p) > 1e-4
    # Rows and columns must be independent too: their sums are binomial with more shots.
    assert binomial_p_value(counts.sum(axis=1), 200 * shots, p) > 1e-4
    assert binomial_p_value(counts.sum(axis=0), 150 * shots, p) > 1e-4


def test_samples_of_certain_outcomes():
    x, y, kernel = at_probability(1.0, 20, 30)
    assert (fk.gram(x, y, kernel=kernel, shots=3, seed=0) == 1).all()
    never = fk.gram([[1.0, 0.0]], [[0.0, 1.0]], kernel=fk.Fidelity(fk.Amplitude(2)), shots=10**6, seed=0)
    assert never[0, 0] == 0


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("symmetric", [True, False])
def test_samples_do_not_depend_on_threads(symmetric):
    kernel = fk.Fidelity(fk.IQP(3))
    x, y = rows(300, 3, np.float32), None if symmetric else rows(280, 3, np.float32, 1)
    results = []
    for n_threads in (1, 2, 5):
        fk.set_num_threads(n_threads)
        results.append(fk.gram(x, y, kernel=kernel, shots=100, seed=2**64 - 1))
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


def test_samples_of_sub_blocks():
    kernel = fk.Fidelity(fk.Angle(3))
    x, y = rows(300, 3, np.float64), rows(280, 3, np.float64, 1)
    whole = fk.gram(x, y, kernel=kernel, shots=100, seed=3)
    assert (fk.gram(x[:50], y[:70], kernel=kernel, shots=100, seed=3) == whole[:50, :70]).all()
    symmetric = fk.gram(x, kernel=kernel, shots=100, seed=3)
    assert (symmetric == symmetric.T).all() and (np.diag(symmetric) == 1).all()
    assert (fk.gram(x[:99], kernel=kernel, shots=100, seed=3) == symmetric[:99, :99]).all()


def test_seeds():
    x, y, kernel = at_probability(0.4, 30, 30)
    draws = [fk.gram(x, y, kernel=kernel, shots=50, seed=seed) for seed in (0, 1, 2**63, np.uint64(7))]
    for i, first in enumerate(draws):
        assert (fk.gram(x, y, kernel=kernel, shots=50, seed=(0, 1, 2**63, 7)[i]) == first).all()
        assert all((first != second).any() for second in draws[i + 1 :])
    fresh = [fk.gram(x, y, kernel=kernel, shots=50) for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()


def test_power_acts_on_the_estimate():
    x, y, kernel = at_probability(0.4, 30, 30)
    estimate = fk.gram(x, y, kernel=kernel, shots=50, seed=1)
    cubed = fk.gram(x, y, kernel=fk.Fidelity(fk.Angle(1), power=3), shots=50, seed=1)
    np.testing.assert_allclose(cubed, estimate**3, rtol=1e-14)


def test_samples_of_both_dtypes_agree():
    x, y = rows(100, 3, np.float32), rows(100, 3, np.float32, 1)
    kernel = fk.HadamardTest(fk.ZZ(3))
    single = fk.gram(x, y, kernel=kernel, shots=100, seed=1)
    double = fk.gram(x, y, kernel=kernel, shots=100, seed=1, dtype=np.float64)
    assert (np.abs(single - double) < 1e-6).mean() > 0.999
