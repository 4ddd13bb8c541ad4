# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.adapters._base import Adapter, Batch, Limits, Result
from flashket.qpu.budget import budget
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit, compile_pair
from flashket.qpu.cost import Cost, estimate_cost
from flashket.qpu.estimate import DeviceEstimate, estimate
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

__all__ = [
    "Adapter",
    "Batch",
    "Cost",
    "DeviceEstimate",
    "DeviceProfile",
    "Limits",
    "MeasuredCircuit",
    "NativeCircuit",
    "NativePart",
    "Result",
    "budget",
    "compile_circuit",
    "compile_pair",
    "estimate",
    "estimate_cost",
    "load_profile",
    "profile_names",
]
