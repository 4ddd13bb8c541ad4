# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Results as tables: merged from files, one line a row, and put into a page between markers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cases.harness import Case, Row, combined

MARKER = "<!-- peers table -->"
MICRO_MARKER = "<!-- micro table -->"
BUSY = 2.5
"""Load beyond which a side was not alone; one thread and what the peers start beside it stay below."""
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


def milliseconds(row: Row, text: str, sides: dict[str, Any]) -> str:
    """Return "CPU (wall)" of one side of a row."""
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
    share = ""
    if limit.get("kind") and row.ours == limit["of"]:
        share = f"{100 * limit['cpu_s'] / seconds[row.ours]:.0f} % ({limit['kind']})"
        if met is False and row.theirs != "limit":  # what no program can exceed here: the bound that a goal must be read with
            share += f"; at 100 %: {row.value({**seconds, row.ours: limit['cpu_s']}):.3g}{row.unit if row.unit == 'x' else ''}"
    ours = milliseconds(row, row.ours, sides)
    theirs = milliseconds(row, row.theirs, sides) if row.theirs else ""
    if row.theirs == "limit":
        theirs = f"{1e3 * limit['cpu_s']:.3g} ({limit['kind']})"
    errors = " / ".join(f"{side['error']:.1e}" for side in measured)
    versions = {name: version for side in measured for name, version in side["versions"].items() if name not in ("flashket", "numpy")}
    notes = [f"{package} {version}" for package, version in versions.items()] + [side["note"] for side in measured if side["note"]]
    load = max((side.get("load", 0) for side in measured), default=0)
    notes += [f"at load {load:.0f}"] if load > BUSY else []
    sign = row.unit if row.unit == "x" else f" {row.unit}"
    verdict = "" if met is None else "yes" if met else "**no**"
    figure = "ran" if result["quick"] else f"{value:.3g}{sign}"
    return f"| {name} | {beside} | {ours} | {theirs} | {figure} | {goal} | {verdict} | {share} | {errors} | {'; '.join(notes)} |"


def lines_of(case: Case, result: dict[str, Any]) -> list[str]:
    """Return the lines of a case."""
    return [line_of(case, row, result) for row in case.rows]


def merged(paths: list[Path]) -> tuple[dict[str, Any], dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Return the newest environment, the results by case (of every side the last figure that was measured), and micro-benchmarks."""
    about: dict[str, Any] = {}
    figures: list[dict[str, Any]] = []
    results: dict[str, dict[str, Any]] = {}
    for path in paths:
        content = json.loads(path.read_text(encoding="utf-8"))
        about = content["environment"]
        figures = content.get("micro") or figures  # a later run without any keeps those before
        for new in content["results"]:
            old = results.get(new["case"])
            kept = {} if old is None else {name: side for name, side in old["sides"].items() if side["status"] == "measured"}
            measured = {name: side for name, side in new["sides"].items() if side["status"] == "measured" or name not in kept}
            results[new["case"]] = {**new, "sides": {**kept, **measured}}
    return about, results, figures


def write_json(file: Path, about: dict[str, Any], results: dict[str, dict[str, Any]], figures: list[dict[str, Any]]) -> None:
    """Write what ``merged`` reads."""
    content = {"environment": about, "results": list(results.values()), "micro": figures}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def described(about: dict[str, Any]) -> str:
    """Return the environment in a line."""
    return ", ".join(f"{key} {value}" for key, value in about.items())


def write_page(page: Path, about: dict[str, Any], cases: list[Case], results: dict[str, dict[str, Any]]) -> None:
    """Put the table between the page's two markers."""
    sides = [side for result in results.values() for side in result["sides"].values() if "load" in side]
    loads, spreads = sorted(side["load"] for side in sides), sorted(side["cpu_spread"] for side in sides if side["samples"] > 1)
    how = f"*Measured.* {described(about)}. One thread, float32, medians of calls in turn, unless a row says otherwise. "
    how += f"Load of the machine (1 minute) {loads[0]:.1f} to {loads[-1]:.1f}; distance of the quartiles of CPU time over the median: "
    how += f"{100 * spreads[len(spreads) // 2]:.1f} % for half of the sides, {100 * spreads[len(spreads) * 9 // 10]:.1f} % for nine in ten."
    shown = [(row, case) for case in cases if case.name in results for row in case.rows]
    with_goal = [line_of(case, row, results[case.name]) for row, case in shown if row.goal is not None]
    without = [line_of(case, row, results[case.name]) for row, case in shown if row.goal is None]
    about_cases = [f"* `{case.name}`: {case.about}." for case in cases if case.name in results]
    between(
        page,
        MARKER,
        [
            how,
            "",
            "With a goal:",
            "",
            HEADER,
            *with_goal,
            "",
            "Without:",
            "",
            HEADER,
            *without,
            "",
            "What the names stand for:",
            "",
            *about_cases,
        ],
    )


def between(page: Path, marker: str, lines: list[str]) -> None:
    """Put lines between a page's two markers."""
    before, _, after = page.read_text(encoding="utf-8").split(marker)
    page.write_text("\n".join([f"{before}{marker}", *lines, f"{marker}{after}"]), encoding="utf-8")


def micro(files: list[Path]) -> list[dict[str, Any]]:
    """Return the figures of the C++ micro-benchmarks (--benchmark_out_format=json), the programs in the order of the files."""
    milliseconds_per = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
    return [
        {
            "name": entry["name"],
            "cpu_ms": float(f"{entry['cpu_time'] * milliseconds_per[entry['time_unit']]:.4g}"),
            "percent_of_limit": round(entry["percent_of_limit"], 1),
            "goal": entry["goal"],
            "limit": entry["label"],
        }
        for file in files
        for entry in json.loads(file.read_text(encoding="utf-8"))["benchmarks"]
    ]


def write_micro(page: Path, figures: list[dict[str, Any]]) -> None:
    """Put the figures of the micro-benchmarks between the page's other two markers."""
    lines = ["| micro-benchmark | CPU ms | of the limit | goal | limit, instruction set |", "|---|---|---|---|---|"]
    for figure in figures:
        share, goal = (f"{figure[key]:.0f} %" for key in ("percent_of_limit", "goal"))
        lines.append(f"| {figure['name']} | {figure['cpu_ms']:.3g} | {share} | {goal} | {figure['limit']} |")
    between(page, MICRO_MARKER, lines)
