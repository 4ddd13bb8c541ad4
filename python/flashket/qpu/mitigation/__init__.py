# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Error mitigation for kernels: every step says what it costs and what it changed."""

from flashket.qpu.mitigation.pipeline import MitigatedMeasurements, Mitigation
from flashket.qpu.mitigation.psd import repair_psd
from flashket.qpu.mitigation.readout import ReadoutMitigation
from flashket.qpu.mitigation.rescale import Estimated, rescale
from flashket.qpu.mitigation.zne import ZeroNoise, fold

__all__ = ["Estimated", "MitigatedMeasurements", "Mitigation", "ReadoutMitigation", "ZeroNoise", "fold", "repair_psd", "rescale"]
