# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Noisy circuits by linear quantum trajectories, for more qubits than density matrices allow."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket import memory
from flashket.arrays import Array
from flashket.backends.cpu import core
from flashket.errors import InputError, ResourceLimit, explanation
from flashket.noise.channels import PAULIS, is_cptp, kraus
from flashket.noise.exact import check_angles, checked_arrays, joined, mirror, product, read_out, rows_of, zeros_effect
from flashket.noise.program import CHANNEL, GATE, NoisyCircuit, NoisyProgram
from flashket.runtime import get_num_threads

MOST_QUBITS = 24
"""States of more qubits are refused."""

_CHUNK = 16
"""So many trajectories of a row meet so many of another row's: more pairs cost more and say little more."""

_BLOCK_BYTES = 2**28
"""States of so many bytes are held for each side of a kernel matrix."""

_PAIRS, _PAIR_BYTES = 2**23, 48
"""So many pairs of trajectories are compared at a time, and what that takes for each."""

Floats = npt.NDArray[np.float64]


def trajectory_states(
    noisy: NoisyProgram,
    start: Any,
    X: Any,
    *,
    trajectories: int,
    seed: int,
    adjoint: bool = False,
    first_row: int = 0,
    first_trajectory: int = 0,
    dtype: Any = np.float32,
) -> Array:
    r"""Return random vectors whose mean projector is what a noisy circuit makes of a product.

    ``E[|psi><psi|] = rho``; with ``adjoint`` an operator is pulled back through the circuit instead: ``E[|phi><phi|] = E``. So
    ``Tr(E rho) = E[|<phi|psi>|^2]`` of independent ones.

    Parameters
    ----------
    noisy : NoisyProgram
        Gates and completely positive channels.
    start : array_like, (n_qubits, 4)
        Components (I, X, Y, Z) of each wire: of its first state, or with ``adjoint`` of the operator that is measured on it.
    X : array_like, (n_rows, n_features), float64
        Radians.
    trajectories : int
        For each row.
    seed : int
        0 to 2**64 - 1. What trajectory t of row i draws depends on the seed, the direction, i and t alone: not on threads, blocks, dtype or
        instruction set.
    adjoint : bool
        Backward.
    first_row, first_trajectory : int
        Number of the first row of X and of its first trajectory among all.
    dtype : dtype
        float32 or float64 of the real and imaginary parts.

    Returns
    -------
    numpy.ndarray, (n_rows * trajectories, 2**(n_qubits + 1))
        Real parts, then imaginary parts; the trajectories of a row follow each other. Not normalised.

    Raises
    ------
    InputError
        For shapes that do not fit, channels that are not completely positive, and starts that are not positive.
    ResourceLimit
        Above 24 qubits, or if the vectors do not fit into free memory.

    Notes
    -----
    A channel ``sum_k K_k rho K_k^dagger`` draws k with the probability q_k = Tr(K_k^dagger K_k) / 2 that it has on the mixed state and
    applies ``K_k / sqrt(q_k)``: an unbiased estimate of the density matrix that never looks at the state, so that all operators on a
    qubit between two-qubit gates become one (linear trajectories with ostensible probabilities: Wiseman, Quantum Semiclass. Opt. 8
    (1996) 205). Cost: about 50 operations an amplitude and two-qubit gate; 16 trajectories run side by side in float32 with AVX-512.

    Examples
    --------
    >>> from flashket import Program
    >>> from flashket.noise.channels import amplitude_damping
    >>> decay = NoisyProgram(Program(1, 0, ()), np.array([[1, 0, 0, -1]], np.int32), amplitude_damping(0.64)[None], np.ones((0, 16)))
    >>> states = trajectory_states(decay, [[1, 0, 0, -1]], np.zeros((1, 0)), trajectories=4000, seed=1)
    >>> bool(abs((states**2).mean(axis=0)[:2] - [0.64, 0.36]).max() < 0.05)
    True
    """
    place = "trajectory_states"
    n_qubits = noisy.program.n_qubits
    rows = rows_of(X, noisy.program.n_features, place, "X")
    check_angles(noisy.program, rows, place, "X")
    _check_width(n_qubits, place)
    count = _count(trajectories, 1, place)
    precision = np.dtype(dtype)
    if precision not in (np.float32, np.float64):
        raise InputError(explanation(place, "dtype must be float32 or float64", precision))
    _require(place, n_qubits, len(rows) * count, precision.itemsize)
    side = _Side(noisy, _start_matrices(start, n_qubits, adjoint, place), adjoint, place)
    return side.states(rows, count, first_row, first_trajectory, _seed(seed, place), precision, is_plain=True)


def gram(noisy: NoisyCircuit, X: Any, Y: Any = None, *, trajectories: int, seed: int, dtype: Any = np.float32) -> tuple[Floats, Floats]:
    """Estimate the probability of reading only zeros in every circuit U(x) | barrier | U(y)^dagger, with all its noise.

    ``K_ij = mean |<phi_j|psi_i>|^2`` over trajectories of the noisy U(x_i) and, backward from the readout, of the noisy U(y_j)^dagger.

    Parameters
    ----------
    noisy : NoisyCircuit
        Two parts with the same features, the second of which undoes the first.
    X : array_like, (n, n_features), float64
        Radians.
    Y : array_like, (m, n_features), optional
        By default X.
    trajectories : int
        For each row and each side, at least 2.
    seed : int
        As in :func:`trajectory_states`.
    dtype : dtype
        float32 or float64 of the states; sums are float64.

    Returns
    -------
    values : numpy.ndarray, (n, m), float64
        Unbiased. With Y=None circuit (i, j), i <= j, has U(x_i) first, and the result is mirrored.
    standard_errors : numpy.ndarray, (n, m), float64
        Of each value: of a two-sample U-statistic. Entries of one row share its trajectories, so their errors are correlated.

    Raises
    ------
    InputError, ResourceLimit
        As :func:`trajectory_states`.

    Notes
    -----
    n + m rows of trajectories, not n m; chunks of about 16 of a row meet chunks of 16 of the other's, each pair of the two. What happens
    without any error is one more run, not a sample: trajectories are drawn given that something goes wrong. Standard errors are estimates
    themselves, too small where few trajectories matter: small values of weakly noisy circuits need hundreds.

    Examples
    --------
    >>> from flashket import Gate, Linear, Program
    >>> program = Program(1, 1, (Gate("ry", (0,), (Linear(1.0, 0),)),))
    >>> half, back = (NoisyProgram(p, np.array([[0, 0, -1, -1]], np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    ...               for p in (program, program.inverse()))
    >>> noisy = NoisyCircuit((half, back), np.array([[1.0, 0.0, 0.0, 1.0]]), np.zeros((1, 2)), (0,))
    >>> values, errors = gram(noisy, [[0.0], [np.pi]], trajectories=4, seed=0)
    >>> values.round(5).tolist(), bool(errors.max() < 1e-5)
    ([[1.0, 0.0], [0.0, 1.0]], True)
    """
    place = "gram"
    if len(noisy.parts) != 2 or noisy.parts[0].program.n_features != noisy.parts[1].program.n_features:
        raise InputError(explanation(place, "a kernel's circuit has two parts of the same features", len(noisy.parts)))
    n_qubits, n_features = noisy.parts[0].program.n_qubits, noisy.parts[0].program.n_features
    _check_width(n_qubits, place)
    x = rows_of(X, n_features, place, "X")
    y = x if Y is None else rows_of(Y, n_features, place, "Y")
    for name, rows in (("X", x), ("Y", y)):
        check_angles(noisy.parts[0].program, rows, place, name)
    count, key, precision = _count(trajectories, 2, place), _seed(seed, place), np.dtype(dtype)
    forward = _Side(noisy.parts[0], _start_matrices(noisy.start, n_qubits, False, place), False, place)
    backward = _Side(noisy.parts[1], _start_matrices(zeros_effect(noisy), n_qubits, True, place), True, place)
    n_chunks = max(1, round(count / _CHUNK))
    edges = [count * k // n_chunks for k in range(n_chunks + 1)]
    row_bytes = 2 * 2**n_qubits * precision.itemsize * (1 - count // -n_chunks)
    block = max(1, _BLOCK_BYTES // row_bytes)
    largest = -(-count // n_chunks) + 1
    few = max(1, min(block, math.isqrt(_PAIRS) // largest))
    # A block of states; a few effects, those rotated by a quarter turn, and both packed with as many states; their pairs.
    held = (min(block, len(x)) + 5 * min(few, len(y))) * row_bytes + min(few, len(x)) * min(few, len(y)) * largest**2 * _PAIR_BYTES
    _require(place, n_qubits, 0, precision.itemsize, held + 32 * len(x) * len(y))

    values, variances = np.zeros((len(x), len(y))), np.zeros((len(x), len(y)))
    for begin, end in pairwise(edges):
        size = end - begin
        for i in range(0, len(x), block):
            states = forward.states(x[i : i + block], size, i, begin, key, precision)
            for j in range(i if Y is None else 0, len(y), few):
                effects = backward.states(y[j : j + few], size, j, begin, key, precision)
                # Of the mirrored half only what touches the diagonal is compared.
                for k in range(i, min(i + block, len(x)) if Y is not None else min(i + block, j + few, len(x)), few):
                    here = states[(k - i) * (size + 1) : (min(k + few, i + block) - i) * (size + 1)]
                    drawn = _with_errors(_fidelities(here, effects), size, forward.no_error, backward.no_error)
                    mean, variance = _pair_statistics(drawn)
                    entries = slice(k, min(k + few, i + block)), slice(j, j + few)
                    values[entries] += size / count * mean
                    variances[entries] += (size / count) ** 2 * variance
    if Y is None:
        for result in (values, variances):
            mirror(result)
    return values, np.sqrt(np.maximum(variances, 0.0))


def probabilities(noisy: NoisyCircuit, *, trajectories: int, seed: int) -> Floats:
    """Estimate the probability of every outcome of a circuit without features, readout errors included.

    Parameters
    ----------
    noisy : NoisyCircuit
        Any number of parts.
    trajectories : int
        How many are averaged.
    seed : int
        As in :func:`trajectory_states`.

    Returns
    -------
    numpy.ndarray, (2**m,), float64
        Of m measured bits, bit 0 the least significant; they add up to 1. Errors fall as 1 / sqrt(trajectories).

    Raises
    ------
    InputError, ResourceLimit
        As :func:`trajectory_states`.

    Examples
    --------
    >>> from flashket import Program
    >>> idle = NoisyProgram(Program(1, 0, ()), np.zeros((0, 4), np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> circuit = NoisyCircuit((idle,), np.array([[1.0, 0.0, 0.0, 1.0]]), np.array([[0.1, 0.2]]), (0,))
    >>> probabilities(circuit, trajectories=3, seed=0).round(6)
    array([0.9, 0.1])
    """
    place = "probabilities"
    whole = joined(noisy.parts)
    if whole.program.n_features:
        raise InputError(explanation(place, "the circuit must have no features", whole.program.n_features, "call program.bind(x)"))
    n_qubits = whole.program.n_qubits
    _check_width(n_qubits, place)
    count, key = _count(trajectories, 1, place), _seed(seed, place)
    side = _Side(whole, _start_matrices(noisy.start, n_qubits, False, place), False, place)
    block = max(1, _BLOCK_BYTES // (8 * 2**n_qubits))
    _require(place, n_qubits, min(block, count), 4)
    total = np.zeros(2**n_qubits)
    for begin in range(0, count, block):
        size = min(block, count - begin)
        states = side.states(np.empty((1, 0)), size, 0, begin, key, np.dtype(np.float32))
        weights = np.append(side.no_error * size, np.full(size, 1 - side.no_error)) / count
        for half in (states[:, : 2**n_qubits], states[:, 2**n_qubits :]):
            total += np.einsum("i,ij,ij->j", weights, half, half, dtype=np.float64)
    return read_out(total, noisy)


def row_probabilities(
    noisy: NoisyProgram, start: Any, X: Any, *, trajectories: int, seed: int, stream: int = 0
) -> Iterator[tuple[Floats, Floats]]:
    """Estimate the probabilities of the wires' basis states for every row.

    Parameters
    ----------
    noisy, start, X
        As for :func:`trajectory_states`.
    trajectories : int
        For each row, at least 2.
    seed : int
        As in :func:`trajectory_states`.
    stream : int
        Small number: others draw others.

    Yields
    ------
    probabilities : numpy.ndarray, (2**n_qubits,), float64
        Of one row; they add up to 1.
    variances : numpy.ndarray, (n_qubits,), float64
        Of each wire's <Z> as these probabilities give it.

    Raises
    ------
    InputError, ResourceLimit
        As :func:`trajectory_states`.

    Examples
    --------
    >>> from flashket import Program
    >>> idle = NoisyProgram(Program(1, 0, ()), np.zeros((0, 4), np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> ((found, variances),) = row_probabilities(idle, [[1, 0, 0, 0]], np.zeros((1, 0)), trajectories=3, seed=0)
    >>> found.sum().round(6), bool(variances[0] > 0)
    (1.0, True)
    """
    place = "row_probabilities"
    n_qubits = noisy.program.n_qubits
    rows = rows_of(X, noisy.program.n_features, place, "X")
    check_angles(noisy.program, rows, place, "X")
    _check_width(n_qubits, place)
    count, key = _count(trajectories, 2, place), _seed(seed, place)
    side = _Side(noisy, _start_matrices(start, n_qubits, False, place), False, place)
    half = 2**n_qubits
    block, few = max(1, _BLOCK_BYTES // (8 * half)), max(2, _PAIRS // half)
    _require(place, n_qubits, min(block, count) + 1, 4, 8 * half * (2 + 3 * min(few, count + 1)))
    for row in range(len(rows)):
        total, samples = np.zeros(half), np.empty((count, n_qubits + 1))
        for begin in range(0, count, block):
            size = min(block, count - begin)
            states = side.states(rows[row : row + 1], size, row + (stream << 32), begin, key, np.dtype(np.float32))
            for first in range(0, len(states), few):
                part = states[first : first + few]
                found = np.square(part[:, :half], dtype=np.float64)
                found += np.square(part[:, half:], dtype=np.float64)
                # The first state of each block is the run without errors.
                drawn = found[1:] if first == 0 else found
                if first == begin == 0:
                    total += side.no_error * found[0]
                total += (1 - side.no_error) / count * drawn.sum(axis=0)
                here = slice(begin + first - (first > 0), begin + first - (first > 0) + len(drawn))
                samples[here, 0], samples[here, 1:] = drawn.sum(axis=1), signs(drawn, n_qubits)
        norm = total.sum()
        # Of the ratio <Z> = sum of signs / sum of weights.
        means = signs(total, n_qubits) / norm
        apart = samples[:, 1:] - means * samples[:, :1]
        yield total / norm, ((1 - side.no_error) / norm) ** 2 * apart.var(axis=0, ddof=1) / count


def signs(weights: Floats, n_qubits: int) -> Floats:
    """Return the sums of weights (..., 2**n_qubits) with the sign of each wire's Z, (..., n_qubits).

    Examples
    --------
    >>> signs(np.array([0.5, 0.0, 0.0, 0.5]), 2), signs(np.array([[0.0, 1.0]]), 1)
    (array([0., 0.]), array([[-1.]]))
    """
    ahead = weights.shape[:-1]
    split = [weights.reshape(*ahead, -1, 2, 1 << wire).sum(axis=(-3, -1)) for wire in range(n_qubits)]
    return np.stack([each[..., 0] - each[..., 1] for each in split], axis=-1)


class _Side:
    """A noisy program and a start, as the compiled module takes them."""

    def __init__(self, noisy: NoisyProgram, start: Array, adjoint: bool, place: str) -> None:
        program, operations, channels, pair_channels = checked_arrays(noisy, place)
        self.adjoint, self.n_qubits = adjoint, noisy.program.n_qubits
        operators = np.zeros((len(channels), 4, 2, 2), np.complex128)
        single = np.zeros((len(channels), 4))
        for index, channel in enumerate(channels):
            found = kraus(channel)
            # The probability on the mixed state; over its root, so that the mean over draws is the channel.
            weights = np.einsum("kab,kab->k", found.conj(), found).real / 2
            operators[index, : len(found)] = found / np.sqrt(weights)[:, None, None]
            single[index, : len(found)] = weights
        for channel in pair_channels:
            if not is_cptp(channel):
                do = "build it from the functions of flashket.noise.channels"
                raise InputError(explanation(place, "pair channels must be mixtures of Pauli strings", channel.tolist(), do))
        values, vectors = np.linalg.eigh(start)
        traces = values.sum(axis=1)
        if (values < -1e-12).any() or (traces <= 0).any():
            raise InputError(explanation(place, "start must be positive on every wire", values.min(), "states have |(x, y, z)| <= 1"))
        first = np.clip(values[:, 1] / traces, 0.0, 1.0)  # the larger one
        chosen = np.stack([vectors[:, :, 1], vectors[:, :, 0]], axis=1) * np.sqrt(traces)[:, None, None]
        signs = np.kron(_SIGNS, _SIGNS) / 16
        single, pairs = _cumulative(single), _cumulative(np.maximum(pair_channels @ signs, 0.0))
        self.arguments = (program, operations, operators, single, pairs, np.ascontiguousarray(chosen, np.complex128), first)
        # Probability that nothing goes wrong up to each operation, and then on each wire of the start.
        none = np.ones(len(operations) + self.n_qubits)
        for row, (kind, index, _, _) in enumerate(operations):
            if kind != GATE:
                none[row] = (single if kind == CHANNEL else pairs)[index, 0]
        none[len(operations) :] = first
        survived = np.cumprod(none)
        self.no_error = float(survived[-1])
        # Without noise it does not matter where an error would be: what follows it has weight 0.
        self.first_error = (1 - survived) / (1 - self.no_error) if self.no_error < 1 else np.ones_like(survived)

    def states(
        self, rows: Floats, count: int, first_row: int, first_trajectory: int, seed: int, dtype: np.dtype[Any], *, is_plain: bool = False
    ) -> Array:
        """Return the trajectories of these rows; unless plain, for each row first the one without errors, then ``count`` with some."""
        count += not is_plain
        first_error = self.first_error[: 0 if is_plain else None]
        out = np.empty((len(rows) * count, 2 * 2**self.n_qubits), dtype)
        if not out.size:
            return out
        try:
            core().trajectories(*self.arguments, first_error, rows, out, count, first_row, first_trajectory, seed, self.adjoint)
        except MemoryError:
            raise ResourceLimit(explanation("trajectories", "states must fit into memory", "a failed allocation")) from None
        except ValueError as error:
            raise InputError(explanation("trajectories", str(error))) from None
        return out


_SIGNS = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], np.float64)
"""+1 where two of I, X, Y, Z commute."""


def _fidelities(states: Array, effects: Array) -> Floats:
    """Return |<phi|psi>|^2 of every pair of rows, real parts first in each."""
    half = states.shape[1] // 2
    real = product(states, effects)
    # <phi|psi> = sum (a - ib)(c + id): the imaginary part pairs (c, d) with (-b, a).
    imaginary = product(states, np.concatenate([-effects[:, half:], effects[:, :half]], axis=1))
    return np.asarray(real.astype(np.float64) ** 2 + imaginary.astype(np.float64) ** 2)


def _with_errors(values: Floats, size: int, left: float, right: float) -> Floats:
    """Return the samples (n, size, m, size) of two runs, each of which is the one without errors with probability left and right.

    ``values`` is (n (size + 1), m (size + 1)). Expectations over these probabilities are taken exactly.
    """
    split = values.reshape(values.shape[0] // (size + 1), size + 1, values.shape[1] // (size + 1), size + 1)
    rows = left * split[:, :1] + (1 - left) * split[:, 1:]
    return np.asarray(right * rows[..., :1] + (1 - right) * rows[..., 1:], np.float64)


def _pair_statistics(samples: Floats) -> tuple[Floats, Floats]:
    """Return the mean over all pairs of two samples and the unbiased estimate of its variance, for every pair of rows.

    ``samples`` is (n, size, m, size). With row means a, column means b and the residuals' mean square e:
    Var = var(a) / size + var(b) / size - e / size^2.
    """
    size = samples.shape[1]
    left, right = samples.mean(axis=3), samples.mean(axis=1)  # (n, r, m), (n, m, s)
    mean = left.mean(axis=1)
    residuals = samples - left[..., None] - right[:, None] + mean[:, None, :, None]
    error = np.einsum("irjs,irjs->ij", residuals, residuals) / (size - 1) ** 2
    return mean, (left.var(axis=1, ddof=1) + right.var(axis=2, ddof=1)) / size - error / size**2


def _cumulative(probabilities: Floats) -> Floats:
    sums = np.cumsum(probabilities, axis=1)
    return np.ascontiguousarray(sums / sums[:, -1:])


def _start_matrices(start: Any, n_qubits: int, adjoint: bool, place: str) -> Array:
    components = np.asarray(start, np.float64)
    if components.shape != (n_qubits, 4) or not np.isfinite(components).all():
        wanted = f"start must be ({n_qubits}, 4) finite numbers"
        raise InputError(explanation(place, wanted, components.shape, "one row (I, X, Y, Z) per wire"))
    return np.asarray(np.einsum("wd,dab->wab", components if adjoint else components / 2, PAULIS))


def _count(value: Any, least: int, place: str) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if not least <= count < 2**31:
        raise InputError(explanation(place, f"trajectories must be an integer, at least {least}", repr(value), "256 is a good start"))
    return count


def _seed(value: Any, place: str) -> int:
    try:
        seed = operator.index(value)
    except TypeError:
        seed = -1
    if not 0 <= seed < 2**64:
        raise InputError(explanation(place, "seed must be an integer in 0..2**64-1", repr(value)))
    return seed


def _check_width(n_qubits: int, place: str) -> None:
    if n_qubits > MOST_QUBITS:
        do = 'use method="effective"'
        raise ResourceLimit(explanation(place, f"trajectories go up to {MOST_QUBITS} qubits", n_qubits, do))


def _require(place: str, n_qubits: int, n_states: int, itemsize: int, more: int = 0) -> None:
    """Refuse what does not fit: results and what the threads work on."""
    state = 2 * 2**n_qubits * itemsize
    lanes = 64 // itemsize
    what = f"states of {n_qubits} qubits"
    memory.require(place, what, state * (n_states + lanes * get_num_threads()) + more, "set fewer threads or pass fewer rows")
