# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.layout import check_layout, choose_layout, expected_infidelity, line_layout, random_line_layouts
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

__all__ = [
    "DeviceProfile",
    "MeasuredCircuit",
    "check_layout",
    "choose_layout",
    "expected_infidelity",
    "line_layout",
    "load_profile",
    "profile_names",
    "random_line_layouts",
]
