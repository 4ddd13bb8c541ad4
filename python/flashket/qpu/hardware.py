# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a real device is expected to give: calibration data, crosstalk, and the drift between a calibration and a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket.errors import InputError, explanation
from flashket.program import Gate, Linear, Program
from flashket.qpu.compile import compile_pair
from flashket.qpu.layout import line_layout
from flashket.qpu.native import NativeCircuit
from flashket.qpu.profile import FAULTY, DeviceProfile

Floats = npt.NDArray[np.float64]

PERSISTENCE = (0.47, 0.33, 0.52)
"""How far errors of two-qubit gates, one-qubit gates and readout are those of the snapshot: see :func:`return_probability`."""

DEVICE_DRIFT = (0.17, 0.16, 0.64)
"""How far the errors of a whole device move together, as the standard deviation of the logarithm: see :func:`return_probability`."""

_SHORTEST_LINE = 10
"""Layer fidelities of shorter lines say little about crosstalk: a few gates, the best of the device."""

_PULSES_OF_CLIFFORD = 20 / 24
"""Of the 24 one-qubit Cliffords 4 are turns about z, which are virtual; the others take one pulse each."""

_MIXED_1Q, _MIXED_2Q = 0.999 * 3 / 4, 0.999 * 15 / 16
"""Most that an error takes of a process fidelity: what is fully mixed keeps a quarter or a sixteenth."""


@dataclass(frozen=True)
class HardwarePrediction:
    """Expected probability of returning to all zeros.

    Parameters
    ----------
    value : float
        The median over drift.
    low, high : float
        16 % and 84 % of the runs lie below.
    as_calibrated : float
        If no error had changed since the snapshot: exact simulation, crosstalk included.
    crosstalk : float
        How much worse two-qubit errors were taken than alone: the factor, or the median of factors where each edge has its own.
    layout : tuple of int, (n_qubits,)
        The line of qubits.
    expected_error : float
        Mean distance of a run from ``value`` over drift: what is left to be wrong if everything here is right.
    """

    value: float
    low: float
    high: float
    as_calibrated: float
    crosstalk: float
    layout: tuple[int, ...]
    expected_error: float


def return_probability(
    profile: DeviceProfile,
    x: Any,
    *,
    program: Program | None = None,
    layout: Sequence[int] | None = None,
    persistence: Sequence[float] = PERSISTENCE,
    device_drift: Sequence[float] = DEVICE_DRIFT,
    crosstalk: float | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> HardwarePrediction:
    """Predict how often U(x) followed by its inverse returns to all zeros on a device, from its calibration data alone.

    Parameters
    ----------
    profile : DeviceProfile
        The device's calibration snapshot.
    x : array_like, (n_features,)
        One row, radians.
    program : Program, optional
        U, with its two-qubit gates along a line; by default :func:`line_circuit` of as many qubits as x is long.
    layout : sequence of int, (n_qubits,), optional
        The physical qubits; by default the line of least error that the snapshot knows, as a noise-aware compiler takes.
    persistence : sequence of float, (3,)
        Correlation between the snapshot and the run of the errors of two-qubit gates, one-qubit gates and readout: 1 for a device that
        has not changed, 0 for one of which only the distribution of errors is known.
    device_drift : sequence of float, (3,)
        Standard deviation of the logarithm of a factor that all errors of a kind share; errors with persistence 1 have none.
    crosstalk : float, optional
        Factor on two-qubit errors while neighbouring gates run; by default the snapshot's own, each edge's where it has them
        (``error_2q_parallel``), else :func:`crosstalk_factor`.
    draws : int
        Samples of drift.
    seed : int
        Of the samples; the same one gives the same numbers on every machine.

    Returns
    -------
    HardwarePrediction

    Raises
    ------
    InputError
        For rows and layouts that do not fit, and numbers out of range.

    Notes
    -----
    Exact simulation of the line at any width (:func:`flashket.noise.line.zero_probability`) with each qubit's and edge's own errors,
    relaxation while waiting, readout of a prepared 0, and crosstalk. Then drift: a snapshot is not the day of the run, and the line that
    looked best will on average be worse. Each error's place z in the device's distribution (as a normal deviate) becomes
    ``c z + sqrt(1 - c^2) xi`` with the persistence c and a normal xi, and the error is that of the device at the new place; then the
    errors of a kind are multiplied by one log-normal factor, as devices get better and worse as a whole. The return probability follows
    the product of what every operation leaves whole, to the power that makes this product agree with the exact simulation of the snapshot.

    The defaults of c come from calibration data alone: the rank correlation between two snapshots of the same device, mean of three
    IBM Heron devices (fez 34 days apart, marrakesh 35, torino 364), as the normal deviates' correlation 2 sin(pi r / 6). Those of the
    whole device are the root mean square of log(median after / median before) over nine devices, bench/calibration_drift.py.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> found = return_probability(load_profile("ibm_boston"), [0.5, 1.0, 1.5, 2.0])
    >>> 0.9 < found.low <= found.value <= found.high < 1.0
    True
    """
    row = np.asarray(x, np.float64)
    place = "return_probability"
    if len(persistence) != 3 or not all(0 <= c <= 1 for c in persistence) or draws < 1 or (crosstalk is not None and not crosstalk > 0):
        got = f"{persistence}, {draws} and {crosstalk}"
        wanted = "persistence must be three numbers in [0, 1], draws and crosstalk positive"
        raise InputError(explanation(place, wanted, got, "leave them out"))
    if program is None:
        if row.ndim != 1 or len(row) < 1:
            raise InputError(explanation(place, "x must be one row", row.shape, "pass (n_features,) numbers"))
        program = line_circuit(len(row))
        layout = line_layout(profile, len(row)) if layout is None else layout
    if len(device_drift) != 3 or not all(0 <= s < math.inf for s in device_drift):
        raise InputError(explanation(place, "device_drift must be three numbers of 0 and more", device_drift, "leave it out"))
    together = _side_by_side(profile, crosstalk)
    native = compile_pair(program, profile, layout=layout)
    louder = replace(native, profile=replace(profile, error_2q=together))
    # The noise package imports this one.
    from flashket.noise.line import zero_probability
    from flashket.noise.lower import lower

    exact = zero_probability(lower(louder), row, row)
    wholes = _drifted(louder, persistence, device_drift, draws, np.random.default_rng(seed))
    calibrated = _drifted(louder, (1.0, 1.0, 1.0), device_drift, 1, np.random.default_rng(seed))[0]
    power = math.log(exact) / calibrated if calibrated < 0 < exact < 1 else 1.0
    low, value, high = np.exp(power * np.quantile(wholes, [0.16, 0.5, 0.84])).tolist()
    expected_error = float(np.abs(np.exp(power * wholes) - value).mean())
    ratios = [new / old for new, old in zip(together, profile.error_2q, strict=True) if 0 < old < FAULTY]
    factor = float(np.median(ratios)) if ratios else 1.0
    return HardwarePrediction(value, low, high, exact, factor, native.qubits, expected_error)


def line_circuit(n_qubits: int) -> Program:
    """Return a ZZ-type map on a line: H, RZ(x_j), then RZZ-like phases (pi - x_a)(pi - x_b) on even and then on odd pairs.

    The circuit of the public measurements that predictions are compared with: two layers of pairs, each phase between two CX.

    Examples
    --------
    >>> [gate.name for gate in line_circuit(2).gates]
    ['h', 'h', 'rz', 'rz', 'cx', 'rz', 'cx']
    """
    gates = [Gate("h", (j,)) for j in range(n_qubits)] + [Gate("rz", (j,), (Linear(1.0, j),)) for j in range(n_qubits)]
    for first in (0, 1):
        for a in range(first, n_qubits - 1, 2):
            angle = (Linear(-1.0, a, math.pi), Linear(-1.0, a + 1, math.pi))
            gates += [Gate("cx", (a, a + 1)), Gate("rz", (a + 1,), angle), Gate("cx", (a, a + 1))]
    return Program(n_qubits, n_qubits, tuple(gates))


def crosstalk_factor(profile: DeviceProfile) -> float:
    """Return how much worse two-qubit gates are side by side than alone, NaN where the profile does not know.

    Sycamore profiles have both errors of each edge: the ratio of their medians. IBM's have layer fidelities, of two layers of gates that
    cover a line, all gates of a layer at once and between random one-qubit Cliffords (McKay et al., arXiv:2311.05933). The line's lone
    errors predict them as a product of process fidelities: 1 - 5/4 e of each gate, and 1 - 3/2 e of the pulses, 5/6 of one for each qubit
    and layer, as 20 of the 24 Cliffords take one. Pulses have no company to suffer from, so with their share taken off both sides the
    factor is the median over lines of ten and more qubits of log(measured) / log(predicted), and at least 1, as gates cannot gain from
    company.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> 1.0 <= crosstalk_factor(load_profile("ibm_boston")) < crosstalk_factor(load_profile("ibm_miami")) < 4
    True
    """
    if profile.error_2q_parallel is not None:
        return max(1.0, profile.median("error_2q_parallel") / profile.median("error_2q"))
    if profile.edges is None:
        return math.nan
    alone = {frozenset(pair): error for pair, error in zip(profile.edges, profile.error_2q, strict=True)}
    pulse = np.log1p(-np.minimum(1.5 * np.nan_to_num(np.array(profile.error_1q)), _MIXED_1Q))
    ratios = []
    for line, fidelity in profile.layer_fidelity:
        errors = [alone.get(frozenset(pair), math.nan) for pair in pairwise(line)]
        predicted = sum(math.log1p(-min(1.25 * error, _MIXED_2Q)) for error in errors)
        if len(line) >= _SHORTEST_LINE and predicted < 0 < fidelity < 1:  # a line over an edge of unknown error compares with nothing
            pulses = 2 * _PULSES_OF_CLIFFORD * float(pulse[list(line)].sum())
            ratios.append((math.log(fidelity) - pulses) / predicted)
    return max(1.0, float(np.median(ratios))) if ratios else math.nan


def _side_by_side(profile: DeviceProfile, crosstalk: float | None) -> tuple[float, ...]:
    """Return the errors of two-qubit gates while others run; at most a half, which leaves nothing of a state."""
    factor = crosstalk_factor(profile) if crosstalk is None else crosstalk
    factor = 1.0 if math.isnan(factor) else factor
    known = None if crosstalk is not None else profile.error_2q_parallel
    if known is None:
        known = (math.nan,) * len(profile.error_2q)
    pairs = zip(profile.error_2q, known, strict=True)
    return tuple(min(factor * alone if math.isnan(together) else together, 0.5) for alone, together in pairs)


def _drifted(
    native: NativeCircuit, persistence: Sequence[float], device_drift: Sequence[float], draws: int, generator: np.random.Generator
) -> Floats:
    """Return, for each draw of drift, the logarithm of the product of what every operation leaves whole."""
    profile = native.profile
    edges: dict[int, int] = {}
    pulses = np.zeros(len(native.qubits))
    for part in native.parts:
        for gate, count in zip(part.program.gates, part.pulses, strict=True):
            if len(gate.qubits) == 2:
                edge = native.edge(gate.qubits[0], gate.qubits[1])
                edges[edge] = edges.get(edge, 0) + count
            else:
                pulses[gate.qubits[0]] += count
    used = np.array(native.qubits)
    read = used[list(native.measured)]
    # Process fidelities: 1 - (d + 1) / d of the average infidelity.
    kinds = (
        (profile.error_2q, np.array(list(edges), int), np.array(list(edges.values()), float), 1.25, _MIXED_2Q),
        (profile.error_1q, used, pulses, 1.5, _MIXED_1Q),
        (profile.readout_p10, read, np.ones(len(read)), 1.0, 0.999),
    )
    logs = np.zeros(draws)
    for c, wide, (errors, where, counts, share, most) in zip(persistence, device_drift, kinds, strict=True):
        device = np.nan_to_num(np.array(errors, np.float64))
        error = _moved(device, where, c, draws, generator)
        if c < 1.0 and wide > 0.0:
            error = error * np.exp(wide * generator.standard_normal((draws, 1)))
        logs += np.log1p(-np.minimum(share * error, most)) @ counts
    return logs


def _moved(device: Floats, where: npt.NDArray[np.int64], c: float, draws: int, generator: np.random.Generator) -> Floats:
    """Return (draws, len(where)) errors of a device's elements after drift with persistence c."""
    pool = np.sort(device[device < FAULTY])
    if c == 1.0 or len(pool) < 2:
        return np.tile(device[where], (draws, 1))
    normal = NormalDist()
    middle = (np.searchsorted(pool, device[where], "left") + np.searchsorted(pool, device[where], "right")) / (2 * len(pool))
    edge = 0.5 / len(pool)
    z = np.array([normal.inv_cdf(u) for u in np.clip(middle, edge, 1 - edge).tolist()])
    steps = [normal.inv_cdf(k / len(pool)) for k in range(1, len(pool))]
    moved = c * z + math.sqrt(1 - c * c) * generator.standard_normal((draws, len(where)))
    return np.asarray(pool[np.searchsorted(steps, moved)])
