# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""IQP encoding in PennyLane's convention (IQPEmbedding)."""

from __future__ import annotations

from dataclasses import dataclass

from flashket.feature_maps._entangled import EntangledMap
from flashket.program import Gate, Linear


@dataclass(frozen=True, repr=False)
class IQP(EntangledMap):
    """Hadamards, then commuting phases of the features and of their products; repeated ``reps`` times.

    ::

        q0: ─H─RZ(x0)─╭RZZ(x0 x1)─╭RZZ(x0 x2)──────────────
        q1: ─H─RZ(x1)─╰RZZ(x0 x1)─│────────────╭RZZ(x1 x2)─
        q2: ─H─RZ(x2)─────────────╰RZZ(x0 x2)──╰RZZ(x1 x2)─

    ``RZZ(t) = exp(-i t/2 Z Z)``; every x is multiplied by the bandwidth first. Feature j is on qubit j.

    Parameters
    ----------
    n_features : int
        Number of features, equal to the number of qubits.
    reps : int
        Repetitions of the whole block.
    entanglement : str or list of pairs
        "full", "linear", "circular" (Qiskit's meaning) or pairs of qubits.
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
    arXiv:1804.11326; PennyLane's IQPEmbedding.

    Examples
    --------
    >>> [gate.name for gate in IQP(2).program().gates]
    ['h', 'h', 'rz', 'rz', 'rzz']
    """

    spec_name = "iqp"

    def _block(self) -> list[Gate]:
        n = self.n_features
        scaled = [Linear(self.bandwidth, j) for j in range(n)]
        block = [Gate("h", (j,)) for j in range(n)]
        block += [Gate("rz", (j,), (scaled[j],)) for j in range(n)]
        block += [Gate("rzz", (i, j), (scaled[i], scaled[j])) for i, j in self._pairs]
        return block
