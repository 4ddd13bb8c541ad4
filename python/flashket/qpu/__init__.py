# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.adapters._base import Adapter, Batch, Limits, Result
from flashket.qpu.budget import budget
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

__all__ = ["Adapter", "Batch", "DeviceProfile", "Limits", "MeasuredCircuit", "Result", "budget", "load_profile", "profile_names"]
