# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""SWAP tests: both states side by side, compared by an ancilla or by a measurement in the Bell basis."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeAlias

from flashket.arrays import Array
from flashket.kernels import Fidelity
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import PairEstimator
from flashket.qpu.estimators.encoding import encode_row

Registers: TypeAlias = tuple[tuple[Gate, ...], tuple[Gate, ...]]
"""A row's gates on the first and on the second register."""


@dataclass(frozen=True)
class SwapTest(PairEstimator):
    """``(1 + |<x|y>|^2) / 2`` as the probability that the ancilla of a controlled swap is 0.

    ::

        ancilla: |0> ─── H ─●─── H ─ measure:  K = 2 p(0) - 1
        |0>^n ─ U(x) ──────×─────
        |0>^n ─ U(y) ──────×─────

    Parameters
    ----------
    kernel : Fidelity
        Whose entries are wanted.

    Notes
    -----
    2 n + 1 qubits, one of them measured, a circuit a pair, n controlled swaps of 8 CX each and an ancilla that touches every qubit.
    Standard error sqrt((1 - K^2) / S): 1 / sqrt(S) where K is small, however small.

    Reference: H. Buhrman et al., "Quantum fingerprinting", PRL 87, 167902 (2001), arXiv:quant-ph/0102001.

    Examples
    --------
    >>> import flashket as fk
    >>> demand = SwapTest(fk.Fidelity(fk.Angle(2))).demand(3)
    >>> demand.n_qubits, demand.n_two_qubit
    (5, 16)
    """

    name = "swap_test"
    kernels = (Fidelity,)
    span = 2.0

    def _prepare(self, row: Array) -> Registers:
        return _on_both(encode_row(self.feature_map, row))

    def _circuit(self, left: Registers, right: Registers) -> MeasuredCircuit:
        n = self.feature_map.n_qubits
        return MeasuredCircuit((Program(2 * n + 1, 0, left[0] + right[1]), _swaps(n)), (2 * n,))

    @property
    def floor(self) -> float:
        """What a circuit gives whose qubits hold no information: an ancilla of either value."""
        return 0.0

    def unit_variance(self, value: Array) -> Array:
        """Return 1 - K^2."""
        return 1 - value**2

    def observable(self, outcome: int) -> float:
        """Return 1 where the ancilla is 0, else -1."""
        return 1.0 - 2.0 * outcome


@dataclass(frozen=True)
class DestructiveSwapTest(PairEstimator):
    """``|<x|y>|^2`` as the mean of ``(-1)^(number of singlets)`` when each qubit is measured in the Bell basis with its partner.

    ::

        |0>^n ─ U(x) ─●─ H ─ measure a:  K = E[(-1)^(a . b)]
                      │
        |0>^n ─ U(y) ─X───── measure b

    Parameters
    ----------
    kernel : Fidelity
        Whose entries are wanted.

    Notes
    -----
    2 n qubits, all measured, a circuit a pair, n CX beside the maps: half the depth of compute-uncompute. Standard error
    sqrt((1 - K^2) / S). Every readout error of a singlet's qubit turns the sign, so readout must be good.

    Reference: J. C. Garcia-Escartin and P. Chamorro-Posada, "Swap test and Hong-Ou-Mandel effect are equivalent", PRA 87, 052330 (2013),
    arXiv:1303.6814.

    Examples
    --------
    >>> import flashket as fk
    >>> demand = DestructiveSwapTest(fk.Fidelity(fk.Angle(2))).demand(3)
    >>> demand.n_qubits, demand.n_two_qubit
    (4, 2)
    """

    name = "destructive_swap_test"
    kernels = (Fidelity,)
    span = 2.0

    def _prepare(self, row: Array) -> Registers:
        return _on_both(encode_row(self.feature_map, row))

    def _circuit(self, left: Registers, right: Registers) -> MeasuredCircuit:
        n = self.feature_map.n_qubits
        return MeasuredCircuit((Program(2 * n, 0, left[0] + right[1]), _bell_basis(n)), tuple(range(2 * n)))

    @property
    def floor(self) -> float:
        """What a circuit gives whose qubits hold no information: a quarter of the pairs is a singlet."""
        return 0.5**self.feature_map.n_qubits

    def unit_variance(self, value: Array) -> Array:
        """Return 1 - K^2."""
        return 1 - value**2

    def observable(self, outcome: int) -> float:
        """Return -1 for an odd number of singlets, which are pairs with outcome 1 on both qubits, else 1."""
        n = self.feature_map.n_qubits
        return -1.0 if bin(outcome & outcome >> n & (1 << n) - 1).count("1") % 2 else 1.0


def _on_both(program: Program) -> Registers:
    n = program.n_qubits
    return program.gates, tuple(Gate(gate.name, tuple(qubit + n for qubit in gate.qubits), gate.angle) for gate in program.gates)


@functools.cache
def _swaps(n: int) -> Program:
    swaps = [gate for qubit in range(n) for gate in _controlled_swap(2 * n, qubit, qubit + n)]
    return Program(2 * n + 1, 0, (Gate("h", (2 * n,)), *swaps, Gate("h", (2 * n,))))


@functools.cache
def _bell_basis(n: int) -> Program:
    gates = [gate for qubit in range(n) for gate in (Gate("cx", (qubit, qubit + n)), Gate("h", (qubit,)))]
    return Program(2 * n, 0, tuple(gates))


def _controlled_swap(control: int, a: int, b: int) -> list[Gate]:
    """Return a Fredkin gate: a Toffoli of six CX between two CX."""
    words = "h b, cx a b, tdg b, cx c b, t b, cx a b, tdg b, cx c b, t a, t b, h b, cx c a, t c, tdg a, cx c a"
    qubits = {"a": a, "b": b, "c": control}
    toffoli = [Gate(name, tuple(qubits[letter] for letter in operands)) for name, *operands in map(str.split, words.split(", "))]
    outer = Gate("cx", (b, a))
    return [outer, *toffoli, outer]
