# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The device backends: listed so that asking for one gets a reason. This version has no device code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from flashket.backends._registry import Capability
from flashket.errors import BackendUnavailable, explanation

if TYPE_CHECKING:
    from flashket.kernels import Kernel


@dataclass(frozen=True)
class AbsentBackend:
    """A backend that this version does not have."""

    name: str
    reason: str

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


_FIX = 'it is not part of this version; use backend="cpu"'

DEVICE_BACKENDS = (
    AbsentBackend("cuda", f"needs an NVIDIA GPU and the package flashket_cuda (wheel flashket-cu13): {_FIX}"),
    AbsentBackend("custatevec", f"needs flashket_cuda and cuQuantum's custatevec: {_FIX}"),
    AbsentBackend("cutensornet", f"needs flashket_cuda and cuQuantum's cutensornet: {_FIX}"),
)
