# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gram matrix times a vector or matrix, without the Gram matrix. The hops are those of :mod:`flashket.gram`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flashket import planner
from flashket.arrays import FLOAT64, Array, cast, cast_bytes, check_out, check_rows, check_size, is_on_device, real_dtype, to_array
from flashket.backends._registry import select
from flashket.errors import InputError, explanation
from flashket.gram import NOISE_STAYS, check_kernel, check_noise, check_sampling, checked_rows
from flashket.kernels import Kernel


def gram_matvec(
    X: Any,
    A: Any,
    Y: Any = None,
    *,
    kernel: Kernel,
    backend: str = "auto",
    dtype: Any = None,
    out: Array | None = None,
    shots: int | None = None,
    noise: Any = None,
    seed: int | None = None,
) -> Array:
    """Return the Gram matrix of X and Y times A, without storing the Gram matrix.

    ``out[i] = sum_j kernel(X[i], Y[j]) A[j]``: what kernel ridge regression, the prediction of a support vector machine and k-means
    in feature space need, for any number of rows.

    Parameters
    ----------
    X : array_like, (n, n_features)
        As in :func:`flashket.gram`; angles in radians.
    A : array_like, (m,) or (m, p)
        Real and finite; m is the number of rows of Y, or of X where Y is None.
    Y : array_like, (m, n_features), optional
        None means X against itself, with diagonal exactly 1.
    kernel : Kernel
        A feature map and a similarity, e.g. ``fk.Fidelity(fk.Angle(8))``.
    backend : str
        A name from :func:`flashket.backends`, or "auto".
    dtype : dtype, optional
        float32 or float64 to compute in; by default the larger of X's, Y's and A's.
    out : numpy.ndarray, or an array of the inputs' library on their device, (n,) or (n, p), optional
        Where to write; must have the result's dtype and not overlap an input.
    shots : int, optional
        Measurements per kernel value; None is exact. The samples are those of :func:`flashket.gram` with the same seed.
    noise : str, path, or NoiseModel, optional
        A device, as in :func:`flashket.gram`. The effective model streams like exact values; "exact" and "trajectories" simulate the
        whole Gram matrix and keep it.
    seed : int, optional
        In 0..2^64-1; None draws a fresh one.

    Returns
    -------
    numpy.ndarray, or a device array like the inputs, (n,) or (n, p), float32 or float64
        Of A's shape but for the first length.

    Raises
    ------
    InputError
        For wrong shapes, dtypes and options, NaN or infinity, and rows of zeros for Amplitude without bias.
    ResourceLimit
        If the encoded rows do not fit into free memory. Nothing has been allocated.
    BackendUnavailable
        If the backend is absent or cannot do this.

    Notes
    -----
    Agrees with exact arithmetic to 1e-12 (float64) or 2e-6 (float32) of sum_j |A[j]|. A tile of kernel values exists at a time, so
    memory is that of the encoded rows and of A; time that of a rectangular Gram matrix and n m p FMA. Sums of tiles are taken in
    float64 in an order that depends on the shapes alone: the result is the same for any number of threads. Device arrays: as in
    :func:`flashket.gram`; A must lie where the rows do.

    Examples
    --------
    >>> import flashket as fk
    >>> fk.gram_matvec([[0.0], [1.0]], [1.0, 10.0], kernel=fk.Fidelity(fk.Angle(1))).round(4)
    array([ 8.7015, 10.7702])
    """
    place = "gram_matvec"
    check_kernel(kernel, place)
    n_shots, stream_seed = check_sampling(kernel, shots, seed, place, is_noisy=noise is not None)
    inputs = (("X", X),) if Y is None else (("X", X), ("Y", Y))
    sources, target = checked_rows(inputs, kernel, dtype, place, backend)
    n, m = sources[0].shape[0], sources[-1].shape[0]
    factor = to_array(A, place, "A", backend)
    if factor.ndim not in (1, 2) or factor.shape[0] != m:
        rows = "Y" if Y is not None else "X"
        raise InputError(explanation(place, f"A must be ({m},) or ({m}, p), one row for each of {rows}", factor.shape, "K @ A needs it"))
    if real_dtype(factor, place, "A") == FLOAT64 and dtype is None:
        target = FLOAT64

    shape = (n, *factor.shape[1:])
    if is_on_device([("X", sources[0]), ("A", factor)], place):
        check_noise(noise, kernel, "gram", place, on_device=True)
        return _matvec_on_device(sources, factor, Y is None, kernel, backend, target, out, n_shots, stream_seed)
    width = shape[1] if len(shape) == 2 else 1
    chosen = select(
        backend,
        kernel,
        target,
        "gram_matvec",
        place,
        not_worth=lambda: planner.not_worth_sending(kernel, "gram_matvec", n, m, target, width) if noise is None else NOISE_STAYS,
    )
    applied = check_noise(noise, kernel, "gram", place, on_device=chosen.is_device)
    how = planner.Work(
        shots=n_shots,
        value_width=width,
        cast_bytes=sum(cast_bytes(source, target) for source in (*sources, factor)),
        is_symmetric=Y is None,
        is_noisy=applied is not None,
    )
    result_bytes = 0 if out is not None else math.prod(shape) * target.itemsize
    if applied is not None and not applied.is_affine:
        applied.require_memory(n, m, result_bytes, place)
    else:
        planner.require_memory(kernel, "gram_matvec", n, m, target, place, how, result_bytes=result_bytes, chosen=chosen)
    arrays = tuple(cast(source, target, place, name) for (name, _), source in zip(inputs, sources, strict=True))
    weights = cast(factor, target, place, "A")
    if out is not None:
        check_out(out, shape, target, (*arrays, weights), place)
    for (name, _), array in zip(inputs, arrays, strict=True):
        check_rows(array, kernel.rejects_zero_rows, place, name, kernel.subject)
        check_size(array, kernel._largest_feature, place, name, kernel.subject)
    check_rows(weights[:, None] if weights.ndim == 1 else weights, False, place, "A", "a product")
    result = np.empty(shape, target) if out is None else out
    if result.size:
        columns = (weights[:, None], result[:, None]) if result.ndim == 1 else (weights, result)
        y = None if Y is None else arrays[1]
        if applied is not None:
            applied.write_matvec(arrays[0], columns[0], y, columns[1], shots=n_shots, seed=stream_seed)
        else:
            chosen.gram_matvec(kernel, arrays[0], columns[0], y, columns[1], shots=n_shots, seed=stream_seed)
    return result


def _matvec_on_device(
    sources: tuple[Any, ...],
    factor: Any,
    is_symmetric: bool,
    kernel: Kernel,
    backend: str,
    target: np.dtype[Any],
    out: Any,
    shots: int,
    seed: int,
) -> Array:
    """Do what :func:`gram_matvec` does for checked device arrays."""
    from flashket.device_arrays import result_array

    place = "gram_matvec"
    chosen = select(backend, kernel, target, place, place, on_device=True)
    library, shape = factor.library, (sources[0].shape[0], *factor.shape[1:])
    columns = (shape[0], 1) if factor.ndim == 1 else shape
    if out is None:
        result = result_array(None, columns, target, sources, place)
    else:
        given = result_array(out, shape, target, sources, place, also=(factor,))
        if not given.is_contiguous:
            do = "leave it out or pass a contiguous array"
            raise InputError(explanation(place, "out must be contiguous on a device", f"strides {given.strides} in bytes", do))
        result = library.adopt(given.source.reshape(columns), place, "out")
    if result.size:
        rows = tuple(source.with_contiguous_rows(place, "X") for source in sources)
        weights = library.adopt(library.cast(factor.source, target).reshape((factor.shape[0], columns[1])), place, "A")
        chosen.gram_matvec(kernel, rows[0], weights, None if is_symmetric else rows[1], result, shots=shots, seed=seed)
    finished: Array = library.finish(result.source, (*sources, factor))
    given_out: Array = out
    return finished.reshape(shape) if out is None else given_out
