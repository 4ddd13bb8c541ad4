# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit, compile_pair
from flashket.qpu.cost import Cost, estimate_cost
from flashket.qpu.estimate import DeviceEstimate, estimate
from flashket.qpu.layout import check_layout, choose_layout, expected_infidelity, line_layout, random_line_layouts
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

__all__ = [
    "Cost",
    "DeviceEstimate",
    "DeviceProfile",
    "MeasuredCircuit",
    "NativeCircuit",
    "NativePart",
    "check_layout",
    "choose_layout",
    "compile_circuit",
    "compile_pair",
    "estimate",
    "estimate_cost",
    "expected_infidelity",
    "line_layout",
    "load_profile",
    "profile_names",
    "random_line_layouts",
]
