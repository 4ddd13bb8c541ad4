# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Compute-uncompute: prepare |x>, undo |y>, and see how often nothing is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flashket.arrays import Array
from flashket.kernels import Fidelity
from flashket.program import Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import PairEstimator
from flashket.qpu.estimators.encoding import encode_row


@dataclass(frozen=True)
class ComputeUncompute(PairEstimator):
    """Fidelity as the probability of all zeros after ``U(y)^dagger U(x)|0>``.

    ::

        |0>^n ─ U(x) ─ barrier ─ U(y)^dagger ─ measure:  K = p(0...0)

    Parameters
    ----------
    kernel : Fidelity
        Whose entries are wanted.

    Notes
    -----
    n qubits, a circuit a pair, twice the map's gates. Standard error sqrt(K (1 - K) / S): small values are the cheapest, in absolute
    terms, of all estimators. The barrier keeps compilers from cancelling the halves. Noise hits K twice per gate of the map, and
    one wrong qubit out of n is enough to lose an outcome.

    Reference: V. Havlicek et al., "Supervised learning with quantum-enhanced feature spaces", Nature 567, 209 (2019), arXiv:1804.11326.

    Examples
    --------
    >>> import flashket as fk
    >>> estimator = ComputeUncompute(fk.Fidelity(fk.ZZ(4)))
    >>> demand = estimator.demand(20)
    >>> demand.n_circuits, demand.n_qubits
    (190, 4)
    """

    name = "compute_uncompute"
    kernels = (Fidelity,)

    def _prepare(self, row: Array) -> tuple[Program, Program]:
        program = encode_row(self.feature_map, row)
        return program, program.inverse()

    def _circuit(self, left: tuple[Program, Program], right: tuple[Program, Program]) -> MeasuredCircuit:
        return MeasuredCircuit((left[0], right[1]), tuple(range(left[0].n_qubits)))

    @property
    def floor(self) -> float:
        """What a circuit gives whose qubits hold no information: any of 2^n outcomes."""
        return 0.5**self.feature_map.n_qubits

    def unit_variance(self, value: Array) -> Array:
        """Return K (1 - K)."""
        return np.asarray(value * (1 - value))

    def observable(self, outcome: int) -> float:
        """Return 1 for all zeros."""
        return float(outcome == 0)
