# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gram matrices from shots and noise have negative eigenvalues, which kernel methods refuse: three ways to repair them."""

from __future__ import annotations

from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation

PSD_METHODS = ("clip", "shift", "nearest")

_MOST_ROUNDS = 10_000


def repair_psd(matrix: Any, method: str = "nearest", *, tolerance: float = 1e-9) -> Array:
    """Return a positive semidefinite matrix near a symmetric one.

    Parameters
    ----------
    matrix : array_like, (n, n), float64
        A Gram matrix; asymmetry beyond 1e-6 is refused, below it is averaged away.
    method : str
        "clip": negative eigenvalues become 0, the nearest matrix in the Frobenius norm; its diagonal grows. "shift": the most negative one
        is added to the diagonal; entries stay. "nearest": the nearest one with a unit diagonal, a correlation matrix.
    tolerance : float
        For "nearest": largest change of an entry in the last round.

    Returns
    -------
    numpy.ndarray, (n, n), float64
        Exactly symmetric; eigenvalues not below -n 1e-12 (clip, shift) or -n tolerance (nearest).

    Raises
    ------
    InputError
        For another shape, numbers that are not finite, an unknown method, and if "nearest" does not settle.

    Notes
    -----
    A matrix without negative eigenvalues (and, for "nearest", with ones on its diagonal) comes back as it is. "nearest" is Higham's
    alternating projection with Dykstra's correction, one eigendecomposition a round; it converges linearly.

    Reference: N. J. Higham, "Computing the nearest correlation matrix", IMA J. Numer. Anal. 22, 329 (2002).

    Examples
    --------
    >>> noisy = [[1.0, 0.9, 0.1], [0.9, 1.0, 0.9], [0.1, 0.9, 1.0]]
    >>> float(np.linalg.eigvalsh(noisy)[0].round(3)), float(abs(np.linalg.eigvalsh(repair_psd(noisy))[0]).round(6))
    (-0.224, 0.0)
    """
    place = "repair_psd"
    if method not in PSD_METHODS:
        raise InputError(explanation(place, f"method must be one of {', '.join(PSD_METHODS)}", repr(method), "choose one of these"))
    given = np.array(matrix, np.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or not np.isfinite(given).all():
        do = "pass the Gram matrix of X with itself"
        raise InputError(explanation(place, "matrix must be (n, n) of finite numbers", given.shape, do))
    if not tolerance > 0:
        raise InputError(explanation(place, "tolerance must be positive", repr(tolerance), "1e-9 is the default"))
    if np.abs(given - given.T).max(initial=0) > 1e-6:
        raise InputError(explanation(place, "matrix must be symmetric", np.abs(given - given.T).max(), "average it with its transpose"))
    given = (given + given.T) / 2
    if not given.size:
        return np.asarray(given)
    if method == "nearest":
        return _nearest_correlation(given, tolerance)
    values, vectors = np.linalg.eigh(given)
    if values[0] >= 0:
        return np.asarray(given)
    return _without_negative(values, vectors) if method == "clip" else np.asarray(given - values[0] * np.eye(len(given)))


def _without_negative(values: Array, vectors: Array) -> Array:
    out = (vectors * np.maximum(values, 0)) @ vectors.T
    return np.asarray((out + out.T) / 2)


def _nearest_correlation(given: Array, tolerance: float) -> Array:
    if (np.diag(given) == 1).all() and np.linalg.eigvalsh(given)[0] >= 0:
        return given
    current, correction = given.copy(), np.zeros_like(given)
    for _ in range(_MOST_ROUNDS):
        shifted = current - correction
        projected = _without_negative(*np.linalg.eigh(shifted))
        correction = projected - shifted
        following = projected.copy()
        np.fill_diagonal(following, 1.0)
        step = np.abs(following - current).max()
        current = following
        if step <= tolerance and np.abs(following - projected).max() <= tolerance:
            return np.asarray(current)
    do = 'use method="clip", or a larger tolerance'
    raise InputError(explanation("repair_psd", f"a nearest matrix was wanted within {_MOST_ROUNDS} rounds", f"a last step of {step:g}", do))
