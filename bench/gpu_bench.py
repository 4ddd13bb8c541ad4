# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Times of the device core beside the best that a user could assemble on the same GPU, in one process, as JSON.

    python bench/gpu_bench.py --json build/gpu.json

Every row is checked against float64 before it is timed, on fresh random inputs, with the output poisoned first. Times are device
events around calls on one stream, medians and quartiles of interleaved repeats; a row that is in the file already is not run again.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gpu_cases import CASES, Unavailable

REPEATS = 15
"""Timed calls of every side, in turn."""

LONGEST_SIDE = 20.0
"""Seconds for all repeats of one side; a slow peer is repeated less often, at least three times."""


@dataclass
class Timing:
    """Milliseconds of one side's calls."""

    samples: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return median, quartiles and number of samples."""
        low, middle, high = statistics.quantiles(self.samples, n=4) if len(self.samples) > 1 else self.samples * 3
        return {"median_ms": middle, "quartiles_ms": [low, high], "repeats": len(self.samples)}


def timed(torch: Any, call: Callable[[], Any]) -> float:
    """Return the milliseconds between two events of the current stream around a call."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def measure(torch: Any, sides: dict[str, Callable[[], Any]]) -> dict[str, dict[str, Any]]:
    """Time every side, interleaved, after a warm-up of each."""
    repeats = {}
    for name, call in sides.items():
        call()
        torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        once = time.perf_counter() - began
        repeats[name] = max(3, min(REPEATS, int(LONGEST_SIDE / max(once, 1e-6))))
    timings = {name: Timing() for name in sides}
    for turn in range(max(repeats.values())):
        for name, call in sides.items():
            if turn < repeats[name]:
                timings[name].samples.append(timed(torch, call))
    return {name: timing.summary() for name, timing in timings.items()}


def environment(torch: Any) -> dict[str, Any]:
    """Return what the figures depend on."""
    versions = {}
    for package in ("flashket", "flashket-cu13", "torch", "triton", "numpy", "cupy-cuda13x", "custatevec-cu13", "cuquantum-python-cu13"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"]
    try:
        card = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        card = torch.cuda.get_device_name()
    return {
        "kind": "measured",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "gpu": card,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "versions": versions,
        "clock": "device events",
    }


def run_case(torch: Any, case: Any) -> dict[str, Any]:
    """Check and time one row; peers that cannot run say why."""
    torch.manual_seed(0)
    row: dict[str, Any] = {"case": case.name, "bound": case.bound, "goal": case.goal}
    prepared = case.prepare(torch)
    sides, absent, errors = {}, {}, {}
    for name, build in prepared.sides.items():
        try:
            side = build()
            errors[name] = side.error() if side.error else None
            if errors[name] is not None and not errors[name] <= side.tolerance:
                raise ArithmeticError(f"error {errors[name]:.3g} is above {side.tolerance:.3g}")
            sides[name] = side.run
        except (Unavailable, ImportError) as reason:
            absent[name] = str(reason)
        except Exception as failure:  # a peer may raise anything; ours is reported below
            if name == "ours":
                raise
            absent[name] = f"{type(failure).__name__}: {failure}"[:400]
    row["sides"] = measure(torch, sides)
    row["errors"], row["absent"] = errors, absent
    ours = row["sides"]["ours"]["median_ms"] if "ours" in row["sides"] else None
    row["ratios"] = {name: side["median_ms"] / ours for name, side in row["sides"].items() if ours and name != "ours"}
    row["rates"] = {name: rate(side["median_ms"] * 1e-3) for name, side in row["sides"].items() for rate in [prepared.rate] if rate}
    row["rate_unit"] = prepared.rate_unit
    row["met"] = case.is_met(row) if case.is_met and ours else None
    return row


def main() -> int:
    """Run the rows that the file does not have; 1 if one of ours failed, 3 if the time ran out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="results; rows that are there already are kept")
    parser.add_argument("--seconds", type=float, default=540, help="begin no row after so many seconds")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("gpu_bench: needs an NVIDIA GPU", file=sys.stderr)
        return 3
    began = time.monotonic()
    done = json.loads(options.json.read_text()) if options.json.exists() else {"environment": environment(torch), "rows": []}
    known = {row["case"] for row in done["rows"] if "failed" not in row}
    status = 0
    for case in CASES:
        if case.name in known or options.only not in case.name:
            continue
        if time.monotonic() - began > options.seconds - 15:
            print(f"gpu_bench: no time left before {case.name}; run again")
            status = status or 3
            break
        try:
            row = run_case(torch, case)
        except Exception as failure:  # noqa: BLE001  # one row must not cost the others
            traceback.print_exc()
            row = {"case": case.name, "failed": f"{type(failure).__name__}: {failure}"}
            status = 1
        done["rows"] = [*(old for old in done["rows"] if old["case"] != case.name), row]
        options.json.write_text(json.dumps(done, indent=1) + "\n")
        print(line(row), flush=True)
        torch.cuda.empty_cache()
    return status


def line(row: dict[str, Any]) -> str:
    """Return a row as one line of text."""
    if "failed" in row:
        return f"{row['case']}: FAILED {row['failed']}"
    sides = "  ".join(f"{name} {side['median_ms']:.4g} ms" for name, side in row["sides"].items())
    rates = "  ".join(f"{name} {rate:.4g} {row['rate_unit']}" for name, rate in row["rates"].items())
    met = {True: "met", False: "NOT met", None: ""}[row["met"]]
    return f"{row['case']}: {sides} | {rates} | goal {row['goal']} {met} | errors {row['errors']} | absent {sorted(row['absent'])}"


if __name__ == "__main__":
    sys.exit(main())
