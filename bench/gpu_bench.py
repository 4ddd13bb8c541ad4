# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Times of the device core beside the best that a user could assemble on the same GPU, in one process, as JSON.

    python bench/gpu_bench.py --json build/gpu.json

Every row is checked against float64 before it is timed, on fresh random inputs, with the output poisoned first. Times are device
events around calls on one stream, medians and quartiles of interleaved repeats; a row that is in the file already is not run again, one
that failed or was interrupted once more, after all others.
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

import gpu_backward_cases  # noqa: F401  # enters its rows
from gpu_cases import CASES, Unavailable

REPEATS = 15
"""Timed calls of every side, in turn."""

TRIES = 2
"""Runs of a row that fails or never ends."""

SLEEP_CYCLES = 2_000_000
"""About a millisecond in which the host puts the call on the stream: the events then measure the device, not Python."""

LONGEST_SIDE = 20.0
"""Seconds for all repeats of one side; a slow peer is repeated less often, at least three times."""


@dataclass
class Timing:
    """Milliseconds of one side's calls."""

    samples: list[float] = field(default_factory=list)
    host: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return median, quartiles and number of samples."""
        low, middle, high = statistics.quantiles(self.samples, n=4) if len(self.samples) > 1 else self.samples * 3
        return {"median_ms": middle, "quartiles_ms": [low, high], "host_ms": statistics.median(self.host), "repeats": len(self.samples)}


def timed(torch: Any, call: Callable[[], Any]) -> tuple[float, float]:
    """Return the milliseconds between two events of the current stream around a call, and those after which the call returned."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda._sleep(SLEEP_CYCLES)
    begin.record()
    called = time.perf_counter()
    call()
    host = time.perf_counter() - called
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)), 1e3 * host


def measure(torch: Any, sides: dict[str, Callable[[], Any]]) -> dict[str, dict[str, Any]]:
    """Time every side, interleaved; each has run before."""
    repeats = {}
    for name, call in sides.items():
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        once = time.perf_counter() - began
        repeats[name] = max(3, min(REPEATS, int(LONGEST_SIDE / max(once, 1e-6))))
    timings = {name: Timing() for name in sides}
    for turn in range(max(repeats.values())):
        for name, call in sides.items():
            if turn < repeats[name]:
                device, host = timed(torch, call)
                timings[name].samples.append(device)
                timings[name].host.append(host)
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
            side.run()  # what does not run, for want of memory or otherwise, costs its side only
            torch.cuda.synchronize()
            sides[name] = side.run
        except (Unavailable, ImportError) as reason:
            absent[name] = str(reason)
        except Exception as failure:  # a peer may raise anything; ours is reported below
            if name == "ours":
                raise
            absent[name] = f"{type(failure).__name__}: {failure}"[:400]
            torch.cuda.empty_cache()
    row["sides"] = measure(torch, sides)
    row["errors"], row["absent"] = errors, absent
    ours = row["sides"]["ours"]["median_ms"] if "ours" in row["sides"] else None
    row["ratios"] = {name: side["median_ms"] / ours for name, side in row["sides"].items() if ours and name != "ours"}
    row["rates"] = {name: rate(side["median_ms"] * 1e-3) for name, side in row["sides"].items() for rate in [prepared.rate] if rate}
    row["rate_unit"] = prepared.rate_unit
    row["met"] = case.is_met(row) if case.is_met and ours else None
    return row


def main() -> int:
    """Run the rows that the file does not have; 1 if one of ours failed, 3 if the time ran out, 4 if a fault took the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="results; rows that are there already are kept")
    parser.add_argument("--seconds", type=float, default=540, help="be done within so many seconds: begin no row in the last 45")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("gpu_bench: needs an NVIDIA GPU", file=sys.stderr)
        return 3
    began = time.monotonic()
    done = json.loads(options.json.read_text()) if options.json.exists() else {"environment": environment(torch), "rows": []}
    rows = {row["case"]: row for row in done["rows"]}
    status = 0
    for case in ordered(rows, options.only):
        if time.monotonic() - began > options.seconds - 45:
            print(f"gpu_bench: no time left before {case.name}; run again")
            status = status or 3
            break
        tries = rows.get(case.name, {}).get("tries", 0) + 1
        # Should this process not come back, the next one knows.
        rows[case.name] = {"case": case.name, "failed": "did not end", "tries": tries}
        save(options.json, done, rows)
        try:
            row = run_case(torch, case)
        except Exception as failure:  # noqa: BLE001  # one row must not cost the others
            traceback.print_exc()
            row = {"case": case.name, "failed": f"{type(failure).__name__}: {failure}"[:2000], "tries": tries}
            status = 1
        rows[case.name] = row
        save(options.json, done, rows)
        print(line(row), flush=True)
        try:
            torch.cuda.synchronize()
        except RuntimeError as fault:
            print(f"gpu_bench: the device is lost to this process: {fault}")
            return 4
        torch.cuda.empty_cache()
    return status or int(any("failed" in row for row in rows.values()))


def ordered(rows: dict[str, dict[str, Any]], only: str) -> list[Any]:
    """Return the cases to run: those that never ran, then those that failed or did not end, until they have had their tries."""
    wanted = [case for case in CASES if only in case.name and (case.name not in rows or "failed" in rows[case.name])]
    tried = {case.name: rows.get(case.name, {}).get("tries", 0) for case in wanted}
    return sorted((case for case in wanted if tried[case.name] < TRIES), key=lambda case: tried[case.name])


def save(path: Path, done: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
    """Write the results; whoever stops the process in the middle leaves the old ones."""
    done["rows"] = list(rows.values())
    new = path.with_suffix(".new")
    new.write_text(json.dumps(done, indent=1) + "\n")
    new.replace(path)


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
