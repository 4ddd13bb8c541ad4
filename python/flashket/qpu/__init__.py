# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost, estimate_cost
from flashket.qpu.estimate import DeviceEstimate, estimate
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

__all__ = ["Cost", "DeviceEstimate", "DeviceProfile", "MeasuredCircuit", "estimate", "estimate_cost", "load_profile", "profile_names"]
