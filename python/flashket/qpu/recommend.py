# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Which estimator of a kernel is the cheapest on a device. Everything is modelled; nothing is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flashket.arrays import Array
from flashket.errors import BackendUnavailable, InputError, ResourceLimit, explanation
from flashket.kernels import Kernel, Projected
from flashket.qpu.allocate import check_target, noisy_variance
from flashket.qpu.compile import compile_circuit
from flashket.qpu.cost import Cost, cost_of_work, count_on
from flashket.qpu.estimates import expected_fidelity
from flashket.qpu.estimators import ESTIMATORS, RandomisedMeasurement
from flashket.qpu.estimators._base import Estimator, PairEstimator
from flashket.qpu.estimators.randomised import best_shots, pair_variance
from flashket.qpu.profile import DeviceProfile, load_profile
from flashket.qpu.workload import CircuitCounts, Work

_LEAST_SIGNAL = 0.01
"""Below this share of the signal an estimator is not recommended: what is left is less than the model's own errors."""

_MOST_SHOTS = 2**53


@dataclass(frozen=True)
class EstimatorCost:
    """One estimator on a device; everything is modelled.

    Parameters
    ----------
    name : str
        Of the estimator.
    reason : str
        Why it is where it is in the ranking, or why the device cannot run it.
    n_circuits : int
        For the Gram matrix.
    shots : int
        Of each circuit, for the target error.
    n_qubits : int
        Of one circuit.
    counts : CircuitCounts or None
        Of one compiled circuit: pulses, two-qubit gates, their depth, seconds; None where it cannot run.
    fidelity : float
        The product over one circuit's pulses, two-qubit gates and measurements of what each leaves, with the device's median errors.
    signal : float
        What of the differences between entries is left by that.
    cost : Cost or None
        QPU seconds and list-price dollars.
    """

    name: str
    reason: str
    n_circuits: int
    shots: int
    n_qubits: int
    counts: CircuitCounts | None
    fidelity: float
    signal: float
    cost: Cost | None

    @property
    def is_feasible(self) -> bool:
        """Whether the device can run it."""
        return self.cost is not None


@dataclass(frozen=True)
class Recommendation:
    """Estimators of a kernel on a device, the cheapest first, those that it cannot run last. ``print`` shows a table.

    Parameters
    ----------
    rows : tuple of EstimatorCost
        Ranked by ``measure``.
    measure : str
        "USD", "QPU seconds" or "executions": the first that is known of every estimator.
    device : str
        The profile's name.
    kernel : Kernel
        Whose entries are wanted.
    target_error : float
        Wanted standard error of an entry.
    """

    rows: tuple[EstimatorCost, ...]
    measure: str
    device: str
    kernel: Kernel
    target_error: float

    @property
    def best(self) -> EstimatorCost | None:
        """The cheapest, None if the device can run none."""
        return self.rows[0] if self.rows[0].is_feasible else None

    def __str__(self) -> str:
        head = ("estimator", "circuits", "shots", "qubits", "2q", "depth", "fidelity", "QPU s", "USD", "why")
        lines = [head]
        for row in self.rows:
            counts, cost = row.counts, row.cost
            lines.append(
                (
                    row.name,
                    f"{row.n_circuits:,}",
                    f"{row.shots:,}" if cost else "-",
                    f"{row.n_qubits}",
                    f"{counts.n_2q}" if counts else "-",
                    f"{counts.depth_2q}" if counts else "-",
                    f"{row.fidelity:.3f}" if counts else "-",
                    f"{cost.qpu_seconds:,.1f}" if cost and cost.qpu_seconds is not None else "-",
                    f"{cost.usd:,.2f}" if cost and cost.usd is not None else "-",
                    row.reason,
                )
            )
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        title = f"{self.kernel!r} on {self.device}, standard error {self.target_error:g}; modelled, ranked by {self.measure}"
        return "\n".join(
            [title, *("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)]
        )


def recommend(
    profile: DeviceProfile | str,
    kernel: Kernel,
    n: int,
    m: int | None = None,
    *,
    target_error: float = 0.02,
    similarity: float | None = None,
    provider: str | None = None,
) -> Recommendation:
    """Rank the estimators of a kernel by what they would cost on a device.

    Parameters
    ----------
    profile : DeviceProfile or str
        The device, or a bundled profile's name.
    kernel : Kernel
        ``fk.Fidelity`` has four estimators, ``fk.HadamardTest`` and ``fk.Projected`` one each.
    n, m : int
        Rows, and other rows; without m the Gram matrix of n rows with themselves.
    target_error : float
        Wanted standard error of an entry once the loss of signal is taken out.
    similarity : float, optional
        What entries (before the kernel's power) are about; by default the worst for each estimator.
    provider : str, optional
        How the device is bought; see :func:`flashket.qpu.estimate_cost`.

    Returns
    -------
    Recommendation

    Raises
    ------
    InputError
        For a kernel that no QPU measures, unknown devices, numbers of rows that leave nothing to measure, and a target error or
        similarity that is not as above.

    Notes
    -----
    Circuits are compiled for the device with arbitrary angles; the signal is the product of median errors, for row estimators squared,
    as two measured states meet in an entry. Shots are the variance of one shot over ``(target_error * signal)^2``; randomised
    measurements take the cheapest mixture of unitaries and shots by :func:`flashket.qpu.estimators.randomised.pair_variance`, which
    knows product states. Neither crosstalk nor idling counts; :class:`flashket.NoiseModel` simulates them.

    Examples
    --------
    >>> import flashket as fk
    >>> ranking = recommend("ibm_torino", fk.Fidelity(fk.ZZ(4, reps=1, entanglement="linear")), 20)
    >>> ranking.best.name, len(ranking.rows)
    ('compute_uncompute', 4)
    """
    place = "recommend"
    device = load_profile(profile) if isinstance(profile, str) else profile
    if not isinstance(device, DeviceProfile):
        raise InputError(explanation(place, "profile must be a DeviceProfile or its name", repr(profile), 'e.g. "ibm_torino"'))
    check_target(place, target_error)
    if similarity is not None and (not isinstance(similarity, (int, float, np.floating)) or not 0 <= similarity <= 1):
        raise InputError(explanation(place, "similarity must be in 0..1", repr(similarity), "None takes the worst"))
    kinds = [kind for kind in ESTIMATORS.values() if isinstance(kernel, kind.kernels)]
    if not kinds:
        raise InputError(explanation(place, "the kernel must be one that a QPU measures", repr(kernel), "e.g. fk.Fidelity(fk.ZZ(4))"))
    rows = []
    for kind in kinds:
        estimator = kind(kernel, n_unitaries=2) if kind is RandomisedMeasurement else kind(kernel)
        n_circuits = estimator.demand(n, m).n_circuits
        if n_circuits < 1:
            raise InputError(explanation(place, "rows must leave a pair to measure", f"n = {n}", "a row with itself is 1 without a QPU"))
        rows.append(_row(device, estimator, n, m, n_circuits, target_error, similarity, provider))
    feasible = [row for row in rows if row.cost is not None]
    measure, figure = _measure([row.cost for row in feasible if row.cost is not None])
    feasible.sort(key=lambda row: (figure(row.cost), row.n_circuits) if row.cost is not None else (math.inf, 0))
    ranked = [_explained(row, feasible[0], figure, measure) for row in feasible]
    return Recommendation((*ranked, *(row for row in rows if row.cost is None)), measure, device.name, kernel, float(target_error))


def _row(
    device: DeviceProfile,
    estimator: Estimator,
    n: int,
    m: int | None,
    n_circuits: int,
    target_error: float,
    similarity: float | None,
    provider: str | None,
) -> EstimatorCost:
    circuit = estimator.example()
    width = circuit.n_qubits

    def refused(reason: str, counts: CircuitCounts | None = None, fidelity: float = math.nan, signal: float = math.nan) -> EstimatorCost:
        return EstimatorCost(estimator.name, reason, n_circuits, 0, width, counts, fidelity, signal, None)

    if width > device.n_qubits:
        return refused(f"needs {width} qubits, the device has {device.n_qubits}")
    try:
        native = compile_circuit(circuit, device)
    except (InputError, ResourceLimit, BackendUnavailable) as error:
        return refused(f"does not compile: {error}")
    counts = count_on(device, native)
    fidelity = expected_fidelity(device, counts)
    if math.isnan(fidelity):
        return refused("the profile lacks error rates", counts)
    signal = fidelity if isinstance(estimator, PairEstimator) else fidelity**2
    if signal < _LEAST_SIGNAL:
        return refused(f"noise leaves {signal:.2g} of the signal", counts, fidelity, signal)
    best: EstimatorCost | None = None
    needs = _needs(estimator, n, m, n_circuits, target_error, similarity, signal)
    for circuits, shots in needs:
        if circuits * shots <= _MOST_SHOTS:
            cost = cost_of_work(device, [Work(counts, circuits, shots)], provider=provider)
            found = EstimatorCost(estimator.name, "", circuits, shots, width, counts, fidelity, signal, cost)
            if best is None or best.cost is None or _figure(cost) < _figure(best.cost):
                best = found
    return best or refused(f"needs {min(circuits * shots for circuits, shots in needs):.1e} shots", counts, fidelity, signal)


def _figure(cost: Cost) -> tuple[float, float]:
    """Return what one estimator's own choices are compared by."""
    return cost.usd or cost.qpu_seconds or 0.0, float(cost.executions)


def _needs(
    estimator: Estimator, n: int, m: int | None, n_circuits: int, target_error: float, similarity: float | None, signal: float
) -> list[tuple[int, int]]:
    """Return circuits and the shots of each: the choices that reach the error."""
    values = np.linspace(0, 1, 101) if similarity is None else np.array([similarity])
    power = estimator.kernel.power
    slope = power * values ** (power - 1)
    if isinstance(estimator, PairEstimator):
        worst = float((noisy_variance(estimator, values, signal) * slope**2).max())
        return [(n_circuits, max(1, math.ceil(worst / target_error**2 * (1 - 1e-12))))]
    if isinstance(estimator, RandomisedMeasurement):
        return _needs_randomised(estimator, n + (m or 0), values, slope, target_error, signal)
    assert isinstance(estimator.kernel, Projected)
    return [(n_circuits, bloch_shots(estimator.kernel.gamma, estimator.feature_map.n_qubits, target_error, signal, values))]


def _needs_randomised(
    estimator: RandomisedMeasurement, n_rows: int, values: Array, slope: Array, target_error: float, signal: float
) -> list[tuple[int, int]]:
    n_qubits = estimator.feature_map.n_qubits
    noisy = (signal * values + (1 - signal) * 0.5**n_qubits).tolist()

    def unitaries(shots: int) -> int:
        worst: float = max(pair_variance(value, n_qubits, shots) * rise**2 for value, rise in zip(noisy, slope.tolist(), strict=True))
        return max(2, math.ceil(worst / (signal * target_error) ** 2))

    # Shots that are best for some entry, and many more of them, which are better where circuits are what costs.
    candidates = {factor * best_shots(value, n_qubits) for value in noisy for factor in (1, 4, 16, 64, 256)}
    return [(n_rows * unitaries(shots), shots) for shots in sorted(candidates)]


def bloch_shots(gamma: float, n_qubits: int, target_error: float, signal: float, values: Array) -> int:
    """Return the shots of each of a row's three circuits that bring projected kernel values to an error.

    The variance of a distance D between states of uncorrelated qubits is at most ``8 D / S + 24 n / S^2``, its error in K is
    ``gamma/2 K`` times the root of it.

    Examples
    --------
    >>> bloch_shots(1.0, 2, 0.02, 1.0, np.array([0.5]))
    1738
    """
    inside = np.clip(values, max(math.exp(-2 * gamma * n_qubits), 1e-300), 1)
    distance = -2 / gamma * np.log(inside)
    # a S^2 - b S - c = 0 with the noisy distances stretched again.
    # Values next to 0 hardly move however wrong the distance is.
    a = (2 * target_error / np.maximum(gamma * inside, 1e-100)) ** 2
    b, c = 8 * distance / signal, 24 * n_qubits / signal**2
    needed = (b + np.sqrt(b**2 + 4 * a * c)) / (2 * a)
    return max(2, math.ceil(float(needed.max())))


def _measure(costs: Sequence[Cost]) -> tuple[str, Callable[[Cost], float]]:
    """Return what every estimator is known by, and how to read it; money that is 0 (free plans) tells nothing."""
    if all(cost.usd for cost in costs):
        return "USD", lambda cost: cost.usd or 0.0
    if all(cost.qpu_seconds is not None for cost in costs):
        return "QPU seconds", lambda cost: cost.qpu_seconds or 0.0
    return "executions", lambda cost: float(cost.executions)


def _explained(row: EstimatorCost, best: EstimatorCost, figure: Callable[[Cost], float], measure: str) -> EstimatorCost:
    assert row.cost is not None and best.cost is not None and row.counts is not None and best.counts is not None
    if row is best:
        reason = f"fewest {measure}"
    else:
        factor = figure(row.cost) / max(figure(best.cost), 1e-300)
        reason = f"{factor:.3g} x the {measure}"
        parts = []
        for name, here, there in (
            ("circuits", row.n_circuits, best.n_circuits),
            ("shots a circuit", row.shots, best.shots),
            ("two-qubit gates", row.counts.n_2q, best.counts.n_2q),
        ):
            if there and here > 1.1 * there:
                parts.append(f"{here / there:.3g} x the {name}")
        if row.signal < 0.9 * best.signal:
            parts.append(f"{row.signal / best.signal:.2g} of the signal")
        reason += f": {', '.join(parts)}" if parts else ""
    return replace(row, reason=reason)
