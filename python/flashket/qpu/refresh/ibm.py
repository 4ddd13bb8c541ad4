# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""IBM: the snapshots of real devices that qiskit-ibm-runtime brings for its fake backends, ``conf_*.json`` and ``props_*.json``.

gate_error is the average gate infidelity of randomised benchmarking [1]_; a gate that is out of order is reported with error 1.
lf_n is the layer fidelity of a line of n qubits [2]_.

.. [1] IBM Quantum documentation, "QPU information", calibration data.
.. [2] McKay et al., "Benchmarking quantum processor performance at scale", arXiv:2311.05933.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from flashket.qpu.profile import DeviceProfile

NAMES = tuple(
    f"ibm_{name}"
    for name in (
        *("boston", "pittsburgh", "aachen", "kingston", "marrakesh", "fez", "torino"),  # Heron
        *("miami", "berlin"),  # Nighthawk
        *("sherbrooke", "brussels", "brisbane"),  # Eagle
    )
)
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_BROKEN = 1.0
_LINES = (10, 20, 30, 50, 100)
"""Lengths of the lines whose layer fidelity is kept, of the 97 that the snapshots have."""
_MAX_EXECUTIONS = 5_000_000
"""IBM's guide "Job limits" has said 5 and, later, 10 million circuits times shots a job: the smaller is safe. It also says that max_shots
and max_experiments of the configuration are no longer enforced, so they are not read."""


def make(name: str, packages: Path, version: str) -> DeviceProfile:
    """Return the profile of one device from the files in ``packages``, where qiskit-ibm-runtime of this version is installed."""
    short = name.removeprefix("ibm_")
    folder = Path("qiskit_ibm_runtime/fake_provider/backends") / short
    configuration = json.loads((packages / folder / f"conf_{short}.json").read_text(encoding="utf-8"))
    properties = json.loads((packages / folder / f"props_{short}.json").read_text(encoding="utf-8"))
    n_qubits = configuration["n_qubits"]
    two_qubit_gate = next(gate for gate in ("cz", "ecr", "cx") if gate in configuration["basis_gates"])

    qubits = [_values(entries) for entries in properties["qubits"]]
    pulses = {gate["qubits"][0]: _values(gate["parameters"]) for gate in properties["gates"] if gate["gate"] == "sx"}
    pairs: dict[tuple[int, int], dict[str, float]] = {}
    for gate in properties["gates"]:
        if gate["gate"] == two_qubit_gate:
            a, b = sorted(gate["qubits"]) if two_qubit_gate == "cz" else gate["qubits"]  # an ecr or cx has a direction
            values = _values(gate["parameters"])
            known = pairs.setdefault((a, b), values)
            if known.get("gate_error", math.nan) < values.get("gate_error", math.nan):
                pairs[a, b] = values  # both directions of a cz are listed; should they differ, the worse counts
    edges = sorted(pair for pair, values in pairs.items() if values.get("gate_error", _BROKEN) < _BROKEN)
    broken = sorted(pairs.keys() - set(edges))

    def of_qubits(key: str) -> tuple[float, ...]:
        return tuple(values.get(key, math.nan) for values in qubits)

    def of_pulses(key: str) -> tuple[float, ...]:
        return tuple(pulses.get(qubit, {}).get(key, math.nan) for qubit in range(n_qubits))

    processor = configuration["processor_type"]
    return DeviceProfile(
        name=name,
        vendor="IBM",
        processor=f"{processor['family']} r{processor['revision']}",
        n_qubits=n_qubits,
        snapshot=properties["last_update_date"][:10],
        source=f"qiskit-ibm-runtime {version}, {folder.as_posix()}",
        licence="Apache-2.0",
        one_qubit_gate="sx",
        two_qubit_gate=two_qubit_gate,
        edges=tuple(edges),
        t1=of_qubits("T1"),
        t2=of_qubits("T2"),
        error_1q=of_pulses("gate_error"),
        duration_1q=of_pulses("gate_length"),
        readout_p10=of_qubits("prob_meas1_prep0"),
        readout_p01=of_qubits("prob_meas0_prep1"),
        duration_readout=of_qubits("readout_length"),
        error_2q=tuple(pairs[edge]["gate_error"] for edge in edges),
        duration_2q=tuple(pairs[edge].get("gate_length", math.nan) for edge in edges),
        rep_delay=configuration["default_rep_delay"] * 1e-6,
        max_executions=_MAX_EXECUTIONS,
        notes=f"Errors as reported: average infidelities of sx and {two_qubit_gate}; a {two_qubit_gate} with error 1 is out of order.",
        broken_edges=tuple(broken),
        layer_fidelity=_layer_fidelities(properties),
    )


def _values(entries: list[dict[str, Any]]) -> dict[str, float]:
    """Return the values by name, times in seconds."""
    return {entry["name"]: entry["value"] * _SECONDS.get(entry["unit"], 1.0) for entry in entries}


def _layer_fidelities(properties: dict[str, Any]) -> tuple[tuple[tuple[int, ...], float], ...]:
    fidelities = {entry["name"]: entry["value"] for entry in properties.get("general", [])}
    lines = {entry["name"]: tuple(entry["qubits"]) for entry in properties.get("general_qlists", [])}
    names = [f"lf_{n}" for n in _LINES]
    return tuple((lines[name], fidelities[name]) for name in names if name in lines and name in fidelities)
