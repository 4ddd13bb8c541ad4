# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements on real QPUs, the lines of qubits that Qiskit takes for their circuit, and the prediction of a row."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from flashket.errors import InputError
from flashket.qpu import DeviceProfile, load_profile, profile_names
from flashket.qpu.hardware import HardwarePrediction, line_circuit, return_probability
from flashket.qpu.layout import line_layout

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "bench" / "data"
WIDTHS = (*range(2, 31, 2), 50)
"""Numbers of qubits that the benchmark was run on."""
COMPILERS, NEW_COMPILER = ("2.2.3", "2.3.1"), "2026-04-12"
"""Versions of Qiskit that stand for those the benchmark ran with, by its lock files: 2.2.1 or 2.1.1, whose lines are those of 2.2.3, and
from this day on 2.3.1."""


@dataclass(frozen=True)
class Row:
    """One measurement. ``device`` as in our profiles where there is one."""

    provider: str
    device: str
    n: int
    shots: int
    p: float
    uncertainty: float
    day: str
    qpu_seconds: float


class RowsError(ValueError):
    """A file of measurements that cannot be read; the text says where and why."""


def load_rows(path: Path = DATA / "real_qpu_kernel.csv") -> list[Row]:
    """Return every measurement in a file: CSV with a header, lines that start with # left out.

    Columns provider, device, qubits, shots, p_all_zero, date; uncertainty and qpu_seconds may be empty or missing.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RowsError(f"{path}: cannot be read: {error}") from error
    kept = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(line for _, line in kept)
    missing = [name for name in ("provider", "device", "qubits", "shots", "p_all_zero", "date") if name not in (reader.fieldnames or ())]
    if missing:
        raise RowsError(f"{path}: the first line must name the columns; missing: {', '.join(missing)}")
    found = list(reader)
    if len(found) != len(kept) - 1 or not found:
        raise RowsError(f"{path}: one row on each line was wanted, got {len(found)} rows on {max(len(kept) - 1, 0)} lines")
    return [_row(f"{path}, line {number}", row) for (number, _), row in zip(kept[1:], found, strict=True)]


def _row(place: str, row: dict[str, str | None]) -> Row:
    def number(name: str, low: float, high: float, default: float | None = None) -> float:
        text = (row.get(name) or "").strip()
        if not text and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise RowsError(f"{place}: {name} must be a number from {low:g} to {high:g}, got {text!r}")
        return value

    def count(name: str) -> int:
        value = number(name, 1, 1e9)
        if value != int(value):
            raise RowsError(f"{place}: {name} must be a whole number, got {row[name]!r}")
        return int(value)

    if None in row or any(value is None for value in row.values()):
        raise RowsError(f"{place}: as many values as columns were wanted, got {row}")
    day = (row["date"] or "").strip()
    try:
        date.fromisoformat(day)
    except ValueError:
        raise RowsError(f"{place}: date must be YYYY-MM-DD, got {day!r}") from None
    provider, device = (row["provider"] or "").strip(), (row["device"] or "").strip()
    p = number("p_all_zero", 0, 1)
    spread, seconds = number("uncertainty", 0, 1, math.nan), number("qpu_seconds", 0, 1e9, math.nan)
    return Row(provider, profile_of(provider, device), count("qubits"), count("shots"), p, spread, day, seconds)


def profile_of(provider: str, device: str) -> str:
    """Return the profile that a provider's name of a device means, the name itself where there is none."""
    names = {name.lower(): name for name in profile_names()}
    return next((names[key] for key in (device.lower(), f"{provider}_{device}".lower()) if key in names), device)


def why_not(row: Row) -> str:
    """Return why a row is not predicted, "" if it is."""
    if row.device not in profile_names():
        return "unpredicted: no calibration data of the device"
    profile = load_profile(row.device)
    if not profile.snapshot:
        return "unpredicted: its profile is a vendor's undated example, not a calibration"
    if row.n > profile.n_qubits:
        return f"unpredicted: the profile has {profile.n_qubits} qubits"
    try:
        layout_of(profile, row.n, row.day)
    except InputError:
        return f"unpredicted: the profile has no line of {row.n} good qubits"
    return ""


def angles(n: int) -> np.ndarray:
    """Return the row of angles that the benchmark uses for every run: uniform in [0, 2 pi), NumPy's legacy generator with seed 0."""
    return 2 * np.pi * np.random.RandomState(0).random_sample(n)


@cache
def _layouts() -> dict[str, dict[str, dict[str, list[int]]]]:
    found: dict[str, dict[str, dict[str, list[int]]]] = json.loads((DATA / "qiskit_layouts.json").read_text())["qiskit"]
    return found


def layout_of(profile: DeviceProfile, n: int, day: str = "") -> tuple[int, ...]:
    """Return the line that the Qiskit of that day takes on the profile, our own best line where that was not recorded."""
    recorded = _layouts()[COMPILERS[1] if day >= NEW_COMPILER else COMPILERS[0]].get(profile.name, {}).get(str(n))
    return tuple(recorded) if recorded else line_layout(profile, n)


def predict(device: str, n: int, day: str = "", *, own_line: bool = False, **options: object) -> HardwarePrediction:
    """Predict one device and width on a day, which matters for the compiler alone."""
    profile = load_profile(device)
    layout = line_layout(profile, n) if own_line else layout_of(profile, n, day)
    return return_probability(profile, angles(n), program=line_circuit(n), layout=layout, **options)  # type: ignore[arg-type]


def mean_absolute_error(rows: Sequence[Row], values: Sequence[float], most: int | None = None) -> float:
    """Return the error over rows of at most so many qubits."""
    return fmean(abs(value - row.p) for row, value in zip(rows, values, strict=True) if most is None or row.n <= most)


def write_layouts() -> None:
    """Ask Qiskit for lines on every IBM profile with CZ gates, whether there are rows of it or not, and write them down."""
    import qiskit
    from qiskit.transpiler import generate_preset_pass_manager

    every = json.loads((DATA / "qiskit_layouts.json").read_text())
    layouts: dict[str, dict[str, list[int]]] = {}
    every["qiskit"][qiskit.__version__] = layouts
    for device in sorted(profile_names()):
        profile = load_profile(device)
        if profile.vendor != "IBM" or profile.two_qubit_gate != "cz":
            continue
        manager = generate_preset_pass_manager(optimization_level=2, target=_target(profile), seed_transpiler=0)
        for n in WIDTHS:
            half = line_circuit(n).bind(angles(n))
            circuit = qiskit.QuantumCircuit(n)
            for part in (half, half.inverse()):
                for gate in part.gates:
                    getattr(circuit, gate.name)(*(factor.offset for factor in gate.angle), *gate.qubits)
                circuit.barrier()
            circuit.measure_all()
            layouts.setdefault(device, {})[str(n)] = manager.run(circuit).layout.final_index_layout(filter_ancillas=True)
    versions = (
        f'"{version}": {{\n'
        + ",\n".join(f'"{name}": {{\n' + ",\n".join(f'"{n}": {line}' for n, line in lines.items()) + "}" for name, lines in found.items())
        + "}"
        for version, found in every["qiskit"].items()
    )
    text = f'{{"made_by": "{every["made_by"]}",\n"qiskit": {{\n' + ",\n".join(versions) + "}}\n"
    (DATA / "qiskit_layouts.json").write_text(text)


def _target(profile: DeviceProfile) -> Any:
    """Return the profile as what Qiskit compiles for."""
    from qiskit.circuit import Measure, Parameter
    from qiskit.circuit.library import CZGate, RZGate, SXGate, XGate
    from qiskit.transpiler import InstructionProperties, Target

    assert profile.edges is not None
    target, qubits = Target(num_qubits=profile.n_qubits), range(profile.n_qubits)
    pulses = {(q,): InstructionProperties(profile.duration_1q[q], profile.error_1q[q]) for q in qubits}
    reads = [(a + b) / 2 for a, b in zip(profile.readout_p10, profile.readout_p01, strict=True)]
    pairs = zip(profile.edges, profile.duration_2q, profile.error_2q, strict=True)
    target.add_instruction(SXGate(), pulses)
    target.add_instruction(XGate(), pulses)
    target.add_instruction(RZGate(Parameter("t")), {(q,): InstructionProperties(0.0, 0.0) for q in qubits})
    target.add_instruction(Measure(), {(q,): InstructionProperties(profile.duration_readout[q], reads[q]) for q in qubits})
    both = {way: InstructionProperties(length, error) for pair, length, error in pairs for way in (pair, pair[::-1])}
    target.add_instruction(CZGate(), both)
    return target
