# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Exact noisy circuits: density matrices as real vectors of Pauli components, and kernel matrices from two halves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket import memory
from flashket.arrays import Array
from flashket.backends.cpu import core
from flashket.errors import InputError, ResourceLimit, explanation
from flashket.noise.program import GATE, NoisyCircuit, NoisyProgram
from flashket.program import Gate, Linear, Program
from flashket.runtime import get_num_threads

MOST_QUBITS = 12
"""Density matrices of more qubits are refused: trajectories take over."""

LARGEST_ANGLE = 2.0**30
"""Radians up to which float64 keeps an angle to 1e-7."""

_BLOCK_BYTES = 2**28
"""Pauli vectors of so many bytes are kept while the other side of a kernel matrix is computed."""

_PIECE = 4096
"""Of a product's rows so many elements are multiplied at a time."""

Floats = npt.NDArray[np.float64]


def pauli_vectors(noisy: NoisyProgram, start: Any, X: Any, *, adjoint: bool = False) -> Floats:
    """Return what a noisy circuit makes of a product, for every row.

    ``rho = 2^-n sum_P c_P P`` for states, ``E = sum_P e_P P`` for operators, so that ``Tr(E rho) = sum_P e_P c_P``.

    Parameters
    ----------
    noisy : NoisyProgram
        Gates and channels in order.
    start : array_like, (n_qubits, 4), float64
        Components (I, X, Y, Z) of each wire: of its first state, or with ``adjoint`` of the operator that is measured on it.
    X : array_like, (n_rows, n_features), float64
        Radians, as the gates take them.
    adjoint : bool
        Pull the operator back through the circuit (Heisenberg's picture) instead of running the state forward.

    Returns
    -------
    numpy.ndarray, (n_rows, 4**n_qubits), float64
        Component of the string sum_k d_k 4^k, digit d_k = 0, 1, 2, 3 for I, X, Y, Z on wire k.

    Raises
    ------
    InputError
        For shapes that do not fit each other and numbers that are not finite.
    ResourceLimit
        Above 12 qubits, or if the vectors do not fit into free memory. Nothing has been allocated.

    Notes
    -----
    All gates and channels on one qubit between two gates of two qubits act as one real 4 x 4 map; gates of two qubits are
    exp(-i t/2 ZZ), which turns four of every eight pairs of strings. Vector instructions run over rows, 8 of them side by side with
    AVX-512, and threads over groups of rows: the result does not depend on their number. Cost: about 150 operations a string, row and
    gate of two qubits. Every component agrees with exact arithmetic to 1e-12.

    Examples
    --------
    >>> flip = Program(1, 0, (Gate("x", (0,)),))
    >>> damped = NoisyProgram(
    ...     flip, np.array([[0, 0, -1, -1], [1, 0, 0, -1]], np.int32), np.diag([1.0, 0.9, 0.9, 0.8])[None], np.ones((0, 16)))
    >>> pauli_vectors(damped, [[1, 0, 0, 1]], np.zeros((1, 0)))
    array([[ 1. ,  0. ,  0. , -0.8]])
    """
    place = "pauli_vectors"
    rows = rows_of(X, noisy.program.n_features, place, "X")
    check_angles(noisy.program, rows, place, "X")
    _check_width(noisy.program.n_qubits, place)
    _require(place, noisy.program.n_qubits, len(rows), 8 * len(rows) * 4**noisy.program.n_qubits)
    return _run(checked_arrays(noisy, place), _start(start, noisy.program.n_qubits, place), rows, adjoint)


def gram(noisy: NoisyCircuit, X: Any, Y: Any = None) -> Floats:
    """Return the probability of reading only zeros in every circuit U(x) | barrier | U(y)^dagger, with all its noise.

    ``K_ij = Tr(E(y_j) rho(x_i))``: the noisy state of U(x_i), and the readout's operator pulled back through the noisy U(y_j)^dagger.

    Parameters
    ----------
    noisy : NoisyCircuit
        Two parts with the same features, the second of which undoes the first.
    X : array_like, (n, n_features), float64
        Radians.
    Y : array_like, (m, n_features), optional
        By default X.

    Returns
    -------
    numpy.ndarray, (n, m), float64
        With Y=None circuit (i, j), i <= j, has U(x_i) first, and the result is mirrored; its diagonal is below 1 under noise.

    Raises
    ------
    InputError, ResourceLimit
        As :func:`pauli_vectors`.

    Notes
    -----
    n + m simulations and one real matrix product instead of n m circuits. Left vectors of up to 256 MiB are kept while right ones are
    made; larger problems run in blocks of rows.

    Examples
    --------
    >>> angle = (Gate("ry", (0,), (Linear(1.0, 0),)),)
    >>> program = Program(1, 1, angle)
    >>> half, back = (NoisyProgram(p, np.array([[0, 0, -1, -1]], np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    ...               for p in (program, program.inverse()))
    >>> noisy = NoisyCircuit((half, back), np.array([[1.0, 0.0, 0.0, 1.0]]), np.array([[0.1, 0.2]]), (0,))
    >>> gram(noisy, [[0.0], [np.pi]]).round(6)
    array([[0.9, 0.2],
           [0.2, 0.9]])
    """
    place = "gram"
    if len(noisy.parts) != 2 or noisy.parts[0].program.n_features != noisy.parts[1].program.n_features:
        raise InputError(explanation(place, "a kernel's circuit has two parts of the same features", len(noisy.parts)))
    first, second = (checked_arrays(part, place) for part in noisy.parts)
    n_qubits = noisy.parts[0].program.n_qubits
    n_features = noisy.parts[0].program.n_features
    x = rows_of(X, n_features, place, "X")
    y = None if Y is None else rows_of(Y, n_features, place, "Y")
    right = x if y is None else y
    for name, side in (("X", x), ("Y", right)):
        check_angles(noisy.parts[0].program, side, place, name)
    _check_width(n_qubits, place)
    row_bytes = 8 * 4**n_qubits
    lanes = core().pauli_lanes()
    many = max(lanes, _BLOCK_BYTES // row_bytes // lanes * lanes)
    few = min(max(lanes * get_num_threads(), _BLOCK_BYTES // 2 // row_bytes // lanes * lanes), many)
    kept = min(many, len(x)) + min(few, len(right))
    _require(place, n_qubits, max(len(x), len(right)), row_bytes * kept + 24 * len(x) * len(right))
    start, effect = _start(noisy.start, n_qubits, place), zeros_effect(noisy)
    out = np.empty((len(x), len(right)))
    for i in range(0, len(x), many):
        states = _run(first, start, x[i : i + many], False)
        # Of the mirrored half only the blocks that touch the diagonal are computed whole.
        for j in range(0 if y is not None else i, len(right), few):
            effects = _run(second, effect, right[j : j + few], True)
            upper = len(states) if y is not None else min(len(states), j + few - i)
            out[i : i + upper, j : j + few] = product(states[:upper], effects)
    np.clip(out, 0.0, 1.0, out=out)
    if y is None:
        mirror(out)
    return out


def probabilities(noisy: NoisyCircuit) -> Floats:
    """Return the probability of every outcome of a circuit without features, readout errors included.

    Parameters
    ----------
    noisy : NoisyCircuit
        Any number of parts.

    Returns
    -------
    numpy.ndarray, (2**m,), float64
        Of m measured bits, bit 0 the least significant; they add up to 1.

    Raises
    ------
    InputError, ResourceLimit
        As :func:`pauli_vectors`.

    Examples
    --------
    >>> idle = NoisyProgram(Program(1, 0, ()), np.zeros((0, 4), np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> probabilities(NoisyCircuit((idle,), np.array([[1.0, 0.0, 0.0, 1.0]]), np.array([[0.1, 0.2]]), (0,)))
    array([0.9, 0.1])
    """
    return next(iter(many_probabilities([noisy])))


def many_probabilities(circuits: Sequence[NoisyCircuit]) -> list[Floats]:
    """Return :func:`probabilities` of each circuit; those that differ in their angles alone run side by side.

    Parameters
    ----------
    circuits : sequence of NoisyCircuit
        Without features.

    Returns
    -------
    list of numpy.ndarray, (2**m,), float64
        In the order of the circuits.

    Raises
    ------
    InputError, ResourceLimit
        As :func:`pauli_vectors`.

    Examples
    --------
    >>> circuits = [
    ...     NoisyCircuit((NoisyProgram(Program(1, 0, (Gate("rx", (0,), (Linear(0.0, -1, angle),)),)), np.array([[0, 0, -1, -1]], np.int32),
    ...                   np.ones((0, 4, 4)), np.ones((0, 16))),), np.array([[1.0, 0.0, 0.0, 1.0]]), np.zeros((1, 2)), (0,))
    ...     for angle in (0.0, np.pi)]
    >>> [list(p.round(6)) for p in many_probabilities(circuits)] == [[1.0, 0.0], [0.0, 1.0]]
    True
    """
    place = "probabilities"
    groups: dict[Any, list[int]] = {}
    wholes = []
    for index, circuit in enumerate(circuits):
        whole = joined(circuit.parts)
        if whole.program.n_features:
            raise InputError(explanation(place, "the circuit must have no features", whole.program.n_features, "call program.bind(x)"))
        _check_width(whole.program.n_qubits, place)
        wholes.append(whole)
        groups.setdefault(_structure(whole, circuit), []).append(index)
    results: list[Floats] = [np.empty(0)] * len(wholes)
    for members in groups.values():
        first = circuits[members[0]]
        n_qubits = wholes[members[0]].program.n_qubits
        shared, angles = _with_angles_as_features([wholes[index] for index in members])
        start = _start(first.start, n_qubits, place)
        _require(place, n_qubits, len(members), 8 * 2**n_qubits * len(members))
        components = _run(checked_arrays(shared, place), start, angles, False, only_diagonal=True)
        for index, row in zip(members, components, strict=True):
            results[index] = read_out(basis_probabilities(row), circuits[index])
    return results


def diagonals(noisy: NoisyProgram, start: Any, X: Any) -> Iterator[Floats]:
    """Yield the components of the strings of I and Z, (2**n_qubits,), of what a noisy circuit makes of a product, row after row.

    Parameters and errors as of :func:`pauli_vectors`; bit k of a string's index is set for Z on wire k.

    Examples
    --------
    >>> idle = NoisyProgram(Program(1, 0, ()), np.zeros((0, 4), np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> [list(row) for row in diagonals(idle, [[1, 0, 0, 1]], np.zeros((2, 0)))]
    [[1.0, 1.0], [1.0, 1.0]]
    """
    place = "diagonals"
    n_qubits = noisy.program.n_qubits
    rows = rows_of(X, noisy.program.n_features, place, "X")
    check_angles(noisy.program, rows, place, "X")
    _check_width(n_qubits, place)
    arrays, first = checked_arrays(noisy, place), _start(start, n_qubits, place)
    lanes = core().pauli_lanes()
    block = max(lanes * get_num_threads(), _BLOCK_BYTES // (8 * 2**n_qubits) // lanes * lanes)
    _require(place, n_qubits, min(block, len(rows)), 8 * 2**n_qubits * min(block, len(rows)))
    for begin in range(0, len(rows), block):
        yield from _run(arrays, first, rows[begin : begin + block], False, only_diagonal=True)


def zeros_effect(noisy: NoisyCircuit) -> Floats:
    """Return the operator of reading 0 everywhere, (n_qubits, 4) components of each wire; 1 on wires that are not measured.

    Examples
    --------
    >>> idle = NoisyProgram(Program(2, 0, ()), np.zeros((0, 4), np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> zeros_effect(NoisyCircuit((idle,), np.zeros((2, 4)), np.array([[0.1, 0.2]]), (1,)))
    array([[1.  , 0.  , 0.  , 0.  ],
           [0.55, 0.  , 0.  , 0.35]])
    """
    effect = np.tile([1.0, 0.0, 0.0, 0.0], (noisy.parts[0].program.n_qubits, 1))
    for (p10, p01), wire in zip(checked_readout(noisy), noisy.measured, strict=True):
        effect[wire] = ((1 - p10 + p01) / 2, 0.0, 0.0, (1 - p10 - p01) / 2)
    return effect


def joined(parts: Sequence[NoisyProgram]) -> NoisyProgram:
    """Return parts that follow one another as one.

    Examples
    --------
    >>> flip = NoisyProgram(
    ...     Program(1, 0, (Gate("x", (0,)),)), np.array([[0, 0, -1, -1]], np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> len(joined((flip, flip)).program.gates)
    2
    """
    if len(parts) == 1:
        return parts[0]
    n_gates = n_channels = n_pairs = 0
    operations = []
    for part in parts:
        shifts = np.array([n_gates, n_channels, n_pairs], np.int32)
        moved = np.array(part.operations, np.int32).reshape(-1, 4)
        moved[:, 1] += shifts[moved[:, 0]]
        operations.append(moved)
        n_gates += len(part.program.gates)
        n_channels += len(part.channels)
        n_pairs += len(part.pair_channels)
    program = Program(parts[0].program.n_qubits, parts[0].program.n_features, tuple(gate for part in parts for gate in part.program.gates))
    channels = np.concatenate([np.asarray(part.channels, np.float64).reshape(-1, 4, 4) for part in parts])
    pair_channels = np.concatenate([np.asarray(part.pair_channels, np.float64).reshape(-1, 16) for part in parts])
    return NoisyProgram(program, np.concatenate(operations), channels, pair_channels)


def _structure(noisy: NoisyProgram, circuit: NoisyCircuit) -> tuple[Any, ...]:
    """Return what circuits share that run side by side: all but the angles, readout and measured wires."""
    gates = tuple((gate.name, gate.qubits) for gate in noisy.program.gates)
    arrays = (noisy.operations, noisy.channels, noisy.pair_channels, circuit.start)
    return (noisy.program.n_qubits, gates, *(np.ascontiguousarray(array).tobytes() for array in arrays))


def _with_angles_as_features(programs: Sequence[NoisyProgram]) -> tuple[NoisyProgram, Floats]:
    """Return one program for circuits that differ in angles alone, and its rows; equal angles stay constants."""
    first = programs[0]
    if len(programs) == 1:
        return first, np.zeros((1, 0))
    gates = first.program.gates
    turning = [index for index, gate in enumerate(gates) if gate.angle]
    angles = np.array([[_constant(one.program.gates[index].angle) for index in turning] for one in programs]).reshape(len(programs), -1)
    differing = np.flatnonzero((angles != angles[0]).any(axis=0))
    # Equal columns are one feature: the compiled module takes the sine of each angle once.
    columns, inverse = np.unique(angles[:, differing], axis=1, return_inverse=True)
    feature = dict(zip((turning[index] for index in differing), np.ravel(inverse).tolist(), strict=True))
    new = tuple(
        Gate(gate.name, gate.qubits, (Linear(1.0, feature[index]),)) if index in feature else gate for index, gate in enumerate(gates)
    )
    program = Program(first.program.n_qubits, columns.shape[1], new)
    return NoisyProgram(program, first.operations, first.channels, first.pair_channels), np.ascontiguousarray(columns)


def _constant(factors: tuple[Linear, ...]) -> float:
    angle = 1.0
    for factor in factors:
        angle *= factor.offset
    return angle


def read_out(basis: Floats, circuit: NoisyCircuit) -> Floats:
    """Return the probabilities of what is read, from those of the wires' basis states.

    Examples
    --------
    >>> idle = NoisyProgram(Program(2, 0, ()), np.zeros((0, 4), np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> read_out(np.array([0.0, 0.5, 0.5, 0.0]), NoisyCircuit((idle,), np.zeros((2, 4)), np.array([[0.1, 0.2]]), (1,)))
    array([0.55, 0.45])
    """
    n_qubits = circuit.parts[0].program.n_qubits
    # Axis n - 1 - w is wire w; axes in the order of the bits, the last one first.
    bits = [n_qubits - 1 - wire for wire in circuit.measured]
    others = [axis for axis in range(n_qubits) if axis not in bits]
    rest = basis.reshape((2,) * n_qubits).transpose(others + bits[::-1]).reshape(-1, *(2,) * len(bits)).sum(axis=0)
    for bit, (p10, p01) in enumerate(checked_readout(circuit)):
        axis = len(bits) - 1 - bit
        confusion = np.array([[1 - p10, p01], [p10, 1 - p01]])
        rest = np.moveaxis(np.tensordot(confusion, rest, axes=(1, axis)), 0, axis)
    result = np.maximum(rest.reshape(-1), 0.0)
    return np.asarray(result / result.sum(), np.float64)


def basis_probabilities(components: Floats) -> Floats:
    """Turn the components of strings of I and Z into the probabilities of basis states.

    Examples
    --------
    >>> basis_probabilities(np.array([1.0, -1.0]))
    array([0., 1.])
    """
    n_qubits = len(components).bit_length() - 1
    rest = components.reshape((2,) * n_qubits)
    for axis in range(n_qubits):
        zero, one = rest.take(0, axis), rest.take(1, axis)
        rest = np.stack([(zero + one) / 2, (zero - one) / 2], axis)
    return rest.reshape(-1)


def checked_readout(noisy: NoisyCircuit) -> Floats:
    """Return (p10, p01) of every classical bit; raise InputError for what is no readout of different wires."""
    readout = np.asarray(noisy.readout, np.float64)
    n_qubits = noisy.parts[0].program.n_qubits
    ok = readout.shape == (len(noisy.measured), 2) and bool((readout >= 0).all() and (readout <= 1).all())
    if not ok or len(set(noisy.measured)) != len(noisy.measured) or not all(0 <= wire < n_qubits for wire in noisy.measured):
        wanted = "readout must be (m, 2) probabilities (p10, p01) of m different wires"
        raise InputError(explanation("readout", wanted, f"{readout.tolist()} of {noisy.measured}"))
    return readout


def _check_width(n_qubits: int, place: str) -> None:
    if n_qubits > MOST_QUBITS:
        do = 'use method="trajectories"'
        raise ResourceLimit(explanation(place, f"density matrices go up to {MOST_QUBITS} qubits", n_qubits, do))


def _require(place: str, n_qubits: int, n_rows: int, n_bytes: int) -> None:
    """Refuse what does not fit: ``n_bytes`` and the states that the threads hold."""
    lanes = core().pauli_lanes()
    workers = min(get_num_threads(), -(-n_rows // lanes))
    what = f"density matrices of {n_rows} rows and {n_qubits} qubits"
    do = 'pass fewer rows, set fewer threads or use method="trajectories"'
    memory.require(place, what, n_bytes + 8 * 4**n_qubits * lanes * workers, do)


def rows_of(value: Any, n_features: int, place: str, name: str) -> Floats:
    rows = np.ascontiguousarray(value, np.float64)
    if rows.ndim != 2 or rows.shape[1] != n_features:
        raise InputError(explanation(place, f"{name} must be (n_rows, {n_features})", rows.shape, "one row per sample"))
    if not np.isfinite(rows).all():
        raise InputError(explanation(place, f"{name} must be finite", "NaN or infinity", "clean the data first"))
    return rows


def check_angles(program: Program, rows: Floats, place: str, name: str) -> None:
    """Raise InputError for rows that make an angle too large: compiled gates add constants to it, which rounding would lose.

    Examples
    --------
    >>> check_angles(Program(1, 1, (Gate("ry", (0,), (Linear(2.0, 0),)),)), np.array([[1e9]]), "gram", "X")
    Traceback (most recent call last):
        ...
    flashket.errors.InputError: [gram] X must keep angles within 1.07374e+09 rad under noise, got 2e+09: scale the data
    """
    if not rows.size:
        return
    largest = np.abs(rows).max(axis=0)

    def bound(gate: Gate) -> float:
        return math.prod((abs(a) * float(largest[feature]) if feature >= 0 else 0.0) + abs(b) for a, feature, b in gate.angle)

    found = max((bound(gate) for gate in program.gates if gate.angle), default=0.0)
    if not found <= LARGEST_ANGLE:
        wanted = f"{name} must keep angles within {LARGEST_ANGLE:g} rad under noise"
        raise InputError(explanation(place, wanted, f"{found:g}", "scale the data"))


def _start(value: Any, n_qubits: int, place: str) -> Floats:
    start = np.ascontiguousarray(value, np.float64)
    if start.shape != (n_qubits, 4) or not np.isfinite(start).all():
        raise InputError(explanation(place, f"start must be ({n_qubits}, 4) finite numbers", start.shape, "one row (I, X, Y, Z) per wire"))
    return start


def checked_arrays(noisy: NoisyProgram, place: str) -> tuple[Any, ...]:
    """Return the arrays of the compiled module."""
    operations = np.ascontiguousarray(noisy.operations, np.int32).reshape(-1, 4)
    channels = np.ascontiguousarray(noisy.channels, np.float64).reshape(-1, 4, 4)
    pairs = np.ascontiguousarray(noisy.pair_channels, np.float64).reshape(-1, 16)
    gates = operations[operations[:, 0] == GATE, 1]
    if not np.array_equal(gates, np.arange(len(noisy.program.gates))):
        raise InputError(explanation(place, "operations must name every gate once, in order", gates.tolist()))
    if not (np.isfinite(channels).all() and np.isfinite(pairs).all()):
        raise InputError(explanation(place, "channels must be finite", "NaN or infinity"))
    if (channels[:, 0] != [1.0, 0.0, 0.0, 0.0]).any() or (pairs[:, :1] != 1.0).any():
        raise InputError(explanation(place, "channels must keep the trace: first row (1, 0, 0, 0), first scale 1"))
    return noisy.program._arrays, operations, channels, pairs


def _run(arrays: tuple[Any, ...], start: Floats, rows: Floats, adjoint: bool, *, only_diagonal: bool = False) -> Floats:
    out = np.empty((len(rows), (2 if only_diagonal else 4) ** len(start)))
    if not out.size:
        return out
    try:
        core().pauli_vectors(*arrays, start, rows, out, adjoint, only_diagonal)
    except MemoryError:
        raise ResourceLimit(explanation("pauli_vectors", "density matrices must fit into memory", "a failed allocation")) from None
    except ValueError as error:
        raise InputError(explanation("pauli_vectors", str(error))) from None
    return out


def mirror(matrix: Floats) -> None:
    """Write the part of a square matrix above its diagonal below it; row by row, as indices would take more memory than the matrix.

    Examples
    --------
    >>> matrix = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> mirror(matrix)
    >>> matrix
    array([[1., 2.],
           [2., 3.]])
    """
    for i in range(len(matrix) - 1):
        matrix[i + 1 :, i] = matrix[i, i + 1 :]


def product(left: Array, right: Array) -> Array:
    """Return left right^T of float32 or float64 by the core's own kernel, whose sums do not depend on threads.

    Long rows are multiplied piece by piece, so that what is packed of a few of them stays in the cache.
    """
    out = np.zeros((len(left), len(right)), left.dtype)
    depth = left.shape[1]
    part = np.empty_like(out) if depth > _PIECE else out
    for begin in range(0, depth, _PIECE):
        end = min(begin + _PIECE, depth)
        spec = ("identity", [float(end - begin)], None, "dot", 1)
        core().gram(spec, left[:, begin:end], right[:, begin:end], part, False, 0, 0)
        if part is not out:
            out += part
    return out
