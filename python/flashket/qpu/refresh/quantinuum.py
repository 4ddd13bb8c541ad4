# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Quantinuum: the noise_specs of the machine list that pytket-quantinuum brings for work without a connection.

p1 and p2 need no conversion: they are what the vendor's benchmarking finds, (1 - r) (d - 1) / d for the decay r of a d-dimensional
system, which is the average gate infidelity, with 1/d of the leakage on top; its emulators are fed with the same figures [1]_.
memory_error comes from the same fit for one qubit that waits while a layer of a random circuit runs. The raw data of H2-1 of that date,
published there too, give by this fit 1.02e-3 for two qubits without leakage (the list: 1.05e-3 with it) and 2.03e-4 for the memory (the
list: 2.03e-4). A profile's memory_error is the probability of the depolarising channel with that infidelity, twice as much. Durations
are not in the package; those for time and money are of flashket.qpu.timing.

.. [1] Quantinuum, "Hardware specifications", github.com/CQCL/quantinuum-hardware-specifications, qtm_spec/rb_analysis_functions.py
   (convert_params) and combined_analysis.py (emulator_parameters).
"""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

from flashket.qpu.profile import DeviceProfile
from flashket.qpu.timing import TIME_MODELS

NAMES = ("quantinuum_h1-1", "quantinuum_h2-1", "quantinuum_h2-2")
_FILE = Path("pytket/extensions/quantinuum/backends/api_wrappers.py")
_LIST = "OFFLINE_MACHINE_LIST"


def make(name: str, packages: Path, version: str) -> DeviceProfile:
    """Return the profile of one machine from the files in ``packages``, where pytket-quantinuum of this version is installed."""
    machine_name = name.removeprefix("quantinuum_").upper()
    machines = {machine["name"]: machine for machine in _machine_list((packages / _FILE).read_text(encoding="utf-8"))}
    machine = machines[machine_name]
    noise = machine["noise_specs"]
    n_qubits: int = machine["n_qubits"]

    def each(value: float) -> tuple[float, ...]:
        return (value,) * n_qubits

    return DeviceProfile(
        name=name,
        vendor="Quantinuum",
        processor=machine_name[:2],
        n_qubits=n_qubits,
        snapshot=noise["date"],
        source=f"pytket-quantinuum {version}, {_FILE.as_posix()}, noise_specs of {machine_name}",
        licence="Apache-2.0",
        one_qubit_gate="u",
        two_qubit_gate="rzz",
        edges=None,
        t1=each(math.nan),
        t2=each(math.nan),
        error_1q=each(noise["1q_gate_error"]["p1"]),
        duration_1q=each(math.nan),
        readout_p10=each(noise["spam_error"]["p_meas_0"]),
        readout_p01=each(noise["spam_error"]["p_meas_1"]),
        duration_readout=each(math.nan),
        error_2q=(noise["2q_gate_error"]["p2"],),
        duration_2q=(math.nan,),
        memory_error=2 * noise["memory_error"]["memory_error"],
        max_shots=machine["max_n_shots"],
        notes="One figure for all qubits and pairs. p1 and p2 are average infidelities of randomised benchmarking as reported (Quantinuum "
        "hardware specifications), p2 that of ZZMax; memory_error is twice the reported infidelity, the probability of depolarising. "
        "Readout errors include the preparation.",
        timing=TIME_MODELS["Quantinuum"],
    )


def _machine_list(source: str) -> list[dict[str, Any]]:
    """Return the list that the module assigns; it is plain data, so the module need not run (its imports take seconds)."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and any(isinstance(target, ast.Name) and target.id == _LIST for target in statement.targets):
            machines: list[dict[str, Any]] = ast.literal_eval(statement.value)
            return machines
    raise LookupError(f"no {_LIST}")
