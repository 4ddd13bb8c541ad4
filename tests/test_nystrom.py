# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Nystrom features: what they approximate, how well, from which rows, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, kernels, rows
from flashket import reference
from flashket.controls import ScaledDot

A3 = fk.Fidelity(fk.Angle(3))


def formula(kernel, x, z, relative_cutoff):
    """K(X, Z) K(Z, Z)^(-1/2) by the oracle."""
    values, vectors = np.linalg.eigh(reference.gram(z, None, kernel))
    kept = values > relative_cutoff * values[-1]
    return reference.gram(x, z, kernel) @ (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T


@pytest.mark.parametrize("kernel", [kernel for kernel in kernels(3) if kernel.power == 1], ids=repr)
def test_is_the_formula(kernel):
    x = rows(60, 3, np.float64)
    features, landmarks, projection = fk.nystrom(x, 6, kernel=kernel, seed=4, return_projection=True)
    assert features.shape == (60, 6) and landmarks.shape == (6, 3) and projection.shape == (6, 6)
    np.testing.assert_allclose(features, formula(kernel, x, landmarks, 6 * 2.3e-16), atol=1e-7)
    np.testing.assert_allclose(features @ features.T, reference.gram(x, landmarks, kernel) @ projection @ features.T, atol=1e-10)
    assert (projection == projection.T).all() or np.allclose(projection, projection.T, atol=1e-12 * np.abs(projection).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.ZZ(3)), fk.Projected(fk.IQP(3)), fk.HadamardTest(fk.Amplitude(3))], ids=repr)
def test_all_rows_give_the_kernel(kernel, dtype):
    x = rows(80, 3, dtype)
    features = fk.nystrom(x, 80, kernel=kernel, seed=0)
    assert features.dtype == dtype
    gram = reference.gram(x, None, kernel)
    # What is left out of the spectrum, and the rounding of K(X, Z) that the smallest eigenvalue kept magnifies.
    bound = 80 * np.finfo(dtype).eps * np.linalg.eigvalsh(gram)[-1] + (1e-3 if dtype == np.float32 else 1e-8)
    np.testing.assert_allclose(features @ features.T, gram, atol=bound)


def test_more_landmarks_come_closer():
    kernel = fk.Projected(fk.ZZ(4), gamma=0.5)
    x = rows(200, 4, np.float64)
    gram = fk.gram(x, kernel=kernel)
    errors = []
    for count in (5, 20, 60, 150):
        features = fk.nystrom(x, count, kernel=kernel, seed=1)
        rest = gram - features @ features.T
        assert np.linalg.eigvalsh(rest).min() > -1e-7  # what is missing is positive semidefinite
        errors.append(np.linalg.norm(rest) / np.linalg.norm(gram))
    assert all(later < 0.9 * earlier for earlier, later in pairwise(errors))
    assert errors[-1] < 0.1


def test_the_seed_chooses_the_rows():
    x = rows(50, 3, np.float32)
    first, landmarks, _ = fk.nystrom(x, 7, kernel=A3, seed=3, return_projection=True)
    assert (fk.nystrom(x, 7, kernel=A3, seed=3) == first).all()
    assert (fk.nystrom(x, 7, kernel=A3, seed=4) != first).any()
    assert len(np.unique(landmarks, axis=0)) == 7
    assert all((row == x).all(axis=1).any() for row in landmarks)
    expected = np.sort(np.random.default_rng(3).choice(50, 7, replace=False))
    assert (landmarks == x[expected]).all()
    fresh = [fk.nystrom(x, 7, kernel=A3) for _ in range(3)]
    assert (fresh[0] != fresh[1]).any() or (fresh[0] != fresh[2]).any()


def test_landmarks_are_chosen_uniformly():
    """Each of 6 rows should be among 2 landmarks in a third of 600 draws."""
    x = np.linspace(0, 1, 18).reshape(6, 3)
    chosen = np.zeros(6)
    for seed in range(600):
        _, landmarks, _ = fk.nystrom(x, 2, kernel=A3, seed=seed, return_projection=True)
        chosen += (landmarks[:, None] == x[None]).all(axis=2).sum(axis=0)
    assert chosen.sum() == 1200
    assert (((chosen - 200) ** 2 / 200).sum()) < 25


def test_new_rows():
    x, new = rows(90, 3, np.float64), rows(20, 3, np.float64, 1)
    kernel = fk.Fidelity(fk.Angle(3, bandwidth=0.5))
    features, landmarks, projection = fk.nystrom(x, 40, kernel=kernel, seed=0, return_projection=True)
    of_new = fk.gram_matvec(new, projection, landmarks, kernel=kernel)
    # 27 dimensions hold this kernel: 40 landmarks give all of it.
    np.testing.assert_allclose(of_new @ features.T, fk.gram(new, x, kernel=kernel), atol=1e-7)
    np.testing.assert_allclose(fk.gram_matvec(x, projection, landmarks, kernel=kernel), features, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_repeated_landmarks_are_harmless(dtype):
    x = np.repeat(rows(4, 3, dtype), 10, axis=0)
    features = fk.nystrom(x, 30, kernel=A3, seed=0)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features @ features.T, reference.gram(x, None, A3), atol=1e-5 if dtype == np.float32 else 1e-10)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.float16])
def test_other_numbers_are_read(dtype):
    x = np.random.default_rng(0).integers(0, 2, (20, 3)).astype(dtype)
    given = fk.nystrom(x, 5, kernel=A3, seed=0)
    exact = x.astype(np.float32 if dtype == np.float16 else np.float64)
    np.testing.assert_array_equal(given, fk.nystrom(exact, 5, kernel=A3, seed=0))


@pytest.mark.parametrize("n_landmarks", [1, 400_000])
def test_memory_is_asked_for_first(n_landmarks):
    """Rows of one repeated number take no memory; their copy and K(Z, Z) would take more than there is."""
    n_features = 3 if n_landmarks > 1 else 10**8
    x = np.broadcast_to(np.float32(1), (400_000, n_features))
    with pytest.raises(fk.ResourceLimit, match=r"\[nystrom\]"):
        fk.nystrom(x, n_landmarks, kernel=fk.Fidelity(fk.Angle(n_features)), dtype=np.float64)


REFUSED = [
    (lambda: fk.nystrom(np.zeros((5, 3)), 6, kernel=A3), r"\[nystrom\] n_landmarks must be at most the 5 rows of X, got 6"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 0, kernel=A3), r"n_landmarks must be a positive integer, got 0"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 2.5, kernel=A3), r"n_landmarks must be a positive integer, got 2.5"),
    (lambda: fk.nystrom(np.zeros((0, 3)), 1, kernel=A3), r"at most the 0 rows"),
    (lambda: fk.nystrom(np.zeros((5, 2)), 2, kernel=A3), r"\[nystrom\] X must be \(n_samples, 3\) for Angle\(3\)"),
    (lambda: fk.nystrom(np.full((5, 3), np.nan), 2, kernel=A3), r"\[nystrom\] X must be finite"),
    (lambda: fk.nystrom(np.full((5, 3), 1e80), 2, kernel=A3), r"\[nystrom\] X must be at most 1e\+75"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 2, kernel=fk.Fidelity(fk.Amplitude(3))), r"\[nystrom\] X must have no all-zero row"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 2, kernel=ScaledDot(3)), r"kernel must be a quantum kernel, got ScaledDot\(3\)"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 2, kernel=fk.Angle(3)), r"\[nystrom\] kernel must be a kernel"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 2, kernel=A3, seed=-1), r"\[nystrom\] seed must be"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 2, kernel=A3, dtype="int8"), r"\[nystrom\] dtype must be"),
    (lambda: fk.nystrom(np.zeros((5, 3)), 2, kernel=A3, return_projection="no"), r"\[nystrom\] return_projection must be True or False"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[1][:40])
def test_refusals(case):
    call, message = case
    with pytest.raises(fk.InputError, match=message):
        call()
