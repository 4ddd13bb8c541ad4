# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a backend is, the list of them, and the choice: the one place that decides where a call runs.

``FLASHKET_BACKEND`` replaces ``backend="auto"``; an explicit ``backend=`` argument wins.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

import numpy as np

from flashket.errors import BackendUnavailable, InputError, explanation

if TYPE_CHECKING:
    from flashket.arrays import Array
    from flashket.feature_maps import FeatureMap
    from flashket.kernels import Kernel

Operand: TypeAlias = Any
"""A NumPy array, or a ``device_arrays.DeviceArray``; all of a call are alike."""


@dataclass(frozen=True)
class Capability:
    """Yes, or no with the reason in words; true in a condition when it is yes."""

    can_run: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.can_run


class Backend(Protocol):
    """What evaluates kernels. Arguments arrive checked; results go into ``out``.

    Device backends take both kinds of operands, others NumPy arrays only.
    """

    @property
    def name(self) -> str:
        """The word that ``backend=`` takes."""

    @property
    def is_device(self) -> bool:
        """Whether it reads device arrays, and copies host arrays to a device."""

    @property
    def is_emulated(self) -> bool:
        """Whether the CPU plays its device, for tests; "auto" never takes it then."""

    @property
    def available(self) -> bool:
        """Whether it can be used on this machine now."""

    @property
    def reason(self) -> str:
        """Why it is absent and what would change that; empty when available, but for an emulated one, which says so."""

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say whether it can run ``op``, as in :func:`select`, for this kernel and dtype."""

    def gram(self, kernel: Kernel, x: Operand, y: Operand | None, out: Operand, *, log: bool, shots: int, seed: int) -> None:
        """Write the Gram matrix."""

    def gram_matvec(self, kernel: Kernel, x: Operand, a: Operand, y: Operand | None, out: Operand, *, shots: int, seed: int) -> None:
        """Write the Gram matrix times ``a``."""

    def attention(
        self,
        kernel: Kernel,
        q: Operand,
        k: Operand,
        v: Operand,
        out: Operand,
        *,
        normalization: str,
        temperature: float,
        causal: bool,
        mask: Operand | None,
        kv_lens: Operand | None,
        shots: int,
        seed: int,
        counts: bool = True,
    ) -> int:
        """Write the attention output; return the rows whose admissible kernel values were all zero, or 0 without ``counts``."""

    def attention_in_place(self, kernel: Kernel, q: Array, k: Array, v: Array, out: Array, *, causal: bool, kv_lens: Array | None) -> int:
        """Write exact sum-normalised attention of rows that nobody has checked.

        Return what ``attention`` does, or -1, with ``out`` undefined, where this cannot be done or a row that counts may be bad.
        """

    def states(self, feature_map: FeatureMap, x: Operand, out: Operand) -> None:
        """Write the states."""


@dataclass(frozen=True)
class AbsentBackend:
    """A device backend that this version does not have."""

    name: str
    reason: str

    is_device = True
    is_emulated = False

    @property
    def available(self) -> bool:
        """Whether it can be used: no."""
        return False

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say no, with the reason."""
        return Capability(False, self.reason)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise BackendUnavailable(explanation(self.name, "this backend cannot run", None, self.reason))

    gram = gram_matvec = attention = attention_in_place = states = _refuse


def backends() -> list[Backend]:
    """Return every backend in the order in which "auto" asks them, then the kinds of QPUs, which it never takes; absent ones too.

    Returns
    -------
    list of Backend
        Objects with ``name``, ``available`` and ``reason``.

    Examples
    --------
    >>> [backend.name for backend in backends() if ":" not in backend.name]
    ['cuda', 'custatevec', 'cutensornet', 'cpu']
    >>> [backend.available for backend in backends() if backend.name == "sim:ideal"]
    [True]
    """
    from flashket.backends.qpu import qpu_backends

    return [*_all(), *qpu_backends()]


@cache
def _all() -> tuple[Backend, ...]:
    from flashket.backends.cpu import CPU
    from flashket.backends.cuda import CUDA
    from flashket.backends.custatevec import CUSTATEVEC
    from flashket.backends.cutensornet import CUTENSORNET

    return CUDA, CUSTATEVEC, CUTENSORNET, CPU


def select(
    requested: str,
    kernel: Kernel,
    dtype: np.dtype[Any],
    op: str,
    place: str,
    *,
    on_device: bool = False,
    not_worth: Callable[[], str] | None = None,
) -> Backend:
    """Return the backend that runs ``op``.

    Parameters
    ----------
    requested : str
        A backend's name, or "auto" for the first that can, in the order of :func:`backends`: of device arrays a device backend, of
        host arrays one only where :func:`flashket.planner.not_worth_sending` has nothing against it.
    kernel : Kernel
    dtype : numpy.dtype
        float32 or float64.
    op : str
        "gram", "gram_matvec", "attention", "attention_backward" or "states".
    place : str
        The function to name in the error.
    on_device : bool
        Whether the arrays are in a device's memory.
    not_worth : callable, optional
        Returns why host arrays should not be sent to a device, "" where they should; asked by "auto" only.

    Raises
    ------
    InputError
        For a name that does not exist.
    BackendUnavailable
        For a backend that is absent or cannot do this, with the reason.
    """
    candidates = _all()
    name = (os.environ.get("FLASHKET_BACKEND") or "auto") if requested == "auto" else requested
    if name == "auto":
        for backend in candidates:
            if backend.available and _automatic(backend, kernel, dtype, op, on_device, not_worth):
                return backend
        if not on_device:
            _require_host()
        refused = refusals(kernel, dtype, op, not_worth, on_device=on_device)
        text = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        if not on_device:
            from flashket.backends.cpu import core

            core()  # raises with what is wrong with the host module, if that is why
        raise BackendUnavailable(explanation(place, "some backend must be able to run this", "none", text))
    if isinstance(name, str) and ":" in name:
        from flashket.backends.qpu import QPUBackend

        QPUBackend(name).refuse(kernel, dtype, op, place)  # fk.gram has sent what it can to the QPU before
    for backend in candidates:
        if backend.name == name:
            answer = _answer(backend, kernel, dtype, op, on_device)
            if not answer and not backend.is_device and not on_device:
                _require_host()
            if not answer:
                raise BackendUnavailable(explanation(place, f"backend {name!r} cannot run this", None, answer.reason))
            return backend
    where = "backend" if requested != "auto" else "FLASHKET_BACKEND"
    do = f"choose auto, {', '.join(backend.name for backend in candidates)}, or a QPU (flashket qpu list)"
    raise InputError(explanation(place, f"{where} must name a backend", repr(name), do))


def is_host_alone(requested: str) -> bool:
    """Say whether :func:`select` is sure to return the CPU for host arrays: it is asked for by name, or no device is there to ask."""
    from flashket.backends.cuda import CUDA

    name = (os.environ.get("FLASHKET_BACKEND") or "auto") if requested == "auto" else requested
    return name == "cpu" or (name == "auto" and not CUDA.available)


def refusals(
    kernel: Kernel, dtype: np.dtype[Any], op: str, not_worth: Callable[[], str] | None = None, *, on_device: bool = False
) -> dict[str, str]:
    """Return the backends that "auto" does not take, each with its reason; arguments as for :func:`select`."""
    answers = {backend.name: _automatic(backend, kernel, dtype, op, on_device, not_worth) for backend in _all()}
    return {name: answer.reason for name, answer in answers.items() if not answer}


def _require_host() -> None:
    """Raise what keeps the host's module from running, e.g. a wrong FLASHKET_ISA, in its own words."""
    from flashket.backends.cpu import core

    core()


def _automatic(
    backend: Backend, kernel: Kernel, dtype: np.dtype[Any], op: str, on_device: bool, not_worth: Callable[[], str] | None
) -> Capability:
    """Answer for a backend that nobody asked for by name."""
    if backend.is_emulated:
        return Capability(False, backend.reason)
    answer = _answer(backend, kernel, dtype, op, on_device)
    if answer and backend.is_device and not on_device:
        reason = not_worth() if not_worth is not None else "the arrays are in host memory"
        return Capability(not reason, reason)
    return answer


def _answer(backend: Backend, kernel: Kernel, dtype: np.dtype[Any], op: str, on_device: bool) -> Capability:
    if not backend.available:
        return Capability(False, backend.reason)
    if on_device and not backend.is_device:
        return Capability(False, "it reads host memory; copy the arrays there first")
    return backend.capabilities(kernel, dtype, op)
