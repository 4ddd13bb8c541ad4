# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""IQM: the error profiles of the fake devices in iqm-client. They are sample numbers without a date: nobody's calibration.

They are parameters of a channel, a depolarising one (probability p of replacing the state by the mixed one) after thermal relaxation for
the gate's duration [1]_. What benchmarking would report is the average infidelity of both: with d the dimension and the entanglement
fidelity of the relaxation the product over qubits of (1 + exp(-t/T1) + 2 exp(-t/T2)) / 4,

    F_pro = (1 + (1 - p) (d^2 F_relaxation - 1)) / d^2,   error = d / (d + 1) (1 - F_pro)   [2]_.

.. [1] iqm/qiskit_iqm/fake_backends/iqm_fake_backend.py, IQMErrorProfile and IQMFakeBackend.
.. [2] Nielsen, "A simple formula for the average gate fidelity of a quantum dynamical operation", Phys. Lett. A 303, 249 (2002).
"""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

from flashket.qpu.profile import PER_QUBIT, DeviceProfile
from flashket.qpu.timing import TIME_MODELS

_FILES = {"iqm_apollo": "fake_apollo.py", "iqm_garnet": "fake_garnet.py"}
NAMES = tuple(_FILES)
_FOLDER = Path("iqm/qiskit_iqm/fake_backends")
_NANOSECONDS = 1e-9


def make(name: str, packages: Path, version: str) -> DeviceProfile:
    """Return the profile of one device from the files in ``packages``, where iqm-client of this version is installed."""
    file = _FOLDER / _FILES[name]
    errors = _error_profile((packages / file).read_text(encoding="utf-8"))
    labels = sorted(errors["t1s"], key=lambda label: int(label.removeprefix("QB")))
    index = {label: position for position, label in enumerate(labels)}
    t1 = tuple(errors["t1s"][label] * _NANOSECONDS for label in labels)
    t2 = tuple(errors["t2s"][label] * _NANOSECONDS for label in labels)
    duration_1q = errors["single_qubit_gate_durations"]["prx"] * _NANOSECONDS
    duration_2q = errors["two_qubit_gate_durations"]["cz"] * _NANOSECONDS
    depolarising_1q = errors["single_qubit_gate_depolarizing_error_parameters"]["prx"]
    depolarising_2q = {
        tuple(sorted((index[a], index[b]))): p for (a, b), p in errors["two_qubit_gate_depolarizing_error_parameters"]["cz"].items()
    }
    edges = tuple((a, b) for a, b in sorted(depolarising_2q))

    def infidelity(p: float, qubits: tuple[int, ...], duration: float) -> float:
        return average_infidelity(p, [(t1[qubit], t2[qubit]) for qubit in qubits], duration)

    return DeviceProfile(
        name=name,
        vendor="IQM",
        processor=name.removeprefix("iqm_").capitalize(),
        n_qubits=len(labels),
        snapshot="",
        source=f"iqm-client {version}, {file.as_posix()}",
        licence="Apache-2.0",
        one_qubit_gate="u",
        two_qubit_gate="cz",
        edges=edges,
        t1=t1,
        t2=t2,
        error_1q=tuple(infidelity(depolarising_1q[label], (index[label],), duration_1q) for label in labels),
        duration_1q=(duration_1q,) * len(labels),
        readout_p10=tuple(errors["readout_errors"][label]["0"] for label in labels),
        readout_p01=tuple(errors["readout_errors"][label]["1"] for label in labels),
        duration_readout=(math.nan,) * len(labels),
        error_2q=tuple(infidelity(depolarising_2q[edge], edge, duration_2q) for edge in edges),
        duration_2q=(duration_2q,) * len(edges),
        notes="Sample numbers of a fake device, no calibration of a real one. Average infidelities of the depolarising "
        "channel with the package's parameter after thermal relaxation for the gate's duration.",
        modelled=(*(field for field in PER_QUBIT if field != "duration_readout"), "error_2q", "duration_2q"),
        labels=tuple(labels),
        timing=TIME_MODELS["IQM"],
    )


def average_infidelity(p: float, times: list[tuple[float, float]], duration: float) -> float:
    """Return the average infidelity of relaxation for a time on each qubit (T1, T2) and a depolarising channel on all."""
    relaxed = math.prod((1 + math.exp(-duration / t1) + 2 * math.exp(-duration / t2)) / 4 for t1, t2 in times)
    d = 1 << len(times)
    process_fidelity: float = (1 + (1 - p) * (d * d * relaxed - 1)) / (d * d)
    return d * (1 - process_fidelity) / (d + 1)


def _error_profile(source: str) -> dict[str, Any]:
    """Return the arguments of the file's IQMErrorProfile(...): plain data, read without importing what the file imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "IQMErrorProfile":
            return {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg is not None}
    raise LookupError("no IQMErrorProfile")
