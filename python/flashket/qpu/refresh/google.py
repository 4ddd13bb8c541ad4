# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Google: the calibrations that cirq-google brings for its virtual engine, and gate times of the device specifications.

With d = 2 or 4 the dimension, average infidelity = d / (d + 1) x Pauli error [1]_. T2 is not among the data; like the noise model of
cirq-google we take it from the incoherent part e of the error of a one-qubit gate of duration t, e = t / (3 T1) + t / (3 Tphi) and
1 / T2 = 1 / (2 T1) + 1 / Tphi. XEB errors are those of a cycle, a two-qubit gate and the one-qubit gates beside it.

.. [1] cirq_google/engine/calibration_to_noise_properties.py; Google, "Calibration metrics", quantumai.google/cirq/google/calibration.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from flashket.qpu.profile import DeviceProfile
from flashket.qpu.timing import TIME_MODELS


@dataclass(frozen=True)
class _Device:
    """File stem, the vendor's figure and gate of the two-qubit errors, and durations in seconds."""

    calibration: str
    processor: str
    gate: str
    snapshot: str
    durations: tuple[float, float, float]
    """Of a one-qubit gate, the two-qubit gate and the measurement: DEFAULT_GATE_NS of cirq-google for Sycamore (whose specification gives
    the same for gates, but 4 ms for the measurement), the device specification for Willow."""


_SYCAMORE_TIMES = (25e-9, 32e-9, 4e-6)
_DEVICES = {
    "google_weber": _Device("weber_2021_11_03_calibration.json", "Sycamore", "sqrt_iswap", "2021-11-03", _SYCAMORE_TIMES),
    "google_rainbow": _Device("rainbow_2021_11_16_calibration.json", "Sycamore", "sqrt_iswap", "2021-11-16", _SYCAMORE_TIMES),
    "google_willow_pink": _Device(
        "willow_pink_d7v1-2024_08_16_calibration.json", "Willow", "cz", "2024-08-16", (math.nan, math.nan, math.nan)
    ),
}
NAMES = tuple(_DEVICES)
_CALIBRATIONS = Path("cirq_google/devices/calibrations")
_SPECIFICATIONS = Path("cirq_google/devices/specifications")


def make(name: str, packages: Path, version: str) -> DeviceProfile:
    """Return the profile of one device from the files in ``packages``, where cirq-google of this version is installed."""
    device = _DEVICES[name]
    metrics = _metrics(packages / _CALIBRATIONS / device.calibration)
    t1 = {qubits[0]: value * 1e-6 for qubits, value in metrics["single_qubit_idle_t1_micros"].items()}
    qubits = sorted(t1, key=_position)
    index = {qubit: position for position, qubit in enumerate(qubits)}
    duration_1q, duration_2q, duration_readout = device.durations
    if device.processor == "Willow":
        stem = device.calibration.removesuffix("_calibration.json")
        text = (packages / _SPECIFICATIONS / f"{stem}_device_spec_for_grid_device.proto.txt").read_text(encoding="utf-8")
        duration_1q, duration_2q, duration_readout = (_gate_time(text, gate) for gate in ("phased_xz", "cz", "meas"))

    def of_qubits(metric: str) -> dict[str, float]:
        return {key[0]: value for key, value in metrics[metric].items()}

    error_1q = {qubit: 2 / 3 * error for qubit, error in of_qubits("single_qubit_rb_pauli_error_per_gate").items()}
    incoherent = of_qubits("single_qubit_rb_incoherent_error_per_gate")
    t2 = {qubit: _t2(t1[qubit], error, duration_1q) for qubit, error in incoherent.items()}
    is_sycamore = device.processor == "Sycamore"
    p10, p01 = (of_qubits(f"{'parallel' if is_sycamore else 'single_qubit'}_{state}_error") for state in ("p00", "p11"))
    parallel = metrics[f"two_qubit_parallel_{device.gate}_gate_xeb_pauli_error_per_cycle"]
    alone = metrics.get(f"two_qubit_{device.gate}_gate_xeb_pauli_error_per_cycle", parallel)
    error_2q, error_2q_parallel = (_by_edge(errors, index) for errors in (alone, parallel))
    edges = tuple(sorted(error_2q))

    def all_of(values: dict[str, float]) -> tuple[float, ...]:
        return tuple(values.get(qubit, math.nan) for qubit in qubits)

    said = "with the gate alone, and in parallel" if is_sycamore else "in parallel"
    read = "all qubits at once" if is_sycamore else "one qubit at a time"
    return DeviceProfile(
        name=name,
        vendor="Google",
        processor=device.processor,
        n_qubits=len(qubits),
        snapshot=device.snapshot,
        source=f"cirq-google {version}, {(_CALIBRATIONS / device.calibration).as_posix()}",
        licence="Apache-2.0",
        one_qubit_gate="u",
        two_qubit_gate=device.gate,
        edges=edges,
        t1=all_of(t1),
        t2=all_of(t2),
        error_1q=all_of(error_1q),
        duration_1q=(duration_1q,) * len(qubits),
        readout_p10=all_of(p10),
        readout_p01=all_of(p01),
        duration_readout=(duration_readout,) * len(qubits),
        error_2q=tuple(error_2q[edge] for edge in edges),
        duration_2q=(duration_2q,) * len(edges),
        notes="Average infidelities from Pauli errors: 2/3 of that of randomised benchmarking for one-qubit gates, 4/5 of that of a cycle "
        f"of cross-entropy benchmarking, {said}, for two-qubit gates; the cycle includes one-qubit gates. Readout errors of {read}. "
        "T2 modelled from T1 and the incoherent error of one-qubit gates, as cirq-google's noise model does.",
        modelled=("t2",),
        labels=tuple(qubits),
        error_2q_parallel=tuple(error_2q_parallel[edge] for edge in edges) if is_sycamore else None,
        timing=TIME_MODELS[f"Google {device.processor}"],
    )


def _metrics(path: Path) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for metric in json.loads(path.read_text(encoding="utf-8"))["metrics"]["metrics"]:
        targets = tuple(target.removeprefix("q") for target in metric["targets"])
        found[metric["name"]][targets] = float(metric["values"][0]["doubleVal"])
    return found


def _position(qubit: str) -> tuple[int, int]:
    row, column = qubit.split("_")
    return int(row), int(column)


def _by_edge(pauli_errors: dict[tuple[str, ...], float], index: dict[str, int]) -> dict[tuple[int, int], float]:
    """Return average infidelities by pair of indices, lower one first."""
    found = {}
    for (a, b), error in pauli_errors.items():
        found[min(index[a], index[b]), max(index[a], index[b])] = 4 / 5 * error
    return found


def _t2(t1: float, incoherent_error: float, duration: float) -> float:
    dephasing_rate = max(3 * incoherent_error / duration - 1 / t1, 0.0)
    return 1 / (1 / (2 * t1) + dephasing_rate)


def _gate_time(specification: str, gate: str) -> float:
    """Return the duration of a gate, in seconds, from a device specification in the text form of protocol buffers."""
    found = re.search(r"gate_duration_picos: (\d+)\s+" + gate + r" \{", specification)
    if found is None:
        raise LookupError(f"no duration of {gate}")
    return int(found[1]) * 1e-12
