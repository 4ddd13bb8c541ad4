# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What an estimator is: the circuits for a Gram matrix, and what to make of their counts.

A new one is one file in this folder with a class below :class:`Estimator` (or :class:`PairEstimator`), listed in ``__init__.py``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.kernels import Fidelity, HadamardTest, Kernel, Projected
from flashket.program import TWO_QUBIT, Gate
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators.encoding import checked, encode_row

Counts: TypeAlias = Mapping[int, float]
"""Outcome to how often it came. Mitigated counts are not whole and may be negative; their sum is still the shots."""

Observable: TypeAlias = Callable[[int], float]
"""What an outcome contributes to an estimate, which is the mean over shots."""


class MitigatedCounts(dict[int, float]):
    """Counts after a linear correction, with what their errors need.

    Parameters
    ----------
    values : dict of int to float
        The corrected counts.
    raw : dict of int to int
        As they were measured.
    pull_back : callable
        Takes an observable of corrected outcomes and returns, for each raw outcome, what it contributes.
    confusion : numpy.ndarray, (n_measured, 2, 2)
        Of each bit, p(read i | was j).

    Examples
    --------
    >>> counts = MitigatedCounts({0: 12.0, 1: -2.0}, {0: 10}, lambda observable: {0: observable(0)}, np.eye(2)[None])
    >>> sum(counts.values())
    10.0
    """

    def __init__(self, values: Counts, raw: Counts, pull_back: Callable[[Observable], Mapping[int, float]], confusion: Array) -> None:
        super().__init__(values)
        self.raw, self.pull_back, self.confusion = raw, pull_back, confusion


@dataclass(frozen=True)
class Step:
    """One step of mitigation: what it cost and what it changed.

    Parameters
    ----------
    name : str
        E.g. "readout".
    n_circuits, n_shots : int
        Beyond those of the unmitigated estimate.
    mean_change, largest_change : float
        Of the absolute changes of the similarities.
    note : str
        What was found, e.g. the depolarisation.
    """

    name: str
    n_circuits: int
    n_shots: int
    mean_change: float
    largest_change: float
    note: str = ""


@dataclass(frozen=True)
class Estimate:
    """A Gram matrix from counts.

    Parameters
    ----------
    values : numpy.ndarray, (n, m), float64
        Unbiased estimates, so that a value may lie outside 0..1; the diagonal is 1 where it was not measured.
    standard_errors : numpy.ndarray, (n, m), float64
        One standard deviation of the shot noise, 0 where nothing was measured.
    n_circuits, n_shots : int
        What was run, calibration included.
    steps : tuple of Step
        What mitigation did.
    """

    values: Array
    standard_errors: Array
    n_circuits: int
    n_shots: int
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Demand:
    """What an estimator asks of a device, before compilation.

    Parameters
    ----------
    n_circuits : int
        For the whole Gram matrix.
    n_qubits, n_measured : int
        Of one circuit.
    n_two_qubit, depth : int
        Two-qubit gates of the largest circuit, and layers of two-qubit gates, as the circuit is written.
    """

    n_circuits: int
    n_qubits: int
    n_measured: int
    n_two_qubit: int
    depth: int


@dataclass(frozen=True)
class Estimator(ABC):
    """Circuits for the entries of a kernel's Gram matrix, and what to make of their counts.

    Parameters
    ----------
    kernel : Kernel
        Whose entries are wanted.

    Raises
    ------
    InputError
        If the estimator does not measure this kind of kernel.
    """

    name: ClassVar[str] = ""
    kernels: ClassVar[tuple[type[Kernel], ...]] = ()
    """The kernels that the estimator can measure."""

    kernel: Kernel

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, self.kernels):
            wanted = " or ".join(f"fk.{kind.__name__}" for kind in self.kernels)
            raise InputError(explanation(self.name, f"the kernel must be {wanted}", repr(self.kernel), "choose another estimator"))

    @property
    def feature_map(self) -> FeatureMap:
        """The kernel's feature map."""
        assert isinstance(self.kernel, (Fidelity, HadamardTest, Projected))
        return self.kernel.feature_map

    @abstractmethod
    def measurements(self, X: Any, Y: Any = None, *, diagonal: bool = False) -> Measurements:
        """Return the circuits for ``K[i, j] = kernel(X[i], Y[j])``.

        Parameters
        ----------
        X, Y : array_like, (n, n_features) and (m, n_features)
            As in :func:`flashket.gram`; without Y every pair is measured once.
        diagonal : bool
            Without Y: measure K(x, x) too, which is 1 without noise and tells how much noise there is.
        """

    @abstractmethod
    def demand(self, n: int, m: int | None = None, *, diagonal: bool = False) -> Demand:
        """Say what the Gram matrix of n rows (and m others) asks of a device, without making its circuits."""

    @abstractmethod
    def similarities(self, measurements: Measurements, counts: Sequence[Counts]) -> tuple[Array, Array]:
        """Return values before the kernel's power and their standard errors, (n, m) each, from the counts of every circuit."""

    @property
    def floor(self) -> float | None:
        """What a circuit gives whose qubits hold no information any more; None where that is no single number."""
        return None

    def example(self, row: Array | None = None) -> MeasuredCircuit:
        """Return one circuit, of two different rows, for costs and layouts; the rows' numbers are arbitrary."""
        width = self.feature_map.n_features
        rows = np.linspace(0.3, 1.1, 2 * width).reshape(2, width) if row is None else row
        return self.measurements(rows[:1], rows[1:]).circuits[0]

    def _demand(self, n_circuits: int) -> Demand:
        circuit = self.example()
        gates = [gate for part in circuit.parts for gate in part.gates]
        n_two_qubit, depth = two_qubit_size(gates)
        return Demand(n_circuits, circuit.n_qubits, len(circuit.measured), n_two_qubit, depth)


@dataclass(frozen=True)
class Measurements:
    """The circuits of one Gram matrix. Made by :meth:`Estimator.measurements`.

    Parameters
    ----------
    estimator : Estimator
        What made them and reads their counts.
    circuits : tuple of MeasuredCircuit
        To be run, each with some shots.
    shape : tuple of int
        (n, m) of the Gram matrix.
    is_symmetric, has_diagonal : bool
        Whether Y is X, and whether the diagonal is measured then.
    chosen : tuple of (int, int), optional
        The pairs that are measured, where it is not all of them; see :meth:`only`.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu.estimators import ComputeUncompute
    >>> work = ComputeUncompute(fk.Fidelity(fk.Angle(2))).measurements([[0.0, 0.0], [1.0, 0.5]])
    >>> len(work.circuits), work.estimate([{0: 70, 1: 30}]).values.tolist()
    (1, [[1.0, 0.7], [0.7, 1.0]])
    """

    estimator: Estimator
    circuits: tuple[MeasuredCircuit, ...]
    shape: tuple[int, int]
    is_symmetric: bool
    has_diagonal: bool
    chosen: tuple[tuple[int, int], ...] | None = None

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Which entries (i, j) are measured; pair estimators have one circuit for each, in this order."""
        return pairs_of(*self.shape, self.is_symmetric, self.has_diagonal) if self.chosen is None else self.chosen

    def only(self, keep: Sequence[bool]) -> Measurements:
        """Return the measurements without some of the pairs, whose values become NaN.

        Parameters
        ----------
        keep : sequence of bool, (len(pairs),)
            Which to keep; see :class:`flashket.qpu.Allocation`.

        Raises
        ------
        InputError
            For estimators that measure rows, and another length.
        """
        if not isinstance(self.estimator, PairEstimator) or len(keep) != len(self.pairs):
            wanted = f"keep must name {len(self.pairs)} pairs of an estimator that measures pairs"
            raise InputError(explanation("only", wanted, f"{len(keep)} for {self.estimator.name}", "measure every row"))
        kept = [index for index, wanted in enumerate(keep) if wanted]
        circuits = tuple(self.circuits[index] for index in kept)
        return replace(self, circuits=circuits, chosen=tuple(self.pairs[index] for index in kept))

    def similarities(self, counts: Sequence[Counts], shots: Sequence[int] | None = None) -> tuple[Array, Array]:
        """Return values before the kernel's power and their standard errors, (n, m) each; as :meth:`estimate`."""
        check_counts(self.circuits, counts, shots)
        return self.estimator.similarities(self, counts)

    def estimate(self, counts: Sequence[Counts], shots: Sequence[int] | None = None) -> Estimate:
        """Return the Gram matrix.

        Parameters
        ----------
        counts : sequence of dict of int to float
            For each circuit; bit j of an outcome is classical bit j.
        shots : sequence of int, optional
            What each circuit's counts must add up to.

        Raises
        ------
        InputError
            If counts are missing, name outcomes that do not exist, or do not add up.

        Notes
        -----
        The kernel's power acts on the estimate, which is a bias where shots are few.
        """
        values, errors = powered(*self.similarities(counts, shots), self.estimator.kernel.power)
        return Estimate(values, errors, len(self.circuits), n_shots(counts))


class PairEstimator(Estimator):
    """An estimator with one circuit for each pair of rows."""

    def measurements(self, X: Any, Y: Any = None, *, diagonal: bool = False) -> Measurements:
        """Return one circuit for each entry, for each i < j (or i <= j with ``diagonal``) without Y."""
        x = checked(self.feature_map, X, self.name, "X")
        y = x if Y is None else checked(self.feature_map, Y, self.name, "Y")
        left = [self._prepare(row) for row in x]
        right = left if Y is None else [self._prepare(row) for row in y]
        pairs = pairs_of(len(x), len(y), Y is None, diagonal)
        circuits = tuple(self._circuit(left[i], right[j]) for i, j in pairs)
        return Measurements(self, circuits, (len(x), len(y)), Y is None, diagonal and Y is None)

    def demand(self, n: int, m: int | None = None, *, diagonal: bool = False) -> Demand:
        """Say what the Gram matrix asks of a device: n (n - 1) / 2 circuits, or n m."""
        check_size_of(self.name, n, m)
        n_circuits = n * m if m is not None else n * (n - 1) // 2 + n * diagonal
        return self._demand(n_circuits)

    def similarities(self, measurements: Measurements, counts: Sequence[Counts]) -> tuple[Array, Array]:
        """Return values and standard errors; where nothing was measured, on the diagonal, 1 and 0."""
        values, errors = np.full((2, *measurements.shape), np.nan)
        if measurements.is_symmetric:
            np.fill_diagonal(values, 1.0)
            np.fill_diagonal(errors, 0.0)
        for (i, j), found in zip(measurements.pairs, counts, strict=True):
            values[i, j], errors[i, j] = mean(found, self.observable, self.span)
            if measurements.is_symmetric:
                values[j, i], errors[j, i] = values[i, j], errors[i, j]
        return values, errors

    span: ClassVar[float] = 1.0
    """Between the largest and the smallest value of the observable."""

    @abstractmethod
    def unit_variance(self, value: Array) -> Array:
        """Return the variance of a single shot where the similarity is ``value``."""

    @abstractmethod
    def observable(self, outcome: int) -> float:
        """Return what an outcome contributes to the similarity."""

    def _prepare(self, row: Array) -> Any:
        """Return what the circuits of one row share."""
        return encode_row(self.feature_map, row)

    @abstractmethod
    def _circuit(self, left: Any, right: Any) -> MeasuredCircuit:
        """Return the circuit of two prepared rows."""


def pairs_of(n: int, m: int, is_symmetric: bool, diagonal: bool) -> tuple[tuple[int, int], ...]:
    """Return the entries that are measured, row by row."""
    if is_symmetric:
        return tuple((i, j) for i in range(n) for j in range(i + (not diagonal), n))
    return tuple((i, j) for i in range(n) for j in range(m))


def powered(values: Array, errors: Array, power: int) -> tuple[Array, Array]:
    """Return values to a power, and their standard errors."""
    return values**power, power * np.abs(values) ** (power - 1) * errors


def n_shots(counts: Sequence[Counts]) -> int:
    """Return the shots of all circuits."""
    return round(math.fsum(math.fsum(found.values()) for found in counts))


def mean(counts: Counts, observable: Observable, span: float = 1.0) -> tuple[float, float]:
    """Return the mean of an observable over the shots, and its standard error.

    ``span`` is the observable's range: half an outcome is moved across it, so that few shots that all agree do not claim to be exact.

    Examples
    --------
    >>> mean({0: 50, 1: 50}, lambda outcome: outcome)
    (0.5, 0.05)
    >>> mean({0: 100}, lambda outcome: outcome)[1] > 0
    True
    """
    total = math.fsum(counts.values())
    value = math.fsum(observable(outcome) * weight for outcome, weight in counts.items()) / total
    if isinstance(counts, MitigatedCounts):
        seen, raw = counts.pull_back(observable), counts.raw
        first = math.fsum(seen[outcome] * weight for outcome, weight in raw.items()) / total
        spread = math.fsum((seen[outcome] - first) ** 2 * weight for outcome, weight in raw.items()) / total
        span = max(span, max(seen.values()) - min(seen.values()))
    else:
        seen = {outcome: observable(outcome) for outcome in counts}
        spread = math.fsum((seen[outcome] - value) ** 2 * weight for outcome, weight in counts.items()) / total
    rare = 0.5 / (total + 1)
    least = span**2 * rare * (1 - rare)
    return value, math.sqrt(max(spread, least) / total)


def two_qubit_size(gates: Sequence[Gate]) -> tuple[int, int]:
    """Return the number of two-qubit gates and of their layers.

    Examples
    --------
    >>> two_qubit_size([Gate("cx", (0, 1)), Gate("cx", (2, 3)), Gate("cx", (1, 2))])
    (3, 2)
    """
    count, layer = 0, dict[int, int]()
    for gate in gates:
        if gate.name in TWO_QUBIT:
            count += 1
            level = 1 + max(layer.get(qubit, 0) for qubit in gate.qubits)
            layer |= dict.fromkeys(gate.qubits, level)
    return count, max(layer.values(), default=0)


def check_size_of(place: str, n: int, m: int | None) -> None:
    """Raise InputError unless numbers of rows are positive integers."""
    for name, value in (("n", n), ("m", m)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1):
            raise InputError(explanation(place, f"{name} must be a positive integer", repr(value), "it is a number of rows"))


def check_counts(circuits: Sequence[MeasuredCircuit], counts: Sequence[Counts], shots: Sequence[int] | None = None) -> None:
    """Raise InputError unless there are counts for each circuit, of outcomes that exist, that add up to the shots."""
    place = "estimate"
    if len(counts) != len(circuits):
        raise InputError(explanation(place, f"counts of {len(circuits)} circuits were wanted", len(counts), "pass one dictionary each"))
    if shots is not None and len(shots) != len(circuits):
        raise InputError(explanation(place, f"shots of {len(circuits)} circuits were wanted", len(shots), "pass one number each"))
    for index, (circuit, found) in enumerate(zip(circuits, counts, strict=True)):
        total, bits = math.fsum(found.values()), len(circuit.measured)
        if not total > 0 or not math.isfinite(total):
            raise InputError(explanation(place, f"circuit {index} must have counts", f"a sum of {total:g}", "run it with one shot or more"))
        if any(not 0 <= outcome < 1 << bits for outcome in found):
            do = "bit j of an outcome is classical bit j"
            raise InputError(explanation(place, f"outcomes of circuit {index} must have {bits} bits", max(found), do))
        if shots is not None and abs(total - shots[index]) > 1e-6 * shots[index]:
            do = "fetch the job again"
            raise InputError(explanation(place, f"counts of circuit {index} must add up to {shots[index]} shots", f"{total:g}", do))
