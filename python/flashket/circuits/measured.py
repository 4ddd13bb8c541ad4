# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What may happen to a qubit when: gates first, then at most a measurement; a reset only before anything else."""

from __future__ import annotations

from collections.abc import Iterable

from flashket.errors import InputError, explanation


class Ends:
    """Keeps which qubits were used and which measured.

    Parameters
    ----------
    place : str
        The function to name in errors.

    Examples
    --------
    >>> ends = Ends("Program.from_qasm")
    >>> ends.act([0], "h")
    >>> ends.measure([0])
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.used: set[int] = set()
        self.measured: set[int] = set()

    def act(self, qubits: Iterable[int], got: str) -> None:
        """Note a gate; raise InputError where a qubit has been measured."""
        for qubit in qubits:
            if qubit in self.measured:
                do = "a feature map has no outcomes to depend on: leave the measurement out"
                raise InputError(explanation(self.place, f"qubit {qubit} must have no gates after its measurement", got, do))
            self.used.add(qubit)

    def measure(self, qubits: Iterable[int]) -> None:
        """Note measurements, which are dropped: the state before them is what is asked for."""
        self.measured.update(qubits)

    def reset(self, qubits: Iterable[int], got: str) -> None:
        """Accept a reset of qubits that are still |0>; raise InputError for others."""
        for qubit in qubits:
            if qubit in self.used or qubit in self.measured:
                do = "the state after it is mixed; leave it out"
                raise InputError(explanation(self.place, f"qubit {qubit} may be reset only before its first gate", got, do))
