# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""FlashKet: quantum kernels and attention over them at hardware speed.

>>> import flashket as fk
>>> fk.gram([[0.0, 0.0], [1.0, 2.0]], kernel=fk.Fidelity(fk.Angle(2))).round(4)
array([[1.    , 0.2248],
       [0.2248, 1.    ]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flashket.attention import attention
from flashket.attention_backward import attention_backward
from flashket.attention_state import AttentionState
from flashket.backends._registry import backends
from flashket.errors import BackendUnavailable, BudgetExceeded, FlashKetError, InputError, JobError, ResourceLimit
from flashket.feature_maps import discovered as _discovered
from flashket.feature_maps.amplitude import Amplitude
from flashket.feature_maps.angle import Angle
from flashket.feature_maps.circuit import Circuit
from flashket.feature_maps.hardware_efficient import HardwareEfficient
from flashket.feature_maps.iqp import IQP
from flashket.feature_maps.zz import ZZ
from flashket.gram import gram
from flashket.gram_matvec import gram_matvec
from flashket.kernels import Fidelity, HadamardTest, Projected
from flashket.mps import MPSStates, mps_states
from flashket.nystrom import nystrom
from flashket.planner import explain
from flashket.program import Gate, Linear, Program
from flashket.runtime import get_num_threads, isa, set_num_threads
from flashket.states import states

if TYPE_CHECKING:
    from flashket.noise.model import NoiseModel

__version__ = "0.1.0"

__all__ = [
    "IQP",
    "ZZ",
    "Amplitude",
    "Angle",
    "AttentionState",
    "BackendUnavailable",
    "BudgetExceeded",
    "Circuit",
    "Fidelity",
    "FlashKetError",
    "Gate",
    "HadamardTest",
    "HardwareEfficient",
    "InputError",
    "JobError",
    "Linear",
    "MPSStates",
    "NoiseModel",
    "Program",
    "Projected",
    "ResourceLimit",
    "attention",
    "attention_backward",
    "backends",
    "explain",
    "get_num_threads",
    "gram",
    "gram_matvec",
    "isa",
    "mps_states",
    "nystrom",
    "set_num_threads",
    "states",
]


def __getattr__(name: str) -> Any:
    """Reach any discovered feature map as ``flashket.<Name>``, and what few programs need without an import of their own."""
    if name == "NoiseModel":
        from importlib import import_module

        return import_module("flashket.noise.model").NoiseModel
    if name in ("llm", "qpu"):
        from importlib import import_module

        return import_module(f"flashket.{name}")
    for feature_map in _discovered().values():
        if feature_map.__name__ == name:
            return feature_map
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *(feature_map.__name__ for feature_map in _discovered().values())})
