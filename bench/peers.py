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
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cases.harness import Case

THREAD_VARIABLES = (
    "FLASHKET_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def all_cases() -> list[Case]:
    """Return every case; only NumPy and FlashKet are imported."""
    from cases import attention, gram, many_qubits, noise, states

    return [*gram.cases(), *attention.cases(), *states.cases(), *many_qubits.cases(), *noise.cases()]


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


def main() -> int:
    """Run the chosen cases, print the table, write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print every case and what it is, and stop")
    parser.add_argument("--only", action="append", metavar="CASE", help="a case's name, * allowed; repeat for more")
    parser.add_argument(
        "--side", action="append", metavar="SIDE", help="measure only sides of that name, * allowed, e.g. after a new release of one peer"
    )
    parser.add_argument("--fast", action="store_true", help="leave out the sides that take many seconds")
    parser.add_argument("--quick", action="store_true", help="small sizes: checks that everything runs, says nothing about speed")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each case (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write environment, medians and spreads there")
    parser.add_argument(
        "--from",
        dest="files",
        type=Path,
        action="append",
        metavar="FILE",
        help="read results instead of measuring; later files win; --json then writes all into one",
    )
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="put the table between its two marks on this page")
    parser.add_argument(
        "--micro",
        type=Path,
        action="append",
        metavar="FILE",
        help="JSON of a micro-benchmark, for the page's other table; kept in the file of --json",
    )
    options = parser.parse_args()
    for name in THREAD_VARIABLES:  # read by the libraries when they are imported, so nothing is imported above
        os.environ[name] = "1"
    from cases import table

    cases = [case for case in all_cases() if not options.only or any(fnmatch.fnmatch(case.name, pattern) for pattern in options.only)]
    if not cases:
        parser.error(f"no case is called {options.only}; --list prints them")
    if options.list:
        print("\n".join(f"{case.name}: {case.about}; beside {', '.join(case.sides[1:]) or 'nothing'}" for case in cases))
        return 0
    about, results, figures = table.merged(options.files) if options.files else (environment(), {}, [])
    figures = table.micro(options.micro) if options.micro else figures
    print(f"{table.described(about)}\n\n{table.HEADER}")
    if options.files:
        print("\n".join(line for case in cases if case.name in results for line in table.lines_of(case, results[case.name])))
    else:
        from cases.harness import measure
        from cases.limits import Limits

        limits = Limits(about["isa"])
        for case in cases:
            result = measure(case, quick=options.quick, fast=options.fast, only=options.side, seconds=options.seconds, limits=limits)
            results[case.name] = result
            print("\n".join(table.lines_of(case, result)), flush=True)
            if options.json:  # after every case, so that an interrupted run keeps what it has
                table.write_json(options.json, about, results, figures)
    if options.files and options.json:
        table.write_json(options.json, about, results, figures)
    if options.markdown:
        table.write_page(options.markdown, about, cases, results)
        table.write_micro(options.markdown, figures)
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
