# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""States of a feature map as amplitudes."""

from __future__ import annotations

from typing import Any

import numpy as np

from flashket import planner
from flashket.arrays import FLOAT32, Array, cast, cast_bytes, check_rows, check_size
from flashket.backends._registry import select
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.gram import checked_rows
from flashket.kernels import Fidelity

_REAL_OF_COMPLEX = {np.dtype(np.complex64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype(np.float64)}


def states(X: Any, *, feature_map: FeatureMap, dtype: Any = None, backend: str = "auto") -> Array:
    """Return the state of every row.

    ``|x> = U(x)|0>``; amplitude z of row i is ``out[i, z]``, qubit 0 the least significant bit of z.

    Parameters
    ----------
    X : array_like, (n, n_features)
        As in :func:`flashket.gram`.
    feature_map : FeatureMap
        The circuit.
    dtype : dtype, optional
        float32 or complex64, float64 or complex128; by default X's precision.
    backend : str
        A name from :func:`flashket.backends`, or "auto".

    Returns
    -------
    numpy.ndarray, or a device array like X, (n, 2**n_qubits), complex64 or complex128
        Amplitude fills up with zeros.

    Raises
    ------
    InputError
        As :func:`flashket.gram`.
    ResourceLimit
        If the states do not fit into free memory. Nothing has been allocated.

    Notes
    -----
    Cost: at most gates * 2^n_qubits per row; one-qubit gates on a qubit act as one, many diagonal gates as one pass. A state
    larger than a block of 256 KiB is read and written a few times in all, not once per gate. Memory beside the result: a few
    blocks for each thread. Threads share out rows, or the blocks of few large states; results do not depend on their number.
    Amplitudes agree with exact arithmetic to 1e-12 (float64) or 2e-6 (float32).

    Examples
    --------
    >>> import flashket as fk
    >>> fk.states([[3.0, 4.0]], feature_map=fk.Amplitude(2))
    array([[0.6+0.j, 0.8+0.j]])
    """
    place = "states"
    if not isinstance(feature_map, FeatureMap):
        raise InputError(explanation(place, "feature_map must be a feature map", repr(feature_map), "e.g. feature_map=fk.Angle(8)"))
    kernel = Fidelity(feature_map)
    if dtype is not None:
        try:
            dtype = _REAL_OF_COMPLEX.get(np.dtype(dtype), dtype)
        except TypeError:
            raise InputError(explanation(place, "dtype must be float32, float64, complex64 or complex128", repr(dtype))) from None
    (source,), target = checked_rows((("X", X),), kernel, dtype, place, backend)
    n = source.shape[0]
    if not isinstance(source, np.ndarray):
        return _states_on_device(source, kernel, backend, target)
    chosen = select(backend, kernel, target, "states", place, not_worth=lambda: planner.not_worth_sending(kernel, "states", n, 0, target))
    how = planner.Work(cast_bytes=cast_bytes(source, target))
    planner.require_memory(kernel, "states", n, 0, target, place, how, chosen=chosen)
    x = cast(source, target, place, "X")
    check_rows(x, kernel.rejects_zero_rows, place, "X", kernel.subject)
    check_size(x, kernel._largest_feature, place, "X", kernel.subject)
    out = np.empty((n, 2**feature_map.n_qubits), np.complex64 if x.dtype == FLOAT32 else np.complex128)
    if out.size:
        chosen.states(feature_map, x, out)
    return out


def _states_on_device(source: Any, kernel: Fidelity, backend: str, target: np.dtype[Any]) -> Array:
    """Do what :func:`states` does for a checked device array."""
    from flashket.device_arrays import result_array

    place = "states"
    chosen = select(backend, kernel, target, place, place, on_device=True)
    shape = (source.shape[0], 2**kernel.feature_map.n_qubits)
    result = result_array(None, shape, np.dtype(np.complex64 if target == FLOAT32 else np.complex128), (source,), place)
    if result.size:
        chosen.states(kernel.feature_map, source.with_contiguous_rows(place, "X"), result)
    finished: Array = result.library.finish(result.source, (source,))
    return finished
