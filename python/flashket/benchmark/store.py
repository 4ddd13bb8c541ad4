# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""results.jsonl: one JSON object a line, one line a finished cell, only ever appended to.

A process killed while it wrote leaves the last line cut. Such a line is reported, left where it is and skipped; the next row
begins on a new line and says ``"after_cut_line": N``, which is how a later reader knows that line N is no damage. Any other line
that is not a whole row is refused with its number.
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
    cut_line : int or None
        Number of a last line that was cut, counted from 1.

    Raises
    ------
    InputError
        A line before the last is damaged, a row has another schema, or two rows have the same hash.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.cut_line: int | None = None
        self._read()

    def _read(self) -> None:
        try:
            lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        except OSError as error:
            raise InputError(f"[results] {self.path}: {error.strerror}") from error
        if lines and not lines[-1]:
            lines.pop()
        cut: list[int] = []
        acknowledged: set[int] = set()
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
            acknowledged.add(row.get("after_cut_line", 0))
        for number in cut:
            if number not in acknowledged and number < len(lines):
                raise self._refused(number, "it is not a whole JSON object")
        self.cut_line = cut[-1] if cut and cut[-1] == len(lines) else None

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
        if self.cut_line is not None:
            row["after_cut_line"] = self.cut_line
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
        self.cut_line = None

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


def _fault(row: dict[str, Any]) -> str:
    """Return what a JSON object lacks to be a row, "" if nothing."""
    if row.get("schema_version") != SCHEMA_VERSION:
        return f"its schema_version must be {SCHEMA_VERSION}, got {row.get('schema_version')!r}"
    for name, kind in _REQUIRED.items():
        if not isinstance(row.get(name), kind):
            return f"its {name} must be {kind.__name__}, got {row.get(name)!r}"
    return "" if row["kind"] in KINDS else f"its kind must be one of {', '.join(KINDS)}, got {row['kind']!r}"
