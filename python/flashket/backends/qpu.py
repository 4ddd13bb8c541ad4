# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPUs among the backends: their names have a colon, "auto" never takes one, and they measure Gram matrices only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from flashket.errors import BackendUnavailable, explanation

if TYPE_CHECKING:
    import numpy as np

    from flashket.backends._registry import Capability
    from flashket.kernels import Kernel

_INSTEAD = {
    "attention": "a QPU would need one circuit for each score: simulate it with noise=PROFILE and shots=; flashket estimate tells prices",
    "attention_backward": "gradients of attention are computed by the backend cuda",
    "states": "a QPU shows counts, never a state: compute it with the backend cpu",
    "gram_matvec": "multiply with the matrix that fk.gram returns",
    "gram": "fk.gram runs it, flashket estimate tells what it costs",
}


@dataclass(frozen=True)
class QPUBackend:
    """A kind of QPU, or one of them, in the list of backends."""

    name: str
    available: bool = True
    reason: str = ""

    is_device = False
    is_emulated = False

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say whether it can run ``op``: a Gram matrix of a quantum kernel, from shots."""
        from flashket.backends._registry import Capability

        if not self.available:
            return Capability(False, self.reason)
        if op != "gram":
            return Capability(False, _INSTEAD[op])
        if kernel.is_control or not kernel.is_probability:
            return Capability(False, "a classical control needs no QPU")
        return Capability(True)

    def refuse(self, kernel: Kernel, dtype: np.dtype[Any], op: str, place: str) -> NoReturn:
        """Raise BackendUnavailable for what is not :func:`flashket.gram`, with what to do instead."""
        reason = self.capabilities(kernel, dtype, op).reason or _INSTEAD["gram"]
        raise BackendUnavailable(explanation(place, f"backend {self.name!r} cannot run this", None, reason))

    def _wrong_way(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise BackendUnavailable(explanation(self.name, "a QPU is reached through fk.gram", None, "or fk.qpu.submit"))

    gram = gram_matvec = attention = attention_in_place = states = _wrong_way


def qpu_backends() -> list[QPUBackend]:
    """Return every kind of QPU backend, absent ones too; imports no SDK, looks for no credentials, connects to nothing."""
    from flashket.qpu.adapters import list_adapters

    return [QPUBackend(row.pattern, row.available, row.reason) for row in list_adapters(credentials=False)]


def requested_qpu(backend: Any) -> Any:
    """Return the QPU that ``backend`` (or, for "auto", FLASHKET_BACKEND) asks for: a name with a colon or an object; else None."""
    if not isinstance(backend, str):
        return backend
    name = os.environ.get("FLASHKET_BACKEND") if backend == "auto" else backend
    return name if name and ":" in name else None
