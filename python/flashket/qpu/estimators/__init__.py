# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits for the entries of a kernel, and what to make of their counts: one file for each estimator."""

from flashket.qpu.estimators._base import Counts, Demand, Estimate, Estimator, Measurements
from flashket.qpu.estimators.compute_uncompute import ComputeUncompute
from flashket.qpu.estimators.encoding import encode
from flashket.qpu.estimators.hadamard import Hadamard

__all__ = ["ComputeUncompute", "Counts", "Demand", "Estimate", "Estimator", "Hadamard", "Measurements", "encode"]
