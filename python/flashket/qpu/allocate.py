# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How many shots each entry of a Gram matrix gets."""

from __future__ import annotations

import heapq
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import Counts, Estimate, Measurements, PairEstimator

_OBJECTIVES = ("sum", "max")

_CONFIDENCE = 3.0
"""A pilot's values may be off by so many of its standard errors."""

_LARGEST_SHOTS = 2**31 - 1

_POINTS = 33
"""Where the variance is looked at between the smallest and the largest value that an entry may have."""


@dataclass(frozen=True)
class Allocation:
    """Shots for the pairs of a Gram matrix. Made by :func:`allocate`.

    Parameters
    ----------
    shots : tuple of int
        For each pair, in the order of ``Measurements.pairs``; 0 where the pair is skipped.
    standard_errors : numpy.ndarray, (pairs,)
        Expected at most, of the kernel's value; of skipped pairs the largest that leaving them at ``values`` can be wrong by.
    values : numpy.ndarray, (pairs,)
        What skipped pairs are taken for: 0. NaN for the others.
    notes : tuple of str
        What was skipped and assumed.
    """

    shots: tuple[int, ...]
    standard_errors: Array
    values: Array
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """All shots."""
        return sum(self.shots)

    @property
    def keep(self) -> tuple[bool, ...]:
        """Which pairs are measured; for :meth:`flashket.qpu.estimators.Measurements.only`."""
        return tuple(count > 0 for count in self.shots)

    def check(self, work: Measurements) -> None:
        """Raise InputError unless this was made for the pairs of these measurements, with shots a device can take."""
        place = "Allocation"
        if not isinstance(work.estimator, PairEstimator):
            do = "it shares its circuits among all entries; pass a number of shots"
            raise InputError(explanation(place, "an estimator with one circuit for each pair was wanted", work.estimator.name, do))
        if not len(self.shots) == len(self.standard_errors) == len(self.values) == len(work.pairs):
            do = "allocate for these rows, and leave diagonal out"
            raise InputError(explanation(place, f"shots of {len(work.pairs)} pairs were wanted", len(self.shots), do))
        if any(
            isinstance(shots, bool) or not isinstance(shots, (int, np.integer)) or not 0 <= shots <= _LARGEST_SHOTS for shots in self.shots
        ):
            raise InputError(explanation(place, f"shots must be integers in 0..{_LARGEST_SHOTS}", list(self.shots[:10]), "0 skips a pair"))

    def record(self) -> dict[str, Any]:
        """Return it as plain data; :meth:`from_record` reads that."""
        return {"shots": list(self.shots), "errors": [float(error) for error in self.standard_errors]}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Allocation:
        """Return what :meth:`record` wrote.

        Examples
        --------
        >>> Allocation.from_record({"shots": [10, 0], "errors": [0.1, 0.01]}).keep
        (True, False)
        """
        shots = tuple(record["shots"])
        return cls(shots, np.array(record["errors"]), np.where(np.array(shots, np.float64) > 0, np.nan, 0.0), ())

    def complete(self, work: Measurements, estimate: Estimate) -> Estimate:
        """Return an estimate of ``work.only(keep)`` with the skipped entries put in as 0, and how wrong that may be.

        Parameters
        ----------
        work : Measurements
            All pairs.
        estimate : Estimate
            Of those that were kept.
        """
        values, errors = estimate.values.copy(), estimate.standard_errors.copy()
        for (i, j), value, error, kept in zip(work.pairs, self.values, self.standard_errors, self.keep, strict=True):
            if not kept:
                for entry in ((i, j), (j, i)) if work.is_symmetric else ((i, j),):
                    values[entry], errors[entry] = value, error
        return replace(estimate, values=values, standard_errors=errors)


@dataclass(frozen=True)
class AllocatedMeasurements:
    """The circuits of a Gram matrix with shots of their own; pairs without are left out.

    Parameters
    ----------
    work : Measurements
        All pairs.
    allocation : Allocation
        Their shots.
    """

    work: Measurements
    allocation: Allocation

    def __post_init__(self) -> None:
        self.allocation.check(self.work)

    @cached_property
    def _kept(self) -> Measurements:
        return self.work.only(self.allocation.keep)

    @property
    def circuits(self) -> tuple[MeasuredCircuit, ...]:
        """Of the pairs that are measured."""
        return self._kept.circuits

    @property
    def shots(self) -> tuple[int, ...]:
        """Of each circuit."""
        return tuple(int(shots) for shots in self.allocation.shots if shots)

    def estimate(self, counts: Sequence[Counts], shots: Sequence[int] | None = None) -> Estimate:
        """Return the Gram matrix, skipped entries put in; see :meth:`Allocation.complete`."""
        return self.allocation.complete(self.work, self._kept.estimate(counts, shots))


def allocate(
    work: Measurements,
    prior: Any = None,
    *,
    target_error: float | None = None,
    total: int | None = None,
    objective: str = "sum",
    noise_floor: float = 0.0,
    signal: float = 1.0,
) -> Allocation:
    """Return the shots that each pair needs for an error, or the best use of a number of shots.

    ``sigma = sqrt(V / S)``, for compute-uncompute V = K (1 - K); so ``S = V / target_error^2``.

    Parameters
    ----------
    work : Measurements
        The pairs, and the estimator whose variance counts.
    prior : Estimate or array_like, (n, m), optional
        What the entries are about: a pilot run with few shots, whose values may be off by three of its standard errors, or values that
        are taken as they are. Without it every entry may be anything: the worst is K = 1/2 for compute-uncompute.
    target_error : float
        Wanted standard error of every entry of the kernel (its power included); or
    total : int
        shots in all.
    objective : str
        With ``total``: "sum" makes the sum of the variances least (shots proportional to sqrt(V)), "max" the largest (shots
        proportional to V).
    noise_floor : float
        Entries that are certain to be at most this, by the prior, are skipped and taken as 0.
    signal : float
        What noise leaves of the differences between entries, in 0..1, where it is taken out again (``1 - lambda`` of the
        depolarisation): shots grow as 1 / signal^2.

    Returns
    -------
    Allocation
        Whole numbers, at least 1 for each pair that is not skipped; with ``total`` they add up to it.

    Raises
    ------
    InputError
        For an estimator that measures rows, numbers that are not as above, and fewer shots in all than pairs.

    Notes
    -----
    The error is that of shot noise alone.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu.estimators import ComputeUncompute
    >>> work = ComputeUncompute(fk.Fidelity(fk.Angle(1))).measurements([[0.0], [0.1], [1.5]])
    >>> allocate(work, target_error=0.01).shots
    (2500, 2500, 2500)
    >>> allocate(work, fk.gram([[0.0], [0.1], [1.5]], kernel=fk.Fidelity(fk.Angle(1))), target_error=0.01).shots
    (25, 2488, 2428)
    """
    place = "allocate"
    if not isinstance(work, Measurements) or not isinstance(work.estimator, PairEstimator):
        do = "of an estimator with one circuit for each pair"
        raise InputError(explanation(place, "work must be Measurements", getattr(getattr(work, "estimator", work), "name", work), do))
    if (target_error is None) == (total is None):
        raise InputError(explanation(place, "one of target_error and total was wanted", f"{target_error} and {total}", "pass one of them"))
    if objective not in _OBJECTIVES:
        raise InputError(explanation(place, f"objective must be one of {', '.join(_OBJECTIVES)}", repr(objective), "choose one of these"))
    if not isinstance(noise_floor, (int, float, np.floating)) or not 0 <= noise_floor < 1:
        raise InputError(explanation(place, "noise_floor must be in 0..1, below 1", repr(noise_floor), "0 skips nothing"))
    check_signal(place, signal)
    low, high = _ranges(work, prior)
    power = work.estimator.kernel.power
    skipped = (high**power <= noise_floor) & (noise_floor > 0)
    variances = _worst_variances(work.estimator, low, high, signal)
    measured = np.flatnonzero(~skipped)
    shots = np.zeros(len(low), np.int64)
    if target_error is not None:
        shots[measured] = shots_for(variances[measured], target_error)
    else:
        shots[measured] = shared_shots(variances[measured], _total(total, len(measured)), objective)
    errors = np.where(skipped, high**power, np.sqrt(variances / np.maximum(shots, 1)))
    notes = []
    if prior is None:
        notes.append("no pilot: every entry may be the one of largest variance")
    if skipped.any():
        notes.append(f"{int(skipped.sum())} of {len(low)} pairs are below the noise floor {noise_floor:g}: skipped and taken as 0")
    if signal < 1:
        notes.append(f"noise leaves {signal:.3g} of the signal: {signal**-2:.3g} times the shots")
    return Allocation(tuple(shots.tolist()), errors, np.where(skipped, 0.0, np.nan), tuple(notes))


def shots_for(variances: Any, target_error: float) -> Array:
    """Return whole numbers of shots, at least 1, that bring variances of one shot to an error.

    Examples
    --------
    >>> shots_for([0.25, 0.01, 0.0], 0.05)
    array([100,   4,   1])
    """
    check_target("allocate", target_error)
    # What is whole but for rounding stays so.
    needed = np.asarray(variances, np.float64) / target_error**2
    if needed.size and needed.max() > 2**53:
        do = "accept a larger error"
        raise InputError(explanation("allocate", "shots must stay below 2^53", f"{needed.max():.3g} for target_error {target_error:g}", do))
    return np.asarray(np.maximum(np.ceil(needed * (1 - 1e-12)), 1).astype(np.int64))


def shared_shots(variances: Any, total: int, objective: str = "sum") -> Array:
    """Return ``total`` shots shared out, at least 1 each, so that the sum or the largest of ``variance / shots`` is least.

    Examples
    --------
    >>> shared_shots([0.09, 0.01], 8), shared_shots([0.09, 0.01], 10, "max")
    (array([6, 2]), array([9, 1]))
    """
    variance = np.asarray(variances, np.float64)
    if not len(variance):
        return np.zeros(0, np.int64)
    weights = np.sqrt(variance) if objective == "sum" else variance
    weights = weights / weights.max() if weights.any() else np.ones_like(weights)  # relative: denormal ones would overflow the division
    # Those whose share is below one shot get one, and the others share the rest.
    shares, poor = np.ones(len(weights)), np.zeros(len(weights), bool)
    while True:
        rest = total - poor.sum()
        shares[~poor] = weights[~poor] * (rest / weights[~poor].sum()) if weights[~poor].any() else 1.0
        newly = ~poor & (shares < 1)
        if not newly.any():
            break
        shares[newly], poor = 1.0, poor | newly
    # One less than the share, then single shots to whom they help most: the exact optimum, as gains fall with every shot.
    shots = np.maximum(np.floor(shares).astype(np.int64) - 1, 1)

    def gain(v: float, s: int) -> float:
        return v / (s * (s + 1)) if objective == "sum" else v / s

    heap = [(-gain(v, int(s)), index) for index, (v, s) in enumerate(zip(variance.tolist(), shots.tolist(), strict=True))]
    heapq.heapify(heap)
    for _ in range(int(total - shots.sum())):
        _, index = heap[0]
        shots[index] += 1
        heapq.heapreplace(heap, (-gain(float(variance[index]), int(shots[index])), index))
    return shots


def check_target(place: str, target_error: Any) -> None:
    """Raise InputError unless a target error is a positive number."""
    try:
        good = 0 < float(target_error) < math.inf and not isinstance(target_error, bool)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(explanation(place, "target_error must be a positive number", repr(target_error), "e.g. 0.01"))


def check_signal(place: str, signal: Any) -> None:
    """Raise InputError unless a signal is in 0..1 and not 0."""
    if isinstance(signal, bool) or not isinstance(signal, (int, float, np.floating)) or not 0 < signal <= 1:
        raise InputError(explanation(place, "signal must be a number above 0 and at most 1", repr(signal), "1 is a device without noise"))


def noisy_variance(estimator: PairEstimator, value: Array, signal: float) -> Array:
    """Return the variance of one shot of the similarity ``value`` when noise that leaves ``signal`` of it is taken out again."""
    floor = estimator.floor or 0.0
    return np.asarray(estimator.unit_variance(signal * value + (1 - signal) * floor) / signal**2)


def _worst_variances(estimator: PairEstimator, low: Array, high: Array, signal: float) -> Array:
    """Return the largest variance of one shot of the kernel's value for similarities in low..high."""
    points = low + (high - low) * np.linspace(0, 1, _POINTS)[:, None]
    power = estimator.kernel.power
    slope = power * points ** (power - 1)
    return np.asarray((noisy_variance(estimator, points, signal) * slope**2).max(axis=0))


def _ranges(work: Measurements, prior: Any) -> tuple[Array, Array]:
    """Return between which similarities (before the power) each pair's lies."""
    pairs = work.pairs
    if prior is None:
        return np.zeros(len(pairs)), np.ones(len(pairs))
    is_pilot = isinstance(prior, Estimate)
    try:
        values = np.asarray(prior.values if is_pilot else prior, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != work.shape or not np.isfinite(values[_index(pairs)]).all():
        got = values.shape if values.shape != work.shape else "NaN or infinity"
        raise InputError(explanation("allocate", f"prior must be {work.shape} numbers or an Estimate", got, "one for each entry"))
    spread = _CONFIDENCE * prior.standard_errors if is_pilot else np.zeros_like(values)
    low, high = (np.clip(bound[_index(pairs)], 0, 1) for bound in (values - spread, values + spread))
    power = work.estimator.kernel.power
    return low ** (1 / power), high ** (1 / power)


def _index(pairs: tuple[tuple[int, int], ...]) -> tuple[list[int], list[int]]:
    return [i for i, _ in pairs], [j for _, j in pairs]


def _total(total: Any, n_pairs: int) -> int:
    try:
        count = operator.index(total)
    except TypeError:
        count = -1
    if isinstance(total, bool) or count < n_pairs:
        do = "one for each pair is the least"
        raise InputError(explanation("allocate", f"total must be an integer of at least {n_pairs}", repr(total), do))
    return count
