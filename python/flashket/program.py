# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A circuit as plain frozen data: gates, the qubits they act on, and angles that depend on the features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from flashket.errors import InputError, explanation

# fmt: off
_NAMES = (
    "h", "x", "y", "z", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "p",
    "cx", "cz", "cp", "rzz", "rxx", "ryy", "swap", "crx", "cry", "crz",
)
# fmt: on

OPCODES = {name: code for code, name in enumerate(_NAMES)}
"""The gates, in the order that the compiled module knows them."""

TWO_QUBIT = frozenset(_NAMES[_NAMES.index("cx") :])
WITH_ANGLE = frozenset({"rx", "ry", "rz", "p", "cp", "rzz", "rxx", "ryy", "crx", "cry", "crz"})

ProgramArrays: TypeAlias = tuple[int, int, npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]


class Linear(NamedTuple):
    """One factor of an angle: ``scale * x[feature] + offset``, or ``offset`` alone when ``feature`` is -1."""

    scale: float
    feature: int
    offset: float = 0.0


@dataclass(frozen=True)
class Gate:
    """One gate: its name, its qubits (control first) and its angle.

    The angle is the product of the one or two factors in ``angle``, in radians. Qubit 0 is the least significant bit of
    the basis index. ``rz(t) = diag(e^-it/2, e^it/2)``, ``p(t) = diag(1, e^it)``, ``rzz(t) = exp(-i t/2 Z Z)``.

    Parameters
    ----------
    name : str
        One of ``h x y z s sdg t tdg rx ry rz p cx cz cp rzz rxx ryy swap crx cry crz``.
    qubits : tuple of int
        One or two distinct qubits.
    angle : tuple of Linear
        One or two factors for gates with an angle, empty for the others.

    Raises
    ------
    InputError
        If the name is unknown, or the number of qubits or factors does not fit it.

    Examples
    --------
    >>> Gate("rzz", (0, 1), (Linear(1.0, 0), Linear(1.0, 1)))  # rzz(x_0 x_1)
    Gate(name='rzz', qubits=(0, 1), angle=(Linear(scale=1.0, feature=0, offset=0.0), Linear(scale=1.0, feature=1, offset=0.0)))
    """

    name: str
    qubits: tuple[int, ...]
    angle: tuple[Linear, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in OPCODES:
            raise InputError(
                explanation("Gate", f"name must be one of {' '.join(OPCODES)}", repr(self.name), "decompose the gate into these")
            )
        wanted = 2 if self.name in TWO_QUBIT else 1
        if len(self.qubits) != wanted or len(set(self.qubits)) != wanted:
            do = "control first, then target"
            raise InputError(explanation("Gate", f"{self.name} acts on {wanted} distinct qubit(s)", self.qubits, do))
        if self.name in WITH_ANGLE and len(self.angle) not in (1, 2):
            do = "pass a constant as Linear(0.0, -1, value)"
            raise InputError(explanation("Gate", f"{self.name} needs an angle of one or two factors", len(self.angle), do))
        if self.name not in WITH_ANGLE and self.angle:
            raise InputError(explanation("Gate", f"{self.name} takes no angle", self.angle, "leave it out"))


@dataclass(frozen=True)
class Program:
    """A feature map's circuit: gates applied in order to ``|0...0>``.

    Parameters
    ----------
    n_qubits : int
        Width of the circuit.
    n_features : int
        Number of features that angles may name.
    gates : tuple of Gate
        In the order in which they act.

    Raises
    ------
    InputError
        If a gate names a qubit or feature that is not there, or an angle is not finite.

    Notes
    -----
    Plain data: hashable, comparable and picklable; what every seam takes.

    Examples
    --------
    >>> program = Program(1, 1, (Gate("ry", (0,), (Linear(1.0, 0),)),))
    >>> program.n_qubits, len(program.gates)
    (1, 1)
    """

    n_qubits: int
    n_features: int
    gates: tuple[Gate, ...]

    def __post_init__(self) -> None:
        if self.n_qubits < 1 or self.n_features < 1:
            got = f"{self.n_qubits} and {self.n_features}"
            raise InputError(explanation("Program", "n_qubits and n_features must be positive", got, "a circuit has at least one of each"))
        object.__setattr__(self, "gates", tuple(self.gates))
        for gate in self.gates:
            if not all(0 <= qubit < self.n_qubits for qubit in gate.qubits):
                raise InputError(explanation("Program", f"qubits must be in 0..{self.n_qubits - 1}", gate, "raise n_qubits"))
            for factor in gate.angle:
                if not -1 <= factor.feature < self.n_features:
                    raise InputError(explanation("Program", f"features must be in 0..{self.n_features - 1}", gate, "raise n_features"))
                if not np.isfinite(factor.scale) or not np.isfinite(factor.offset):
                    raise InputError(explanation("Program", "angles must be finite", gate, "check the numbers that made it"))

    @cached_property
    def _arrays(self) -> ProgramArrays:
        """The arrays of the compiled module: opcodes (g,), qubits (g, 2), features (g, 2), coefficients (g, 4)."""
        n_gates = len(self.gates)
        opcodes = np.empty(n_gates, np.int32)
        qubits = np.full((n_gates, 2), -1, np.int32)
        features = np.full((n_gates, 2), -1, np.int32)
        coefficients = np.zeros((n_gates, 4), np.float64)
        for row, gate in enumerate(self.gates):
            opcodes[row] = OPCODES[gate.name]
            qubits[row, : len(gate.qubits)] = gate.qubits
            if not gate.angle:
                continue
            # An angle of one factor has the constant 1 as its second.
            for column, factor in enumerate((*gate.angle, Linear(0.0, -1, 1.0))[:2]):
                features[row, column] = factor.feature
                coefficients[row, 2 * column] = factor.scale if factor.feature >= 0 else 0.0
                coefficients[row, 2 * column + 1] = factor.offset
        return self.n_qubits, self.n_features, opcodes, qubits, features, coefficients

    def __getstate__(self) -> dict[str, Any]:
        return {"n_qubits": self.n_qubits, "n_features": self.n_features, "gates": self.gates}
