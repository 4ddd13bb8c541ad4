# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Cases, the sides they compare, and how a side is checked and timed."""

from __future__ import annotations

import fnmatch
import gc
import importlib
import importlib.metadata
import importlib.util
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cases.limits import Limits

Array = Any
Times = Mapping[str, float]

SAMPLED_ROWS = 24
"""Rows of a large result that the oracle recomputes."""

SHORTEST_SAMPLE = 5e-3
"""Seconds; shorter calls are repeated inside one sample."""


class Unavailable(Exception):
    """A side that cannot run here; the text goes into the table."""


def need(module: str, install: str = "") -> Any:
    """Import a peer's module, or say how to install it."""
    if importlib.util.find_spec(module.split(".")[0]) is None:
        raise Unavailable(f"not installed: pip install {install or module}")
    return importlib.import_module(module)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a call, and how far its result is from a reference."""

    run: Callable[[], Any]
    check: Callable[[Any], float]
    tolerance: float = 5e-6
    packages: tuple[str, ...] = ("numpy",)
    times: float = 1.0
    """Size of the row over the size that runs; other than 1 it must be said in ``note``."""
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One comparison: ``ours`` and ``theirs`` name sides; "a - b" is the difference of two, "a | b" the faster one, "limit" the machine's.

    ``measure`` is "theirs/ours" (goal: at least), "ours/theirs" (goal: at most) or "ours" (seconds over ``per``, goal: at most).
    """

    measure: str
    theirs: str = ""
    goal: float | None = None
    ours: str = "ours"
    per: float = 1.0
    unit: str = "x"
    clock: str = "cpu_s"

    @property
    def at_least(self) -> bool:
        """Say whether more is better."""
        return self.measure == "theirs/ours"

    @property
    def sides(self) -> tuple[str, ...]:
        """Names of the sides that the row needs."""
        return tuple(name for text in (self.ours, self.theirs) for part in text.split(" - ") for name in part.split(" | ") if name)

    def value(self, times: Times) -> float:
        """Return the row's figure."""
        ours = combined(self.ours, times)
        if self.measure == "ours":
            return ours / self.per
        theirs = combined(self.theirs, times)
        return theirs / ours if self.at_least else ours / theirs

    def met(self, times: Times) -> bool | None:
        """Say whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        value = self.value(times)
        return value >= self.goal if self.at_least else value <= self.goal


def combined(text: str, times: Times) -> float:
    """Return the seconds of "a", "a - b" or "a | b"."""
    if " - " in text:
        whole, part = text.split(" - ")
        return times[whole] - times[part]
    if " | " in text:
        return min(times[name] for name in text.split(" | ") if name in times)
    return times[text]


def faster(theirs: str, goal: float | None = None, **options: Any) -> Row:
    """Return the row "at least ``goal`` times faster than ``theirs``"."""
    return Row("theirs/ours", theirs, goal, **options)


def within(theirs: str, goal: float | None = None, **options: Any) -> Row:
    """Return the row "at most ``goal`` times as long as ``theirs``"."""
    return Row("ours/theirs", theirs, goal, **options)


def costs(unit: str, per: float, goal: float | None = None, **options: Any) -> Row:
    """Return the row "at most ``goal`` units", a unit being ``per`` seconds."""
    return Row("ours", "", goal, unit=unit, per=per, **options)


@dataclass(frozen=True)
class Case:
    """What is computed, by whom, and what should come out; ``make(quick)`` returns a maker for each side."""

    name: str
    about: str
    make: Callable[[bool], dict[str, Callable[[], Side]]]
    rows: tuple[Row, ...]
    slow: frozenset[str] = frozenset()
    """Sides that take many seconds, left out with --fast."""
    work: Mapping[str, float] = field(default_factory=dict)
    """What a side must do at least: fma_f32 (flops), instructions_f32 (lane-operations), fill, read (bytes) ..."""
    work_of: str = "ours"
    """The side that the work is counted for."""

    @property
    def sides(self) -> list[str]:
        """Names of all sides, in the order of the rows."""
        return list(dict.fromkeys(name for row in self.rows for name in row.sides if name != "limit"))


def measure(case: Case, *, quick: bool, fast: bool, only: list[str] | None, seconds: float, limits: Limits) -> dict[str, Any]:
    """Check every side, time them in turn for about ``seconds`` and return what was measured."""
    makers = case.make(quick)
    results: dict[str, dict[str, Any]] = {}
    sides: dict[str, Side] = {}
    first: dict[str, float] = {}
    loads: dict[str, float] = {}
    for name in case.sides:
        if only and not any(fnmatch.fnmatch(name, pattern) for pattern in only):
            results[name] = {"status": "left out with --side"}
            continue
        if fast and name in case.slow:
            results[name] = {"status": "slow: left out with --fast"}
            continue
        try:
            side = makers[name]()
            loads[name] = round(os.getloadavg()[0], 2)
            error, first[name] = checked(side)
        except Unavailable as reason:
            results[name] = {"status": str(reason)}
            continue
        except Exception as failure:  # noqa: BLE001 - one failing side must not end the others; it is shown, and the exit code is 1
            results[name] = {"status": f"failed: {type(failure).__name__}: {failure}".splitlines()[0], "failed": True}
            continue
        results[name] = {"error": error, "tolerance": side.tolerance, "note": side.note, "versions": versions(side.packages)}
        if not error <= side.tolerance:
            results[name] |= {"status": f"wrong: error {error:.1e}, at most {side.tolerance:.1e}: not timed", "failed": True}
            continue
        sides[name] = side
    for name, clocks in interleaved(sides, first, seconds, quick).items():
        medians = {clock: float(f"{sides[name].times * statistics.median(values):.4g}") for clock, values in clocks.items()}
        spreads = {clock.replace("_s", "_spread"): round(spread(values), 3) for clock, values in clocks.items()}
        results[name] |= {"status": "measured", **medians, **spreads, "samples": len(clocks["cpu_s"]), "load": loads[name]}
    if case.work and not quick and results[case.work_of]["status"] == "measured":
        kind, least = limits.seconds(case.work)
        found = {"kind": kind.split("_")[0], "of": case.work_of, "cpu_s": least, "wall_s": least, "versions": {}, "error": 0.0, "note": ""}
        results["limit"] = {"status": "measured", **found} if least else {"status": limits.reason}
    date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    return {"case": case.name, "date": date, "quick": quick, "sides": results}


def checked(side: Side) -> tuple[float, float]:
    """Return the error of the first call and the seconds of a call; a short one is called again, now that everything is warm."""
    begin = time.perf_counter()
    result = side.run()
    elapsed = time.perf_counter() - begin
    error = side.check(result)
    del result
    gc.collect()
    if elapsed < 0.3:
        begin = time.perf_counter()
        side.run()
        elapsed = time.perf_counter() - begin
    return error, elapsed


def interleaved(sides: Mapping[str, Side], first: Mapping[str, float], seconds: float, quick: bool) -> dict[str, dict[str, list[float]]]:
    """Return samples of CPU and wall seconds; every round calls every side, so that all see the same disturbances."""
    if not sides:
        return {}
    inner = {name: 1 if quick else max(1, math.ceil(SHORTEST_SAMPLE / max(first[name], 1e-7))) for name in sides}
    one_round = sum(max(first[name], SHORTEST_SAMPLE) for name in sides)
    least = 1 if quick or one_round > 30 else 3 if one_round > 1 else 5
    samples: dict[str, dict[str, list[float]]] = {name: {"cpu_s": [], "wall_s": []} for name in sides}
    end = time.perf_counter() + (0 if quick else seconds)
    for _ in range(200):
        for name, side in sides.items():
            if first[name] < one_round / 10:
                side.run()  # beside a long call of another side: memory and caches are again this side's
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(inner[name]):
                side.run()
            samples[name]["cpu_s"].append((time.process_time() - cpu) / inner[name])
            samples[name]["wall_s"].append((time.perf_counter() - wall) / inner[name])
        least -= 1
        if least <= 0 and time.perf_counter() > end:
            break
    return samples


def spread(values: list[float]) -> float:
    """Return the distance of the quartiles over the median; 0 of a single sample."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the version of every distribution; FlashKet may run from its source folder."""
    import flashket as fk

    return {package: fk.__version__ if package == "flashket" else importlib.metadata.version(package) for package in packages}


def relative(result: Array, wanted: Array) -> float:
    """Return the largest difference over the largest wanted value."""
    import numpy as np

    return float(np.abs(np.asarray(result) - wanted).max() / np.abs(wanted).max())
