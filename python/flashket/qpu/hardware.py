# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a real device is expected to give: calibration data, crosstalk, and the drift between a calibration and a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket.errors import InputError, explanation
from flashket.noise.line import zero_probability
from flashket.noise.lower import lower
from flashket.program import Gate, Linear, Program
from flashket.qpu.compile import compile_pair
from flashket.qpu.layout import line_layout
from flashket.qpu.native import NativeCircuit
from flashket.qpu.profile import FAULTY, DeviceProfile

Floats = npt.NDArray[np.float64]

DRIFT = 0.5
"""Share of a line's errors that the snapshot does not know: see :func:`return_probability`."""

_SHORTEST_LINE = 10
"""Layer fidelities of shorter lines say little about crosstalk: a few gates, the best of the device."""


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
        What two-qubit errors were multiplied by.
    layout : tuple of int, (n_qubits,)
        The line of qubits.
    """

    value: float
    low: float
    high: float
    as_calibrated: float
    crosstalk: float
    layout: tuple[int, ...]


def return_probability(
    profile: DeviceProfile,
    x: Any,
    *,
    program: Program | None = None,
    layout: Sequence[int] | None = None,
    drift: float = DRIFT,
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
    drift : float
        Probability that an element's error at the time of the run has nothing to do with the snapshot's: 0 to 1.
    crosstalk : float, optional
        Factor on two-qubit errors while neighbouring gates run; by default the snapshot's, see :func:`crosstalk_factor`.
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
    relaxation while waiting, readout of a prepared 0, and crosstalk. Then drift: each two-qubit, one-qubit and readout error is replaced,
    with probability ``drift``, by that of another edge or qubit of the device, and the return probability follows the product of what
    every operation leaves whole, to the power that makes the product agree with the exact simulation of the snapshot. The default of a
    half comes from calibration data: between two snapshots of the same device, one month to 17 months apart, the ranks of two-qubit errors
    correlate by 0.41 (mean of nine IBM devices; 0.57 for the two pairs one month apart), of one-qubit errors by 0.34 and of readout
    errors by 0.39. So about half of an error belongs to the element and half to the day.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> found = return_probability(load_profile("ibm_boston"), [0.5, 1.0, 1.5, 2.0])
    >>> 0.9 < found.low <= found.value <= found.high < 1.0
    True
    """
    row = np.asarray(x, np.float64)
    place = "return_probability"
    if not 0 <= drift <= 1 or draws < 1 or (crosstalk is not None and not crosstalk > 0):
        got = f"{drift}, {draws} and {crosstalk}"
        raise InputError(explanation(place, "drift must be in [0, 1], draws and crosstalk positive", got, "leave them out"))
    if program is None:
        if row.ndim != 1 or len(row) < 1:
            raise InputError(explanation(place, "x must be one row", row.shape, "pass (n_features,) numbers"))
        program = line_circuit(len(row))
        layout = line_layout(profile, len(row)) if layout is None else layout
    factor = crosstalk_factor(profile) if crosstalk is None else crosstalk
    native = compile_pair(program, profile, layout=layout)
    # An error of a half leaves nothing of a two-qubit state, and neither does a larger one.
    louder = replace(native, profile=replace(profile, error_2q=tuple(min(factor * error, 0.5) for error in profile.error_2q)))
    exact = zero_probability(lower(louder), row, row)
    wholes = _drifted(louder, drift, draws, np.random.default_rng(seed))
    calibrated = _drifted(louder, 0.0, 1, np.random.default_rng(seed))[0]
    power = math.log(exact) / calibrated if calibrated < 0 < exact < 1 else 1.0
    low, value, high = np.exp(power * np.quantile(wholes, [0.16, 0.5, 0.84])).tolist()
    return HardwarePrediction(value, low, high, exact, factor, native.qubits)


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
    """Return how much worse two-qubit gates are side by side than alone, 1 where the profile does not know.

    The profile's layer fidelities are of two layers of gates that cover a line, all gates of a layer at once; the gates' own errors
    predict them as a product of process fidelities 1 - 5/4 e. The factor is the median over lines of ten and more qubits of
    log(measured) / log(predicted), and at least 1, as gates cannot gain from company.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> 1.0 <= crosstalk_factor(load_profile("ibm_boston")) < crosstalk_factor(load_profile("ibm_miami")) < 4
    True
    """
    if profile.edges is None:
        return 1.0
    alone = {frozenset(pair): error for pair, error in zip(profile.edges, profile.error_2q, strict=True)}
    ratios = []
    for line, fidelity in profile.layer_fidelity:
        errors = [alone.get(frozenset(pair), math.nan) for pair in pairwise(line)]
        predicted = sum(math.log1p(-1.25 * error) for error in errors)
        if len(line) >= _SHORTEST_LINE and predicted < 0 < fidelity < 1:  # a line over an edge of unknown error compares with nothing
            ratios.append(math.log(fidelity) / predicted)
    return max(1.0, float(np.median(ratios))) if ratios else 1.0


def _drifted(native: NativeCircuit, drift: float, draws: int, generator: np.random.Generator) -> Floats:
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
    logs = np.zeros(draws)
    # Process fidelities: 1 - (d + 1) / d of the average infidelity; what is fully mixed keeps a quarter or a sixteenth.
    for errors, where, counts, share, most in (
        (profile.error_2q, np.array(list(edges), int), np.array(list(edges.values())), 1.25, 15 / 16),
        (profile.error_1q, used, pulses, 1.5, 3 / 4),
        (profile.readout_p10, read, np.ones(len(read)), 1.0, 1.0),
    ):
        known = np.nan_to_num(np.array(errors, np.float64))
        pool = known[known < FAULTY]
        fresh = generator.random((draws, len(where))) < drift
        drawn = pool[generator.integers(0, len(pool), (draws, len(where)))] if len(pool) else known[where]
        error = np.where(fresh, drawn, known[where])
        logs += np.log1p(-np.minimum(share * error, most * 0.999)) @ counts
    return logs
