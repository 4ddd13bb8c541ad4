# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How far the errors of a device persist, and how far they move together: calibration snapshots of one device at two times.

for v in 0.20.0 0.25.0 0.37.0 0.51.0; do pip download --no-deps -d wheels qiskit-ibm-runtime==$v; done
python bench/calibration_drift.py wheels/*.whl

The wheels hold calibration data of IBM's devices (Apache-2.0). What flashket.qpu.hardware takes from this: the mean rank correlations of
the Heron devices, and the root mean square of the whole devices' movement over the devices that 0.37.0 and 0.51.0 have in common. Last
comes how well one snapshot of a Heron device predicts the circuit of docs/real_hardware.md on another one, without any run of it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flashket.errors import InputError
from flashket.qpu import DeviceProfile
from flashket.qpu.hardware import DEVICE_DRIFT, PERSISTENCE, line_circuit, return_probability
from flashket.qpu.layout import line_layout
from flashket.qpu.refresh.ibm import make
from hardware_rows import angles

DEVICES = ("fez", "marrakesh", "torino", "sherbrooke", "brisbane", "kyiv", "quebec", "cusco", "kawasaki")
HERON = ("fez", "marrakesh", "torino")
OLDER = ("hanoi", "auckland", "cairo")
"""Falcon devices: shown, as they are the only ones with snapshots 14 days and years apart, but nothing is taken from them."""
FAULTY = 0.4
KINDS = ("two-qubit", "one-qubit", "readout of 0")

FEW, MANY = (2, 4, 6, 8, 10), (2, 4, 6, 8, 10, 12, 16, 20, 24, 30)
WAYS = ("on its own line with drift", "without", "on the other's line with drift", "without")

Errors = list[dict[Any, float]]


def snapshot(wheel: Path, device: str) -> tuple[str, Errors] | None:
    """Return a snapshot's date and its errors by element, one dictionary for each of ``KINDS``; None if the wheel has none."""
    with zipfile.ZipFile(wheel) as files:
        name = f"qiskit_ibm_runtime/fake_provider/backends/{device}/props_{device}.json"
        if name not in files.namelist():
            return None
        found = json.loads(files.read(name))
    two: dict[Any, float] = {}
    one: dict[Any, float] = {}
    for gate in found["gates"]:
        for item in gate["parameters"]:
            if item["name"] == "gate_error" and gate["gate"] in ("cz", "ecr", "cx"):
                two[tuple(sorted(gate["qubits"]))] = item["value"]
            elif item["name"] == "gate_error" and gate["gate"] == "sx":
                one[gate["qubits"][0]] = item["value"]
    read = {q: item["value"] for q, items in enumerate(found["qubits"]) for item in items if item["name"] == "prob_meas1_prep0"}
    return found["last_update_date"][:10], [two, one, read]


def both(before: dict[Any, float], after: dict[Any, float]) -> tuple[list[float], list[float]]:
    """Return the errors of the elements that work in both snapshots."""
    keys = [key for key in before if key in after and before[key] < FAULTY and after[key] < FAULTY]
    return [before[key] for key in keys], [after[key] for key in keys]


def rank_correlation(before: dict[Any, float], after: dict[Any, float]) -> float:
    """Return Spearman's correlation over elements that work in both snapshots."""
    ranks = [np.argsort(np.argsort(errors)) for errors in both(before, after)]
    return float(np.corrcoef(*ranks)[0, 1])


def movement(before: dict[Any, float], after: dict[Any, float]) -> float:
    """Return log(median after / median before) over elements that work in both snapshots."""
    first, last = both(before, after)
    return math.log(float(np.median(last) / np.median(first)))


def cross_prediction(first: DeviceProfile, last: DeviceProfile, widths: Sequence[int]) -> list[tuple[float, ...]]:
    """Return the errors of what one snapshot says of the other, for each width and both ways.

    Four for each: the other snapshot on the line that the first chose, predicted with drift and without; and on the line that it chooses
    itself, as a compiler does that has it, again predicted with drift and without. NaN where the line has broken.
    """
    found = []
    for known, asked in ((first, last), (last, first)):
        for n in widths:
            x, program = angles(n), line_circuit(n)
            chosen, fresh = line_layout(known, n), line_layout(asked, n)
            predicted = return_probability(known, x, program=program, layout=chosen)

            def unchanged(layout: tuple[int, ...], asked: DeviceProfile = asked, x: Any = x, program: Any = program) -> float:
                try:
                    return return_probability(asked, x, program=program, layout=layout, persistence=(1, 1, 1), draws=1).as_calibrated
                except InputError:
                    return math.nan

            kept, taken = unchanged(chosen), unchanged(fresh)
            values = predicted.value, predicted.as_calibrated
            found.append((*(value - kept for value in values), *(value - taken for value in values)))
    return found


def profile_in(wheel: Path, device: str) -> DeviceProfile:
    """Return a device's profile from the snapshot in a wheel."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as files:
        for kind in ("conf", "props"):
            files.extract(f"qiskit_ibm_runtime/fake_provider/backends/{device}/{kind}_{device}.json", folder)
        return make(f"ibm_{device}", Path(folder), wheel.name.split("-")[1])


def main() -> None:
    """Print every pair of snapshots, the means and the root mean squares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=Path, nargs="+")
    arguments = parser.parse_args()
    correlations: dict[str, list[float]] = {}
    movements: dict[str, list[float]] = {}
    pair: dict[str, tuple[Path, Path]] = {}
    for device in DEVICES + OLDER:
        read = {wheel: snapshot(wheel, device) for wheel in arguments.wheels}
        found = dict(filter(None, read.values()))
        wheels = {each[0]: wheel for wheel, each in read.items() if each}
        for first, last in combinations(sorted(found), 2):
            pairs = list(zip(found[first], found[last], strict=True))
            ranks, moved = [rank_correlation(*pair) for pair in pairs], [movement(*pair) for pair in pairs]
            days = (date.fromisoformat(last) - date.fromisoformat(first)).days
            shown = zip(KINDS, ranks, moved, strict=True)
            print(f"{device:11s} {days:5d} days  " + "  ".join(f"{kind} {r:5.2f}, x {math.exp(m):.2f}" for kind, r, m in shown))
            # The two latest are the last pair.
            correlations[device], movements[device], pair[device] = ranks, moved, (wheels[first], wheels[last])
    means = [fmean(correlations[device][k] for device in HERON) for k in range(len(KINDS))]
    deviates = [2 * np.sin(np.pi * mean / 6) for mean in means]
    print("Heron, ranks:    " + "  ".join(f"{value:.2f}" for value in means))
    print("Heron, deviates: " + "  ".join(f"{value:.2f}" for value in deviates) + f"  (flashket.qpu.hardware.PERSISTENCE: {PERSISTENCE})")
    wide = [math.sqrt(fmean(movements[device][k] ** 2 for device in DEVICES)) for k in range(len(KINDS))]
    print("devices, log:    " + "  ".join(f"{value:.2f}" for value in wide) + f"  (flashket.qpu.hardware.DEVICE_DRIFT: {DEVICE_DRIFT})")

    for widths in (FEW, MANY):
        errors = [row for device in HERON for row in cross_prediction(*(profile_in(pair[device][k], device) for k in (0, 1)), widths)]
        shown = "  ".join(f"{name} {value:.3f}" for name, value in zip(WAYS, np.nanmean(np.abs(errors), axis=0), strict=True))
        print(f"{widths[0]}..{widths[-1]} qubits, mean error: {shown}; {np.isnan([row[0] for row in errors]).sum()} lines broken")


if __name__ == "__main__":
    main()
