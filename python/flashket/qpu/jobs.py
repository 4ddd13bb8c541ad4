# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs on QPUs: ``capabilities``, ``estimate``, ``submit``, ``status``, ``result``, ``cancel`` over any adapter, through the journal.

The order that keeps money safe: plan and reserve in one transaction -> mark as submitting -> send with a token -> store the provider's id
-> fetch -> keep the raw counts -> check them -> done. Killed anywhere, the same call (or :meth:`Job.result`) goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from flashket.errors import BackendUnavailable, InputError, JobError, explanation
from flashket.qpu.adapters._base import Adapter, Batch, Limits
from flashket.qpu.cost import Cost
from flashket.qpu.journal import CircuitEntry, Journal, Part, Plan, Record
from flashket.qpu.retry import Retry
from flashket.qpu.sending import Sending, new_token
from flashket.qpu.spending import Reservation, reserve
from flashket.qpu.splitting import check_batch, split

REUSE = ("unfinished", "any", "never")

_METHODS = ("limits", "estimate", "submit", "find", "status", "result", "cancel")


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands.

    Parameters
    ----------
    job : int
        Its number in the journal.
    state : str
        "done" when every part is; else the state of the part that needs most attention.
    parts : tuple of Part
        One for each provider job.
    provider : tuple of str
        What the provider says of each: "queued", "running" ..., or its state in the journal.
    usd, qpu_seconds : float
        Spent, every attempt included; open parts and unknown outcomes with their worst case.
    """

    job: int
    state: str
    parts: tuple[Part, ...]
    provider: tuple[str, ...]
    usd: float
    qpu_seconds: float


@dataclass(frozen=True)
class JobResult:
    """The counts of every circuit, with what they cost.

    Parameters
    ----------
    counts : tuple of dict of int to int
        For each circuit; bit j of an outcome is classical bit j.
    usd, qpu_seconds : float
        Spent, failed attempts included: as billed where the provider says so (``is_billed``), else as estimated.
    queue_seconds, execution_seconds, wall_seconds : float or None
        The longest wait in a queue, the sum of what the provider reports as execution, and the longest time from sending to fetching.
    calibrations : tuple of str
        ISO times of the calibrations that the parts ran under, without repetition.
    """

    counts: tuple[dict[int, int], ...]
    usd: float
    qpu_seconds: float
    is_billed: bool
    queue_seconds: float | None
    execution_seconds: float | None
    wall_seconds: float | None
    calibrations: tuple[str, ...]


_ATTENTION = ("unknown", "failed", "cancelled", "submitting", "planned", "reserved", "submitted")


class Job(Sending):
    """A job in a journal; made by :func:`submit` and :func:`open_job`.

    ``id`` is its number, ``record`` what the journal keeps of it.
    """

    def __init__(self, journal: Journal, record: Record, adapter: Adapter, retry: Retry, circuits: Sequence[Any] = ()) -> None:
        self.journal = journal
        self.record = record
        self.adapter = adapter
        self.retry = retry
        self.circuits = tuple(circuits)
        self.reservations: dict[int, Reservation] = {}

    @property
    def id(self) -> int:
        """Its number in the journal."""
        return self.record.id

    def status(self, *, refresh: bool = True) -> JobStatus:
        """Return where the job stands; with ``refresh`` the provider is asked about what it has."""
        parts = tuple(self.journal.parts(self.id))
        provider = []
        for part in parts:
            asked = refresh and part.state == "submitted" and not part.has_counts
            provider.append(self.provider_state(part) if asked else part.state)
        states = {part.state for part in parts}
        state = next((state for state in _ATTENTION if state in states), "done")
        every = self.journal.parts(self.id, every=True)
        usd, seconds = math.fsum(part.usd_spent for part in every), math.fsum(part.seconds_spent for part in every)
        return JobStatus(self.id, state, parts, tuple(provider), usd, seconds)

    def result(self, *, timeout: float | None = None) -> JobResult:
        """Wait for the job, fetch what is missing and return the counts; notes in the journal that they were handed over.

        Parameters
        ----------
        timeout : float, optional
            Seconds after which to give up waiting; None waits as long as it takes.

        Raises
        ------
        JobError
            If a part failed, was cancelled, was never sent, has an unknown outcome, or is not ready in time; the text names it. What
            the other parts brought is in the journal, and submitting the job again sends only what is missing.
        """
        found = self.collect(timeout)
        self.journal.deliver(self.id)
        return found

    def collect(self, timeout: float | None = None) -> JobResult:
        """Do what :meth:`result` does without noting that the caller has it."""
        self.fetch(timeout)
        parts = self.journal.parts(self.id)
        if any(part.state != "done" for part in parts):
            raise JobError(self.missing(parts))
        counts: list[dict[int, int]] = [{} for _ in self.journal.circuits(self.id)]
        for part in parts:
            for (position, _), found in zip(part.pieces, self.journal.counts(part.id), strict=True):
                for outcome, n in found.items():
                    counts[position][outcome] = counts[position].get(outcome, 0) + n
        every = self.journal.parts(self.id, every=True)
        return JobResult(
            counts=tuple(counts),
            usd=math.fsum(part.usd_spent for part in every),
            qpu_seconds=math.fsum(part.seconds_spent for part in every),
            is_billed=all(part.is_billed for part in parts),
            queue_seconds=max((part.queue_seconds for part in parts if part.queue_seconds is not None), default=None),
            execution_seconds=_sum([part.execution_seconds for part in parts]),
            wall_seconds=max((part.wall_seconds for part in parts if part.wall_seconds is not None), default=None),
            calibrations=tuple(dict.fromkeys(part.calibration for part in parts if part.calibration)),
        )

    def __repr__(self) -> str:
        return f"Job({self.id}, {self.record.backend!r}, {self.status(refresh=False).state})"


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


def as_adapter(device: Any) -> Adapter:
    """Return the adapter of a backend's name, a provider's object, or itself."""
    if all(hasattr(device, method) for method in _METHODS):
        adapter: Adapter = device
        return adapter
    from flashket.qpu.adapters import open_adapter, wrap

    return open_adapter(device) if isinstance(device, str) else wrap(device)


def as_journal(journal: Journal | str | os.PathLike[str] | None, adapter: Adapter) -> Journal:
    """Return an open journal: the one named, else the default one; a local simulator without $FLASHKET_JOURNAL keeps nothing."""
    if isinstance(journal, Journal):
        return journal
    if journal is None and not adapter.is_remote and not os.environ.get("FLASHKET_JOURNAL"):
        return Journal(":memory:")
    return Journal(journal)


def capabilities(device: Any) -> Limits:
    """Return what a device takes in one job.

    Parameters
    ----------
    device : str, Adapter or a provider's object
        E.g. ``"aer:ibm_torino"``; see :func:`flashket.qpu.adapters.open_adapter`.

    Examples
    --------
    >>> capabilities("sim:ibm_torino").n_qubits is not None
    True
    """
    return _limits(as_adapter(device))


def _limits(adapter: Adapter) -> Limits:
    return Retry().call(adapter.limits, adapter.name)


def estimate(batch: Batch, device: Any) -> Cost:
    """Return what a batch costs on a device, all its provider jobs together. Nothing is sent.

    Parameters
    ----------
    batch : Batch
        Circuits with their shots.
    device : str, Adapter or a provider's object

    Raises
    ------
    InputError
        For a batch that the device cannot take.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> from flashket.qpu import MeasuredCircuit
    >>> circuit = MeasuredCircuit((Program(1, 0, (Gate("h", (0,)),)),), (0,))
    >>> estimate(Batch((circuit,), (100,)), "sim:ideal").executions
    100
    """
    adapter = as_adapter(device)
    return total([plan.cost for plan in _plans(_checked(batch, adapter), adapter)])


def total(costs: Sequence[Cost]) -> Cost:
    """Return the sum of costs; what one of them does not know, the sum does not.

    Examples
    --------
    >>> found = total([Cost(1, 10, 1.0, 0.5, 0.6), Cost(2, 20, 2.0, None, None)])
    >>> found.circuits, found.executions, found.qpu_seconds, found.usd
    (3, 30, 3.0, None)
    """
    return Cost(
        circuits=sum(cost.circuits for cost in costs),
        executions=sum(cost.executions for cost in costs),
        qpu_seconds=_sum([cost.qpu_seconds for cost in costs]),
        usd=_sum([cost.usd for cost in costs]),
        usd_worst=_sum([cost.usd_worst for cost in costs]),
        hqc=_sum([cost.hqc for cost in costs]),
        price_date=min((cost.price_date for cost in costs if cost.price_date), default=""),
        is_stale=any(cost.is_stale for cost in costs),
        notes=tuple(dict.fromkeys(note for cost in costs for note in cost.notes)),
        qpu_seconds_worst=_sum([cost.qpu_seconds_worst for cost in costs]),
        provider=costs[0].provider if costs else "",
        kind="list-price" if costs and all(cost.kind == "list-price" for cost in costs) else "modelled",
    )


def submit(
    batch: Batch,
    device: Any,
    *,
    spec: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    arrays: Mapping[str, bytes] | None = None,
    journal: Journal | str | os.PathLike[str] | None = None,
    reuse: str = "unfinished",
    retry_unknown: bool = False,
    retry: Retry | None = None,
) -> Job:
    """Send a batch as one or more provider jobs, or go on with the same one that was not finished.

    Parameters
    ----------
    batch : Batch
        Circuits with their shots; they are split by the device's limits.
    device : str, Adapter or a provider's object
    spec : mapping, optional
        Plain data that says what the job is: equal specs on one backend are the same job. Default: circuits, shots and seed.
    extra, arrays : mapping, optional
        Plain data, and .npy files, that the journal keeps with the job.
    journal : Journal or path, optional
        Default: :func:`flashket.qpu.journal.default_path`; local simulators keep none unless one is named.
    reuse : str
        What to do when the journal has this job: "unfinished" goes on with one whose result was never handed over, "any" also takes
        one that was, "never" starts (and pays) anew.
    retry_unknown : bool
        Send parts again whose outcome is unknown, after looking for them; they may then be paid twice.
    retry : Retry, optional
        How often and how long to wait.

    Returns
    -------
    Job
        With :meth:`Job.status`, :meth:`Job.result` and ``cancel``.

    Raises
    ------
    BudgetExceeded
        If the worst case does not fit into :func:`flashket.qpu.budget`; nothing was sent.
    JobError
        If the journal cannot be written (nothing was sent), the provider refuses, or an outcome is unknown.

    Notes
    -----
    Parts that failed or were cancelled are sent again, and only they. Several threads and processes may call this with one journal;
    only one of them sends.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> from flashket.qpu import MeasuredCircuit
    >>> flip = MeasuredCircuit((Program(1, 0, (Gate("x", (0,)),)),), (0,))
    >>> submit(Batch((flip,), (100,), seed=1), "sim:ideal").result().counts
    ({1: 100},)
    """
    if reuse not in REUSE:
        raise InputError(explanation("submit", f"reuse must be one of {', '.join(REUSE)}", repr(reuse), '"unfinished" is the default'))
    adapter = as_adapter(device)
    batch = _checked(batch, adapter)
    plans = _plans(batch, adapter)
    texts = [circuit.to_qasm() for circuit in batch.circuits]  # once: this is what takes the time
    entries = [
        CircuitEntry(hashlib.sha256(text.encode()).hexdigest(), len(circuit.measured), shots)
        for text, circuit, shots in zip(texts, batch.circuits, batch.shots, strict=True)
    ]
    if spec is None:
        spec = {"circuits": [entry.digest for entry in entries], "shots": list(batch.shots), "seed": batch.seed}
    spec = plain_data(spec)
    digest = spec_digest(spec, adapter.name)
    book = as_journal(journal, adapter)
    reserved: list[Reservation] = []
    try:
        record, is_new = book.plan(
            digest=digest,
            spec={**spec, "extra": plain_data(extra or {})},
            backend=adapter.name,
            is_remote=adapter.is_remote,
            version=_version(),
            circuits=entries,
            qasm=texts,
            arrays=dict(arrays or {}),
            plans=plans,
            tokens=[new_token() for _ in plans],
            reuse=lambda: find_record(book, digest, reuse),
            reserve=lambda: reserved.extend(reserve([p.cost for p in plans], adapter.name, is_remote=adapter.is_remote)),
        )
    except BaseException:
        for reservation in reserved:
            reservation.release()
        raise
    job = Job(book, record, adapter, retry or Retry(), batch.circuits)
    if is_new:
        job.reservations = {part.id: each for part, each in zip(book.parts(record.id), reserved, strict=True)}
    elif book.circuits(record.id) != entries:
        got = "others from the same spec: another version of FlashKet or another process's random seed made them"
        raise JobError(explanation("submit", f"the circuits of job {record.id} were wanted", got, 'fetch that job, or pass reuse="never"'))
    job.send(retry_unknown)
    return job


def plain_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON makes of a mapping, NumPy's numbers included; raise InputError for what is no plain data.

    Examples
    --------
    >>> plain_data({"shots": np.int64(7), "scales": (1, 3)})
    {'shots': 7, 'scales': [1, 3]}
    """

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        do = "use numbers, text, lists and dictionaries"
        raise InputError(explanation("submit", "what a journal keeps must be plain data", repr(value), do))

    found: dict[str, Any] = json.loads(json.dumps(dict(values), default=plain))
    return found


def spec_digest(spec: Mapping[str, Any], backend: str) -> str:
    """Return the SHA-256 that tells jobs apart."""
    return hashlib.sha256(json.dumps([dict(spec), backend], sort_keys=True).encode()).hexdigest()


def find_record(journal: Journal, digest: str, reuse: str) -> Record | None:
    """Return the newest job of a digest that may be gone on with."""
    if reuse == "never":
        return None
    return next((each for each in reversed(journal.records(digest)) if reuse == "any" or each.delivered is None), None)


def _checked(batch: Batch, adapter: Adapter) -> Batch:
    """Return the batch with plain integers for shots; raise InputError where the device cannot take it."""
    plain = replace(batch, shots=tuple(int(shots) if isinstance(shots, np.integer) else shots for shots in batch.shots))
    check_batch(plain, _limits(adapter), adapter.name)
    return plain


def _plans(batch: Batch, adapter: Adapter) -> list[Plan]:
    plans = []
    for slot, pieces in enumerate(split(batch.shots, _limits(adapter))):
        # 31 bits: every provider takes these; each part its own, or all would draw the same samples.
        seed = None if batch.seed is None else int(np.random.SeedSequence([batch.seed, slot]).generate_state(1)[0] >> 1)
        part = Batch(tuple(batch.circuits[position] for position, _ in pieces), tuple(shots for _, shots in pieces), seed)
        plans.append(Plan(pieces, seed, Retry().call(partial(adapter.estimate, part), adapter.name)))
    return plans


def _version() -> str:
    from flashket import __version__

    return __version__


def open_job(job: int, *, device: Any = None, journal: Journal | str | os.PathLike[str] | None = None, retry: Retry | None = None) -> Job:
    """Return a job of the journal by its number.

    Parameters
    ----------
    job : int
        As :func:`submit` gave it, and ``flashket qpu status`` lists it.
    device : optional
        Where the job was made with a provider's object: that object again.
    journal : Journal or path, optional
    retry : Retry, optional

    Raises
    ------
    JobError
        If the journal has no such job.

    Examples
    --------
    >>> open_job(7, journal=":memory:")
    Traceback (most recent call last):
        ...
    flashket.errors.JobError: [journal] a job's number was wanted, got 7, which is not in :memory:: flashket qpu status lists them
    """
    book = journal if isinstance(journal, Journal) else Journal(journal)
    record = book.record(job)
    try:
        adapter = as_adapter(record.backend if device is None else device)
    except (BackendUnavailable, InputError):
        # Without the package, or the object that was passed: what is in the journal can be read all the same.
        if device is not None or any(part.state != "done" for part in book.parts(job)):
            raise
        adapter = cast(Adapter, _Absent(record.backend, record.is_remote))
    return Job(book, record, adapter, retry or Retry())


@dataclass(frozen=True)
class _Absent:
    """What stands for the adapter of a job whose counts are all in the journal: nobody asks it anything."""

    name: str
    is_remote: bool


def status(job: Job | int, *, journal: Journal | str | os.PathLike[str] | None = None, refresh: bool = True) -> JobStatus:
    """Return where a job stands; see :meth:`Job.status`.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> from flashket.qpu import MeasuredCircuit
    >>> flip = MeasuredCircuit((Program(1, 0, (Gate("x", (0,)),)),), (0,))
    >>> status(submit(Batch((flip,), (100,)), "sim:ideal")).state
    'submitted'
    """
    return _opened(job, journal).status(refresh=refresh)


def result(job: Job | int, *, journal: Journal | str | os.PathLike[str] | None = None, timeout: float | None = None) -> JobResult:
    """Wait for a job and return its counts; see :meth:`Job.result`.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> from flashket.qpu import MeasuredCircuit
    >>> flip = MeasuredCircuit((Program(1, 0, (Gate("x", (0,)),)),), (0,))
    >>> result(submit(Batch((flip,), (100,)), "sim:ideal")).counts
    ({1: 100},)
    """
    return _opened(job, journal).result(timeout=timeout)


def cancel(job: Job | int, *, journal: Journal | str | os.PathLike[str] | None = None) -> JobStatus:
    """Stop what has not run; see :meth:`Job.cancel`.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> from flashket.qpu import MeasuredCircuit
    >>> flip = MeasuredCircuit((Program(1, 0, (Gate("x", (0,)),)),), (0,))
    >>> cancel(submit(Batch((flip,), (100,)), "sim:ideal")).state  # has run already: its counts can be fetched
    'submitted'
    """
    opened = _opened(job, journal)
    opened.cancel()
    return opened.status(refresh=False)


def _opened(job: Job | int, journal: Journal | str | os.PathLike[str] | None) -> Job:
    return job if isinstance(job, Job) else open_job(job, journal=journal)
