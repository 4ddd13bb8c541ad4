# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.adapters import Adapter, AdapterInfo, Batch, Limits, Result, adapters, open_adapter, wrap
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit, compile_pair
from flashket.qpu.cost import Cost, estimate_cost
from flashket.qpu.credentials import Secret, find_credential, redact
from flashket.qpu.estimate import DeviceEstimate, estimate
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

__all__ = [
    "Adapter",
    "AdapterInfo",
    "Batch",
    "Cost",
    "DeviceEstimate",
    "DeviceProfile",
    "Limits",
    "MeasuredCircuit",
    "NativeCircuit",
    "NativePart",
    "Result",
    "Secret",
    "adapters",
    "compile_circuit",
    "compile_pair",
    "estimate",
    "estimate_cost",
    "find_credential",
    "load_profile",
    "open_adapter",
    "profile_names",
    "redact",
    "wrap",
]
