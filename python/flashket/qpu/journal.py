# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The journal of QPU jobs: an SQLite file that survives a killed process, so that nothing paid is lost or paid twice.

A job is what a caller asked for; it has one part (a row of its own) for each provider job. A part's states:

    planned -> reserved -> submitting -> submitted -> done | failed | cancelled
                                      -> unknown: sent, but nobody can say whether it arrived

Every change of state is one durable transaction (WAL, synchronous=FULL), and one row of ``events``, whose number gives the order:
clocks may jump, and durations are never negative.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from flashket.errors import JobError, explanation
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import redact

SCHEMA_VERSION = 1
STATES = ("planned", "reserved", "submitting", "submitted", "done", "failed", "cancelled", "unknown")
UNSENT = ("planned", "reserved")

_APPLICATION_ID = 0x464B4A4C  # "FKJL", so that another program's database is never written to

_SCHEMA = """
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, spec TEXT NOT NULL, backend TEXT NOT NULL, is_remote INTEGER NOT NULL,
  version TEXT NOT NULL, created REAL NOT NULL, delivered REAL
);
CREATE INDEX jobs_by_digest ON jobs (digest);
CREATE TABLE circuits (digest TEXT PRIMARY KEY, qasm BLOB NOT NULL);
CREATE TABLE job_circuits (
  job INTEGER NOT NULL REFERENCES jobs, position INTEGER NOT NULL, digest TEXT NOT NULL REFERENCES circuits, n_bits INTEGER NOT NULL,
  shots INTEGER NOT NULL, PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE TABLE arrays (job INTEGER NOT NULL REFERENCES jobs, name TEXT NOT NULL, npy BLOB NOT NULL, PRIMARY KEY (job, name)) WITHOUT ROWID;
CREATE TABLE parts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES jobs, slot INTEGER NOT NULL, attempt INTEGER NOT NULL,
  state TEXT NOT NULL, token TEXT NOT NULL, provider_id TEXT, pieces TEXT NOT NULL, seed INTEGER, cost TEXT NOT NULL,
  usd_spent REAL NOT NULL DEFAULT 0, seconds_spent REAL NOT NULL DEFAULT 0, is_billed INTEGER NOT NULL DEFAULT 0,
  submitted REAL, queue_seconds REAL, execution_seconds REAL, wall_seconds REAL, calibration TEXT, counts TEXT, metadata TEXT,
  error TEXT, reason TEXT, UNIQUE (job, slot, attempt)
);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, part INTEGER NOT NULL REFERENCES parts, state TEXT NOT NULL, time REAL NOT NULL
)
"""


@dataclass(frozen=True)
class Plan:
    """A provider job to be: ``pieces`` are (position of the circuit, shots)."""

    pieces: tuple[tuple[int, int], ...]
    seed: int | None
    cost: Cost


@dataclass(frozen=True)
class Part:
    """A row of ``parts``: one attempt at one provider job. ``usd_spent`` counts the worst case while the outcome is open."""

    id: int
    job: int
    slot: int
    attempt: int
    state: str
    token: str
    provider_id: str | None
    pieces: tuple[tuple[int, int], ...]
    seed: int | None
    cost: Cost
    usd_spent: float
    seconds_spent: float
    is_billed: bool
    submitted: float | None
    queue_seconds: float | None
    execution_seconds: float | None
    wall_seconds: float | None
    calibration: str | None
    has_counts: bool
    error: str | None
    reason: str | None


_PART = ", ".join("counts IS NOT NULL AS has_counts" if field.name == "has_counts" else field.name for field in fields(Part))
"""The columns of a part: counts may be large and are read when they are asked for."""


@dataclass(frozen=True)
class Record:
    """A row of ``jobs``; ``delivered`` is when its result was last handed to a caller."""

    id: int
    digest: str
    spec: dict[str, Any]
    backend: str
    is_remote: bool
    version: str
    created: float
    delivered: float | None


@dataclass(frozen=True)
class CircuitEntry:
    """A circuit of a job: ``qasm`` is written once for each digest."""

    digest: str
    n_bits: int
    shots: int


def default_path() -> Path:
    """Return where the journal is: ``$FLASHKET_JOURNAL``, or ``journal.db`` in the user's data folder.

    Raises
    ------
    JobError
        If the user has no home and $FLASHKET_JOURNAL does not help.

    Examples
    --------
    >>> default_path().suffix != ""
    True
    """
    try:
        return _default_path()
    except RuntimeError as error:  # of pathlib, for a user without a home
        do = "set FLASHKET_JOURNAL to a file that can be written"
        raise JobError(explanation("journal", "a folder of the user's was wanted", str(error), do)) from error


def _default_path() -> Path:
    named = os.environ.get("FLASHKET_JOURNAL")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return folder / "flashket" / "journal.db"


class Journal:
    """An open journal; safe to use from several threads and processes.

    Parameters
    ----------
    path : path-like, optional
        The file, made with its folder (readable by the user alone) where it is missing; ":memory:" keeps nothing; default
        :func:`default_path`. WAL needs a local disk: not a network share.
    busy_seconds : float
        How long to wait for other processes that are writing.

    Raises
    ------
    JobError
        If the file is damaged, not a journal, of a newer version, locked, or cannot be written. It is never replaced.

    Examples
    --------
    >>> journal = Journal(":memory:")
    >>> journal.records()
    []
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, busy_seconds: float = 10.0) -> None:
        named = default_path() if path is None else path
        self.path = ":memory:" if str(named) == ":memory:" else str(Path(named).absolute())
        self.busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._inherited: list[sqlite3.Connection] = []
        self._open()

    @property
    def is_kept(self) -> bool:
        """Whether it is a file."""
        return self.path != ":memory:"

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None and self._process == os.getpid():
            connection.close()

    # Opening

    def _open(self) -> None:
        self._process = os.getpid()
        with self._explained():
            if self.is_kept:
                self._make_file(Path(self.path))
            self._connection = sqlite3.connect(self.path, timeout=self.busy_seconds, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _make_file(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    def _prepare(self) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")  # one view of the file, which another process may be making just now
        (application,), (version,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
        is_new = not application and not version and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        connection.execute("COMMIT")
        if not is_new and application != _APPLICATION_ID:
            raise JobError(explanation("journal", f"{self.path} must be a FlashKet journal", "another database", "name another file"))
        if version > SCHEMA_VERSION:
            do = "update FlashKet, or set FLASHKET_JOURNAL to another file"
            raise JobError(explanation("journal", f"{self.path} must have version {SCHEMA_VERSION} or older", version, do))
        if self.is_kept:
            self._use_wal()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if is_new:
            with self.transaction():
                # Another process may have made the tables while this one waited for its turn.
                if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    for statement in _SCHEMA.split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _use_wal(self) -> None:
        """Switch to WAL; unlike other statements this does not wait for other processes by itself."""
        deadline = time.monotonic() + self.busy_seconds
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the errors of SQLite and of the file system into JobError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            text = str(error).lower()
            if "locked" in text or "locking protocol" in text:
                wanted, do = f"{self.path} must be free", "another process holds it; try again when that has finished"
            elif "full" in text or "disk i/o" in text or "no space" in text or "too large" in text:
                wanted, do = f"{self.path} must be writable to its end", "free disk space, then try again; what was recorded is safe"
            elif "not a database" in text or "malformed" in text or "corrupt" in text:
                wanted = f"{self.path} must be an undamaged journal"
                do = "keep the file (sqlite3's .recover reads what is left) and set FLASHKET_JOURNAL to another one"
            else:
                wanted, do = f"{self.path} must be a file that can be read and written", "fix that, or set FLASHKET_JOURNAL"
            raise JobError(explanation("journal", wanted, str(error), do)) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one durable transaction: all of it is in the file when the block ends, or nothing."""
        with self._lock, self._explained():
            if self._process != os.getpid():
                # A connection must not cross fork(); closing the parent's here would drop the parent's locks.
                self._inherited.append(self._connection)
                self._open()
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    # Writing

    def plan(
        self,
        *,
        digest: str,
        spec: dict[str, Any],
        backend: str,
        is_remote: bool,
        version: str,
        circuits: Sequence[CircuitEntry],
        qasm: Sequence[str],
        arrays: dict[str, bytes],
        plans: Sequence[Plan],
        tokens: Sequence[str],
        reuse: Callable[[], Record | None],
        reserve: Callable[[], None],
    ) -> tuple[Record, bool]:
        """Record a job with its parts reserved, in one transaction; or return the one that ``reuse`` finds. True where it is new."""
        with self.transaction() as connection:
            found = reuse()
            if found is not None:
                return found, False
            job = connection.execute(
                "INSERT INTO jobs (digest, spec, backend, is_remote, version, created) VALUES (?, ?, ?, ?, ?, ?)",
                (digest, json.dumps(spec), backend, is_remote, version, time.time()),
            ).lastrowid
            assert job is not None
            for position, entry in enumerate(circuits):
                if connection.execute("SELECT 1 FROM circuits WHERE digest = ?", (entry.digest,)).fetchone() is None:
                    connection.execute("INSERT INTO circuits VALUES (?, ?)", (entry.digest, zlib.compress(qasm[position].encode())))
                connection.execute(
                    "INSERT INTO job_circuits VALUES (?, ?, ?, ?, ?)", (job, position, entry.digest, entry.n_bits, entry.shots)
                )
            connection.executemany("INSERT INTO arrays VALUES (?, ?, ?)", [(job, name, npy) for name, npy in arrays.items()])
            for slot, (plan, token) in enumerate(zip(plans, tokens, strict=True)):
                self._insert(job, slot, 0, plan, token)
            # Last: nothing can fail between a budget's reservation and the end of the transaction but the disk.
            reserve()
            for part in self.parts(job):
                self.change(part.id, UNSENT, "reserved")
            return self.record(job), True

    def _insert(self, job: int, slot: int, attempt: int, plan: Plan, token: str) -> int:
        with self.transaction() as connection:
            row = (job, slot, attempt, "planned", token, json.dumps(plan.pieces), plan.seed, json.dumps(asdict(plan.cost)))
            part = connection.execute(
                "INSERT INTO parts (job, slot, attempt, state, token, pieces, seed, cost) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
            ).lastrowid
            assert part is not None
            self._log(part, "planned")
            return part

    def retry(self, part: Part, token: str) -> Part:
        """Plan another attempt at a part that ended without counts; the old row stays."""
        plan = Plan(part.pieces, part.seed, part.cost)
        return self.part(self._insert(part.job, part.slot, part.attempt + 1, plan, token))

    def change(self, part: int, before: Sequence[str], state: str, **fields: Any) -> bool:
        """Move a part from one of the states ``before`` to ``state`` and set columns; False, and nothing done, if it is in none of them."""
        if fields.get("error"):
            fields["error"] = redact(fields["error"])
        with self.transaction() as connection:
            (was,) = connection.execute("SELECT state FROM parts WHERE id = ?", (part,)).fetchone()
            if was not in before:
                return False
            names = "".join(f", {name} = ?" for name in fields)
            connection.execute(f"UPDATE parts SET state = ?{names} WHERE id = ?", (state, *fields.values(), part))
            if was != state:
                self._log(part, state)
            return True

    def _log(self, part: int, state: str) -> None:
        self._connection.execute("INSERT INTO events (part, state, time) VALUES (?, ?, ?)", (part, state, time.time()))

    def deliver(self, job: int) -> None:
        """Note that the result was handed over: the same spec is then a new job."""
        with self.transaction() as connection:
            connection.execute("UPDATE jobs SET delivered = ? WHERE id = ?", (time.time(), job))

    # Reading

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, self._explained():
            if self._process != os.getpid():
                self._inherited.append(self._connection)
                self._open()
            try:
                return self._connection.execute(query, values).fetchall()
            except OverflowError:  # no row has a number of more than 64 bits
                return []

    def records(self, digest: str | None = None) -> list[Record]:
        """Return every job, or those of a digest, oldest first."""
        where, values = ("", ()) if digest is None else (" WHERE digest = ?", (digest,))
        return [_record(row) for row in self._rows(f"SELECT * FROM jobs{where} ORDER BY id", *values)]

    def record(self, job: int) -> Record:
        """Return one job."""
        rows = self._rows("SELECT * FROM jobs WHERE id = ?", job)
        if not rows:
            do = "flashket qpu status lists them"
            raise JobError(explanation("journal", "a job's number was wanted", f"{job}, which is not in {self.path}", do))
        return _record(rows[0])

    def part(self, part: int) -> Part:
        """Return one part."""
        return _part(self._rows(f"SELECT {_PART} FROM parts WHERE id = ?", part)[0])

    def parts(self, job: int, *, every: bool = False) -> list[Part]:
        """Return a job's parts in order: the last attempt of each, or every one."""
        rows = [_part(row) for row in self._rows(f"SELECT {_PART} FROM parts WHERE job = ? ORDER BY slot, attempt", job)]
        return rows if every else list({row.slot: row for row in rows}.values())

    def counts(self, part: int) -> tuple[dict[int, int], ...]:
        """Return a part's counts, one dictionary for each of its pieces, as the provider gave them."""
        return read_counts(self._rows("SELECT counts FROM parts WHERE id = ?", part)[0][0])

    def metadata(self, part: int) -> dict[str, Any]:
        """Return what else the provider said of a part."""
        found: dict[str, Any] = json.loads(self._rows("SELECT metadata FROM parts WHERE id = ?", part)[0][0] or "{}")
        return found

    def circuits(self, job: int) -> list[CircuitEntry]:
        """Return a job's circuits in order."""
        rows = self._rows("SELECT digest, n_bits, shots FROM job_circuits WHERE job = ? ORDER BY position", job)
        return [CircuitEntry(*row) for row in rows]

    def qasm(self, digest: str) -> str:
        """Return a circuit as OpenQASM 3."""
        return zlib.decompress(self._rows("SELECT qasm FROM circuits WHERE digest = ?", digest)[0][0]).decode()

    def arrays(self, job: int) -> dict[str, bytes]:
        """Return a job's data as .npy files, by name."""
        return {row["name"]: row["npy"] for row in self._rows("SELECT name, npy FROM arrays WHERE job = ?", job)}

    def history(self, job: int) -> list[tuple[int, str, float]]:
        """Return (part, state, time) of every change of a job, in the order in which they happened."""
        query = "SELECT part, events.state, time FROM events JOIN parts ON parts.id = part WHERE job = ? ORDER BY seq"
        return [(row[0], row[1], row[2]) for row in self._rows(query, job)]

    # Who may send a job's parts

    @contextmanager
    def sending(self, job: int, seconds: float | None = None) -> Iterator[None]:
        """Hold the right to send a job's parts; the operating system takes it back when the process ends, however it ends.

        Raises
        ------
        JobError
            If another process or thread has it for longer than ``seconds``, or ``busy_seconds``.
        """
        if not self.is_kept:
            with self._lock:
                yield
            return
        from flashket.qpu.file_lock import held

        with self._explained():
            lock = held(Path(f"{self.path}.job{job}.lock"), self.busy_seconds if seconds is None else seconds)
            is_held = lock.__enter__()
        try:
            if not is_held:
                do = "wait until it has finished, then ask for the result"
                raise JobError(explanation("journal", f"job {job} must be free to be sent", "another process that is sending it", do))
            yield
        finally:
            lock.__exit__(None, None, None)


_COST = {field.name for field in fields(Cost)}


def _record(row: sqlite3.Row) -> Record:
    return Record(**{**dict(row), "spec": json.loads(row["spec"]), "is_remote": bool(row["is_remote"])})


def _part(row: sqlite3.Row) -> Part:
    values = dict(row)
    cost = json.loads(values["cost"])
    known: dict[str, Any] = {name: tuple(value) if name == "notes" else value for name, value in cost.items() if name in _COST}
    values["cost"] = Cost(**known)
    values["pieces"] = tuple((position, shots) for position, shots in json.loads(values["pieces"]))
    values["is_billed"] = bool(values["is_billed"])
    values["has_counts"] = bool(values["has_counts"])
    return Part(**values)


def write_counts(counts: Sequence[dict[int, int]]) -> str:
    """Return counts as JSON text.

    Examples
    --------
    >>> write_counts([{0: 3, 2: 1}])
    '[{"0": 3, "2": 1}]'
    """
    return json.dumps([{str(int(outcome)): int(n) for outcome, n in found.items()} for found in counts])


def read_counts(text: str) -> tuple[dict[int, int], ...]:
    """Return what :func:`write_counts` wrote.

    Examples
    --------
    >>> read_counts('[{"0": 3, "2": 1}]')
    ({0: 3, 2: 1},)
    """
    return tuple({int(outcome): n for outcome, n in found.items()} for found in json.loads(text))
