# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Randomised measurements: all N^2 fidelities from measurements of N states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.feature_maps._base import positive_int
from flashket.kernels import Fidelity
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import Counts, Demand, Estimator, Measurements, check_size_of
from flashket.qpu.estimators.encoding import checked, encode_row
from flashket.qpu.shadows import ENSEMBLES, overlaps, random_turns


@dataclass(frozen=True)
class RandomisedMeasurement(Estimator):
    """Fidelities from the correlations of outcomes that two states give under the same random local unitaries.

    ::

        |0>^n ─ U(x) ─ u_1 (x) ... (x) u_n ─ measure s        for unitaries drawn once and used for every row

    ``tr(rho rho') = 2^n sum_{s, s'} (-2)^(-D[s, s']) mean_u[P_u(s) P'_u(s')]``, D the Hamming distance.

    Parameters
    ----------
    kernel : Fidelity
        Whose entries are wanted.
    n_unitaries : int
        How many random choices; at least 2, for the standard error is that of their mean.
    ensemble : str
        "clifford": each qubit is measured along X, Y or Z (all that a random Clifford gate changes about the estimate); "haar": along a
        uniformly random axis.
    seed : int
        In 0..2^64-1. Equal seeds give equal circuits, on every machine (NumPy's PCG64).

    Raises
    ------
    InputError
        If an option is not as above.

    Notes
    -----
    n qubits and no more depth than the map: the shallowest estimator of fidelities. N n_unitaries circuits, where pairs need
    N (N - 1) / 2. The price is variance, for one pair of product states (:func:`pair_variance`, the mean over their directions)
    ``(1.2^n + 2 1.5^n / S + 3^n / S^2) / n_unitaries`` near K = 1 and ``2^n / S^2 / n_unitaries`` near K = 0 and few shots: some
    2^(n/2) shots for each unitary are best. Estimates are unbiased, those of the purity tr(rho_i^2) too: pairs of one and the
    same shot are left out. ``diagonal=True`` gives purities, otherwise the diagonal is 1.
    Errors of one row's circuits are shared by its entries. ``power`` acts on the estimate.

    Reference: A. Elben, B. Vermersch, C. F. Roos, P. Zoller, "Statistical correlations between locally randomized measurements", PRA 99,
    052323 (2019), arXiv:1812.02624; T. Haug, C. N. Self, M. S. Kim, "Quantum machine learning of large datasets using randomized
    measurements", arXiv:2108.01039.

    Examples
    --------
    >>> import flashket as fk
    >>> RandomisedMeasurement(fk.Fidelity(fk.ZZ(4)), n_unitaries=50).demand(200).n_circuits
    10000
    """

    _: KW_ONLY
    n_unitaries: int = 100
    ensemble: str = "clifford"
    seed: int = 0

    name = "randomised_measurement"
    kernels = (Fidelity,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if positive_int(self.n_unitaries, self.name, "n_unitaries", "100 is a good start") < 2:
            raise InputError(explanation(self.name, "n_unitaries must be at least 2", self.n_unitaries, "one has no spread"))
        if self.ensemble not in ENSEMBLES:
            raise InputError(explanation(self.name, 'ensemble must be "clifford" or "haar"', repr(self.ensemble), "both are unbiased"))
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)) or not 0 <= self.seed < 2**64:
            raise InputError(explanation(self.name, "seed must be an integer in 0..2**64-1", repr(self.seed), "0 is as good as any"))

    @cached_property
    def turns(self) -> tuple[tuple[Gate, ...], ...]:
        """The random unitaries as gates before the measurement, the same for every row."""
        return random_turns(self.feature_map.n_qubits, self.n_unitaries, self.ensemble, self.seed)

    def measurements(self, X: Any, Y: Any = None, *, diagonal: bool = False) -> Measurements:
        """Return ``n_unitaries`` circuits for each row of X, then of Y."""
        x = checked(self.feature_map, X, self.name, "X")
        y = x if Y is None else checked(self.feature_map, Y, self.name, "Y")
        circuits = []
        for row in x if Y is None else np.concatenate([x, y]):
            program = encode_row(self.feature_map, row)
            n = program.n_qubits
            circuits += [MeasuredCircuit((Program(n, 0, program.gates + turn),), tuple(range(n))) for turn in self.turns]
        return Measurements(self, tuple(circuits), (len(x), len(y)), Y is None, diagonal and Y is None)

    def demand(self, n: int, m: int | None = None, *, diagonal: bool = False) -> Demand:
        """Say what the Gram matrix asks of a device: n_unitaries (n + m) circuits."""
        check_size_of(self.name, n, m)
        return self._demand(self.n_unitaries * (n + (m or 0)))

    def similarities(self, measurements: Measurements, counts: Sequence[Counts]) -> tuple[Array, Array]:
        """Return values and standard errors: the spread over the unitaries, shot noise included."""
        n, is_symmetric = measurements.shape[0], measurements.is_symmetric
        if not counts:
            values, errors = np.empty((2, *measurements.shape))
            return values, errors
        rows = [counts[first : first + self.n_unitaries] for first in range(0, len(counts), self.n_unitaries)]
        values, errors = overlaps(rows, self.feature_map.n_qubits, purities=measurements.has_diagonal)
        if not is_symmetric:
            values, errors = values[:n, n:], errors[:n, n:]
        elif not measurements.has_diagonal:
            np.fill_diagonal(values, 1.0)
            np.fill_diagonal(errors, 0.0)
        return values, errors

    @property
    def floor(self) -> float:
        """What rows give whose qubits hold no information."""
        return 0.5**self.feature_map.n_qubits


def pair_variance(fidelity: float, n_qubits: int, shots: float) -> float:
    """Return the variance that one unitary leaves in the fidelity of two product states, averaged over their directions.

    Of S shots on each side: ``C/S^2 + 2 (S - 1)/S^2 B + ((S - 1)/S)^2 A - K^2`` with ``A = (0.4 + c/2 + 0.3 c^2)^n``, ``B = (1 + c/2)^n``,
    ``C = (2.5 + c/2)^n`` and c = 2 K^(1/n) - 1 the cosine between the Bloch vectors of each qubit.

    Examples
    --------
    >>> round(pair_variance(1.0, 1, 1e9), 6)
    0.2
    """
    a, b, c = _moments(fidelity, n_qubits)
    keep = (shots - 1) / shots
    return max(c / shots**2 + 2 * keep / shots * b + keep**2 * a - fidelity**2, 0.0)


def best_shots(fidelity: float, n_qubits: int) -> int:
    """Return the shots for each unitary that need the fewest shots in all for a wanted error.

    Examples
    --------
    >>> best_shots(0.5, 2), best_shots(0.5, 10) > 30
    (5, True)
    """
    a, b, c = _moments(fidelity, n_qubits)
    # The variance times S is alpha S + beta + gamma / S.
    gamma, alpha = c - 2 * b + a, a - fidelity**2
    return max(2, round(math.sqrt(gamma / alpha))) if alpha > 0 else 2**n_qubits


def _moments(fidelity: float, n_qubits: int) -> tuple[float, float, float]:
    cosine = 2 * fidelity ** (1 / n_qubits) - 1
    return (0.4 + cosine / 2 + 0.3 * cosine**2) ** n_qubits, (1 + cosine / 2) ** n_qubits, (2.5 + cosine / 2) ** n_qubits
