# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Every model of real QPUs that was looked at, and bounds that no model can pass: what docs/real_hardware.md compares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean

import numpy as np

from flashket.noise.line import zero_probability
from flashket.noise.lower import lower
from flashket.qpu import DeviceProfile, compile_pair, load_profile
from flashket.qpu.hardware import HardwarePrediction, line_circuit, return_probability
from hardware_rows import Row, angles, layout_of, mean_absolute_error, predict


def medians(device: str, n: int) -> float:
    """Return the plain product of median fidelities: 4 (n - 1) two-qubit gates and n readouts."""
    profile = load_profile(device)
    readout = [(a + b) / 2 for a, b in zip(profile.readout_p10, profile.readout_p01, strict=True)]
    return float((1 - np.nanmedian(profile.error_2q)) ** (4 * (n - 1)) * (1 - np.nanmedian(readout)) ** n)


def medians_and_pulses(device: str, n: int) -> float:
    """Return the same with 8 one-qubit pulses a qubit."""
    return medians(device, n) * float(1 - np.nanmedian(load_profile(device).error_1q)) ** (8 * n)


UNCHANGED, STILL = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
SHORT_LAGS = (0.59, 0.33, 0.51)
"""Persistence of fez and marrakesh alone, whose snapshots are 34 and 35 days apart."""


def with_errors(row: Row, profile: DeviceProfile, **options: object) -> HardwarePrediction:
    """Predict a row with other errors on the line that it is usually predicted on."""
    layout = layout_of(load_profile(row.device), row.n, row.day)
    return return_probability(profile, angles(row.n), program=line_circuit(row.n), layout=layout, **options)  # type: ignore[arg-type]


def crosstalk_with(device: str, *, pulses: float, added: bool = False) -> float:
    """Return the factor of layer fidelities over lone errors, not held above 1, or the error that a gate has in excess.

    ``pulses`` is how many one-qubit pulses are taken off for each qubit and layer.
    """
    profile = load_profile(device)
    alone = {frozenset(pair): error for pair, error in zip(profile.edges or (), profile.error_2q, strict=True)}
    found = []
    for line, fidelity in profile.layer_fidelity:
        gates = sum(math.log1p(-1.25 * alone.get(frozenset(pair), math.nan)) for pair in pairwise(line))
        if len(line) >= 10 and gates < 0:
            rest = math.log(fidelity) - 2 * pulses * sum(math.log1p(-1.5 * min(profile.error_1q[q], 0.4)) for q in line)
            found.append((gates - rest) / (1.25 * (len(line) - 1)) if added else rest / gates)
    return float(np.median(found)) if found else float(not added)


def added_crosstalk(row: Row) -> float:
    """Predict with crosstalk as an error that every gate has in addition."""
    profile, excess = load_profile(row.device), max(0.0, crosstalk_with(row.device, pulses=20 / 24, added=True))
    return with_errors(row, replace(profile, error_2q=tuple(error + excess for error in profile.error_2q)), crosstalk=1.0).value


def mean_readout(row: Row) -> float:
    """Predict with readout errors of qubits that are 1 half of the time."""
    profile = load_profile(row.device)
    both = tuple((a + b) / 2 for a, b in zip(profile.readout_p10, profile.readout_p01, strict=True))
    return with_errors(row, replace(profile, readout_p10=both)).value


def no_waiting(row: Row) -> float:
    """Return the exact simulation without relaxation while waiting: decoupling and scheduling cannot gain more."""
    profile, x = load_profile(row.device), angles(row.n)
    native = compile_pair(line_circuit(row.n), profile, layout=layout_of(profile, row.n, row.day))
    return zero_probability(lower(native, idle=False), x, x)


def _with(**options: object) -> Callable[[Row], float]:
    return lambda row: predict(row.device, row.n, row.day, **options).value  # type: ignore[arg-type]


VARIANTS: dict[str, Callable[[Row], float]] = {
    "**the prediction**": _with(),
    "plain product of median fidelities": lambda row: medians(row.device, row.n),
    "the same with 8 one-qubit pulses a qubit": lambda row: medians_and_pulses(row.device, row.n),
    "no drift, no crosstalk, no relaxation while waiting": no_waiting,
    "no drift, no crosstalk": _with(persistence=UNCHANGED, crosstalk=1.0, draws=1),
    "no drift": _with(persistence=UNCHANGED, draws=1),
    "no crosstalk": _with(crosstalk=1.0),
    "crosstalk with the pulses inside layer fidelities counted as crosstalk": lambda row: (
        predict(row.device, row.n, row.day, crosstalk=max(1.0, crosstalk_with(row.device, pulses=0.0))).value
    ),
    "crosstalk below 1 allowed": lambda row: (
        predict(row.device, row.n, row.day, crosstalk=crosstalk_with(row.device, pulses=20 / 24)).value
    ),
    "crosstalk as an error added to each gate's": added_crosstalk,
    "readout as the mean of both errors": mean_readout,
    "no drift of the whole device": _with(device_drift=STILL),
    "persistence of the two pairs of snapshots a month apart": _with(persistence=SHORT_LAGS),
    "errors of a random place in the device (persistence 0)": _with(persistence=STILL),
    "lines of Qiskit 2.2.3 for all rows": lambda row: predict(row.device, row.n).value,
    "the best line instead of Qiskit's": _with(own_line=True),
}
"""Every model that was looked at; the page shows all of them."""


_POWERS = np.linspace(0.2, 6.0, 2901)


def bounds(rows: Sequence[Row], found: Sequence[HardwarePrediction], few: int) -> dict[str, tuple[float, float]]:
    """Return mean errors, up to ``few`` qubits and over all rows, of what knows more than any model may. None of these is a model.

    Rows of one device were measured within one minute on one day; a device's number is the power its predictions are raised to.
    """
    p, n = np.array([row.p for row in rows]), np.array([row.n for row in rows])
    model, expected = np.array([each.value for each in found]), np.array([each.expected_error for each in found])
    shots = np.array([math.sqrt(2 / math.pi * row.p * (1 - row.p) / row.shots) for row in rows])
    device = np.array([row.device for row in rows])
    is_few = n <= few
    every = np.ones(len(rows), bool)

    def power(kept: np.ndarray) -> float:
        """Return the power with the least mean error on some rows."""
        return float(_POWERS[np.abs(model[kept, None] ** _POWERS - p[kept, None]).mean(axis=0).argmin()])

    def told(kept: np.ndarray) -> np.ndarray:
        values = model.copy()
        for name in set(device[kept]):
            mine = (device == name) & kept
            values[mine] = model[mine] ** power(mine)
        return np.abs(values - p)

    without = [(device == row.device) & (np.arange(len(rows)) != k) for k, row in enumerate(rows)]
    others = np.array([model[k] ** power(kept) if kept.any() else model[k] for k, kept in enumerate(without)])
    between = np.array([_between(k, device, n, p) for k in range(len(rows))])

    def means(values: np.ndarray) -> tuple[float, float]:
        return float(np.nanmean(values[is_few])), float(np.nanmean(values))

    return {
        "shots alone": means(shots),
        "the prediction's own expectation of its error, if everything it assumes is true": means(expected),
        "one number for each device, fitted to the rows it is judged on": (float(told(is_few)[is_few].mean()), float(told(every).mean())),
        "one number for each device, fitted to its other rows": means(np.abs(others - p)),
        "interpolated between the device's own measurements at the next smaller and larger width": means(np.abs(between - p)),
    }


def _between(k: int, device: np.ndarray, n: np.ndarray, p: np.ndarray) -> float:
    """Return what the neighbouring measurements of the same device say, by a straight line through log p; NaN for its widest row."""
    lower, higher = (n < n[k]) & (device == device[k]), (n > n[k]) & (device == device[k])
    if not higher.any():
        return math.nan
    b = int(np.flatnonzero(higher)[n[higher].argmin()])
    if not lower.any():
        return float(p[b] ** ((n[k] - 1) / (n[b] - 1)))  # from p = 1 at one qubit
    a = int(np.flatnonzero(lower)[n[lower].argmax()])
    share = (n[k] - n[a]) / (n[b] - n[a])
    return float(p[a] ** (1 - share) * p[b] ** share)


def chosen_elsewhere(rows: Sequence[Row], table: dict[str, list[float]], few: int) -> list[tuple[str, str, float, float]]:
    """Return, for each device, the model that is best on its rows of up to ``few`` qubits, and the errors of that model on the others'."""
    found = []
    for device in dict.fromkeys(row.device for row in rows):
        mine = [k for k, row in enumerate(rows) if row.device == device and row.n <= few]
        rest = [k for k, row in enumerate(rows) if row.device != device]
        best = min(table, key=lambda name: fmean(abs(table[name][k] - rows[k].p) for k in mine))
        others, values = [rows[k] for k in rest], [table[best][k] for k in rest]
        found.append((device, best, mean_absolute_error(others, values, few), mean_absolute_error(others, values)))
    return found
