# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Nystrom features: a kernel as plain dot products of few columns."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, overload

import numpy as np

from flashket import planner
from flashket.arrays import FLOAT64, Array, cast, cast_bytes, check_rows, check_size
from flashket.errors import InputError, explanation
from flashket.feature_maps._base import positive_int
from flashket.gram import check_kernel, check_sampling, checked_rows, gram
from flashket.gram_matvec import gram_matvec
from flashket.kernels import Kernel

WithProjection: TypeAlias = tuple[Array, Array, Array]
"""(features, landmarks, projection)"""

_MATRICES = 6
"""Matrices of the size of K(Z, Z) that exist at a time while it is decomposed, all in float64."""


@overload
def nystrom(
    X: Any, n_landmarks: int, *, kernel: Kernel, seed: int | None = None, dtype: Any = None, return_projection: Literal[False] = False
) -> Array: ...


@overload
def nystrom(
    X: Any, n_landmarks: int, *, kernel: Kernel, seed: int | None = None, dtype: Any = None, return_projection: Literal[True]
) -> WithProjection: ...


def nystrom(
    X: Any, n_landmarks: int, *, kernel: Kernel, seed: int | None = None, dtype: Any = None, return_projection: bool = False
) -> Array | WithProjection:
    """Return features whose dot products approximate the kernel: Nystrom's method on random landmark rows.

    ``F = K(X, Z) K(Z, Z)^(-1/2)`` with landmarks Z, n_landmarks rows of X; ``F F^T`` is close to ``K(X, X)``.

    Parameters
    ----------
    X : array_like, (n, n_features)
        As in :func:`flashket.gram`; angles in radians.
    n_landmarks : int
        In 1..n; chosen uniformly without replacement by ``numpy.random.default_rng(seed)``.
    kernel : Kernel
        A quantum kernel, e.g. ``fk.Fidelity(fk.ZZ(6))``.
    seed : int, optional
        In 0..2^64-1; None draws a fresh one.
    dtype : dtype, optional
        float32 or float64 of K(X, Z) and of the result; by default X's.
    return_projection : bool
        Return also what gives the features of new rows.

    Returns
    -------
    features : numpy.ndarray, (n, n_landmarks), float32 or float64
    landmarks : numpy.ndarray, (n_landmarks, n_features)
        With ``return_projection=True`` only: Z.
    projection : numpy.ndarray, (n_landmarks, n_landmarks)
        With ``return_projection=True`` only: K(Z, Z)^(-1/2), symmetric. Features of new rows are
        ``fk.gram_matvec(new, projection, landmarks, kernel=kernel)``.

    Raises
    ------
    InputError
        For a number of landmarks beyond the rows, for a classical control, and as :func:`flashket.gram`.
    ResourceLimit
        If the features, the encoded rows and K(Z, Z) do not fit into free memory. Nothing has been allocated.

    Notes
    -----
    K(Z, Z) is computed and decomposed in float64, O(n_landmarks^3); the features stream, so that only the result is of size
    n n_landmarks. Eigenvalues of K(Z, Z) below n_landmarks eps of the largest, eps that of the result's dtype, are left out: they
    are rounding, as where landmarks repeat. With n_landmarks = n the kernel is exact up to what they hold.

    Reference: C. Williams and M. Seeger, "Using the Nystrom method to speed up kernel machines", NIPS 2000.

    Examples
    --------
    >>> import numpy as np
    >>> import flashket as fk
    >>> X = np.linspace(0, 3, 40).reshape(20, 2)
    >>> features = fk.nystrom(X, 9, kernel=fk.Fidelity(fk.Angle(2)), seed=0)
    >>> features.shape, bool(np.allclose(features @ features.T, fk.gram(X, kernel=fk.Fidelity(fk.Angle(2)))))
    ((20, 9), True)
    """
    place = "nystrom"
    check_kernel(kernel, place)
    if kernel.is_control:
        do = "its features are classical; use the rows themselves"
        raise InputError(explanation(place, "kernel must be a quantum kernel", repr(kernel), do))
    (rows,), target = checked_rows((("X", X),), kernel, dtype, place)
    n = rows.shape[0]
    count = positive_int(n_landmarks, place, "n_landmarks", f"X has {n} rows")
    if count > n:
        raise InputError(explanation(place, f"n_landmarks must be at most the {n} rows of X", count, "pass fewer landmarks or more rows"))
    _, checked_seed = check_sampling(kernel, None, seed, place)
    if not isinstance(return_projection, (bool, np.bool_)):
        do = "True returns (features, landmarks, projection)"
        raise InputError(explanation(place, "return_projection must be True or False", repr(return_projection), do))
    how = planner.Work(value_width=count, cast_bytes=cast_bytes(rows, target))
    result_bytes = n * count * target.itemsize + _MATRICES * count**2 * FLOAT64.itemsize
    planner.require_memory(kernel, "gram_matvec", n, count, target, place, how, result_bytes=result_bytes)
    x = cast(rows, target, place, "X")
    check_rows(x, kernel.rejects_zero_rows, place, "X", kernel.subject)
    check_size(x, kernel._largest_feature, place, "X", kernel.subject)
    chosen = np.random.default_rng(None if seed is None else checked_seed).choice(n, count, replace=False)
    landmarks = rows[np.sort(chosen)]
    values, vectors = np.linalg.eigh(gram(landmarks, kernel=kernel, dtype=FLOAT64))
    is_kept = values > count * np.finfo(target).eps * values[-1]
    vectors, values = vectors[:, is_kept], values[is_kept]
    projection = ((vectors / np.sqrt(values)) @ vectors.T).astype(target)
    features = gram_matvec(x, projection, landmarks, kernel=kernel, dtype=target)
    return (features, landmarks, projection) if return_projection else features
