# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Hadamard test: an ancilla that chooses between |x> and |y> shows the real part of their overlap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.feature_maps.amplitude import Amplitude
from flashket.kernels import HadamardTest
from flashket.program import Gate, Linear, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import PairEstimator
from flashket.qpu.estimators.encoding import amplitudes, encode_row, prepare_real


@dataclass(frozen=True)
class Hadamard(PairEstimator):
    """``(1 + Re<x|y>) / 2`` as the probability that the ancilla is 0.

    ::

        ancilla: |0> ─ H ─●─────────●──── H ─ measure:  K = p(0)
                          │0        │1
        |0>^n   ───────── U(x) ─── U(y) ─

    The state before the last H is ``(|0>|x> + |1>|y>) / sqrt(2)``. It is not made with controlled circuits: U(x) and U(y) are the same
    gates with other angles, so fixed gates act once, and an angle acts as its mean, followed by the half difference with the ancilla's
    sign: ``RZ(t_a) = RZ((t_x + t_y) / 2) RZZ((t_x - t_y) / 2)``, one RZZ more for a rotation. For ``Amplitude`` that state is
    the amplitude encoding of the two rows one after the other.

    Parameters
    ----------
    kernel : HadamardTest
        Whose entries are wanted.

    Notes
    -----
    n + 1 qubits, one of them measured, a circuit a pair. Standard error sqrt(K (1 - K) / S) of K, but K is near 1/2 where the overlap is
    small: an overlap of |<x|y>| << 1 has the error 1 / sqrt(S). Sees sign and phase.

    Reference: R. Cleve et al., "Quantum algorithms revisited", Proc. R. Soc. A 454, 339 (1998), arXiv:quant-ph/9708016.

    Examples
    --------
    >>> import flashket as fk
    >>> circuit = Hadamard(fk.HadamardTest(fk.Angle(1))).measurements([[0.0]], [[1.0]]).circuits[0]
    >>> [gate.name for gate in circuit.parts[0].gates]
    ['h', 'rx', 'rz', 'rzz', 'rx', 'h']
    """

    name = "hadamard_test"
    kernels = (HadamardTest,)

    def _prepare(self, row: Array) -> Any:
        if isinstance(self.feature_map, Amplitude):
            return amplitudes(self.feature_map, row)
        return encode_row(self.feature_map, row)

    def _circuit(self, left: Any, right: Any) -> MeasuredCircuit:
        ancilla = self.feature_map.n_qubits
        if isinstance(left, Program):
            gates = [Gate("h", (ancilla,))]
            for of_x, of_y in zip(left.gates, right.gates, strict=True):
                gates += chosen(of_x, of_y, ancilla)
        else:
            gates = list(prepare_real(np.concatenate([left, right]) * math.sqrt(0.5)).gates)
        gates.append(Gate("h", (ancilla,)))
        return MeasuredCircuit((Program(ancilla + 1, 0, tuple(gates)),), (ancilla,))

    @property
    def floor(self) -> float:
        """What a circuit gives whose qubits hold no information: either outcome."""
        return 0.5

    def unit_variance(self, value: Array) -> Array:
        """Return K (1 - K)."""
        return np.asarray(value * (1 - value))

    def observable(self, outcome: int) -> float:
        """Return 1 where the ancilla is 0."""
        return float(outcome == 0)


def chosen(of_x: Gate, of_y: Gate, ancilla: int) -> list[Gate]:
    """Return gates that act as ``of_x`` where the ancilla is 0 and as ``of_y`` where it is 1; equal but for their angles.

    Exact up to a phase that both share.

    Examples
    --------
    >>> angle = lambda value: (Linear(0.0, -1, value),)
    >>> [gate.name for gate in chosen(Gate("rz", (0,), angle(0.1)), Gate("rz", (0,), angle(0.3)), 1)]
    ['rz', 'rzz']
    """
    if of_x.angle == of_y.angle:
        return [of_x]
    tx, ty = of_x.angle[0].offset, of_y.angle[0].offset
    mean, half = (tx + ty) / 2, (tx - ty) / 2
    name, qubits = of_x.name, of_x.qubits
    before, after = _in_z_basis(name, qubits)
    return [*before, *_DIAGONAL[name](mean, half, qubits, ancilla), *after]


def _gate(name: str, angle: float, *qubits: int) -> Gate:
    return Gate(name, qubits, (Linear(0.0, -1, angle),))


def _rz(mean: float, half: float, qubits: tuple[int, ...], ancilla: int) -> list[Gate]:
    """Return RZ(mean + s half) on the last qubit, s = 1 where the ancilla is 0 and -1 where it is 1."""
    return [_gate("rz", mean, qubits[-1]), _gate("rzz", half, ancilla, qubits[-1])]


def _p(mean: float, half: float, qubits: tuple[int, ...], ancilla: int) -> list[Gate]:
    # P(t) = e^(it/2) RZ(t), and the phase e^(i s half / 2) is RZ(-half) on the ancilla.
    return [*_rz(mean, half, qubits, ancilla), _gate("rz", -half, ancilla)]


def _rzz(mean: float, half: float, qubits: tuple[int, ...], ancilla: int) -> list[Gate]:
    parity = Gate("cx", (qubits[0], qubits[1]))
    return [parity, *_rz(mean, half, qubits, ancilla), parity]


def _crz(mean: float, half: float, qubits: tuple[int, ...], ancilla: int) -> list[Gate]:
    # CRZ(t) = RZ(t/2) RZZ(-t/2): the rotation where the control is 0 cancels.
    return [*_rz(mean / 2, half / 2, qubits, ancilla), *_rzz(-mean / 2, -half / 2, qubits, ancilla)]


def _cp(mean: float, half: float, qubits: tuple[int, ...], ancilla: int) -> list[Gate]:
    # CP(t) = P(t/2) on the control, then CRZ(t).
    return [*_p(mean / 2, half / 2, qubits[:1], ancilla), *_crz(mean, half, qubits, ancilla)]


_DIAGONAL: dict[str, Callable[[float, float, tuple[int, ...], int], list[Gate]]] = {
    "rx": _rz,
    "ry": _rz,
    "rz": _rz,
    "p": _p,
    "rzz": _rzz,
    "rxx": _rzz,
    "ryy": _rzz,
    "crx": _crz,
    "cry": _crz,
    "crz": _crz,
    "cp": _cp,
}


def _in_z_basis(name: str, qubits: tuple[int, ...]) -> tuple[list[Gate], list[Gate]]:
    """Return what turns the gate's axis to Z before it and back after it."""
    targets = qubits[-1:] if name.startswith("c") else qubits
    if name.endswith("x"):
        turn = [Gate("h", (qubit,)) for qubit in targets]
        return turn, turn
    if name.endswith("y"):
        return [_gate("rx", math.pi / 2, qubit) for qubit in targets], [_gate("rx", -math.pi / 2, qubit) for qubit in targets]
    return [], []
