# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What someone who knows the mathematics writes in NumPy: the strongest opponent, and a second opinion beside the oracle."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

Array = Any

BLOCK_BYTES = 1 << 20
"""Intermediate results are kept to about this much, so that they stay in the cache."""


def angle_gram(x: Array) -> Array:
    """prod_j cos^2((x_j - y_j)/2), as rank-2 updates on blocks that stay in the cache; the lower triangle is mirrored."""
    n, d = x.shape
    cos, sin = np.cos(x / 2).T.copy(), np.sin(x / 2).T.copy()
    out = np.empty((n, n), x.dtype)
    height = 64
    product, term = np.empty((2, height, n), x.dtype)
    for top in range(0, n, height):
        bottom = min(top + height, n)
        p, t = product[: bottom - top, top:], term[: bottom - top, top:]
        for j in range(d):
            target = p if j == 0 else t
            np.multiply(cos[j, top:bottom, None], cos[j, None, top:], out=target)
            target += sin[j, top:bottom, None] * sin[j, None, top:]
            if j:
                p *= t
        np.square(p, out=out[top:bottom, top:])
        out[bottom:, top:bottom] = out[top:bottom, bottom:].T
    return out


def amplitude_gram(x: Array) -> Array:
    """(X X^T)^2 of normalised rows; NumPy takes the symmetric product here."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    gram = unit @ unit.T
    return np.square(gram, out=gram)


class ZZPlan(NamedTuple):
    """What does not depend on the data: the bits of every phase, and the Hadamard matrices of half the qubits each."""

    table: Array
    high: Array
    low: Array


def zz_plan(n: int) -> ZZPlan:
    """Return the plan of n qubits, all pairs."""
    bits = (np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1
    table = np.concatenate([bits, [bits[i] ^ bits[j] for i, j in combinations(range(n), 2)]]).astype(np.float32)

    def hadamard(k: int) -> Array:
        matrix = np.ones((1, 1), np.float32)
        for _ in range(k):
            matrix = np.kron(matrix, np.array([[1, 1], [1, -1]], np.float32)) / np.float32(2**0.5)
        return matrix

    return ZZPlan(table, hadamard(n - n // 2), hadamard(n // 2))


def zz_phases(x: Array, plan: ZZPlan) -> Array:
    """Return the phase of every amplitude by one GEMM; angles are reduced first, so that float32 keeps them."""
    n = x.shape[1]
    shifted = 2 * (np.pi - x)
    features = np.concatenate([2 * x, *[(shifted[:, i] * (np.pi - x[:, j]))[:, None] for i, j in combinations(range(n), 2)]], axis=1)
    return np.mod(features, 2 * np.pi).astype(np.float32) @ plan.table


def row_blocks(rows: int, row_bytes: int) -> list[slice]:
    """Return slices of rows of about BLOCK_BYTES each."""
    height = max(1, BLOCK_BYTES // row_bytes)
    return [slice(top, min(top + height, rows)) for top in range(0, rows, height)]


def walsh_hadamard(states: Array) -> None:
    """Transform every row in place, unscaled: n steps of butterflies."""
    rows, size = states.shape
    half = 1
    while half < size:
        pairs = states.reshape(rows, size // (2 * half), 2, half)
        total = pairs[:, :, 0] + pairs[:, :, 1]
        np.subtract(pairs[:, :, 0], pairs[:, :, 1], out=pairs[:, :, 1])
        pairs[:, :, 0] = total
        half *= 2


def zz_states_butterflies(x: Array, plan: ZZPlan) -> Array:
    """Return the states of ZZ, 2 repetitions, all pairs: phases, fast Walsh-Hadamard transform, phases."""
    rows, n = x.shape
    states = np.empty((rows, 2**n), np.complex64)
    for block in row_blocks(rows, 8 * 2**n):
        phase = zz_phases(x[block], plan)
        wave = np.empty(phase.shape, np.complex64)
        np.cos(phase, out=wave.real)
        np.sin(phase, out=wave.imag)
        state = states[block]
        np.multiply(wave, np.float32(2.0**-n), out=state)
        walsh_hadamard(state)
        state *= wave
    return states


def zz_states_whole(x: Array, plan: ZZPlan) -> Array:
    """The same as it is written first: whole arrays, which do not stay in the cache, and a complex exponential."""
    wave = np.exp(1j * zz_phases(x, plan)).astype(np.complex64)
    states = wave * np.float32(2.0 ** -x.shape[1])
    walsh_hadamard(states)
    states *= wave
    return states


def zz_states_gemm(x: Array, plan: ZZPlan) -> Array:
    """The same with the Walsh-Hadamard transform as two real GEMMs of half the qubits each."""
    rows, n = x.shape
    states = np.empty((rows, 2**n), np.complex64)
    for block in row_blocks(rows, 8 * 2**n):
        phase = zz_phases(x[block], plan)
        cos, sin = np.cos(phase), np.sin(phase)
        state = np.stack([cos, sin]).reshape(2, len(phase), len(plan.high), len(plan.low)) * np.float32(2 ** (-n / 2))
        real, imaginary = (plan.high @ (state @ plan.low)).reshape(2, len(phase), -1)
        states[block].real = real * cos - imaginary * sin
        states[block].imag = real * sin + imaginary * cos
    return states


def zz_states_exact(x: Array) -> Array:
    """The same in complex128 without care for speed: what results are checked against where the oracle would take too long."""
    n = x.shape[1]
    plan = zz_plan(n)
    angles = x.astype(np.float64)
    shifted = np.pi - angles
    features = np.concatenate([2 * angles, *[(2 * shifted[:, i] * shifted[:, j])[:, None] for i, j in combinations(range(n), 2)]], axis=1)
    wave = np.exp(1j * (features @ plan.table.astype(np.float64)))
    states = wave * 2.0**-n
    walsh_hadamard(states)
    return states * wave


def fidelity(states: Array) -> Array:
    """|<x|y>|^2 of all pairs of rows by one complex GEMM."""
    overlap = states @ states.conj().T
    return overlap.real**2 + overlap.imag**2


def bloch(states: Array) -> Array:
    """Return (<X>, <Y>, <Z>) of every qubit, (rows, 3 n), from the state itself."""
    rows, size = states.shape
    n = size.bit_length() - 1
    out = np.empty((rows, 3 * n), states.real.dtype)
    for block in row_blocks(rows, states.itemsize * size):
        for qubit in range(n):
            pairs = states[block].reshape(-1, size >> (qubit + 1), 2, 1 << qubit)
            zero, one = pairs[:, :, 0], pairs[:, :, 1]
            cross = np.einsum("rhl,rhl->r", zero.conj(), one)
            out[block, 3 * qubit] = 2 * cross.real
            out[block, 3 * qubit + 1] = 2 * cross.imag
            weights = [np.einsum("rhl,rhl->r", half.conj(), half).real for half in (zero, one)]
            out[block, 3 * qubit + 2] = weights[0] - weights[1]
    return out


def bloch_rbf(left: Array, right: Array, gamma: float) -> Array:
    """exp(-gamma/2 sum |r - r'|^2) with the distances from one GEMM."""
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * (left @ right.T)
    return np.exp(np.maximum(squares, 0) * (-gamma / 2))


def line_log_gram(x: Array, y: Array) -> Array:
    """log |<x|y>|^2 of IQP, 1 repetition, on a line: products of 2 x 2 transfer matrices, all pairs of a block of rows at once."""
    n = x.shape[1]
    kind = np.complex64 if x.dtype == np.float32 else np.complex128
    cx, cy = x[:, :-1] * x[:, 1:], y[:, :-1] * y[:, 1:]
    out = np.empty((len(x), len(y)), x.dtype)
    for block in row_blocks(len(x), 16 * len(y)):
        # Amplitudes of the last qubit being 0 or 1, everything before it summed; scaled to keep within range.
        field = np.exp(kind(-0.5j) * (y[None, :, 0] - x[block, None, 0])).astype(kind)
        zero, one = field / 2, field.conj() / 2
        log = np.zeros(zero.shape, x.dtype)
        for j in range(1, n):
            field = np.exp(kind(-0.5j) * (y[None, :, j] - x[block, None, j])).astype(kind)
            bond = np.exp(kind(-0.5j) * (cy[None, :, j - 1] - cx[block, None, j - 1])).astype(kind) / 2
            other = bond.conj()
            zero, one = (bond * zero + other * one) * field, (other * zero + bond * one) * field.conj()
            if j % 16 == 0 or j == n - 1:
                size = np.maximum(abs(zero), abs(one))
                log += np.log(size)
                zero, one = zero / size, one / size
        out[block] = 2 * (log + np.log(abs(zero + one)))
    return out


def single_qubit(a: float, b: float, c: float) -> Array:
    """RZ(c) RY(b) RZ(a) as a matrix."""
    ry = np.array([[np.cos(b / 2), -np.sin(b / 2)], [np.sin(b / 2), np.cos(b / 2)]])
    return np.exp(0.5j * c * np.array([-1, 1]))[:, None] * ry * np.exp(0.5j * a * np.array([-1, 1]))


def brickwork_pairs(n: int, layer: int) -> list[tuple[int, int]]:
    """Return the qubits that CZ gates join in a layer: even pairs and odd pairs in turn."""
    return [(q, q + 1) for q in range(layer % 2, n - 1, 2)]


def brickwork_state(n: int, angles: Array) -> Array:
    """Return the state of the brickwork circuit, angles (depth, n, 3), in complex128.

    Each layer's matrices act on groups of four qubits at once, one pass over the state per group; then the signs of CZ.
    """
    index = np.arange(2**n, dtype=np.int32)
    signs = []
    for layer in range(2):
        parity = np.zeros(2**n, np.int8)
        for a, b in brickwork_pairs(n, layer):
            parity ^= ((index >> a) & (index >> b) & 1).astype(np.int8)
        signs.append(1 - 2 * parity)
    state = np.zeros(2**n, np.complex128)
    state[0] = 1
    for layer, rotations in enumerate(angles):
        for low in range(0, n, 4):
            group = np.ones((1, 1), np.complex128)
            for qubit in range(low, min(low + 4, n)):
                group = np.kron(single_qubit(*rotations[qubit]), group)  # later qubits are higher bits
            parts = state.reshape(-1, len(group), 2**low)
            state = (parts[:, :, 0] @ group.T if low == 0 else group @ parts).reshape(-1)
        state *= signs[layer % 2]
    return state


def amplitude_attention(q: Array, k: Array, v: Array, bias: float) -> Array:
    """The unfused composition: Gram, normalise, multiply."""
    qn = np.sqrt((q * q).sum(-1, keepdims=True) + bias)
    kn = np.sqrt((k * k).sum(-1, keepdims=True) + bias)
    scores = (q / qn) @ (k / kn).swapaxes(-1, -2)
    scores += (np.sqrt(bias) / qn) * (np.sqrt(bias) / kn).swapaxes(-1, -2)
    np.square(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return scores @ v


def line_tensors(x: Array, repetitions: int) -> list[Array]:
    """Return tensors (left, 2, right) of IQP on a line, exact: each repetition's diagonal gates double the bond."""
    n = len(x)
    flip = np.array([[1, 1], [1, -1]]) / 2**0.5
    tensors = [np.array([1, 0], np.complex128).reshape(1, 2, 1)] * n
    signs = np.array([1, -1])
    for _ in range(repetitions):
        tensors = [np.einsum("pq,lqr->lpr", flip, tensor) for tensor in tensors]
        tensors = [np.exp(-0.5j * x[j] * signs)[None, :, None] * tensor for j, tensor in enumerate(tensors)]
        for j in range(n - 1):
            # exp(-i t/2 Z Z): the left qubit's value is copied onto the bond, the right one takes the phase.
            left, right = tensors[j], tensors[j + 1]
            copied = np.zeros((left.shape[0], 2, left.shape[2], 2), np.complex128)
            copied[:, 0, :, 0], copied[:, 1, :, 1] = left[:, 0], left[:, 1]
            phase = np.exp(-0.5j * x[j] * x[j + 1] * np.outer(signs, signs))
            taken = np.einsum("lpr,bp->lbpr", right, phase)
            tensors[j] = copied.reshape(left.shape[0], 2, -1)
            tensors[j + 1] = taken.reshape(-1, 2, right.shape[2])
    return tensors


def tensors_overlap(left: list[Array], right: list[Array]) -> complex:
    """<left|right> by a sweep."""
    edge = np.ones((1, 1), np.complex128)
    for a, b in zip(left, right, strict=True):
        edge = np.einsum("ab,apc,bpd->cd", edge, a.conj(), b)
    return complex(edge[0, 0])


def line_overlap(x: Array, y: Array, repetitions: int) -> complex:
    """<x|y> of IQP on a line."""
    return tensors_overlap(line_tensors(x, repetitions), line_tensors(y, repetitions))


def from_vidal(gammas: Any, lambdas: Any) -> list[Array]:
    """Return tensors (left, 2, right) from matrices per basis value and the singular values between them."""
    tensors = [np.stack([np.asarray(part) for part in pair], axis=1) for pair in gammas]
    return [tensor * np.asarray(lambdas[j]) if j < len(lambdas) else tensor for j, tensor in enumerate(tensors)]
