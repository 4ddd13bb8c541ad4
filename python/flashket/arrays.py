# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Every input becomes a float32 or float64 NumPy array here, knowingly, or is refused with a reason; device arrays stay where they are."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from flashket.backends.cpu import core
from flashket.errors import InputError, explanation

Array: TypeAlias = npt.NDArray[Any]

FLOAT32 = np.dtype(np.float32)
_CACHE_LINE = 64
FLOAT64 = np.dtype(np.float64)

_HOST_DEVICES = {1, 3, 11}
"""DLPack device types whose memory the host can read: CPU, pinned by CUDA, pinned by ROCm."""

_EXACT_INTEGER = 2**53
_OVERLAP_WORK = 10_000
"""Bound on the exact overlap search; beyond it memory is taken as shared."""


def to_host(value: Any, place: str, name: str) -> Array:
    """Return ``value`` as a NumPy array of whatever dtype it has, without copying where that is possible.

    Parameters
    ----------
    value : array_like
        A NumPy array, anything with DLPack or the buffer protocol in host memory, or nested sequences of numbers.
    place, name : str
        The function and argument to name in the error.

    Returns
    -------
    numpy.ndarray
        Any shape and dtype.

    Raises
    ------
    InputError
        For device memory, ragged sequences, masked arrays and tensors that cannot be exported.

    Examples
    --------
    >>> to_host([[1, 2], [3, 4]], "gram", "X").shape
    (2, 2)
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(explanation(place, f"{name} must be a plain array", "a masked array", "fill it first, e.g. x.filled(0)"))
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        return _from_dlpack(value, place, name)
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        do = "pass a rectangular array of real numbers"
        raise InputError(explanation(place, f"{name} must convert to an array", f"{type(value).__name__} ({error})", do)) from error


def to_array(value: Any, place: str, name: str, backend: str) -> Any:
    """Return ``value`` as :func:`to_host` does, or as a ``device_arrays.DeviceArray`` where it lies in the memory of a device.

    Parameters
    ----------
    value : array_like
        As for :func:`to_host`, or a device array of CuPy, torch or JAX.
    place, name : str
        The function and argument to name in the error.
    backend : str
        As the caller gave it: the emulated device reads host tensors, and only where it is asked for by name.

    Examples
    --------
    >>> to_array([[1, 2], [3, 4]], "gram", "X", "auto").shape
    (2, 2)
    """
    if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        from flashket.device_arrays import adopt

        found = adopt(value, place, name, backend)
        if found is not None:
            return found
    return to_host(value, place, name)


def is_on_device(named: list[tuple[str, Any]], place: str) -> bool:
    """Say whether (name, array) pairs are in a device's memory; refuse them where only some are, or not all on one device."""
    for _, array in named:
        if not isinstance(array, np.ndarray):
            break
    else:
        return False
    from flashket.device_arrays import check_together

    check_together(named, place)
    return True


def _from_dlpack(value: Any, place: str, name: str) -> Array:
    try:
        device_type = int(value.__dlpack_device__()[0])
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(_not_exportable(value, error, place, name)) from error
    if device_type not in _HOST_DEVICES:
        got = f"device memory (DLPack device type {device_type})"
        raise InputError(explanation(place, f"{name} must be in host memory for the CPU", got, "copy it to the host first"))
    # A tensor may be a lazily negated view; DLPack hands over the memory without the sign.
    is_neg = getattr(value, "is_neg", None)
    if callable(is_neg) and is_neg():
        raise InputError(explanation(place, f"{name} must be stored as it reads", "a lazily negated tensor", "call .resolve_neg() first"))
    try:
        array: Array = np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(_not_exportable(value, error, place, name)) from error
    return array


def _not_exportable(value: Any, error: Exception, place: str, name: str) -> str:
    do = "detach it, bring it to the host and convert it to float32 or float64"
    return explanation(place, f"{name} must be exportable by DLPack", f"{type(value).__name__} ({error})", do)


def real_dtype(array: Any, place: str, name: str) -> np.dtype[Any]:
    """Return the dtype that holds ``array`` exactly, float32 or float64.

    float16 and float32 give float32; float64, integers and booleans give float64. A device array says itself.

    Raises
    ------
    InputError
        For complex, object, longdouble, text and other dtypes, and for integers beyond 2^53.

    Examples
    --------
    >>> real_dtype(np.zeros(2, np.float16), "gram", "X")
    dtype('float32')
    """
    if not isinstance(array, np.ndarray):
        return array.computed_in(place, name)  # type: ignore[no-any-return]  # of a DeviceArray
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and itemsize <= 8:
        return FLOAT32 if itemsize <= 4 else FLOAT64
    if kind in "biu":
        if itemsize == 8 and array.size and max(-int(array.min()), int(array.max())) > _EXACT_INTEGER:
            do = "scale the data and pass it as float64"
            raise InputError(explanation(place, f"{name} must be exact in float64 (|integer| <= 2**53)", "larger integers", do))
        return FLOAT64
    reasons = {
        "c": "pass real features, e.g. real and imaginary parts side by side",
        "O": "numbers too large for float64, None or mixed types are not numbers here; convert with .astype(float)",
        "f": "extended precision would be lost; convert with .astype(numpy.float64)",
    }
    do = reasons.get(kind, "convert it to float32 or float64")
    raise InputError(explanation(place, f"{name} must hold real numbers (float16, float32, float64, integer or bool)", array.dtype, do))


def requested_dtype(dtype: Any, place: str) -> np.dtype[Any]:
    """Return the dtype argument as numpy.dtype; only float32 and float64 exist.

    Examples
    --------
    >>> requested_dtype("float32", "gram")
    dtype('float32')
    """
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = np.dtype(object)
    for known in (FLOAT32, FLOAT64):
        if wanted == known:
            return known
    raise InputError(explanation(place, "dtype must be float32 or float64", repr(dtype), "leave it out to keep the input's precision"))


def cast(array: Array, dtype: np.dtype[Any], place: str, name: str) -> Array:
    """Return ``array`` in ``dtype``, native byte order, aligned, with strides that are multiples of the itemsize.

    Parameters
    ----------
    array : numpy.ndarray
        Real numbers, see :func:`real_dtype`.
    dtype : numpy.dtype
        float32 or float64.
    place, name : str
        The function and argument to name in the error.

    Returns
    -------
    numpy.ndarray
        ``array`` itself where it already is like that, else a copy.

    Raises
    ------
    InputError
        Where a finite number becomes infinite in the smaller dtype.

    Examples
    --------
    >>> cast(np.ones((2, 2)), np.dtype(np.float32), "gram", "X").dtype
    dtype('float32')
    """
    if _needs_no_copy(array, dtype):
        return array
    if array.dtype == dtype and array.dtype.isnative:
        return np.array(array, dtype=dtype, order="C", copy=True)
    if array.size and dtype == FLOAT32 and array.dtype.itemsize == 8 and array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            largest = max(-float(np.fmin.reduce(array, axis=None)), float(np.fmax.reduce(array, axis=None)))
        if float(np.finfo(np.float32).max) < largest < math.inf:
            raise InputError(
                explanation(place, f"{name} must fit float32 (|x| <= 3.4e38)", f"{largest:.3g}", "use dtype=float64 or scale it")
            )
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype, order="C")


def cast_bytes(array: Array, dtype: np.dtype[Any]) -> int:
    """Return the size of the copy that :func:`cast` makes, 0 where it makes none.

    Examples
    --------
    >>> cast_bytes(np.ones(3, np.float32), FLOAT64), cast_bytes(np.ones(3), FLOAT64)
    (24, 0)
    """
    return 0 if _needs_no_copy(array, dtype) else array.size * dtype.itemsize


def _needs_no_copy(array: Array, dtype: np.dtype[Any]) -> bool:
    is_dtype = array.dtype == dtype and array.dtype.isnative
    return is_dtype and array.flags.aligned and all(stride % dtype.itemsize == 0 for stride in array.strides)


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an uninitialised C-contiguous array that begins a cache line, which the compiled module writes fastest.

    Examples
    --------
    >>> aligned_empty((3, 5), np.dtype(np.float32)).ctypes.data % 64
    0
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = np.empty(n_bytes + _CACHE_LINE, np.uint8)
    begin = -memory.ctypes.data % _CACHE_LINE
    return memory[begin : begin + n_bytes].view(dtype).reshape(shape)


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: tuple[Array, ...], place: str) -> Array:
    """Return ``out`` if the result can be written there: a writable NumPy array of this shape and dtype, apart from the inputs.

    Examples
    --------
    >>> check_out(np.empty((2, 3)), (2, 3), np.dtype(np.float64), (), "gram").shape
    (2, 3)
    """
    do = f"pass numpy.empty({shape}, numpy.{dtype.name}) or leave it out"
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise InputError(explanation(place, "out must be a NumPy array", type(out).__name__, do))
    if out.shape != shape:
        raise InputError(explanation(place, f"out must have shape {shape}", out.shape, do))
    if out.dtype != dtype or not out.dtype.isnative:
        raise InputError(explanation(place, f"out must be {dtype.name} like the result", out.dtype, do))
    if not out.flags.writeable:
        raise InputError(explanation(place, "out must be writable", "a read-only array", do))
    if not out.flags.aligned or any(stride % dtype.itemsize for stride in out.strides) or may_overlap_itself(out):
        raise InputError(explanation(place, "out must be aligned and give every element its own memory", f"strides {out.strides}", do))
    for array in inputs:
        if share_memory(out, array):
            raise InputError(explanation(place, "out must not overlap an input", "shared memory", do))
    return out


def may_overlap_itself(array: Array) -> bool:
    """Say whether two indices could meet in one address; True is a suspicion, False is certain."""
    extent = array.itemsize
    for stride, length in sorted((abs(stride), length) for stride, length in zip(array.strides, array.shape, strict=True) if length > 1):
        if stride < extent:
            return array.size > 0
        extent += stride * (length - 1)
    return False


def share_memory(a: Array, b: Array) -> bool:
    """Say whether two arrays have an element in common; True also where finding out would take long."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=_OVERLAP_WORK))  # type: ignore[arg-type]  # any bound is allowed
    except RuntimeError:
        # numpy raises TooHardError, a RuntimeError, when the bound is hit.
        return True


def check_rows(array: Array, reject_zero: bool, place: str, name: str, subject: str) -> None:
    """Raise InputError naming the first row (along the last axis) with NaN or infinity, or all zeros if that is refused.

    Notes
    -----
    One pass, no allocation.

    Examples
    --------
    >>> check_rows(np.ones((2, 3)), True, "gram", "X", "Amplitude(3)")
    """
    code, index = core().find_bad_row(array, reject_zero)
    if code:
        position = tuple(int(i) for i in np.unravel_index(index, array.shape[:-1]))
        raise InputError(bad_row_text(code, position, place, name, subject))


def is_too_large(array: Array, largest: float) -> bool:
    """Say whether a finite array holds a number beyond ``largest``; one pass each for both signs, no allocation.

    Examples
    --------
    >>> is_too_large(np.array([1.0, -3.0]), 2.0)
    True
    """
    # float32 does not reach the usual bound, so only float64 data are read.
    if not array.size or largest >= float(np.finfo(array.dtype).max):
        return False
    return bool(array.max() > largest or array.min() < -largest)


def check_size(array: Array, largest: float, place: str, name: str, subject: str) -> None:
    """Raise InputError if a finite array holds a number beyond ``largest``.

    Examples
    --------
    >>> check_size(np.ones((2, 3)), 1e75, "gram", "X", "Angle(3)")
    """
    if is_too_large(array, largest):
        raise InputError(too_large_text(max(float(array.max()), -float(array.min())), largest, place, name, subject))


def too_large_text(got: float, largest: float, place: str, name: str, subject: str) -> str:
    """Return the refusal of a number whose angle, or whose square's, would overflow."""
    wanted = f"{name} must be at most {largest:.3g} in magnitude for {subject}, a larger one has no angle"
    return explanation(place, wanted, f"{got:.3g}", "scale the data")


def bad_row_text(code: int, position: tuple[int, ...], place: str, name: str, subject: str) -> str:
    """Return the refusal of one row; ``code`` is find_bad_row's."""
    where = str(position[0]) if len(position) == 1 else str(position)
    if code == 1:
        return explanation(place, f"{name} must be finite", f"NaN or infinity in row {where}", "remove or replace it")
    do = "drop the row or use bias > 0"
    return explanation(
        place, f"{name} must have no all-zero row for {subject}, a zero vector has no direction", f"zeros in row {where}", do
    )
