# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The oracle: dense complex128 NumPy, slow and obvious. Every fast path is tested against it; nothing else uses it.

A circuit is run gate by gate from its Program. Qubits that no gate ever joins form groups, and the overlap is the product
over the groups; that is all it knows of efficiency, and what lets it follow product maps to hundreds of features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from flashket.arrays import Array
from flashket.feature_maps import FeatureMap
from flashket.feature_maps.amplitude import Amplitude
from flashket.kernels import Kernel, Projected
from flashket.noise.program import CHANNEL, GATE, NoisyCircuit, NoisyProgram
from flashket.program import Gate, Linear, Program

Complex: TypeAlias = npt.NDArray[Any]

_DENSE_QUBITS = 14
"""Groups of more qubits are followed along a line, without a state."""

_S = 1 / math.sqrt(2)
_FIXED: dict[str, Any] = {
    "h": [[_S, _S], [_S, -_S]],
    "x": [[0, 1], [1, 0]],
    "y": [[0, -1j], [1j, 0]],
    "z": [[1, 0], [0, -1]],
    "s": [[1, 0], [0, 1j]],
    "sdg": [[1, 0], [0, -1j]],
    "t": [[1, 0], [0, _S + _S * 1j]],
    "tdg": [[1, 0], [0, _S - _S * 1j]],
    "swap": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
}
_X, _Y, _Z = (np.array(_FIXED[name], np.complex128) for name in "xyz")


def _rotation(generator: Complex) -> Callable[[Array], Complex]:
    """Return t -> exp(-i t/2 G) for a G with G^2 = 1."""

    def matrices(angle: Array) -> Complex:
        half = angle[..., None, None] / 2
        return np.asarray(np.cos(half) * np.eye(len(generator)) - 1j * np.sin(half) * generator)

    return matrices


def _phase(angle: Array) -> Complex:
    """Return t -> diag(1, e^it)."""
    return np.asarray(np.exp(1j * angle[..., None, None] * np.diag([0, 1])) * np.eye(2))


def _controlled(gate: Complex) -> Complex:
    """Return the gate on the second qubit where the first is 1."""
    matrix = np.zeros((*gate.shape[:-2], 4, 4), np.complex128)
    matrix[..., :2, :2] = np.eye(2)
    matrix[..., 2:, 2:] = gate
    return matrix


_ROTATIONS = {"rx": _rotation(_X), "ry": _rotation(_Y), "rz": _rotation(_Z), "p": _phase}
_ROTATIONS |= {f"r{name * 2}": _rotation(np.kron(pauli, pauli)) for name, pauli in (("x", _X), ("y", _Y), ("z", _Z))}


def gate_matrix(name: str, angle: Any = 0.0) -> Complex:
    """Return a gate's matrix; of two qubits the first listed (the control) is the more significant bit.

    Parameters
    ----------
    name : str
        A name of :data:`flashket.program.OPCODES`.
    angle : float or array
        Radians, one matrix for each; ignored by gates without angle.

    Returns
    -------
    numpy.ndarray, (..., 2, 2) or (..., 4, 4), complex128

    Examples
    --------
    >>> gate_matrix("cx").real.astype(int)
    array([[1, 0, 0, 0],
           [0, 1, 0, 0],
           [0, 0, 0, 1],
           [0, 0, 1, 0]])
    """
    if name in _FIXED:
        return np.array(_FIXED[name], np.complex128)
    if name in _ROTATIONS:
        return _ROTATIONS[name](np.asarray(angle, np.float64))
    return _controlled(gate_matrix(name[1:], angle))


def _angles(factors: tuple[Linear, ...], rows: Array) -> Array:
    angles = np.ones(len(rows))
    for scale, feature, offset in factors:
        angles *= scale * rows[:, feature] + offset if feature >= 0 else offset
    return angles


def run_program(program: Program, X: Array) -> Complex:
    """Return the states of all rows, (n, 2**n_qubits); qubit 0 is the least significant bit.

    Examples
    --------
    >>> run_program(Program(2, 1, (Gate("x", (0,)), Gate("cx", (0, 1)))), np.zeros((1, 1))).real
    array([[0., 0., 0., 1.]])
    """
    rows, n = np.asarray(X, np.float64), program.n_qubits
    shape = (len(rows), *(2,) * n)
    state = np.zeros(shape, np.complex128)
    state.reshape(len(rows), 2**n)[:, 0] = 1
    for gate in program.gates:
        # Axis 0 counts rows and axis 1 is the most significant bit, so qubit q is axis n - q.
        axes, front = [n - qubit for qubit in gate.qubits], range(1, 1 + len(gate.qubits))
        moved = np.moveaxis(state, axes, front)
        product = gate_matrix(gate.name, _angles(gate.angle, rows)) @ moved.reshape(len(rows), 2 ** len(axes), 2 ** (n - len(axes)))
        state = np.moveaxis(product.reshape(shape), front, axes)
    return state.reshape(len(rows), 2**n)


def states(X: Array, feature_map: FeatureMap) -> Complex:
    """Return the states of all rows, (n, 2**n_qubits).

    Examples
    --------
    >>> from flashket import Amplitude
    >>> states(np.array([[3.0, 4.0]]), Amplitude(2)).real
    array([[0.6, 0.8]])
    """
    if not isinstance(feature_map, Amplitude):
        return run_program(feature_map.program(), X)
    out = np.zeros((len(X), 2**feature_map.n_qubits), np.complex128)
    for i, row in enumerate(np.asarray(X, np.float64)):
        amplitudes = _amplitudes(row, feature_map)
        out[i, : amplitudes.size] = amplitudes
    return out


def _amplitudes(row: Array, feature_map: Amplitude) -> Array:
    vector = np.append(row, math.sqrt(feature_map.bias)) if feature_map.bias else row
    vector = vector / np.abs(vector).max()
    return np.asarray(vector / math.sqrt(math.fsum(vector**2)))


def _groups(program: Program) -> list[Program]:
    """Split a program into programs whose qubits no gate joins."""
    label = list(range(program.n_qubits))
    for gate in program.gates:
        old, new = label[gate.qubits[-1]], label[gate.qubits[0]]
        if old != new:
            label = [new if value == old else value for value in label]
    parts = []
    for group in sorted(set(label)):
        qubits = [qubit for qubit in range(program.n_qubits) if label[qubit] == group]
        gates = tuple(
            Gate(gate.name, tuple(qubits.index(qubit) for qubit in gate.qubits), gate.angle)
            for gate in program.gates
            if label[gate.qubits[0]] == group
        )
        parts.append(Program(len(qubits), program.n_features, gates))
    return parts


def _line_factors(program: Program, x: Array, y: Array) -> list[Array]:
    """Return matrices (n, m) whose product is <x|y>, for H on every qubit and then diagonal gates on neighbours (j, j + 1).

    The sum over basis states is done qubit by qubit: ``sums[z]`` is that over the qubits before j, given that qubit j is z.
    Its largest entry is taken out at every step, so that nothing underflows.
    """
    n = program.n_qubits
    fields = [[np.ones((len(rows), 2), np.complex128) for _ in range(n)] for rows in (x, y)]
    couplings = [[np.ones((len(rows), 2, 2), np.complex128) for _ in range(n)] for rows in (x, y)]
    gates = list(program.gates)
    if sorted(gate.qubits[0] for gate in gates if gate.name == "h") != list(range(n)):
        raise ValueError("the line oracle needs H on every qubit once")
    while gates:
        gate = gates.pop(0)
        if gate.name == "h":
            if any(gate.qubits[0] in other.qubits for other in program.gates[: program.gates.index(gate)]):
                raise ValueError("the line oracle needs H first")
            continue
        inside = gates.pop(0) if gate.name == "cx" else None
        if inside is not None and (inside.qubits != gate.qubits[1:] or gates.pop(0) != gate):
            raise ValueError("the line oracle needs diagonal gates")
        for rows, field, coupling in zip((x, y), fields, couplings, strict=True):
            matrix = gate_matrix(gate.name, _angles(gate.angle, rows))
            if inside is not None:
                matrix = matrix @ np.kron(np.eye(2), gate_matrix(inside.name, _angles(inside.angle, rows))) @ matrix
            diagonal = np.diagonal(matrix, axis1=-2, axis2=-1) * np.ones((len(rows), 1))
            if np.abs(matrix).sum() - np.abs(np.diagonal(matrix, axis1=-2, axis2=-1)).sum() > 1e-9:
                raise ValueError("the line oracle needs diagonal gates")
            if len(gate.qubits) == 1:
                field[gate.qubits[0]] *= diagonal
                continue
            if abs(gate.qubits[0] - gate.qubits[1]) != 1:
                raise ValueError("the line oracle needs gates on neighbours")
            table = diagonal.reshape(-1, 2, 2)  # [row][first][second]
            coupling[min(gate.qubits)] *= table if gate.qubits[0] < gate.qubits[1] else table.transpose(0, 2, 1)
    factors: list[Array] = []
    sums = np.ones((len(x), len(y), 2), np.complex128)
    for j in range(n):
        sums = sums * np.conj(fields[0][j])[:, None] * fields[1][j][None] / 2
        if j < n - 1:
            step = np.conj(couplings[0][j])[:, None] * couplings[1][j][None]
            sums = np.einsum("xya,xyab->xyb", sums, step)
        largest = np.abs(sums).max(axis=-1)
        largest[largest == 0] = 1
        factors.append(largest)
        sums = sums / largest[..., None]
    factors.append(sums.sum(axis=-1))
    return factors


def _overlap_factors(X: Array, Y: Array, kernel: Kernel) -> list[Array]:
    """Return matrices (n, m) whose product is the overlap <x|y> (for controls: the value)."""
    x, y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    encoder = kernel._lower()[0]
    if encoder == "identity":
        return [x @ y.T]
    if encoder == "ones":
        return [np.ones((len(x), len(y)))]
    feature_map: FeatureMap = kernel.feature_map  # type: ignore[attr-defined]  # every kernel that is not a control has one
    if isinstance(feature_map, Amplitude):
        return [np.conj(states(x, feature_map)) @ states(y, feature_map).T]
    factors = []
    for part in _groups(feature_map.program()):
        if part.n_qubits > _DENSE_QUBITS:
            factors += _line_factors(part, x, y)
            continue
        factors.append(np.conj(run_program(part, x)) @ run_program(part, y).T)
    return factors


def reduced_density_matrices(amplitudes: Complex) -> Complex:
    """Return rho_k of every qubit k of every state, (n, n_qubits, 2, 2): all other qubits are traced out of |x><x|.

    Examples
    --------
    >>> reduced_density_matrices(np.array([[0, 1]])).real
    array([[[[0., 0.],
             [0., 1.]]]])
    """
    n_qubits = amplitudes.shape[1].bit_length() - 1
    out = np.zeros((len(amplitudes), n_qubits, 2, 2), np.complex128)
    for qubit in range(n_qubits):
        # (row, bits above the qubit, the qubit, bits below)
        split = amplitudes.reshape(len(amplitudes), 2 ** (n_qubits - 1 - qubit), 2, 2**qubit)
        out[:, qubit] = np.einsum("nhal,nhbl->nab", split, np.conj(split))
    return out


def _projected_distances(X: Array, Y: Array, feature_map: FeatureMap) -> Array:
    """Return sum_k ||rho_k - rho'_k||_F^2 of every pair, (n, m)."""
    if isinstance(feature_map, Amplitude):
        pairs = [(states(X, feature_map), states(Y, feature_map))]
    else:
        pairs = [(run_program(part, X), run_program(part, Y)) for part in _groups(feature_map.program())]
    total = np.zeros((len(X), len(Y)))
    for left, right in pairs:
        rho, other = reduced_density_matrices(left), reduced_density_matrices(right)
        for i in range(len(X)):
            total[i] += np.sum(np.abs(rho[i] - other) ** 2, axis=(1, 2, 3))
    return total


def gram(X: Array, Y: Array | None, kernel: Kernel, *, log: bool = False) -> Array:
    """Return the exact Gram matrix (n, m) in float64, or its logarithm.

    Examples
    --------
    >>> from flashket import Angle, Fidelity
    >>> gram(np.array([[0.0]]), np.array([[1.0]]), Fidelity(Angle(1))).round(4)
    array([[0.7702]])
    """
    if isinstance(kernel, Projected):
        exponents = -kernel.gamma * _projected_distances(X, X if Y is None else Y, kernel.feature_map)
        return exponents if log else np.asarray(np.exp(exponents))
    factors = _overlap_factors(X, X if Y is None else Y, kernel)
    power = kernel.power
    with np.errstate(divide="ignore"):
        if log and kernel.similarity == "fidelity":
            # Factor by factor, so that a product of hundreds does not underflow.
            logs = np.sum([np.log(np.abs(factor)) for factor in factors], axis=0)
            return np.asarray(2 * power * np.minimum(logs, 0))
        overlap = np.prod(factors, axis=0)
        if kernel.similarity == "dot":
            return np.asarray(overlap.real)
        value = np.abs(overlap) ** 2 if kernel.similarity == "fidelity" else (1 + overlap.real) / 2
        value = np.clip(value, 0, 1)
        return np.asarray(power * np.log(value) if log else value**power)


def attention(
    q: Array,
    k: Array,
    v: Array,
    kernel: Kernel,
    *,
    normalization: str = "sum",
    temperature: float = 1.0,
    causal: bool = False,
    mask: Array | None = None,
    kv_lens: Array | None = None,
) -> Array:
    """Return exact attention (B, Hq, Lq, Dv) in float64, one query row at a time.

    Parameters are those of :func:`flashket.attention`; positions that no query may attend to may hold anything.

    Examples
    --------
    >>> from flashket import Angle, Fidelity
    >>> x = np.zeros((1, 1, 2, 1))
    >>> attention(x, x, np.array([[[[1.0], [3.0]]]]), Fidelity(Angle(1)))[0, 0, :, 0]
    array([2., 2.])
    """
    n_batch, n_heads, n_queries, _ = q.shape
    n_key_heads, n_keys, n_values = v.shape[1:]
    may_attend = np.broadcast_to(np.array(True) if mask is None else mask, (n_batch, n_heads, n_queries, n_keys))
    out = np.zeros((n_batch, n_heads, n_queries, n_values))
    for b in range(n_batch):
        length = n_keys if kv_lens is None else int(kv_lens[b])
        for h in range(n_heads):
            key_head = h // (n_heads // n_key_heads)
            logs = normalization == "sum" and not kernel.is_control
            scores = gram(_harmless(q[b, h], kernel), _harmless(k[b, key_head], kernel), kernel, log=logs)
            for i in range(n_queries):
                keys = [j for j in range(length) if may_attend[b, h, i, j] and (not causal or j <= i + length - n_queries)]
                if keys:
                    weights = _normalised(scores[i, keys], normalization, temperature, logs)
                    out[b, h, i] = weights @ np.asarray(v[b, key_head, keys], np.float64)
    return out


def _harmless(rows: Array, kernel: Kernel) -> Array:
    """Replace rows that have no state by ones: no query attends to them."""
    bad = np.asarray(~np.isfinite(rows).all(axis=1))
    if kernel.rejects_zero_rows:
        bad |= (rows == 0).all(axis=1)
    return np.where(bad[:, None], 1.0, rows)


def _normalised(scores: Array, normalization: str, temperature: float, are_logs: bool) -> Array:
    """Return weights that sum to one: proportional to the kernel values, or to exp(value / temperature)."""
    exponents = scores / temperature if normalization == "softmax" else scores if are_logs else np.log(scores)
    if np.isneginf(exponents).all():
        return np.full(len(scores), 1 / len(scores))
    weights = np.exp(exponents - exponents.max())
    return np.asarray(weights / weights.sum())


PAULIS = (np.eye(2, dtype=np.complex128), _X, _Y, _Z)


def pauli_product(components: Any) -> Complex:
    """Return the product over wires of sum_d components[wire, d] P_d, (2**n, 2**n); wire 0 is the least significant bit.

    Examples
    --------
    >>> pauli_product([[0.5, 0.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.0]]).real
    array([[0., 0., 1., 0.],
           [0., 0., 0., 0.],
           [1., 0., 0., 0.],
           [0., 0., 0., 0.]])
    """
    matrix = np.ones((1, 1), np.complex128)
    for row in np.asarray(components, np.float64):
        matrix = np.kron(sum(component * pauli for component, pauli in zip(row, PAULIS, strict=True)), matrix)
    return matrix


def run_channel(transfer: Array, qubits: tuple[int, ...], rho: Complex) -> Complex:
    """Apply the channel with Pauli transfer matrix ``transfer`` (4^k, 4^k) to k qubits of a density matrix.

    ``E(rho) = 2^-k sum_ab R_ab P_a Tr_qubits(P_b rho)``; index of a string: sum_j d_j 4^j with digit d_j of ``qubits[j]``.

    Examples
    --------
    >>> run_channel(np.diag([1.0, 0.0, 0.0, 0.0]), (0,), np.diag([1.0, 0.0])).real  # complete depolarisation
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    n, k = len(rho).bit_length() - 1, len(qubits)
    strings: list[Complex] = [np.ones((1, 1), np.complex128)]
    for _ in range(k):
        strings = [np.kron(pauli, string) for pauli in PAULIS for string in strings]
    superoperator = sum(
        transfer[a, b] / 2**k * np.einsum("ij,lk->ijkl", strings[a], strings[b]) for a in range(4**k) for b in range(4**k) if transfer[a, b]
    )
    # Axes 0..n-1 are the bits of the row, most significant first, then those of the column; the last qubit comes first in a string.
    axes = [n - 1 - q for q in reversed(qubits)] + [2 * n - 1 - q for q in reversed(qubits)]
    moved = np.moveaxis(rho.reshape((2,) * (2 * n)), axes, range(2 * k))
    shape = moved.shape
    product = np.einsum("ijkl,klr->ijr", superoperator, moved.reshape(2**k, 2**k, -1))
    return np.asarray(np.moveaxis(product.reshape(shape), range(2 * k), axes).reshape(rho.shape))


def run_noisy(noisy: NoisyProgram, rho: Complex, x: Array) -> Complex:
    """Return the density matrix (2**n, 2**n) after gates and channels, for one row of features.

    Examples
    --------
    >>> flip = NoisyProgram(
    ...     Program(1, 0, (Gate("x", (0,)),)), np.array([[0, 0, -1, -1]], np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> run_noisy(flip, np.diag([1.0, 0.0]), np.zeros(0)).real
    array([[0., 0.],
           [0., 1.]])
    """
    n = noisy.program.n_qubits
    rho = np.array(rho, np.complex128)
    for kind, index, q0, q1 in noisy.operations:
        if kind == GATE:
            gate = noisy.program.gates[index]
            # U rho U^dagger by running the gate on every column, twice.
            matrix = gate_matrix(gate.name, _angles(gate.angle, np.asarray(x, np.float64)[None]) if gate.angle else 0.0).reshape(
                (2,) * (2 * len(gate.qubits))
            )
            axes = [n - 1 - qubit for qubit in gate.qubits]
            for _ in range(2):
                tensor = np.tensordot(matrix, rho.reshape((2,) * n + (2**n,)), axes=(range(len(axes), 2 * len(axes)), axes))
                rho = np.moveaxis(tensor, range(len(axes)), axes).reshape(2**n, 2**n).conj().T
        elif kind == CHANNEL:
            rho = run_channel(noisy.channels[index], (q0,), rho)
        else:
            rho = run_channel(np.diag(noisy.pair_channels[index]), (q0, q1), rho)
    return rho


def noisy_probabilities(noisy: NoisyCircuit, rows: tuple[Array, ...] = ()) -> Array:
    """Return the probability of every outcome, (2**m,); ``rows[k]`` are the features of part k.

    Examples
    --------
    >>> idle = NoisyProgram(Program(1, 0, ()), np.zeros((0, 4), np.int32), np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> noisy_probabilities(NoisyCircuit((idle,), np.array([[1.0, 0.0, 0.0, 1.0]]), np.array([[0.1, 0.2]]), (0,)))
    array([0.9, 0.1])
    """
    rho = pauli_product(np.asarray(noisy.start) / 2)
    for k, part in enumerate(noisy.parts):
        rho = run_noisy(part, rho, rows[k] if rows else np.zeros(0))
    result = np.zeros(2 ** len(noisy.measured))
    for state, probability in enumerate(np.diagonal(rho).real):
        for outcome in range(len(result)):
            read = 1.0
            for bit, wire in enumerate(noisy.measured):
                wrong = noisy.readout[bit][state >> wire & 1]  # p10 of a 0, p01 of a 1
                read *= wrong if (outcome >> bit & 1) != (state >> wire & 1) else 1 - wrong
            result[outcome] += read * probability
    return result


def noisy_gram(noisy: NoisyCircuit, X: Array, Y: Array | None = None) -> Array:
    """Return the probability of reading only zeros of every circuit, (n, m), one circuit after another.

    With Y=None circuit (i, j), i <= j, has row i first, and the result is mirrored.

    Examples
    --------
    >>> program = Program(1, 1, (Gate("ry", (0,), (Linear(1.0, 0),)),))
    >>> gate, silence = np.array([[0, 0, -1, -1]], np.int32), (np.ones((0, 4, 4)), np.ones((0, 16)))
    >>> parts = tuple(NoisyProgram(part, gate, *silence) for part in (program, program.inverse()))
    >>> noisy_gram(NoisyCircuit(parts, np.array([[1.0, 0.0, 0.0, 1.0]]), np.zeros((1, 2)), (0,)), np.array([[0.0], [np.pi]])).round(6)
    array([[1., 0.],
           [0., 1.]])
    """
    x = np.asarray(X, np.float64)
    y = x if Y is None else np.asarray(Y, np.float64)
    out = np.array([[noisy_probabilities(noisy, (a, b))[0] for b in y] for a in x])
    return np.asarray(np.triu(out) + np.triu(out, 1).T) if Y is None else out


def noisy_projected_gram(circuits: tuple[NoisyCircuit, ...], gamma: float, X: Array, Y: Array | None = None) -> Array:
    """Return the projected kernel of what circuits that end in the axes x, y and z read of every qubit, (n, m).

    Examples
    --------
    >>> gates = (Gate("rx", (0,), (Linear(1.0, 0),)),)
    >>> turns = ((Gate("h", (0,)),), (Gate("sdg", (0,)), Gate("h", (0,))), ())
    >>> programs = [Program(1, 1, (*gates, *turn)) for turn in turns]
    >>> rows = [np.array([[0, k, -1, -1] for k in range(len(program.gates))], np.int32) for program in programs]
    >>> parts = [NoisyProgram(program, row, np.ones((0, 4, 4)), np.ones((0, 16))) for program, row in zip(programs, rows)]
    >>> circuits = tuple(NoisyCircuit((part,), np.array([[1.0, 0.0, 0.0, 1.0]]), np.zeros((1, 2)), (0,)) for part in parts)
    >>> noisy_projected_gram(circuits, 0.5, np.array([[0.0], [np.pi]])).round(6)  # exp(-0.25 2^2)
    array([[1.      , 0.367879],
           [0.367879, 1.      ]])
    """

    def bloch(row: Array) -> Array:
        read = [noisy_probabilities(circuit, (row,)) for circuit in circuits]
        bits = range(len(circuits[0].measured))
        return np.array([[sum(p * (-1.0) ** (o >> bit & 1) for o, p in enumerate(each)) for bit in bits] for each in read])

    left = [bloch(row) for row in np.asarray(X, np.float64)]
    right = left if Y is None else [bloch(row) for row in np.asarray(Y, np.float64)]
    return np.array([[np.exp(-gamma / 2 * ((a - b) ** 2).sum()) for b in right] for a in left])
