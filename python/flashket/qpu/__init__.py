# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit, compile_pair
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

__all__ = [
    "DeviceProfile",
    "MeasuredCircuit",
    "NativeCircuit",
    "NativePart",
    "compile_circuit",
    "compile_pair",
    "load_profile",
    "profile_names",
]
