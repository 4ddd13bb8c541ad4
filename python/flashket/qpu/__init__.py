# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""QPU backends: device profiles, circuits, estimators, mitigation, adapters, journalled jobs, budget, time and money."""

from flashket.qpu.adapters import Adapter, AdapterInfo, Batch, Limits, Result, list_adapters, open_adapter, wrap
from flashket.qpu.allocate import Allocation, allocate
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit, compile_pair
from flashket.qpu.cost import Cost, estimate_cost
from flashket.qpu.credentials import Secret, find_credential, redact
from flashket.qpu.estimates import DeviceEstimate, estimate
from flashket.qpu.estimators import ESTIMATORS, Estimate, Estimator, Measurements, encode, make_estimator
from flashket.qpu.hardware import HardwarePrediction, return_probability
from flashket.qpu.jobs import Job, JobResult, JobStatus, cancel, capabilities, open_job, result, status, submit
from flashket.qpu.journal import Journal
from flashket.qpu.kernel_jobs import GramJob, GramPlan, gram, open_gram, plan_gram
from flashket.qpu.layout import check_layout, choose_layout, expected_infidelity, line_layout, random_line_layouts
from flashket.qpu.mitigation import Mitigation, ReadoutMitigation, ZeroNoise, repair_psd
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names
from flashket.qpu.recommend import Recommendation, recommend
from flashket.qpu.retry import Retry
from flashket.qpu.spending import budget
from flashket.qpu.together import compile_together

__all__ = [
    "ESTIMATORS",
    "Adapter",
    "AdapterInfo",
    "Allocation",
    "Batch",
    "Cost",
    "DeviceEstimate",
    "DeviceProfile",
    "Estimate",
    "Estimator",
    "GramJob",
    "GramPlan",
    "HardwarePrediction",
    "Job",
    "JobResult",
    "JobStatus",
    "Journal",
    "Limits",
    "MeasuredCircuit",
    "Measurements",
    "Mitigation",
    "NativeCircuit",
    "NativePart",
    "ReadoutMitigation",
    "Recommendation",
    "Result",
    "Retry",
    "Secret",
    "ZeroNoise",
    "allocate",
    "budget",
    "cancel",
    "capabilities",
    "check_layout",
    "choose_layout",
    "compile_circuit",
    "compile_pair",
    "compile_together",
    "encode",
    "estimate",
    "estimate_cost",
    "expected_infidelity",
    "find_credential",
    "gram",
    "line_layout",
    "list_adapters",
    "load_profile",
    "make_estimator",
    "open_adapter",
    "open_gram",
    "open_job",
    "plan_gram",
    "profile_names",
    "random_line_layouts",
    "recommend",
    "redact",
    "repair_psd",
    "result",
    "return_probability",
    "status",
    "submit",
    "wrap",
]
