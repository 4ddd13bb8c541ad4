# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Noisy lines as matrix products: equal to dense density matrices where those fit, and to what is known at any width."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import flashket as fk
from flashket.errors import InputError
from flashket.noise.channels import PAULIS
from flashket.noise.exact import gram
from flashket.noise.line import zero_probability
from flashket.noise.lower import lower
from flashket.noise.program import GATE, PAIR_CHANNEL, NoisyCircuit, NoisyProgram
from flashket.program import Gate, Linear, Program
from flashket.qpu import compile_pair, load_profile
from flashket.reference import gate_matrix


def dense(noisy, rows):
    """The probability of zeros from the density matrix, one operation after the other."""
    n = len(noisy.start)
    rho = np.ones((1, 1), complex)
    for wire in range(n):  # wire 0 is the least significant bit
        rho = np.kron(np.einsum("p,pij->ij", noisy.start[wire], PAULIS) / 2, rho)

    def embedded(matrix, wires):
        full = np.zeros((2**n, 2**n), complex)
        for column in range(2**n):
            small = sum(((column >> wire) & 1) << (len(wires) - 1 - k) for k, wire in enumerate(wires))
            for out in range(2 ** len(wires)):
                row = column
                for k, wire in enumerate(wires):
                    bit = (out >> (len(wires) - 1 - k)) & 1
                    row = (row & ~(1 << wire)) | (bit << wire)
                full[row, column] += matrix[out, small]
        return full

    for part, row in zip(noisy.parts, rows, strict=True):
        program = part.program.bind(row)
        for kind, index, first, second in part.operations.tolist():
            if kind == GATE:
                gate = program.gates[index]
                unitary = embedded(gate_matrix(gate.name, math.prod(factor.offset for factor in gate.angle)), gate.qubits)
                rho = unitary @ rho @ unitary.conj().T
                continue
            wires = (first, second) if kind == PAIR_CHANNEL else (first,)
            ptm = np.diag(part.pair_channels[index]) if kind == PAIR_CHANNEL else part.channels[index]
            small = [PAULIS[k % 4] if len(wires) == 1 else np.kron(PAULIS[k % 4], PAULIS[k // 4]) for k in range(4 ** len(wires))]
            strings = [embedded(matrix, wires) for matrix in small]
            # (1/4^k) sum_s S (P_b rho) S is Tr_wires(P_b rho) / 2^k on the rest, times the identity on the wires.
            rest = [sum(s @ string @ rho @ s for s in strings) / len(strings) for string in strings]
            rho = sum(ptm[a, b] * strings[a] @ rest[b] for a in range(len(strings)) for b in range(len(strings)) if ptm[a, b])
    weights = np.ones(2**n)
    for outcome in range(2**n):
        for wire, (p10, p01) in zip(noisy.measured, noisy.readout, strict=True):
            weights[outcome] *= p01 if (outcome >> wire) & 1 else 1 - p10
    return float(weights @ np.diag(rho).real)


@pytest.mark.parametrize("name", ["ibm_torino", "ibm_miami", "google_weber", "quantinuum_h2-1"])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_equals_density_matrices(name, n):
    rng = np.random.default_rng(n)
    maps = [fk.ZZ(n, reps=1, entanglement="linear"), fk.IQP(n, reps=2, entanglement="linear"), fk.HardwareEfficient(n, layers=2)]
    for feature_map in maps:
        noisy = lower(compile_pair(feature_map.program(), load_profile(name)))
        x, y = rng.uniform(-3, 3, (2, n))
        assert zero_probability(noisy, x, y) == pytest.approx(dense(noisy, (x, y)), abs=1e-12)


def test_equals_the_compiled_simulation():
    program = fk.ZZ(5, reps=2, entanglement="linear").program()
    noisy = lower(compile_pair(program, load_profile("ibm_fez")))
    rows = np.random.default_rng(1).uniform(-3, 3, (3, 5))
    values = gram(noisy, rows, rows[:2])
    for i, j in ((0, 0), (1, 0), (2, 1)):
        assert zero_probability(noisy, rows[i], rows[j]) == pytest.approx(values[i, j], abs=1e-12)


def test_without_noise_it_is_the_kernel():
    n = 20
    program = fk.IQP(n, entanglement="linear").program()
    noiseless = NoisyProgram(program, _gates_only(program), np.zeros((0, 4, 4)), np.zeros((0, 16)))
    back = program.inverse()
    halves = (noiseless, replace(noiseless, program=back, operations=_gates_only(back)))
    start = np.tile([1.0, 0.0, 0.0, 1.0], (n, 1))
    noisy = NoisyCircuit(halves, start, np.zeros((n, 2)), tuple(range(n)))
    x, y = np.random.default_rng(0).uniform(0, 0.5, (2, n))
    kernel = fk.Fidelity(fk.IQP(n, entanglement="linear"))
    assert zero_probability(noisy, x, y) == pytest.approx(kernel(x[None], y[None])[0, 0], abs=1e-12)
    assert zero_probability(noisy, x, x) == pytest.approx(1.0, abs=1e-12)
    # Wires that are not read are traced out, and readout errors act one by one.
    flips = replace(noisy, readout=np.full((n, 2), 0.1))
    assert zero_probability(flips, x, x) == pytest.approx(0.9**n, abs=1e-12)
    assert zero_probability(replace(noisy, measured=(), readout=np.zeros((0, 2))), x, y) == pytest.approx(1.0, abs=1e-12)


def _gates_only(program):
    rows = [(GATE, index, -1, -1) for index in range(len(program.gates))]
    return np.array(rows, np.int32).reshape(-1, 4)


def test_wires_may_come_in_any_order():
    order = (2, 0, 3, 1)
    gates = [Gate("h", (wire,)) for wire in order]
    for a, b in pairwise(order):
        gates += [Gate("cx", (b, a)), Gate("ry", (a,), (Linear(1.0, 0),))]
    program = Program(4, 1, tuple(gates))
    channel = np.diag([1.0, 0.9, 0.9, 0.95])
    channel[3, 0] = 0.05
    pair = np.linspace(1.0, 0.8, 16)
    rows = [*_gates_only(program).tolist(), (1, 0, 2, -1), (2, 0, 1, 3), (2, 0, 0, 2)]
    part = NoisyProgram(program, np.array(rows, np.int32), channel[None], pair[None])
    noisy = NoisyCircuit((part,), np.tile([1.0, 0.0, 0.0, 0.98], (4, 1)), np.array([[0.02, 0.05]] * 3), (3, 0, 1))
    assert zero_probability(noisy, [0.7]) == pytest.approx(dense(noisy, ([0.7],)), abs=1e-12)


def test_bad_input():
    program = fk.IQP(3).program()  # all pairs: a triangle
    part = NoisyProgram(program, _gates_only(program), np.zeros((0, 4, 4)), np.zeros((0, 16)))
    noisy = NoisyCircuit((part,), np.tile([1.0, 0.0, 0.0, 1.0], (3, 1)), np.zeros((3, 2)), (0, 1, 2))
    with pytest.raises(InputError, match="lines of wires"):
        zero_probability(noisy, [0.0, 0.0, 0.0])
    with pytest.raises(InputError, match="need rows"):
        zero_probability(noisy)
    with pytest.raises(InputError, match="each of 1 parts"):
        zero_probability(noisy, [0.0] * 3, [0.0] * 3)
