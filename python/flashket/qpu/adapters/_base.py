# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What an adapter is: the one seam between jobs and providers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost


@dataclass(frozen=True)
class Limits:
    """What a device takes: qubits, and of one job shots a circuit, circuits, and executions; None: no limit known.

    ``same_shots``: all circuits of one job get the same number of shots.
    """

    n_qubits: int | None
    max_shots: int | None = None
    max_circuits: int | None = None
    max_executions: int | None = None
    same_shots: bool = False


@dataclass(frozen=True)
class Batch:
    """Circuits of one provider job, each with its shots."""

    circuits: tuple[MeasuredCircuit, ...]
    shots: tuple[int, ...]
    seed: int | None = None


@dataclass(frozen=True)
class Result:
    """What a finished job brought.

    Parameters
    ----------
    counts : tuple of dict of int to int
        For each circuit, how often each outcome came; bit j of an outcome is classical bit j.
    queue_seconds, execution_seconds : float or None
        As the provider reports them.
    qpu_seconds, usd : float or None
        What the provider billed, where it says so.
    calibration : str
        ISO time of the calibration that the job ran under, "" where unknown.
    raw : dict
        The provider's own metadata, as JSON; without credentials.
    """

    counts: tuple[dict[int, int], ...]
    queue_seconds: float | None = None
    execution_seconds: float | None = None
    qpu_seconds: float | None = None
    usd: float | None = None
    calibration: str = ""
    raw: dict[str, Any] = field(default_factory=dict)


class Adapter(Protocol):
    """A provider's device. Construction checks the name and imports the SDK; it neither connects nor spends.

    ``status`` answers "queued", "running", "done", "failed" or "cancelled". Methods raise BackendUnavailable for missing packages or
    credentials, JobError with the provider's reason, and ``TransientError`` for what may be tried again (timeouts, 429, 5xx).
    """

    name: str
    is_remote: bool
    """Whether it leaves this machine; local simulators cost nothing and need no budget."""

    def limits(self) -> Limits:
        """Say what one job may hold."""

    def estimate(self, batch: Batch) -> Cost:
        """Say what the batch costs."""

    def submit(self, batch: Batch, token: str) -> str:
        """Send the batch and return the provider's job id. The token is stored with the job, as a tag, so that find() can see it."""

    def find(self, token: str) -> str | None:
        """Return the id of the job that carries the token, None if the provider has none; asked when submit()'s outcome is unknown."""

    def status(self, job_id: str) -> str:
        """Return the job's state."""

    def result(self, job_id: str) -> Result:
        """Return a finished job's counts."""

    def cancel(self, job_id: str) -> None:
        """Ask the provider to stop the job."""


class TransientError(Exception):
    """Something that may work when tried again; ``retry_after`` in seconds where the provider says so.

    ``refused`` promises that the provider took nothing (429, a connection that was never made), so that even submit() may be tried
    again; otherwise the outcome of a submit() is unknown.
    """

    def __init__(self, text: str, retry_after: float | None = None, *, refused: bool = False) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.refused = refused


def check_counts(counts: Sequence[dict[int, int]], batch: Batch, name: str) -> None:
    """Raise JobError if counts do not add up to the shots, or name outcomes that do not exist."""
    from flashket.errors import JobError, explanation

    if len(counts) != len(batch.circuits):
        raise JobError(explanation(name, f"results of {len(batch.circuits)} circuits were wanted", len(counts), "fetch the job again"))
    for index, (found, circuit, shots) in enumerate(zip(counts, batch.circuits, batch.shots, strict=True)):
        total = sum(found.values())
        if total != shots or any(not 0 <= outcome < 1 << len(circuit.measured) or n < 0 for outcome, n in found.items()):
            got = f"{total} counts of {len(found)} outcomes"
            raise JobError(explanation(name, f"circuit {index} must have {shots} counts of {len(circuit.measured)} bits", got))
