# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What maps share that put one feature on each qubit, join pairs of qubits and repeat."""

from __future__ import annotations

import operator
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from typing import Any, TypeAlias

from flashket.errors import InputError, explanation
from flashket.feature_maps._base import FeatureMap, check_gates, finite_float, positive_int
from flashket.program import Gate, Program

Pairs: TypeAlias = tuple[tuple[int, int], ...]


def entangled_pairs(entanglement: str | Pairs, n_qubits: int) -> Pairs:
    """Return the qubit pairs of an entanglement, in Qiskit's order.

    "full" is every pair (i, j) with i < j, "linear" (i, i + 1), "circular" (n - 1, 0) before "linear" and the same as
    "linear" for two qubits; pairs stay as given.

    Examples
    --------
    >>> entangled_pairs("circular", 3)
    ((2, 0), (0, 1), (1, 2))
    """
    if not isinstance(entanglement, str):
        return entanglement
    if entanglement == "full":
        return tuple(combinations(range(n_qubits), 2))
    linear = tuple((i, i + 1) for i in range(n_qubits - 1))
    return ((n_qubits - 1, 0), *linear) if entanglement == "circular" and n_qubits > 2 else linear


def checked_entanglement(entanglement: Any, n_qubits: int, place: str) -> str | Pairs:
    """Return an entanglement as a known word or a tuple of pairs of distinct qubits."""
    wanted = 'entanglement must be "full", "linear", "circular" or a list of pairs'
    do = f"pairs are two different qubits in 0..{n_qubits - 1}"
    if isinstance(entanglement, str):
        if entanglement not in ("full", "linear", "circular"):
            raise InputError(explanation(place, wanted, repr(entanglement), do))
        return entanglement
    try:
        pairs = tuple((operator.index(i), operator.index(j)) for i, j in entanglement)
    except (TypeError, ValueError):
        raise InputError(explanation(place, wanted, repr(entanglement), do)) from None
    for i, j in pairs:
        if i == j or not 0 <= i < n_qubits or not 0 <= j < n_qubits:
            raise InputError(explanation(place, wanted, (i, j), do))
    # A tuple of plain pairs is handed back as it came: cloning tools compare parameters by identity.
    is_plain = type(entanglement) is tuple and all(type(pair) is tuple and type(pair[0]) is type(pair[1]) is int for pair in entanglement)
    return entanglement if is_plain else pairs


@dataclass(frozen=True, repr=False)
class EntangledMap(FeatureMap):
    """A block of gates on pairs of qubits, repeated. Subclasses write ``_block()``, and ``reps`` again for another default.

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
    """

    _: KW_ONLY
    reps: int = 1
    entanglement: str | Pairs = "full"
    bandwidth: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        place = type(self).__name__
        object.__setattr__(self, "reps", positive_int(self.reps, place, "reps", "the block is there at least once"))
        object.__setattr__(self, "entanglement", checked_entanglement(self.entanglement, self.n_features, place))
        object.__setattr__(self, "bandwidth", finite_float(self.bandwidth, place, "bandwidth", "pass 1.0 to change nothing"))

    @property
    def n_qubits(self) -> int:
        """Number of qubits, one per feature."""
        return self.n_features

    @property
    def _pairs(self) -> Pairs:
        return entangled_pairs(self.entanglement, self.n_features)

    @abstractmethod
    def _block(self) -> list[Gate]:
        """Return the gates of one repetition."""

    def program(self) -> Program:
        """Return the circuit as drawn above, ``reps`` times."""
        n = self.n_features
        n_pairs = n * (n - 1) // 2 if self.entanglement == "full" else n if isinstance(self.entanglement, str) else len(self.entanglement)
        # At most two gates on a qubit and three on a pair.
        check_gates((2 * n + 3 * n_pairs) * self.reps, type(self).__name__)
        return Program(n, n, tuple(self._block()) * self.reps)
