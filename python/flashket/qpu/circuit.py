# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What is sent to a QPU: circuits with numbers for angles, and what of them is measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from flashket.errors import InputError, explanation
from flashket.program import Program


@dataclass(frozen=True)
class MeasuredCircuit:
    """Programs run one after another with a barrier between them, then a measurement of some qubits.

    The barrier keeps compilers from cancelling U(x) against U(y)^dagger, which would remove the noise that mitigation must see.

    Parameters
    ----------
    parts : tuple of Program
        All on the same qubits and without features (see :meth:`flashket.Program.bind`).
    measured : tuple of int
        The qubits that are measured at the end; classical bit j is ``measured[j]``, bit 0 the least significant of an outcome.

    Raises
    ------
    InputError
        If the parts do not fit each other, have features, or nothing (or something twice) is measured.

    Examples
    --------
    >>> from flashket.program import Gate
    >>> bell = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    >>> MeasuredCircuit((bell,), (0, 1)).n_qubits
    2
    """

    parts: tuple[Program, ...]
    measured: tuple[int, ...]

    def __post_init__(self) -> None:
        place = "MeasuredCircuit"
        if not self.parts or len({part.n_qubits for part in self.parts}) != 1:
            raise InputError(explanation(place, "parts must be one or more programs on the same qubits", len(self.parts), "pad them"))
        if any(part.n_features for part in self.parts):
            raise InputError(explanation(place, "parts must have no features", self.parts[0].n_features, "call program.bind(x)"))
        if not self.measured or len(set(self.measured)) != len(self.measured) or not all(0 <= q < self.n_qubits for q in self.measured):
            do = "name at least one"
            raise InputError(explanation(place, f"measured must be different qubits in 0..{self.n_qubits - 1}", self.measured, do))

    @property
    def n_qubits(self) -> int:
        """Width of the circuit."""
        return self.parts[0].n_qubits

    def to_qasm(self) -> str:
        """Write OpenQASM 3, with the barriers and measurements into ``bit[len(measured)] c``.

        Examples
        --------
        >>> from flashket.program import Gate
        >>> half = Program(1, 0, (Gate("h", (0,)),))
        >>> print(MeasuredCircuit((half, half), (0,)).to_qasm())
        OPENQASM 3.0;
        include "stdgates.inc";
        qubit[1] q;
        bit[1] c;
        h q[0];
        barrier q;
        h q[0];
        c[0] = measure q[0];
        <BLANKLINE>
        """
        from flashket.circuits.export import write_measured_qasm

        return write_measured_qasm(self.parts, self.measured)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the OpenQASM text, in hexadecimal: equal circuits have equal digests."""
        return hashlib.sha256(self.to_qasm().encode()).hexdigest()
