# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""ZZ encoding in Qiskit's convention (zz_feature_map)."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from flashket.feature_maps._entangled import EntangledMap
from flashket.program import Gate, Linear


@dataclass(frozen=True, repr=False)
class ZZ(EntangledMap):
    """Hadamards, phases 2 x_j, and phases 2 (pi - x_i)(pi - x_j) on pairs; repeated ``reps`` times.

    ::

        q0: ─H─P(2 x0)─╭●────────────────────────●╮──────────────────────────────
        q1: ─H─P(2 x1)─╰X─P(2 (pi-x0)(pi-x1))────X╯─╭●────────────────────────●╮─
        q2: ─H─P(2 x2)──────────────────────────────╰X─P(2 (pi-x1)(pi-x2))────X╯─

    drawn for entanglement="linear"; ``P(t) = diag(1, e^it)``; every x is multiplied by the bandwidth first.

    Parameters
    ----------
    n_features : int
        Number of features, equal to the number of qubits.
    reps : int
        Repetitions of the whole block.
    entanglement : str or list of pairs
        "full", "linear", "circular" (Qiskit's meaning) or pairs (control, target) of qubits.
    bandwidth : float
        Multiplies x before anything else; radians.

    Raises
    ------
    InputError
        If an option is not as above.

    Notes
    -----
    The state of 2^n amplitudes is computed once per row; a pair then costs about 3 * 2^n FMA. Any number of qubits: with pairs
    along lines and ``reps=1`` overlaps have a closed form of 12 n multiplications a pair; with little entanglement (such as a
    few ``reps`` along a line) Gram matrices take matrix product states. :func:`flashket.explain` says which.

    Reference: V. Havlicek et al., "Supervised learning with quantum-enhanced feature spaces", Nature 567, 209 (2019),
    arXiv:1804.11326; Qiskit's zz_feature_map.

    Examples
    --------
    >>> [gate.name for gate in ZZ(2, reps=1).program().gates]
    ['h', 'h', 'p', 'p', 'cx', 'p', 'cx']
    """

    spec_name = "zz"

    _: KW_ONLY
    reps: int = 2

    def _block(self) -> list[Gate]:
        n = self.n_features
        block = [Gate("h", (j,)) for j in range(n)]
        block += [Gate("p", (j,), (Linear(2 * self.bandwidth, j),)) for j in range(n)]
        for i, j in self._pairs:
            # 2 (pi - b x_i)(pi - b x_j): the 2 is in the first factor.
            angle = (Linear(-2 * self.bandwidth, i, 2 * math.pi), Linear(-self.bandwidth, j, math.pi))
            block += [Gate("cx", (i, j)), Gate("p", (j,), angle), Gate("cx", (i, j))]
        return block
