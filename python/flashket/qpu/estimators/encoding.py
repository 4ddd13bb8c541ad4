# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A row as the circuit that prepares its state: what every estimator begins with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flashket.arrays import FLOAT64, Array, cast, check_rows, check_size, to_host
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.feature_maps.amplitude import Amplitude
from flashket.program import Gate, Linear, Program

_NEGLIGIBLE = 1e-15
"""Angles below this are left out: they move an amplitude by less than float64 resolves."""


def encode(feature_map: FeatureMap, x: Any) -> Program:
    """Return the circuit of ``U(x)`` with numbers for angles: ``U(x)|0> = |x>``.

    Parameters
    ----------
    feature_map : FeatureMap
        Any map; ``Amplitude`` too.
    x : array_like, (n_features,)
        One row.

    Returns
    -------
    Program
        On ``feature_map.n_qubits`` qubits, without features.

    Raises
    ------
    InputError
        For a row of another length, NaN or infinity, and a row of zeros for Amplitude without bias.

    Notes
    -----
    ``Amplitude`` has no gate list linear in the features, so its circuit is made for each row: real amplitudes with their signs by
    multiplexed RY, 2^n - 1 rotations and at most 2^n - 2 CX. States agree with :func:`flashket.states` to 1e-12, with their sign.

    Reference: M. Moettonen et al., "Transformation of quantum states using uniformly controlled rotations", Quant. Inf. Comp. 5, 467
    (2005), arXiv:quant-ph/0407010.

    Examples
    --------
    >>> import flashket as fk
    >>> [gate.name for gate in encode(fk.Angle(2), [0.1, 0.2]).gates]
    ['ry', 'ry']
    >>> fk.states([[]], feature_map=fk.Circuit(encode(fk.Amplitude(2), [3.0, -4.0]))).real
    array([[ 0.6, -0.8]])
    """
    row = checked(feature_map, np.asarray(x)[None] if np.ndim(x) == 1 else x, "encode", "x")
    if len(row) != 1:
        raise InputError(explanation("encode", "x must be one row", f"{len(row)} rows", "call it for each of them"))
    return encode_row(feature_map, row[0])


def encode_row(feature_map: FeatureMap, row: Array) -> Program:
    """Return the circuit of a row that :func:`checked` returned; whole turns of its angles are left out.

    A compiler adds constants to angles, and a provider may keep fewer digits: of a huge one nothing would be left.
    """
    if isinstance(feature_map, Amplitude):
        return prepare_real(amplitudes(feature_map, row))
    program = feature_map._program.bind(row)
    gates = tuple(Gate(gate.name, gate.qubits, tuple(map(_reduced, gate.angle))) for gate in program.gates)
    return Program(program.n_qubits, 0, gates)


def _reduced(angle: Linear) -> Linear:
    """Return a constant angle less multiples of 4 pi, the period of every gate.

    Examples
    --------
    >>> _reduced(Linear(0.0, -1, 7.0)).offset, round(_reduced(Linear(0.0, -1, 8 * math.pi + 1)).offset, 12)
    (7.0, 1.0)
    """
    if abs(angle.offset) <= 4 * math.pi:
        return angle
    # Sine and cosine take the remainder by the exact pi.
    return Linear(0.0, -1, 2 * math.atan2(math.sin(angle.offset / 2), math.cos(angle.offset / 2)))


def checked(feature_map: FeatureMap, X: Any, place: str, name: str) -> Array:
    """Return rows as float64 (n, n_features); raise InputError as :func:`flashket.gram` does."""
    if not isinstance(feature_map, FeatureMap):
        raise InputError(explanation(place, "feature_map must be a feature map", repr(feature_map), "e.g. fk.Angle(8)"))
    array, subject = to_host(X, place, name), repr(feature_map)
    if array.ndim != 2 or array.shape[1] != feature_map.n_features:
        do = "one row per sample, one column per feature"
        raise InputError(explanation(place, f"{name} must be (n_samples, {feature_map.n_features}) for {subject}", array.shape, do))
    rows = cast(array, FLOAT64, place, name)
    check_rows(rows, feature_map.rejects_zero_rows, place, name, subject)
    check_size(rows, feature_map._largest_feature, place, name, subject)
    return rows


def amplitudes(feature_map: Amplitude, row: Array) -> Array:
    """Return a checked row's amplitudes, (2**n_qubits,)."""
    out = np.zeros(2**feature_map.n_qubits)
    out[: feature_map.n_features] = row
    if feature_map.bias:
        out[feature_map.n_features] = math.sqrt(feature_map.bias)
    # Scaled first, so that squares neither overflow nor vanish.
    out /= np.abs(out).max()
    return np.asarray(out / math.sqrt(math.fsum(out**2)))


def prepare_real(vector: Array) -> Program:
    """Return a circuit that prepares a real unit vector of 2^n amplitudes, with its signs.

    Qubit by qubit from the most significant: RY turns |0> by ``2 atan2(norm of the upper half, norm of the lower half)``, for each
    value of the qubits before it; at the last qubit the halves are amplitudes and bring their signs.

    Examples
    --------
    >>> prepare_real(np.array([0.0, 1.0])).gates[0].angle[0].offset / math.pi
    1.0
    """
    n_qubits = len(vector).bit_length() - 1
    norms = [np.asarray(vector, np.float64)]
    while len(norms[-1]) > 2:
        pairs = norms[-1].reshape(-1, 2)
        norms.append(np.hypot(pairs[:, 0], pairs[:, 1]))
    gates: list[Gate] = []
    for n_controls, level in enumerate(reversed(norms)):
        pairs = level.reshape(-1, 2)
        gates += _multiplexed_ry(2 * np.arctan2(pairs[:, 1], pairs[:, 0]), n_qubits - 1 - n_controls)
    return Program(n_qubits, 0, tuple(gates))


def _multiplexed_ry(angles: Array, target: int) -> list[Gate]:
    """Return RY(angles[c]) on ``target`` for each value c of the qubits above it (``target + 1`` is bit 0 of c)."""
    n_angles = len(angles)
    if np.ptp(angles) <= _NEGLIGIBLE:
        return _ry(angles[0], target)
    # The CX between the rotations flip their signs; walking the Gray code, rotation i has sign (-1)^(bits common to c and gray(i)).
    codes = np.arange(n_angles) ^ (np.arange(n_angles) >> 1)
    common = codes[:, None] & np.arange(n_angles)
    parity = np.zeros_like(common)
    while common.any():
        parity ^= common & 1
        common >>= 1
    turns = ((1 - 2 * parity) @ angles) / n_angles
    gates: list[Gate] = []
    for index, turn in enumerate(turns):
        # The bit in which gray(i) and gray(i + 1) differ; after the last, the highest one closes the circle.
        bit = (index + 1 & -(index + 1)).bit_length() - 1 if index + 1 < n_angles else n_angles.bit_length() - 2
        gates += [*_ry(turn, target), Gate("cx", (target + 1 + bit, target))]
    return gates


def _ry(angle: float, target: int) -> list[Gate]:
    return [Gate("ry", (target,), (Linear(0.0, -1, float(angle)),))] if abs(angle) > _NEGLIGIBLE else []
