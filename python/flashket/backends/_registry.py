# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a backend is, the list of them, and the choice: the one place that decides where a call runs.

``FLASHKET_BACKEND`` replaces ``backend="auto"``; an explicit ``backend=`` argument wins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from flashket.errors import BackendUnavailable, InputError, explanation

if TYPE_CHECKING:
    from flashket.arrays import Array
    from flashket.feature_maps import FeatureMap
    from flashket.kernels import Kernel


@dataclass(frozen=True)
class Capability:
    """Yes, or no with the reason in words; true in a condition when it is yes."""

    can_run: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.can_run


class Backend(Protocol):
    """What evaluates kernels. Arguments arrive checked; results go into ``out``."""

    @property
    def name(self) -> str:
        """The word that ``backend=`` takes."""

    @property
    def available(self) -> bool:
        """Whether it can be used on this machine now."""

    @property
    def reason(self) -> str:
        """Why it is absent and what would change that; empty when available."""

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say whether it can run ``op`` ("gram" | "gram_matvec" | "attention" | "states") for this kernel and dtype."""

    def gram(self, kernel: Kernel, x: Array, y: Array | None, out: Array, *, log: bool, shots: int, seed: int) -> None:
        """Write the Gram matrix."""

    def gram_matvec(self, kernel: Kernel, x: Array, a: Array, y: Array | None, out: Array, *, shots: int, seed: int) -> None:
        """Write the Gram matrix times ``a``."""

    def attention(
        self,
        kernel: Kernel,
        q: Array,
        k: Array,
        v: Array,
        out: Array,
        *,
        normalization: str,
        temperature: float,
        causal: bool,
        mask: Array | None,
        kv_lens: Array | None,
        shots: int,
        seed: int,
    ) -> int:
        """Write the attention output; return the rows whose admissible kernel values were all zero."""

    def attention_in_place(self, kernel: Kernel, q: Array, k: Array, v: Array, out: Array, *, causal: bool, kv_lens: Array | None) -> int:
        """Write exact sum-normalised attention of rows that nobody has checked.

        Return what ``attention`` does, or -1, with ``out`` undefined, where this cannot be done or a row that counts may be bad.
        """

    def states(self, feature_map: FeatureMap, x: Array, out: Array) -> None:
        """Write the states."""


def backends() -> list[Backend]:
    """Return every backend in the order in which "auto" asks them; absent ones too.

    Returns
    -------
    list of Backend
        Objects with ``name``, ``available`` and ``reason``.

    Examples
    --------
    >>> [backend.name for backend in backends()]
    ['cuda', 'custatevec', 'cutensornet', 'cpu']
    """
    return list(_all())


@cache
def _all() -> tuple[Backend, ...]:
    from flashket.backends.cpu import CPU
    from flashket.backends.cuda import DEVICE_BACKENDS

    return (*DEVICE_BACKENDS, CPU)


def select(requested: str, kernel: Kernel, dtype: np.dtype[Any], op: str, place: str) -> Backend:
    """Return the backend that runs ``op``.

    Parameters
    ----------
    requested : str
        A backend's name, or "auto" for the first that can, in the order of :func:`backends`.
    kernel : Kernel
    dtype : numpy.dtype
        float32 or float64.
    op : str
        "gram", "gram_matvec", "attention" or "states".
    place : str
        The function to name in the error.

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
            if backend.available and backend.capabilities(kernel, dtype, op):
                return backend
        refused = (f"{name}: {reason}" for name, reason in refusals(kernel, dtype, op).items())
        raise BackendUnavailable(explanation(place, "some backend must be able to run this", "none", "; ".join(refused)))
    for backend in candidates:
        if backend.name == name:
            answer = _answer(backend, kernel, dtype, op)
            if not answer:
                raise BackendUnavailable(explanation(place, f"backend {name!r} cannot run this", None, answer.reason))
            return backend
    where = "backend" if requested != "auto" else "FLASHKET_BACKEND"
    do = f"choose auto, {', '.join(backend.name for backend in candidates)}"
    raise InputError(explanation(place, f"{where} must name a backend", repr(name), do))


def refusals(kernel: Kernel, dtype: np.dtype[Any], op: str) -> dict[str, str]:
    """Return the backends that cannot run this, each with its reason."""
    answers = {backend.name: _answer(backend, kernel, dtype, op) for backend in _all()}
    return {name: answer.reason for name, answer in answers.items() if not answer}


def _answer(backend: Backend, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
    """Say whether it is there and can run this."""
    return backend.capabilities(kernel, dtype, op) if backend.available else Capability(False, backend.reason)
