# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How far the errors of a device persist, and how far they move together: calibration snapshots of one device at two times.

for v in 0.20.0 0.25.0 0.37.0 0.51.0; do pip download --no-deps -d wheels qiskit-ibm-runtime==$v; done
python bench/calibration_drift.py wheels/*.whl

The wheels hold calibration data of IBM's devices (Apache-2.0). What flashket.qpu.hardware takes from this: the mean rank correlations of
the Heron devices, and the root mean square of the whole devices' movement over the devices that 0.37.0 and 0.51.0 have in common.
"""

from __future__ import annotations

import argparse
import json
import math
import zipfile
from datetime import date
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from flashket.qpu.hardware import DEVICE_DRIFT, PERSISTENCE

DEVICES = ("fez", "marrakesh", "torino", "sherbrooke", "brisbane", "kyiv", "quebec", "cusco", "kawasaki")
HERON = ("fez", "marrakesh", "torino")
OLDER = ("hanoi", "auckland", "cairo")
"""Falcon devices: shown, as they are the only ones with snapshots 14 days and years apart, but nothing is taken from them."""
FAULTY = 0.4
KINDS = ("two-qubit", "one-qubit", "readout of 0")

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


def main() -> None:
    """Print every pair of snapshots, the means and the root mean squares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=Path, nargs="+")
    arguments = parser.parse_args()
    correlations: dict[str, list[float]] = {}
    movements: dict[str, list[float]] = {}
    for device in DEVICES + OLDER:
        found = dict(filter(None, (snapshot(wheel, device) for wheel in arguments.wheels)))
        for first, last in combinations(sorted(found), 2):
            pairs = list(zip(found[first], found[last], strict=True))
            ranks, moved = [rank_correlation(*pair) for pair in pairs], [movement(*pair) for pair in pairs]
            days = (date.fromisoformat(last) - date.fromisoformat(first)).days
            shown = zip(KINDS, ranks, moved, strict=True)
            print(f"{device:11s} {days:5d} days  " + "  ".join(f"{kind} {r:5.2f}, x {math.exp(m):.2f}" for kind, r, m in shown))
            correlations[device], movements[device] = ranks, moved  # of the two latest, the last pair
    means = [fmean(correlations[device][k] for device in HERON) for k in range(len(KINDS))]
    deviates = [2 * np.sin(np.pi * mean / 6) for mean in means]
    print("Heron, ranks:    " + "  ".join(f"{value:.2f}" for value in means))
    print("Heron, deviates: " + "  ".join(f"{value:.2f}" for value in deviates) + f"  (flashket.qpu.hardware.PERSISTENCE: {PERSISTENCE})")
    wide = [math.sqrt(fmean(movements[device][k] ** 2 for device in DEVICES)) for k in range(len(KINDS))]
    print("devices, log:    " + "  ".join(f"{value:.2f}" for value in wide) + f"  (flashket.qpu.hardware.DEVICE_DRIFT: {DEVICE_DRIFT})")


if __name__ == "__main__":
    main()
