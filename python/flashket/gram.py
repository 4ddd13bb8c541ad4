# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gram matrices. The hops: gram (checks) -> select (backend) -> binding (releases the GIL) -> tiles and threads -> loop."""

from __future__ import annotations

import operator
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from flashket import planner
from flashket.arrays import (
    FLOAT32,
    FLOAT64,
    Array,
    aligned_empty,
    cast,
    cast_bytes,
    check_out,
    check_rows,
    check_size,
    is_on_device,
    real_dtype,
    requested_dtype,
    to_array,
    to_host,
)
from flashket.backends._registry import select
from flashket.backends.qpu import requested_qpu
from flashket.errors import BackendUnavailable, InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.kernels import Kernel, Projected

if TYPE_CHECKING:
    from flashket.noise.applied import AppliedNoise

_LARGEST_SHOTS = 2**31 - 1

NOISE_STAYS = "noise models run on the host"
"""Why a call with noise is not sent to a device."""


def gram(
    X: Any,
    Y: Any = None,
    *,
    kernel: Kernel,
    backend: Any = "auto",
    dtype: Any = None,
    out: Array | None = None,
    log: bool = False,
    shots: int | None = None,
    noise: Any = None,
    seed: int | None = None,
    workers: None = None,
) -> Array:
    """Return the kernel of every row of X with every row of Y.

    ``K[i, j] = kernel(X[i], Y[j])``; with shots, a binomial estimate of it.

    Parameters
    ----------
    X : array_like, (n, n_features)
        Anything with DLPack or the buffer protocol in host memory, any strides; or a device array of CuPy, torch or JAX, see Notes.
        float16, bfloat16 and float32 compute in float32, float64 and integers in float64; angles in radians.
    Y : array_like, (m, n_features), optional
        None means X against itself: exactly symmetric, and diagonal exactly 1.
    kernel : Kernel
        A feature map and a similarity, e.g. ``fk.Fidelity(fk.Angle(8))``.
    backend : str
        A name from :func:`flashket.backends`, or "auto"; or a QPU, e.g. "sim:ibm_torino" (or a provider's object), see
        :func:`flashket.qpu.gram`: shots must be given, what costs money needs ``fk.qpu.budget``.
    dtype : dtype, optional
        float32 or float64 to compute in; by default the larger of X's and Y's.
    out : numpy.ndarray, or an array of the inputs' library on their device, (n, m), optional
        Where to write; must have the result's dtype and not overlap an input.
    log : bool
        Return the natural logarithm, computed without underflow; a kernel of 0 gives -inf.
    shots : int, optional
        Measurements per entry; None is exact. The estimate is binomial(shots, p) / shots, raised to the kernel's power.
    noise : str, path, or NoiseModel, optional
        A device: a profile's name or file, or an :class:`flashket.NoiseModel`. A name means, for circuits with symbolic angles, exact
        density matrices up to 8 qubits and trajectories above, and the effective model for all others; see Notes.
    seed : int, optional
        In 0..2^64-1; equal seeds give equal samples for any number of threads. None draws a fresh one.
    workers : None
        Distributed work is not in this version.

    Returns
    -------
    numpy.ndarray, or a device array like the inputs, (n, m), float32 or float64

    Raises
    ------
    InputError
        For wrong shapes, dtypes and options, NaN or infinity, and rows of zeros for Amplitude without bias.
    ResourceLimit
        If the matrix or the states do not fit into free memory. Nothing has been allocated.
    BackendUnavailable
        If the backend is absent or cannot do this.

    Notes
    -----
    Kernel values agree with exact arithmetic to 1e-12 (float64) or 2e-6 (float32; products of more than 32 factors to 1e-5 of the
    value, of n > 256 to 1e-6 sqrt(n)). Cost: see :func:`flashket.explain`. Memory beside the result is that of the encoded rows.
    Of ``Angle`` the cheaper of two exact forms is chosen by the range of the data, so that the last digits of an entry may depend on
    the other rows; samples, logarithms and attention use the one that does not.
    The stream of entry (i, j) is keyed by (seed, min(i, j), max(i, j)) when Y is None, else by (seed, i, j).

    With noise an entry is what the device's circuit of it would give: the expected value, or with shots a binomial of that. Entry
    (i, j) prepares X[i] and undoes Y[j]; when Y is None each pair is one circuit, i <= j, and the diagonal is measured as well and lies
    below 1. Of a Projected kernel rows are measured, in three circuits each: Bloch components as the device reads them give the value,
    shots (2 or more, of each circuit) are drawn for a row and shared by its entries, their noise is taken off the distances, so that a
    value may exceed 1, and the diagonal stays 1. Angles beyond 2^30 rad, which rounding moves by more than 1e-7, are refused under
    noise. Inside :func:`flashket.diagnostics.record` the method and its error are told. Noise is simulated on the host.

    Device arrays stay on their device: the work is put on the caller's current stream (of JAX, ordered with its own) and nothing
    waits, so rows are not looked at: NaN, infinity and rows of zeros give NaN in their own rows and columns. The stream must live
    until that work is done; a library's current stream does. Host arrays are sent to a GPU where ``backend`` says so, or where
    "auto" finds one and the work is large (:func:`flashket.explain` tells); then the call waits.

    Examples
    --------
    >>> import flashket as fk
    >>> fk.gram([[0.0], [1.0]], kernel=fk.Fidelity(fk.Angle(1))).round(4)
    array([[1.    , 0.7702],
           [0.7702, 1.    ]])
    """
    place = "gram"
    check_kernel(kernel, place)
    device = requested_qpu(backend)
    if device is not None:
        from flashket.qpu.kernel_jobs import gram_on_qpu

        given = {"dtype": dtype, "out": out, "log": log, "shots": shots, "noise": noise, "seed": seed, "workers": workers}
        return gram_on_qpu(X, Y, kernel=kernel, backend=device, **given)
    n_shots, stream_seed = check_sampling(kernel, shots, seed, place, is_noisy=noise is not None)
    if workers is not None:
        raise InputError(explanation(place, "workers must be None in this version", repr(workers), "run on this machine"))
    if not isinstance(log, (bool, np.bool_)):
        raise InputError(explanation(place, "log must be True or False", repr(log), "True returns log K"))
    if log and n_shots:
        raise InputError(
            explanation(place, "log needs exact values", f"shots={shots}", "an estimate of 0 has no logarithm; drop one of them")
        )
    if log and noise is not None:
        raise InputError(explanation(place, "log needs exact values", "a noise model", "take np.log of the result"))
    if log and not kernel.is_probability:
        do = "use log=False"
        raise InputError(explanation(place, "log needs values in 0..1", repr(kernel), do))

    inputs = (("X", X),) if Y is None else (("X", X), ("Y", Y))
    sources, target = checked_rows(inputs, kernel, dtype, place, backend)
    n, m = sources[0].shape[0], sources[-1].shape[0]
    if not isinstance(sources[0], np.ndarray):
        check_noise(noise, kernel, "gram", place, on_device=True)
        return _gram_on_device(sources, Y is None, kernel, backend, target, out, bool(log), n_shots, stream_seed)

    def not_worth() -> str:
        return planner.not_worth_sending(kernel, "gram", n, m, target) if noise is None else NOISE_STAYS

    chosen = select(backend, kernel, target, "gram", place, not_worth=not_worth)
    applied = check_noise(noise, kernel, "gram", place, on_device=chosen.is_device)
    how = planner.Work(
        log=bool(log),
        shots=n_shots,
        cast_bytes=sum(cast_bytes(source, target) for source in sources),
        is_symmetric=Y is None,
        is_noisy=applied is not None,
    )
    if applied is not None and not applied.is_affine:
        applied.require_memory(n, m, 0 if out is not None else n * m * target.itemsize, place)
    else:
        planner.require_memory(kernel, "gram", n, m, target, place, how, result_bytes=None if out is None else 0, chosen=chosen)
    arrays = tuple(cast(source, target, place, name) for (name, _), source in zip(inputs, sources, strict=True))
    x, y = arrays[0], None if Y is None else arrays[1]
    if out is not None:
        check_out(out, (n, m), x.dtype, arrays, place)
    for (name, _), array in zip(inputs, arrays, strict=True):
        check_rows(array, kernel.rejects_zero_rows, place, name, kernel.subject)
        check_size(array, kernel._largest_feature, place, name, kernel.subject)
    result = aligned_empty((n, m), x.dtype) if out is None else out
    if result.size and applied is not None:
        applied.write_gram(x, y, result, shots=n_shots, seed=stream_seed)
    elif result.size:
        chosen.gram(kernel, x, y, result, log=bool(log), shots=n_shots, seed=stream_seed)
    return result


def _gram_on_device(
    sources: tuple[Any, ...],
    is_symmetric: bool,
    kernel: Kernel,
    backend: str,
    target: np.dtype[Any],
    out: Any,
    log: bool,
    shots: int,
    seed: int,
) -> Array:
    """Do what :func:`gram` does for checked device arrays."""
    from flashket.device_arrays import result_array

    place = "gram"
    chosen = select(backend, kernel, target, "gram", place, on_device=True)
    result = result_array(out, (sources[0].shape[0], sources[-1].shape[0]), target, sources, place)
    if result.size:
        rows = tuple(source.with_contiguous_rows(place, "X") for source in sources)
        chosen.gram(kernel, rows[0], None if is_symmetric else rows[1], result, log=log, shots=shots, seed=seed)
    finished: Array = result.library.finish(result.source, sources)
    return finished


def check_kernel(kernel: Any, place: str) -> None:
    """Raise InputError if ``kernel`` is not one."""
    if isinstance(kernel, Kernel):
        return
    do = f"write fk.Fidelity({kernel!r})" if isinstance(kernel, FeatureMap) else "e.g. kernel=fk.Fidelity(fk.Angle(8))"
    raise InputError(explanation(place, "kernel must be a kernel", repr(kernel), do))


def check_noise(noise: Any, kernel: Kernel, op: str, place: str, *, on_device: bool) -> AppliedNoise | None:
    """Return what ``noise`` means for ``op`` ("gram" | "attention"), None where there is none; a device has no noise models."""
    if noise is None:
        return None
    if on_device:
        do = 'pass host arrays and backend="auto" or "cpu"'
        raise BackendUnavailable(explanation(place, NOISE_STAYS, "a device", do))
    from flashket.noise.applied import apply

    return apply(noise, kernel, op, place)


def check_sampling(kernel: Kernel, shots: Any, seed: Any, place: str, *, is_noisy: bool = False) -> tuple[int, int]:
    """Return (shots, seed) for the compiled module: shots 0 is exact, and a missing seed is drawn when something is random."""
    n_shots = 0
    if shots is not None:
        n_shots = _integer(shots, 1, _LARGEST_SHOTS, f"shots must be an integer in 1..{_LARGEST_SHOTS}", "shots=None is exact", place)
        if kernel.is_control or not kernel.is_probability:
            do = "a classical control is exact; pass shots=None"
            raise InputError(explanation(place, "shots need a quantum kernel", repr(kernel), do))
        if not kernel.can_sample and not (is_noisy and isinstance(kernel, Projected)):
            do = 'its rows are measured, not its pairs; pass shots=None, a noise model, or use fk.qpu.gram(..., backend="sim:ideal")'
            raise InputError(explanation(place, "shots need values that are the probability of one outcome", repr(kernel), do))
    if seed is None:
        return n_shots, secrets.randbits(64) if n_shots or is_noisy else 0
    return n_shots, _integer(seed, 0, 2**64 - 1, "seed must be an integer in 0..2**64-1", "seed=None draws a fresh one", place)


def _integer(value: Any, low: int, high: int, wanted: str, do: str, place: str) -> int:
    try:
        result = operator.index(value)
    except TypeError:
        result = low - 1
    if isinstance(value, (bool, np.bool_)) or not low <= result <= high:
        raise InputError(explanation(place, wanted, repr(value), do))
    return result


def checked_rows(
    inputs: tuple[tuple[str, Any], ...], kernel: Kernel, dtype: Any, place: str, backend: str | None = None
) -> tuple[tuple[Any, ...], np.dtype[Any]]:
    """Return each (name, value) as an array (n, n_features), and the dtype to compute in: memory is asked for before casting.

    Device arrays are taken as they are where there is a ``backend`` to run them, all or none, and refused without.
    """
    arrays = [to_host(value, place, name) if backend is None else to_array(value, place, name, backend) for name, value in inputs]
    for (name, _), array in zip(inputs, arrays, strict=True):
        if array.ndim != 2 or array.shape[1] != kernel.n_features:
            do = "one row per sample, one column per feature"
            wanted = f"{name} must be (n_samples, {kernel.n_features}) for {kernel.subject}"
            raise InputError(explanation(place, wanted, array.shape, do))
    named = [(name, array) for (name, _), array in zip(inputs, arrays, strict=True)]
    is_on_device(named, place)
    common = common_dtype(named, place)
    target = common if dtype is None else requested_dtype(dtype, place)
    return tuple(arrays), target


def common_dtype(named: list[tuple[str, Any]], place: str) -> np.dtype[Any]:
    """Return float64 if any array needs it, else float32."""
    # All of them are asked, so that each is checked.
    dtypes = {real_dtype(array, place, name) for name, array in named}
    return FLOAT64 if FLOAT64 in dtypes else FLOAT32
