# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""results.jsonl: one JSON object a line, one line a finished cell, only ever appended to.

A process killed while it wrote leaves the last line cut. Such a line is reported, left where it is and skipped; the next row
begins on a new line and says ``"after_cut_line": N``, which is how a later reader knows that line N is no damage. Where that row
was cut too, and so on, the next whole one says ``"after_cut_lines": [N, N + 1, ...]``. Any other line that is not a whole row is
refused with its number.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from flashket.errors import InputError

SCHEMA_VERSION = 1
KINDS = ("measured", "simulated", "modelled", "list-price")
_REQUIRED = {"schema_version": int, "config_hash": str, "kind": str, "cell": dict, "result": dict, "samples": dict}


def config_hash(cell: dict[str, Any]) -> str:
    """Return the hash of one cell's configuration: 16 hexadecimal digits of SHA-256 over its canonical JSON.

    Examples
    --------
    >>> config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})
    True
    """
    text = json.dumps(cell, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Store:
    """The results of one run.

    Parameters
    ----------
    path : Path
        The file; absent is the same as empty.

    Attributes
    ----------
    rows : dict of str to dict
        Finished rows by config_hash, in file order.
    cut_lines : list of int
        Numbers of the last lines that were cut, counted from 1; more than one where a run was killed there again and again.

    Raises
    ------
    InputError
        A line that a whole row follows is damaged, a row has another schema, a row's hash is not its cell's, or two rows have the
        same hash.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.cut_lines: list[int] = []
        self._read()

    @property
    def cut_line(self) -> int | None:
        """Number of a last line that was cut."""
        return self.cut_lines[-1] if self.cut_lines else None

    def _read(self) -> None:
        try:
            lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        except OSError as error:
            raise InputError(f"[results] {self.path}: {error.strerror}") from error
        if lines and not lines[-1]:
            lines.pop()
        cut: list[int] = []
        acknowledged: set[int] = set()
        last_whole = 0
        for number, line in enumerate(lines, start=1):
            row = _load(line)
            if row is None:
                cut.append(number)
                continue
            reason = _fault(row)
            if not reason and row["config_hash"] in self.rows:
                reason = f"its config_hash {row['config_hash']} occurs twice"
            if reason:
                raise self._refused(number, reason)
            self.rows[row["config_hash"]] = row
            acknowledged |= _acknowledged(row)
            last_whole = number
        for number in cut:
            if number not in acknowledged and number < last_whole:
                raise self._refused(number, "it is not a whole JSON object")
        self.cut_lines = [number for number in cut if number > last_whole]

    def _refused(self, number: int, reason: str) -> InputError:
        return InputError(f"[results] {self.path}, line {number}: {reason}; repair that line or start a new run")

    def append(self, row: dict[str, Any]) -> None:
        """Write one row and wait until the disk has it.

        Raises
        ------
        InputError
            Its config_hash is in the file already, a field of every row is missing, or a figure is NaN or infinite.
        OSError
            The disk is full; the cut line is skipped when the file is read again.
        """
        if row["config_hash"] in self.rows:
            raise InputError(f"[results] {self.path} holds config_hash {row['config_hash']} already")
        row = {"schema_version": SCHEMA_VERSION, **row}
        if len(self.cut_lines) == 1:
            row["after_cut_line"] = self.cut_lines[0]
        elif self.cut_lines:
            row["after_cut_lines"] = self.cut_lines
        try:
            line = json.dumps(row, allow_nan=False).encode()
        except ValueError as error:
            raise InputError(f"[results] row refused: it holds NaN or infinity ({row['cell']}); the model's output overflowed") from error
        if reason := _fault(row):
            raise InputError(f"[results] row refused: {reason}")
        with self.path.open("ab", buffering=0) as file:
            # One write call: a signal's handler runs before or after it, never between two halves of a row.
            data = (b"\n" if self._lacks_newline() else b"") + line + b"\n"
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(file.fileno())
        self.rows[row["config_hash"]] = row
        self.cut_lines = []

    def _lacks_newline(self) -> bool:
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def _load(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line, None if it is not one (cut, or damaged)."""
    try:
        row = json.loads(line.decode())
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _acknowledged(row: dict[str, Any]) -> set[int]:
    """Return the numbers of the cut lines that a row says it follows."""
    several = row.get("after_cut_lines")
    numbers = [row.get("after_cut_line"), *(several if isinstance(several, list) else ())]
    return {number for number in numbers if isinstance(number, int)}


def _fault(row: dict[str, Any]) -> str:
    """Return what a JSON object lacks to be a row, "" if nothing."""
    if row.get("schema_version") != SCHEMA_VERSION:
        return f"its schema_version must be {SCHEMA_VERSION}, got {row.get('schema_version')!r}"
    for name, kind in _REQUIRED.items():
        if not isinstance(row.get(name), kind):
            return f"its {name} must be {kind.__name__}, got {row.get(name)!r}"
    if row["kind"] not in KINDS:
        return f"its kind must be one of {', '.join(KINDS)}, got {row['kind']!r}"
    try:
        wanted = config_hash(row["cell"])
    except ValueError:
        return "its cell holds NaN or infinity"
    # A cell that was edited would otherwise be taken for the one that its hash names, and that one never measured.
    return "" if row["config_hash"] == wanted else f"its config_hash must be its cell's, {wanted}, got {row['config_hash']!r}"
