# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What adapters share: imports of SDKs, checks of a batch, gates, costs, simulators that run in this process."""

from __future__ import annotations

import importlib
import math
import operator
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket.errors import BackendUnavailable, InputError, JobError, explanation
from flashket.program import Gate, Linear, Program
from flashket.qpu.adapters._asking import asked
from flashket.qpu.adapters._base import Batch, Limits, Result, check_counts
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import redact


def sdk(module: str, package: str, extra: str, place: str) -> Any:
    """Import a provider's module, or raise BackendUnavailable that names the package and the extra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        do = f"pip install 'flashket[{extra}]'"
        raise BackendUnavailable(explanation(place, f"the package {package} is needed", f"{type(error).__name__}: {error}", do)) from None


def check_batch(batch: Batch, limits: Limits, place: str) -> None:
    """Raise InputError for a batch that the device does not take; nothing was sent."""
    if not batch.circuits or len(batch.circuits) != len(batch.shots):
        got = f"{len(batch.circuits)} circuits and {len(batch.shots)} shots"
        raise InputError(explanation(place, "a batch must hold circuits, each with its shots", got, "pass one number for each circuit"))
    for shots in batch.shots:
        try:
            fine = operator.index(shots) >= 1
        except TypeError:
            fine = False
        if not fine:
            raise InputError(explanation(place, "shots must be positive integers", shots, "QPUs give counts, not exact values"))

    def refuse(wanted: str, found: int, limit: int | None, do: str) -> None:
        if limit is not None and found > limit:
            raise InputError(explanation(place, f"{wanted} must be at most {limit:,}", f"{found:,}", do))

    refuse("qubits", max(circuit.n_qubits for circuit in batch.circuits), limits.n_qubits, "choose a larger device or fewer features")
    refuse("shots of a circuit", max(batch.shots), limits.max_shots, "split the circuit over several batches")
    refuse("circuits of a job", len(batch.circuits), limits.max_circuits, "split the batch")
    if limits.same_shots and len(set(batch.shots)) > 1:
        do = "put circuits of equal shots into one batch"
        raise InputError(explanation(place, "all circuits of a job must have the same shots", sorted(set(batch.shots)), do))
    refuse("executions of a job", sum(batch.shots), limits.max_executions, "split the batch")


def flat(circuit: MeasuredCircuit) -> Program:
    """Return a measured circuit's gates as one program, without its barriers."""
    return Program(circuit.n_qubits, 0, tuple(gate for part in circuit.parts for gate in part.gates))


def angle_of(gate: Gate) -> float | None:
    """Return a bound gate's angle, None for gates that have none.

    Examples
    --------
    >>> angle_of(Gate("rx", (0,), ((0.0, -1, 0.5),))), angle_of(Gate("h", (0,)))
    (0.5, None)
    """
    if not gate.angle:
        return None
    angle = 1.0
    for factor in gate.angle:
        angle *= factor.offset
    return angle


def rewritten(gates: Iterable[Gate], allowed: Collection[str]) -> Iterator[Gate]:
    """Yield gates of ``allowed`` names that do the same up to a global phase, which no count shows.

    Parameters
    ----------
    gates : iterable of Gate
        Bound ones.
    allowed : collection of str
        What the provider has; at least h, rx, ry, rz and one of cx, cz and rzz.

    Examples
    --------
    >>> [gate.name for gate in rewritten([Gate("cz", (0, 1))], {"h", "rx", "ry", "rz", "cx"})]
    ['h', 'cx', 'h']
    """
    for gate in gates:
        if gate.name in allowed:
            yield gate
        else:
            yield from rewritten(_written(gate, allowed), allowed)


_TURNS = {
    "x": ("rx", 1.0),
    "y": ("ry", 1.0),
    "z": ("rz", 1.0),
    "s": ("rz", 0.5),
    "sdg": ("rz", -0.5),
    "t": ("rz", 0.25),
    "tdg": ("rz", -0.25),
}


def _written(gate: Gate, allowed: Collection[str]) -> list[Gate]:
    """Return a gate as simpler ones; every chain of these ends at h, rx, ry, rz and the two-qubit gate that is there."""
    a, b = gate.qubits[0], gate.qubits[-1]
    angle = angle_of(gate) or 0.0

    def turn(name: str, value: float, *qubits: int) -> Gate:
        return Gate(name, qubits, (Linear(0.0, -1, value),))

    if gate.name in _TURNS:
        name, quarter = _TURNS[gate.name]
        return [turn(name, math.pi * quarter, a)]
    if gate.name == "h":
        return [turn("rz", math.pi, a), turn("ry", math.pi / 2, a)]
    if gate.name == "p":
        return [turn("rz", angle, a)]
    if gate.name == "cx":
        return [Gate("h", (b,)), Gate("cz", (a, b)), Gate("h", (b,))]
    if gate.name == "cz":
        if "rzz" in allowed:
            return [turn("cp", math.pi, a, b)]
        return [Gate("h", (b,)), Gate("cx", (a, b)), Gate("h", (b,))]
    if gate.name == "cp":
        return [turn("rz", angle / 2, a), turn("rz", angle / 2, b), turn("rzz", -angle / 2, a, b)]
    if gate.name == "rzz":
        return [Gate("cx", (a, b)), turn("rz", angle, b), Gate("cx", (a, b))]
    if gate.name == "rxx":
        change = [Gate("h", (a,)), Gate("h", (b,))]
        return [*change, turn("rzz", angle, a, b), *change]
    if gate.name == "ryy":
        there, back = ([turn("rx", sign * math.pi / 2, qubit) for qubit in (a, b)] for sign in (1, -1))
        return [*there, turn("rzz", angle, a, b), *back]
    if gate.name == "swap":
        return [Gate("cx", (a, b)), Gate("cx", (b, a)), Gate("cx", (a, b))]
    if gate.name == "crz":
        return [turn("rz", angle / 2, b), turn("rzz", -angle / 2, a, b)]
    if gate.name == "cry":
        return [turn("rx", math.pi / 2, b), turn("crz", angle, a, b), turn("rx", -math.pi / 2, b)]
    if gate.name == "crx":
        return [Gate("h", (b,)), turn("crz", angle, a, b), Gate("h", (b,))]
    raise AssertionError(gate.name)


def counts_of_bits(bits: npt.NDArray[Any]) -> dict[int, int]:
    """Return counts of outcomes from an array (shots, n_bits) of 0 and 1; column j is classical bit j.

    Examples
    --------
    >>> counts_of_bits(np.array([[0, 1], [1, 0], [0, 1]]))
    {2: 2, 1: 1}
    """
    counts: dict[int, int] = {}
    for row, times in zip(*np.unique(np.asarray(bits, np.uint8), axis=0, return_counts=True), strict=True):
        counts[sum(int(bit) << index for index, bit in enumerate(row))] = int(times)
    return counts


def drawn(probabilities: npt.NDArray[np.float64], shots: int, seed: int | None, index: int) -> dict[int, int]:
    """Draw counts from exact probabilities: one multinomial number, from the stream of (seed, circuit's index)."""
    weights = np.clip(np.asarray(probabilities, np.float64), 0.0, None)
    rng = np.random.default_rng(None if seed is None else (seed, index))
    counts = rng.multinomial(shots, weights / weights.sum())
    return {int(outcome): int(counts[outcome]) for outcome in np.flatnonzero(counts)}


def circuit_seeds(batch: Batch) -> list[int | None]:
    """Return one seed below 2^31 for each circuit, all None without a seed."""
    if batch.seed is None:
        return [None] * len(batch.circuits)
    return [int(np.random.default_rng((batch.seed, index)).integers(2**31 - 1)) for index in range(len(batch.circuits))]


def free(batch: Batch, note: str = "runs on this machine") -> Cost:
    """Return the cost of a simulation here."""
    return Cost(len(batch.circuits), sum(batch.shots), 0.0, 0.0, 0.0, notes=(note,), qpu_seconds_worst=0.0)


def device_cost(batch: Batch, names: Sequence[str], seller: str = "", *, circuits_per_task: int = 1) -> Cost:
    """Return what a batch costs on a real device.

    Parameters
    ----------
    batch : Batch
        The circuits.
    names : sequence of str
        What the device may be called among the known ones; the first that is known counts.
    seller : str
        How the name of the offer begins, e.g. "braket_"; "" for the usual one.
    circuits_per_task : int
        More than 1 where one task holds many.

    Notes
    -----
    For a device that is not known, or that this seller has no price for, nothing is known, which no budget covers.
    """
    from flashket.qpu.cost import estimate_cost
    from flashket.qpu.offers import OFFERS, find_device

    def unknown(note: str) -> Cost:
        return Cost(len(batch.circuits), sum(batch.shots), None, None, None, notes=(note,))

    for name in names:
        try:
            device = find_device(name)
        except InputError:
            continue
        offer = next((offer.name for offer in OFFERS if offer.sells(device) and offer.name.startswith(seller)), None)
        if seller and offer is None:
            return unknown(f"no price of {name} by {seller.rstrip('_')} is known")
        return estimate_cost(device, batch.circuits, batch.shots, provider=offer, circuits_per_task=circuits_per_task)
    return unknown(f"no profile of {names[0]}: pass profile= with the name of a known device or a profile's file")


class LocalAdapter(ABC):
    """A simulator in this process: ``submit`` runs it. Its jobs end with the process; running them again costs nothing.

    ``_run(batch)`` of a subclass returns the counts and what else a Result's ``raw`` should say.
    """

    is_remote = False
    is_own = False
    """Whether no SDK runs it, so that errors are ours already."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        self._results: dict[str, Result] = {}

    @abstractmethod
    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]: ...

    def limits(self) -> Limits:
        """Say what one job may hold."""
        return self._limits

    def estimate(self, batch: Batch) -> Cost:
        """Return no cost."""
        return free(batch)

    def submit(self, batch: Batch, token: str) -> str:
        """Run the batch; a token that ran before is not run again."""
        job_id = f"local-{token}"
        if job_id in self._results:
            return job_id
        check_batch(batch, self.limits(), self.name)
        began = time.perf_counter()
        counts, raw = self._run(batch) if self.is_own else asked(self.name, lambda: self._run(batch))
        check_counts(counts, batch, self.name)
        self._results[job_id] = Result(tuple(counts), 0.0, time.perf_counter() - began, 0.0, 0.0, raw=redact(raw))
        return job_id

    def find(self, token: str) -> str | None:
        """Return the job's id if this process ran it."""
        job_id = f"local-{token}"
        return job_id if job_id in self._results else None

    def status(self, job_id: str) -> str:
        """Return "done"."""
        self.result(job_id)
        return "done"

    def result(self, job_id: str) -> Result:
        """Return the counts."""
        if job_id not in self._results:
            do = "submit the batch again; it costs nothing"
            raise JobError(explanation(self.name, "a local job lives in the process that ran it", f"the unknown job {job_id}", do))
        return self._results[job_id]

    def cancel(self, job_id: str) -> None:
        """Do nothing: the job is over."""
        self.result(job_id)
