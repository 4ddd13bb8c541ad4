# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Suites: TOML files that say which rows a run measures, on which texts, and how much of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashket.benchmark.texts import TEXTS
from flashket.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SUITES = ("quick", "default", "full")

QPU_SHOTS = 1000
"""Measurements per score of the rows that ``--qpu`` adds: between noise that shots drown and what a token may cost."""


@dataclass(frozen=True)
class Row:
    """One line of the table: a model, its attention ("trained" or "uniform"), the shots per score (None is exact), and the device whose
    noise the scores have (None is none)."""

    name: str
    model: str
    attention: str = "trained"
    shots: int | None = None
    qpu: str | None = None


@dataclass(frozen=True)
class Latency:
    """How long to time: ``repeats`` prefills of ``prompt_bytes``, then ``output_bytes`` single steps after each."""

    prompt_bytes: int
    repeats: int
    output_bytes: int


@dataclass(frozen=True)
class Suite:
    """A checked suite; ``source`` is its file's exact text, copied into the run folder."""

    name: str
    seed: int
    windows: int
    texts: tuple[str, ...]
    latency: Latency
    rows: tuple[Row, ...]
    source: str


def load_suite(name: str) -> Suite:
    """Read a suite by name ("quick", "default", "full") or from a file.

    Raises
    ------
    InputError
        No such suite or file, no TOML, or a field that is missing, unknown or out of range.

    Examples
    --------
    >>> load_suite("quick").rows == load_suite("default").rows
    True
    """
    path = Path(__file__).parent / "suites" / f"{name}.toml" if name in SUITES else Path(name)
    try:
        source = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"[bench] suite must be {', '.join(SUITES)} or a TOML file, got {name!r}: {reason}") from error
    return parse_suite(source, str(path))


def parse_suite(source: str, place: str) -> Suite:
    """Check a suite's text; ``place`` names it in errors."""
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"[bench] suite {place}: not TOML ({error})") from error
    reader = _Reader(place)
    reader.names("the suite", document, {"schema", "name", "seed", "windows", "texts", "latency", "rows"}, set())
    if document["schema"] != 1:
        raise InputError(f"[bench] suite {place}: schema must be 1, got {document['schema']!r}")
    latency = document["latency"]
    reader.names("latency", latency, {"prompt_bytes", "repeats", "output_bytes"}, set())
    texts = document["texts"]
    if not isinstance(texts, list) or not texts or len(set(map(str, texts))) != len(texts) or any(text not in TEXTS for text in texts):
        raise InputError(f"[bench] suite {place}: texts must be different ones of {', '.join(TEXTS)}, got {texts!r}")
    if not isinstance(document["rows"], list) or not document["rows"]:
        raise InputError(f"[bench] suite {place}: wanted at least one [[rows]]")
    rows = tuple(reader.row(row) for row in document["rows"])
    if len({row.name for row in rows}) != len(rows):
        raise InputError(f"[bench] suite {place}: two rows have the same name")
    return Suite(
        name=reader.text("name", document["name"]),
        seed=reader.integer("seed", document["seed"], 0, 2**63 - 1),
        windows=reader.integer("windows", document["windows"], 2, 1_000_000),
        texts=tuple(texts),
        latency=Latency(
            prompt_bytes=reader.integer("latency.prompt_bytes", latency["prompt_bytes"], 1, 1 << 16),
            repeats=reader.integer("latency.repeats", latency["repeats"], 1, 100_000),
            output_bytes=reader.integer("latency.output_bytes", latency["output_bytes"], 1, 1 << 16),
        ),
        rows=rows,
        source=source,
    )


class _Reader:
    """Checks of one file's values, with its name in every error."""

    def __init__(self, place: str) -> None:
        self.place = place

    def names(self, what: str, table: Any, required: set[str], optional: set[str]) -> None:
        got = set(table) if isinstance(table, dict) else set()
        if required - got or got - required - optional:
            raise InputError(
                f"[bench] suite {self.place}: {what} must have {', '.join(sorted(required))}"
                f"{' and may have ' + ', '.join(sorted(optional)) if optional else ''}, got {', '.join(sorted(got)) or 'no table'}"
            )

    def integer(self, what: str, value: Any, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            raise InputError(f"[bench] suite {self.place}: {what} must be an integer from {least} to {most}, got {value!r}")
        return value

    def text(self, what: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"[bench] suite {self.place}: {what} must be a text, got {value!r}")
        return value

    def row(self, table: Any) -> Row:
        self.names("a row", table, {"name", "model"}, {"attention", "shots"})
        attention = table.get("attention", "trained")
        if attention not in ("trained", "uniform"):
            raise InputError(f"[bench] suite {self.place}: attention must be 'trained' or 'uniform', got {attention!r}")
        shots = None if "shots" not in table else self.integer("shots", table["shots"], 1, 2**31 - 1)
        return Row(self.text("name", table["name"]), self.text("model", table["model"]), attention, shots)
