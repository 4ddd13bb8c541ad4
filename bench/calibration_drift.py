# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How far the errors of a device persist: rank correlations between two calibration snapshots of it.

pip download --no-deps -d old qiskit-ibm-runtime==0.37.0 && pip download --no-deps -d new qiskit-ibm-runtime==0.51.0
python bench/calibration_drift.py old/*.whl new/*.whl

The wheels hold calibration data of IBM's devices (Apache-2.0). What flashket.qpu.hardware takes from this: the means of the Heron devices.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from flashket.qpu.hardware import PERSISTENCE

DEVICES = ("fez", "marrakesh", "torino", "sherbrooke", "brisbane", "kyiv", "quebec", "cusco", "kawasaki")
HERON = ("fez", "marrakesh", "torino")
FAULTY = 0.4
KINDS = ("two-qubit", "one-qubit", "readout of 0")


def snapshot(wheel: Path, device: str) -> tuple[str, list[dict[Any, float]]]:
    """Return a snapshot's date and its errors by element, one dictionary for each of ``KINDS``."""
    with zipfile.ZipFile(wheel) as files:
        found = json.loads(files.read(f"qiskit_ibm_runtime/fake_provider/backends/{device}/props_{device}.json"))
    two: dict[Any, float] = {}
    one: dict[Any, float] = {}
    for gate in found["gates"]:
        for item in gate["parameters"]:
            if item["name"] == "gate_error" and gate["gate"] in ("cz", "ecr"):
                two[tuple(sorted(gate["qubits"]))] = item["value"]
            elif item["name"] == "gate_error" and gate["gate"] == "sx":
                one[gate["qubits"][0]] = item["value"]
    read = {q: item["value"] for q, items in enumerate(found["qubits"]) for item in items if item["name"] == "prob_meas1_prep0"}
    return found["last_update_date"][:10], [two, one, read]


def rank_correlation(before: dict[Any, float], after: dict[Any, float]) -> float:
    """Return Spearman's correlation over elements that work in both snapshots."""
    both = [key for key in before if key in after and before[key] < FAULTY and after[key] < FAULTY]
    ranks = [np.argsort(np.argsort([errors[key] for key in both])) for errors in (before, after)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    """Print the correlations of every device and the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    arguments = parser.parse_args()
    rows: dict[str, list[float]] = {}
    for device in DEVICES:
        (first, before), (last, after) = snapshot(arguments.old, device), snapshot(arguments.new, device)
        rows[device] = [rank_correlation(*pair) for pair in zip(before, after, strict=True)]
        days = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).days
        print(f"{device:12s} {days:4d} days  " + "  ".join(f"{kind} {value:.2f}" for kind, value in zip(KINDS, rows[device], strict=True)))
    means = [fmean(rows[device][k] for device in HERON) for k in range(len(KINDS))]
    deviates = [2 * np.sin(np.pi * mean / 6) for mean in means]
    print("Heron, ranks:   " + "  ".join(f"{value:.2f}" for value in means))
    print("Heron, deviates: " + "  ".join(f"{value:.2f}" for value in deviates) + f"  (flashket.qpu.hardware.PERSISTENCE: {PERSISTENCE})")


if __name__ == "__main__":
    main()
