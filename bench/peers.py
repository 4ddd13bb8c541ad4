# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""FlashKet beside other libraries and expert NumPy, in one process, one thread unless a row says otherwise.

    python bench/peers.py --list
    python bench/peers.py --only 'gram_angle_*' --only state_brickwork_20q_depth10_c64
    python bench/peers.py --fast --json fast.json            # without sides that take many seconds
    python bench/peers.py --from slow.json --from fast.json --markdown docs/performance.md   # measures nothing

Every result is compared with a reference before it is timed. Sides are called in turn; medians count. Ratios are of CPU time, which a
busy machine disturbs less than wall time; rows with threads are of wall time. A goal is an aim for an AVX-512 core: it is
printed, not asserted. The exit code is 1 when a result is wrong or a side fails. A side that is not installed says so.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cases.harness import Case, Row

THREAD_VARIABLES = (
    "FLASHKET_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
MARKER = "<!-- peers table -->"
COLUMNS = (
    "case",
    "beside",
    "ours, CPU ms (wall)",
    "theirs, CPU ms (wall)",
    "result",
    "goal",
    "met",
    "of the limit",
    "error, ours / theirs",
    "measured with",
)
HEADER = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def all_cases() -> list[Case]:
    """Return every case; only NumPy and FlashKet are imported."""
    from cases import attention, gram, many_qubits, states

    return [*gram.cases(), *attention.cases(), *states.cases(), *many_qubits.cases()]


def environment() -> dict[str, Any]:
    """Return what a reader needs to place the figures."""
    import numpy as np

    import flashket as fk

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "isa": fk.isa(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "flashket": fk.__version__,
    }


def milliseconds(row: Row, text: str, sides: dict[str, Any]) -> str:
    """Return "CPU (wall)" of one side of a row."""
    from cases.harness import combined

    cpu, wall = (1e3 * combined(text, times(sides, clock)) for clock in ("cpu_s", "wall_s"))
    return f"{cpu:.3g} ({wall:.3g})"


def times(sides: dict[str, Any], clock: str) -> dict[str, float]:
    """Return the seconds of every side that was measured."""
    return {name: side[clock] for name, side in sides.items() if side["status"] == "measured"}


def missing(row: Row, sides: dict[str, Any]) -> str:
    """Say why a row has no figure; empty when it has one."""
    for text in (row.ours, row.theirs):
        for part in text.split(" - "):
            names = [name for name in part.split(" | ") if name]
            if names and not any(sides.get(name, {}).get("status") == "measured" for name in names):
                return f"{names[0]}: {sides.get(names[0], {}).get('status', 'not measured')}"
    return ""


def line_of(case: Case, row: Row, result: dict[str, Any]) -> str:
    """Return one line of the table."""
    sides = result["sides"]
    goal = "-" if row.goal is None or result["quick"] else f"{'>=' if row.at_least else '<='} {row.goal:.3g}"
    beside = (row.theirs or "-").replace("|", "or")
    beside = "the machine's limit" if beside == "limit" else beside
    name = case.name + ("" if row.ours == "ours" else f" ({row.ours})")
    reason = missing(row, sides)
    if reason:
        known = times(sides, "cpu_s")
        theirs = milliseconds(row, row.theirs, sides) if row.theirs in known and row.theirs != "limit" else ""
        return f"| {name} | {beside} | | {theirs} | {reason} | {goal} | | | | |"
    seconds = times(sides, row.clock)
    value, met = row.value(seconds), None if result["quick"] else row.met(seconds)
    measured = [sides[part] for part in row.sides if sides.get(part, {}).get("status") == "measured"]
    limit = sides.get("limit", {})
    share = f"{100 * limit['cpu_s'] / seconds[row.ours]:.0f} % ({limit['kind']})" if limit.get("kind") and row.ours in seconds else ""
    ours = milliseconds(row, row.ours, sides)
    theirs = milliseconds(row, row.theirs, sides) if row.theirs else ""
    if row.theirs == "limit":
        theirs = f"{1e3 * limit['cpu_s']:.3g} ({limit['kind']})"
    errors = " / ".join(f"{side['error']:.1e}" for side in measured)
    versions = {name: version for side in measured for name, version in side["versions"].items() if name not in ("flashket", "numpy")}
    notes = [f"{package} {version}" for package, version in versions.items()] + [side["note"] for side in measured if side["note"]]
    sign = row.unit if row.unit == "x" else f" {row.unit}"
    verdict = "" if met is None else "yes" if met else "**no**"
    figure = "ran" if result["quick"] else f"{value:.3g}{sign}"
    return f"| {name} | {beside} | {ours} | {theirs} | {figure} | {goal} | {verdict} | {share} | {errors} | {'; '.join(notes)} |"


def lines_of(case: Case, result: dict[str, Any]) -> list[str]:
    """Return the lines of a case."""
    return [line_of(case, row, result) for row in case.rows]


def merged(paths: list[Path]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the newest environment and the results by case: of every side the last figure that was measured."""
    about: dict[str, Any] = {}
    results: dict[str, dict[str, Any]] = {}
    for path in paths:
        content = json.loads(path.read_text(encoding="utf-8"))
        about = content["environment"]
        for new in content["results"]:
            old = results.get(new["case"])
            kept = {} if old is None else {name: side for name, side in old["sides"].items() if side["status"] == "measured"}
            sides = {name: kept[name] if side["status"] != "measured" and name in kept else side for name, side in new["sides"].items()}
            results[new["case"]] = {**new, "sides": sides}
    return about, results


def described(about: dict[str, Any]) -> str:
    """Return the environment in a line."""
    return ", ".join(f"{key} {value}" for key, value in about.items())


def write_page(page: Path, about: dict[str, Any], cases: list[Case], results: dict[str, dict[str, Any]]) -> None:
    """Put the table between the page's two markers."""
    before, _, after = page.read_text(encoding="utf-8").split(MARKER)
    table = [f"*Measured.* {described(about)}. One thread, float32, medians of calls in turn, unless a row says otherwise.", "", HEADER]
    table += [line for case in cases if case.name in results for line in lines_of(case, results[case.name])]
    about_cases = [f"* `{case.name}`: {case.about}." for case in cases if case.name in results]
    page.write_text(
        "\n".join([f"{before}{MARKER}", *table, "", "What the names stand for:", "", *about_cases, f"{MARKER}{after}"]), encoding="utf-8"
    )


def main() -> int:
    """Run the chosen cases, print the table, write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print every case and what it is, and stop")
    parser.add_argument("--only", action="append", metavar="CASE", help="a case's name, * allowed; repeat for more")
    parser.add_argument("--fast", action="store_true", help="leave out the sides that take many seconds")
    parser.add_argument("--quick", action="store_true", help="small sizes: checks that everything runs, says nothing about speed")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each case (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write environment, medians and every sample there")
    parser.add_argument(
        "--from", dest="files", type=Path, action="append", metavar="FILE", help="read results instead of measuring; later files win"
    )
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help=f"put the table between the two lines {MARKER} of this page")
    options = parser.parse_args()
    for name in THREAD_VARIABLES:  # read by the libraries when they are imported, so nothing is imported above
        os.environ[name] = "1"
    cases = [case for case in all_cases() if not options.only or any(fnmatch.fnmatch(case.name, pattern) for pattern in options.only)]
    if not cases:
        parser.error(f"no case is called {options.only}; --list prints them")
    if options.list:
        print("\n".join(f"{case.name}: {case.about}; beside {', '.join(case.sides[1:]) or 'nothing'}" for case in cases))
        return 0
    about, results = merged(options.files) if options.files else (environment(), {})
    print(f"{described(about)}\n\n{HEADER}")
    if options.files:
        print("\n".join(line for case in cases if case.name in results for line in lines_of(case, results[case.name])))
    else:
        from cases.harness import measure
        from cases.limits import Limits

        limits = Limits(about["isa"])
        for case in cases:
            result = measure(case, quick=options.quick, fast=options.fast, seconds=options.seconds, limits=limits)
            results[case.name] = result
            print("\n".join(lines_of(case, result)), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"environment": about, "results": list(results.values())}, indent=1), encoding="utf-8")
    if options.markdown:
        write_page(options.markdown, about, cases, results)
    failed = [
        f"{case}: {name}: {side['status']}"
        for case, result in results.items()
        for name, side in result["sides"].items()
        if side.get("failed")
    ]
    print("\n".join(["", *failed, f"{len(results)} cases, {len(failed)} sides failed"]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
