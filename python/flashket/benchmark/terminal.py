# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a run shows: progress with the time left on stderr, the table on stdout. ASCII only, so any terminal or file can hold it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rich.box import Box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from flashket.benchmark.runner import Cell, Outcome
from flashket.benchmark.statistics import Estimate, paired_difference
from flashket.benchmark.suite import Row

_Found: TypeAlias = dict[tuple[str | None, str, str | None], dict[str, Any]]
"""Finished cells by row name, metric and text."""

_UNLIMITED = 400
_RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""Columns apart by spaces, one rule below the titles."""

LIMITS = """\
[..]: 95 % interval, bootstrap over windows. vs control: bits/byte minus the first row's, paired on the same windows; above 0 is worse.
The intervals cover the choice of text, not training: another seed moved the bundled control's bits/byte by 0.06 (user guide).
kind is that of the quality: measured = exact scores; simulated = shots drawn on this CPU, in rows "on DEVICE" with the noise of its
calibration data, in others from exact probabilities.
TTFT, ms/byte, B/s and MB are measured on this CPU; rows with shots time the simulation of shots, which says nothing about a QPU.
No QPU ran, and nothing here is a quantum advantage: every kernel above was computed classically.
Amplitude fidelity of unit vectors ranks keys exactly like |cosine|; the Hadamard test on amplitudes with softmax is cosine attention."""


class TerminalDisplay:
    """Progress of a run: a live bar on a terminal, one line a cell everywhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        self._bar: Progress | None = None
        self._begun = time.perf_counter()
        self._work_left = self._work_done = 0.0
        self._n_cells = self._n_done = 0

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(text)

    def begin(self, cells: list[Cell], n_done: int) -> None:
        """Start the clock; ``n_done`` cells were finished before."""
        self._begun = time.perf_counter()
        self._work_left, self._work_done = sum(cell.work for cell in cells), 0.0
        self._n_cells, self._n_done = len(cells) + n_done, n_done
        if n_done:
            self.note(f"{n_done} of {self._n_cells} cells are finished already")
        if self._console.is_terminal and cells:
            columns = (TextColumn("{task.description}"), BarColumn(complete_style="default"), TextColumn("{task.fields[eta]}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task("", total=self._work_left, eta="")
            self._bar.start()

    def step(self, cell: Cell) -> None:
        """Count one window or repeat of the running cell."""
        share = cell.work / cell.steps
        self._work_done += share
        self._work_left -= share
        if self._bar is not None:
            task = self._bar.task_ids[0]
            description = f"[{self._n_done + 1}/{self._n_cells}] {cell.label}".replace("[", r"\[")
            self._bar.update(task, advance=share, description=description, eta=self._eta())

    def finish(self, cell: Cell, row: dict[str, Any]) -> None:
        """Print the finished cell's main figure."""
        self._n_done += 1
        count = f"{self._n_done:>{len(str(self._n_cells))}}/{self._n_cells}"
        self.note(f"[{count}] {cell.label}: {_headline(row)} ({row['wall_seconds']:.1f} s; {self._eta()})")

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _eta(self) -> str:
        if self._work_left < 1e-9 or not self._work_done:
            return "done" if self._work_left < 1e-9 else "time left unknown"
        return f"about {(time.perf_counter() - self._begun) / self._work_done * self._work_left:.0f} s left"


def _headline(row: dict[str, Any]) -> str:
    result = row["result"]
    if row["cell"]["metric"] == "quality":
        return f"{result['bits_per_byte']:.3f} bits/byte"
    if row["cell"]["metric"] == "qpu":
        seconds = _amount(result["qpu_seconds_per_token"])
        return f"{result['circuits_per_token']:,.0f} circuits/token, {seconds} s, {_dollars(result)} (modelled)"
    if row["cell"]["metric"] == "latency":
        return f"TTFT {1e3 * result['ttft_seconds_p50']:.1f} ms, {1e3 * result['seconds_per_byte_p50']:.2f} ms/byte"
    return ", ".join(f"{name.replace('_', ' -')} {bits:.3f}" for name, bits in result.items()) + " bits/byte"


def print_table(outcome: Outcome) -> None:
    """Print all finished rows of a run and, below them, what they do not say."""
    # Files and pipes have no width of their own; a table cut at 80 columns would be of no use there.
    console = Console(file=sys.stdout, highlight=False, markup=False, width=None if sys.stdout.isatty() else _UNLIMITED)
    found = {(row["cell"].get("row"), row["cell"]["metric"], row["cell"].get("text")): row for row in outcome.rows}
    names, texts = [row.name for row in outcome.suite.rows], outcome.suite.texts
    speed = _Block(["TTFT\nms", "ms/byte\np50\np90", "B/s\nprefill\ndecode", "peak\nMB"])
    speed.rows = [_speed_cells(found.get((name, "latency", texts[0]))) for name in names]
    costs = [_device(found, outcome.suite.rows)] if any(row.qpu for row in outcome.suite.rows) else []
    blocks = [_kinds(found, names, texts), *(_quality(found, names, text) for text in texts), *costs, speed]
    whole = _table(names, blocks)
    if Measurement.get(console, console.options.update(width=_UNLIMITED), whole).maximum <= console.width:
        console.print(whole)
    else:
        for part in (blocks[:2], *([block] for block in blocks[2:])):
            console.print(_table(names, part))
            console.print()
    notes = [_compressor_line(found, texts), *LIMITS.splitlines(), *_device_notes(outcome), *_warnings(outcome)]
    console.print("\n".join(note for note in notes if note), soft_wrap=True)


@dataclass
class _Block:
    """Neighbouring columns: their titles, and for each row of the table their cells."""

    titles: list[str]
    rows: list[list[str]] = field(default_factory=list)


def _table(names: list[str], blocks: Sequence[_Block]) -> Table:
    table = Table(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("row")
    for title in (title for block in blocks for title in block.titles):
        table.add_column(title, justify="left" if title == "kind" else "right")
    for i, name in enumerate(names):
        table.add_row(name, *(cell for block in blocks for cell in block.rows[i]))
    return table


def _kinds(found: _Found, names: list[str], texts: tuple[str, ...]) -> _Block:
    kinds = [{found[name, "quality", text]["kind"] for text in texts if (name, "quality", text) in found} for name in names]
    return _Block(["kind"], [["/".join(sorted(each)) or "-"] for each in kinds])


def _quality(found: _Found, names: list[str], text: str) -> _Block:
    """Return one text's columns. A difference needs the same windows in both rows."""
    block = _Block([f"bits/byte\n{text}", "vs control", "ppl/byte"])
    control = found.get((names[0], "quality", text))
    for name in names:
        row = found.get((name, "quality", text))
        if row is None:
            block.rows.append(["-"] * 3)
            continue
        result, samples = row["result"], row["samples"]
        difference = "-"
        if control is not None and row is not control and _windows(row) == _windows(control):
            difference = _interval(paired_difference(samples["bits_per_byte"], control["samples"]["bits_per_byte"]), "+")
        own = _interval(Estimate(result["bits_per_byte"], *result["bits_per_byte_ci95"]))
        block.rows.append([own, difference, f"{result['perplexity_per_byte']:.2f}"])
    return block


def _windows(row: dict[str, Any]) -> tuple[int, list[int]]:
    return row["cell"]["context"], row["samples"]["window_start"]


def _interval(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.mean:{sign}.3f}\n[{estimate.low:.2f}, {estimate.high:.2f}]"


def _speed_cells(row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return ["-"] * 4
    result = row["result"]
    return [
        f"{1e3 * result['ttft_seconds_p50']:.1f}",
        f"{1e3 * result['seconds_per_byte_p50']:.2f}\n{1e3 * result['seconds_per_byte_p90']:.2f}",
        f"{result['prefill_bytes_per_second']:.0f}\n{result['decode_bytes_per_second']:.0f}",
        f"{result['peak_bytes'] / 1e6:.0f}",
    ]


def _device(found: _Found, rows: Sequence[Row]) -> _Block:
    """Return what a token would cost on the device of each row; classical and exact rows cost no circuits."""
    block = _Block(["circuits\n/token", "2-qubit gates\nqubits", "QPU s/token\nmodelled", "USD/token\nkind", "noise\nfit error"])
    for row in rows:
        priced = found.get((row.name, "qpu", None))
        if priced is None:
            block.rows.append(["-"] * 5)
            continue
        result = priced["result"]
        error = f"RMS {result['error_rms']:.4f}" if result["error_rms"] is not None else "not fitted"
        block.rows.append(
            [
                f"{result['circuits_per_token']:,.0f}",
                f"{result['two_qubit_gates']}\n{result['n_qubits']}",
                _amount(result["qpu_seconds_per_token"]),
                f"{_dollars(result)}\n{result['usd_kind']}",
                f"{result['scale']:.3f} p + {result['offset']:.3f}\n{error}",
            ]
        )
    return block


def _amount(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.4g}"


def _dollars(result: dict[str, Any]) -> str:
    stale = " (stale)" if result["is_stale"] else ""
    return "no price" if result["usd_per_token"] is None else f"${_amount(result['usd_per_token'])}{stale}"


def _device_notes(outcome: Outcome) -> list[str]:
    """Return what the columns of devices assume, and each device's own remarks once."""
    priced = {row["cell"]["row"]: row for row in outcome.rows if row["cell"]["metric"] == "qpu"}
    if not priced:
        return []
    notes = [
        "noise: the effective model that attention applies to each score's probability p; its error is that to an exact simulation.",
        "A token is a byte; each of its scores is one circuit, of as many shots as the row says. Costs are modelled from durations, of",
        "calibration data or else published, and dated list prices; one compiled circuit stands for all, in batches as large as a job",
        "may be.",
    ]
    for name, row in priced.items():
        result = row["result"]
        remarks = [f"prices of {result['price_date']}" if result["price_date"] else "", *result["notes"]]
        notes.append(f"{name}: {result['noise']}; {'; '.join(remark for remark in remarks if remark)}.")
    return notes


def _compressor_line(found: _Found, texts: tuple[str, ...]) -> str:
    rows = {text: found[None, "compressors", text] for text in texts if (None, "compressors", text) in found}
    figures = [f"{text}: zlib -9 {row['result']['zlib_9']:.3f}, xz {row['result']['xz']:.3f}" for text, row in rows.items()]
    return f"Compressors on the same texts, whole, in bits/byte: {'; '.join(figures)}." if figures else ""


def _warnings(outcome: Outcome) -> list[str]:
    notes = []
    zero_rows: Counter[str] = Counter()
    for row in outcome.rows:
        if n_zero := row["result"].get("zero_rows"):
            zero_rows[row["cell"]["row"]] += n_zero  # a row has one count a text
    if zero_rows:
        counts = ", ".join(f"{name} {n:,}" for name, n in zero_rows.items())
        notes.append(f"Attention rows whose scores were all zero, weighed uniformly: {counts}.")
    for name in ("cpu", "threads", "isa", "git_commit"):
        values = sorted({str(row.get(name)) for row in outcome.rows})
        if len(values) > 1:
            notes.append(f"Careful: rows were measured with different {name}: {', '.join(values)}.")
    busiest = max((row["load_average"][0] / row["cpu_count"] for row in outcome.rows if row["load_average"]), default=0.0)
    if busiest > 1.5:
        notes.append(f"Careful: the load reached {busiest:.1f} processes a core; latencies on a busy machine are too high.")
    return notes
