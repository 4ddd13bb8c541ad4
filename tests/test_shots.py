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


@pytest.mark.parametrize("p", [1e-9, 1e-6, 0.2, 0.5, 1 - 1e-6, 1 - 1e-9])
@pytest.mark.parametrize("shots", [1, 30, 10**6, 2**31 - 1])
def test_samples_are_binomial_for_extreme_p_and_shots(shots, p):
    x, y, kernel = at_probability(p, 200, 250)
    exact = fk.gram(x[:1], y[:1], kernel=kernel)[0, 0]
    assert abs(exact - p) < 1e-15
    counts = np.rint(fk.gram(x, y, kernel=kernel, shots=shots, seed=6) * shots)
    assert binomial_p_value(counts.ravel(), shots, exact) > 1e-4
    if shots <= 10**6:
        assert binomial_p_value(counts.sum(axis=1), 250 * shots, exact) > 1e-4


@pytest.mark.parametrize("shots", [2, 19, 20, 21, 40, 300, 3000])
def test_samples_of_neighbours_with_other_probabilities(shots):
    """Inversion and rejection meet in one vector of entries, on both sides of 1/2 and at the mean of 10 between the two."""
    p = np.clip(
        np.array([0.5, 9.9 / shots, 10.1 / shots, 1e-3, 0.25, 0.75, 1 - 9.9 / shots, 1 - 10.5 / shots, 0.999, 0.4, 0.61]), 1e-4, 0.9999
    )
    x, y = np.zeros((4000, 1)), (2 * np.arccos(np.sqrt(p)))[:, None]
    estimates = fk.gram(x, y, kernel=fk.Fidelity(fk.Angle(1)), shots=shots, seed=2)
    for column, probability in zip(np.rint(estimates * shots).T, p, strict=True):
        assert binomial_p_value(column, shots, probability) > 1e-4


def philox(counter, key):
    """Philox4x32-10 of Salmon et al. 2011 in plain integers."""
    c, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(second >> 32) ^ c[1] ^ k[0], second & 0xFFFFFFFF, (first >> 32) ^ c[3] ^ k[1], first & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def test_streams_are_keyed_as_documented():
    """One shot is 1 where the first uniform of Philox(column, row) under the seed's key is at least the probability of 0."""
    assert philox([0, 0, 0, 0], 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # the authors' known answer
    seed = 2**63 + 12345
    x, y, kernel = at_probability(0.3, 40, 300)
    block = philox([0, 0, 1, 0], seed)
    key = block[1] << 32 | block[0]

    def uniform(row, column):
        low, high, *_ = philox([column, row, 0, 0], key)
        return (((high << 32 | low) >> 12) + 0.5) * 2.0**-52

    expected = np.array([[uniform(i, j) >= 0.7 for j in range(300)] for i in range(40)], np.float64)
    assert (fk.gram(x, y, kernel=kernel, shots=1, seed=seed) == expected).all()
    symmetric = fk.gram(x[:30] + np.linspace(0.2, 0.3, 30)[:, None], kernel=kernel, shots=1, seed=seed)
    assert (symmetric == symmetric.T).all()


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
