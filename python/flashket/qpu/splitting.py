# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One batch as provider jobs that keep to a device's limits."""

from __future__ import annotations

from collections.abc import Sequence

from flashket.errors import InputError, explanation
from flashket.qpu.adapters._base import Batch, Limits

Pieces = tuple[tuple[int, int], ...]
"""(position of the circuit, shots) of one provider job."""


def split(shots: Sequence[int], limits: Limits) -> list[Pieces]:
    """Return the pieces of every provider job, in order.

    Parameters
    ----------
    shots : sequence of int
        Of each circuit.
    limits : Limits
        With ``same_shots`` only circuits of equal shots share a job. Shots beyond ``max_shots`` or ``max_executions`` become several
        pieces. No provider job holds a circuit twice: a simulator with one seed would draw the same samples.

    Examples
    --------
    >>> split([500, 500, 1500], Limits(5, max_shots=1000, max_executions=1500))
    [((0, 500), (1, 500)), ((2, 1000),), ((2, 500),)]
    """
    most = min(limits.max_shots or max(shots), limits.max_executions or max(shots))
    parts: list[Pieces] = []
    for first in range(0, max(shots), most):  # the first piece of every circuit, then the second of those that have one ...
        current: list[tuple[int, int]] = []
        executions = 0
        order = sorted(range(len(shots)), key=shots.__getitem__) if limits.same_shots else range(len(shots))
        for position in order:
            wanted = shots[position]
            piece = min(wanted - first, most)
            if piece <= 0:
                continue
            too_long = limits.max_circuits is not None and len(current) >= limits.max_circuits
            too_large = limits.max_executions is not None and executions + piece > limits.max_executions
            differs = limits.same_shots and bool(current) and current[-1][1] != piece
            if current and (too_long or too_large or differs):
                parts.append(tuple(current))
                current, executions = [], 0
            current.append((position, piece))
            executions += piece
        parts.append(tuple(current))
    return parts


def check_batch(batch: Batch, limits: Limits, name: str) -> None:
    """Raise InputError for a batch without circuits or shots, or of circuits that are too wide for the device."""
    if not batch.circuits or len(batch.circuits) != len(batch.shots):
        got = f"{len(batch.circuits)} circuits and {len(batch.shots)} shots"
        raise InputError(explanation(name, "a batch must be one or more circuits, each with its shots", got, "give one for each"))
    for shots in batch.shots:
        if isinstance(shots, bool) or not isinstance(shots, int) or shots < 1:
            raise InputError(explanation(name, "shots must be positive integers", repr(shots), "a QPU only counts outcomes"))
    widest = max(circuit.n_qubits for circuit in batch.circuits)
    if limits.n_qubits is not None and widest > limits.n_qubits:
        do = "choose a larger device, or fewer features"
        raise InputError(explanation(name, f"circuits must have at most {limits.n_qubits} qubits", widest, do))
