# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A circuit as plain frozen data: gates, the qubits they act on, and angles that depend on the features."""

from __future__ import annotations

import operator
from collections.abc import Iterable
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

LARGEST_NUMBER = 1e75
"""Products of two numbers of this size, and small multiples of them, stay finite in float64."""

ProgramArrays: TypeAlias = tuple[int, int, npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]


class Linear(NamedTuple):
    """One factor of an angle: ``scale * x[feature] + offset``, or ``offset`` alone when ``feature`` is -1.

    Parameters
    ----------
    scale : float
        What multiplies the feature.
    feature : int
        Its index in a row, or -1 for a constant.
    offset : float
        The constant, in radians where it is the only factor.

    Examples
    --------
    >>> Gate("rz", (0,), (Linear(0.0, -1, 0.5),)).angle  # rz(0.5)
    (Linear(scale=0.0, feature=-1, offset=0.5),)
    """

    scale: float
    feature: int
    offset: float = 0.0


def _linear(factor: Any) -> Linear:
    """Return a factor, also from a plain (scale, feature) or (scale, feature, offset)."""
    return factor if type(factor) is Linear else Linear(*factor)


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
        One or two factors for gates with an angle, empty for the others. A constant is ``Linear(0.0, -1, value)``.

    Raises
    ------
    InputError
        If the name is unknown, or qubits or factors do not fit it.

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
        try:
            qubits = tuple(map(operator.index, self.qubits))
            angle = tuple(
                Linear(float(scale), operator.index(feature), float(offset)) for scale, feature, offset in map(_linear, self.angle)
            )
        except (TypeError, ValueError, OverflowError):
            do = 'e.g. Gate("rx", (0,), (Linear(1.0, 0),))'
            got = f"{self.qubits!r} and {self.angle!r}"
            raise InputError(explanation("Gate", "qubits must be a tuple of int and angle a tuple of Linear", got, do)) from None
        object.__setattr__(self, "qubits", qubits)
        object.__setattr__(self, "angle", angle)
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
        Number of features that angles may name; 0 for a circuit that prepares one state.
    gates : tuple of Gate
        In the order in which they act.

    Raises
    ------
    InputError
        If a gate names a qubit or feature that is not there, or a number of an angle is not finite or beyond 1e75.

    Notes
    -----
    Plain data: hashable, comparable and picklable; what every seam takes. ``fk.Circuit(program)`` is the feature map.
    Written by hand, read from OpenQASM (:meth:`from_qasm`) or from Qiskit (:meth:`from_qiskit`).

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
        try:
            n_qubits, n_features = operator.index(self.n_qubits), operator.index(self.n_features)
        except TypeError:
            n_qubits = n_features = -1
        if not 1 <= n_qubits < 2**31 or not 0 <= n_features < 2**31:
            got = f"{self.n_qubits} and {self.n_features}"
            do = "a circuit has at least one qubit"
            raise InputError(explanation("Program", "n_qubits must be positive and n_features not negative", got, do))
        object.__setattr__(self, "n_qubits", n_qubits)
        object.__setattr__(self, "n_features", n_features)
        object.__setattr__(self, "gates", tuple(self.gates))
        for gate in self.gates:
            if not isinstance(gate, Gate):
                raise InputError(explanation("Program", "gates must be a tuple of Gate", repr(gate), 'e.g. Gate("h", (0,))'))
            if not all(0 <= qubit < self.n_qubits for qubit in gate.qubits):
                raise InputError(explanation("Program", f"qubits must be in 0..{self.n_qubits - 1}", gate, "raise n_qubits"))
            for factor in gate.angle:
                if not -1 <= factor.feature < self.n_features:
                    wanted = (
                        f"features must be in 0..{self.n_features - 1}"
                        if self.n_features
                        else "a circuit of no features has constant angles"
                    )
                    raise InputError(explanation("Program", wanted, gate, "raise n_features"))
                if not (abs(factor.scale) <= LARGEST_NUMBER and abs(factor.offset) <= LARGEST_NUMBER):
                    do = "check the numbers that made it"
                    raise InputError(
                        explanation("Program", f"angles must be finite and their numbers at most {LARGEST_NUMBER:g}", gate, do)
                    )

    @classmethod
    def from_qasm(cls, text: str) -> Program:
        """Read OpenQASM 2 or 3.

        Parameters
        ----------
        text : str
            The program. ``input float x;``, ``input angle t;`` and ``input array[float, 4] y;`` declare the features, in this order;
            OpenQASM 2 has no inputs, so its circuits have no features. Angles are polynomials of degree two in the features, such as
            ``2*x``, ``(pi - x)*(pi - y[0])`` or ``x + y[1]``; a sum that no single gate holds becomes several.

        Returns
        -------
        Program
            Registers in the order of declaration, the first one's first qubit least significant.

        Raises
        ------
        InputError
            Naming the line: for text that does not parse, an angle that is not as above, a gate that nobody defined, and whatever has
            no state: classical control, a reset in the middle, gates after a measurement.
        ResourceLimit
            For more than a million gates.
        BackendUnavailable
            Without the parser: ``pip install 'flashket[qasm]'``.

        Notes
        -----
        Known without a file: ``stdgates.inc``, ``qelib1.inc`` and Qiskit's further gates. Definitions (``gate``), ``for`` over integers,
        ``const``, ``let``, ``ctrl``, ``negctrl``, ``inv`` and integer ``pow`` are carried out; barriers and delays are left out;
        measurements at the end are dropped, as the state before them is what is asked for.

        Global phases count, with Qiskit's ``U(t, p, l) = P(p) RY(t) P(l)``, also for u2 and u3. (The specification of version 3 has
        another e^(i t/2) in U, that of version 2 a U of determinant 1. Only HadamardTest sees the difference, and controls of U.)

        Examples
        --------
        >>> text = '''OPENQASM 3.0;
        ... include "stdgates.inc";
        ... input array[float[64], 2] x;
        ... qubit[2] q;
        ... h q;
        ... rz(2 * x[0]) q[0];
        ... cp((pi - x[0]) * (pi - x[1])) q[0], q[1];'''
        >>> program = Program.from_qasm(text)
        >>> program.n_features, [gate.name for gate in program.gates]
        (2, ['h', 'h', 'rz', 'cp'])
        """
        from flashket.circuits.qasm import read_qasm

        return read_qasm(text)

    @classmethod
    def from_qiskit(cls, circuit: Any, parameters: Iterable[Any] | None = None) -> Program:
        """Read a ``qiskit.QuantumCircuit``; its parameters become the features.

        Parameters
        ----------
        circuit : qiskit.QuantumCircuit
            Gates of Qiskit's library, or gates with a definition that leads to them.
        parameters : iterable of qiskit.circuit.Parameter or ParameterVector, optional
            The features in their order; by default ``circuit.parameters`` (by name, vectors by index). May name more than the
            circuit uses.

        Returns
        -------
        Program
            Qubit 0 of the circuit is the least significant. Its global phase is kept.

        Raises
        ------
        InputError
            For an angle that is no polynomial of degree two in the parameters, a parameter that ``parameters`` lacks, a gate without
            definition, and whatever has no state: classical control, a reset in the middle, gates after a measurement.
        ResourceLimit
            For more than a million gates.

        Notes
        -----
        Gates of a dense matrix go through Qiskit's own synthesis, exact to about 1e-10; all others are exact.

        Examples
        --------
        ``fk.Circuit(fk.Program.from_qiskit(zz_feature_map(4)))``
        """
        from flashket.circuits.qiskit import read_qiskit

        return read_qiskit(circuit, parameters)

    def to_qasm(self) -> str:
        """Write OpenQASM 3.

        Returns
        -------
        str
            ``input float[64] x_0;`` ... declare the features. Reading it back gives equal gates.

        Notes
        -----
        Numbers are written with all their digits. rzz, rxx and ryy, which the standard library lacks, are written with their definition.

        Examples
        --------
        >>> print(Program(1, 1, (Gate("ry", (0,), (Linear(2.0, 0, 0.5),)),)).to_qasm())
        OPENQASM 3.0;
        include "stdgates.inc";
        input float[64] x_0;
        qubit[1] q;
        ry(2.0 * x_0 + 0.5) q[0];
        <BLANKLINE>
        """
        from flashket.circuits.export import write_qasm

        return write_qasm(self)

    def bind(self, x: Any) -> Program:
        """Return the circuit with numbers for angles.

        Parameters
        ----------
        x : array_like, (n_features,)
            One row, in float64.

        Returns
        -------
        Program
            Of no features; every angle is one constant.

        Raises
        ------
        InputError
            For a row of another length, or numbers that are not finite.

        Examples
        --------
        >>> Program(1, 1, (Gate("ry", (0,), (Linear(2.0, 0, 0.5),)),)).bind([1.0]).gates[0].angle
        (Linear(scale=0.0, feature=-1, offset=2.5),)
        """
        row = np.asarray(x, np.float64)
        if row.shape != (self.n_features,) or not np.isfinite(row).all():
            got = row.shape if row.shape != (self.n_features,) else "NaN or infinity"
            raise InputError(explanation("Program.bind", f"x must be ({self.n_features},) finite numbers", got, "pass one row"))

        def bound(gate: Gate) -> Gate:
            if not gate.angle:
                return gate
            angle = 1.0
            for scale, feature, offset in gate.angle:
                angle *= (scale * float(row[feature]) if feature >= 0 else 0.0) + offset
            return Gate(gate.name, gate.qubits, (Linear(0.0, -1, angle),))

        return Program(self.n_qubits, 0, tuple(map(bound, self.gates)))

    def inverse(self) -> Program:
        """Return the circuit of U(x)^dagger: the gates' inverses in reverse order.

        Examples
        --------
        >>> Program(1, 1, (Gate("h", (0,)), Gate("rz", (0,), (Linear(2.0, 0),)))).inverse().gates[0]
        Gate(name='rz', qubits=(0,), angle=(Linear(scale=-2.0, feature=0, offset=-0.0),))
        """
        adjoint = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t"}

        def inverted(gate: Gate) -> Gate:
            if not gate.angle:
                return Gate(adjoint.get(gate.name, gate.name), gate.qubits)
            (scale, feature, offset), *rest = gate.angle
            return Gate(gate.name, gate.qubits, (Linear(-scale, feature, -offset), *rest))

        return Program(self.n_qubits, self.n_features, tuple(map(inverted, reversed(self.gates))))

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
