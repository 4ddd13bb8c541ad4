# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Channels from their definitions, and the noise of native circuits."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flashket as fk
from flashket.noise import channels
from flashket.noise.exact import probabilities
from flashket.noise.lower import lower
from flashket.noise.program import CHANNEL, GATE, PAIR_CHANNEL
from flashket.program import Gate, Program
from flashket.qpu import MeasuredCircuit, compile_circuit, compile_pair, load_profile

chance = st.floats(0, 1)


def transfer(operators: list[np.ndarray]) -> np.ndarray:
    """R[a, b] = Tr(P_a sum_k K_k P_b K_k^dagger) / 2, from the definition."""
    out = np.empty((4, 4))
    for a, left in enumerate(channels.PAULIS):
        for b, right in enumerate(channels.PAULIS):
            out[a, b] = sum(np.trace(left @ k @ right @ k.conj().T) for k in operators).real / 2
    return out


@given(chance)
def test_channels_are_their_kraus_operators(p: float) -> None:
    one, two = math.sqrt(1 - p), math.sqrt(p)
    damping = [np.array([[1, 0], [0, one]]), np.array([[0, two], [0, 0]])]
    np.testing.assert_allclose(channels.amplitude_damping(p), transfer(damping), atol=1e-14)
    dephasing = [np.array([[1, 0], [0, one]]), np.array([[0, 0], [0, two]])]
    np.testing.assert_allclose(channels.phase_damping(p), transfer(dephasing), atol=1e-14)
    mixed = [math.sqrt(1 - p) * np.eye(2), *(math.sqrt(p / 4) * pauli for pauli in channels.PAULIS)]
    np.testing.assert_allclose(channels.depolarizing(p), transfer(mixed), atol=1e-14)


@given(st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
def test_pauli_channels(weights: list[float]) -> None:
    p = np.array(weights) / sum(weights)
    operators = [math.sqrt(value) * pauli for value, pauli in zip(p, channels.PAULIS, strict=True)]
    np.testing.assert_allclose(channels.pauli_channel(p[1:]), transfer(operators), atol=1e-14)
    pair = channels.pauli_channel(np.kron(p, [0.7, 0.1, 0.1, 0.1])[1:])
    assert pair.shape == (16,)
    # Independent errors: the factors multiply, the first qubit's digit is the lower one.
    first = np.diag(channels.pauli_channel([0.1, 0.1, 0.1]))
    np.testing.assert_allclose(pair, np.kron(np.diag(channels.pauli_channel(p[1:])), first), atol=1e-14)
    assert channels.is_cptp(pair)


@given(st.floats(1e-6, 1), st.floats(1e-6, 1), st.floats(0, 3))
def test_relaxation_composes_and_is_a_channel(t1: float, t2: float, time: float) -> None:
    whole = channels.thermal_relaxation(t1, t2, time)
    half = channels.thermal_relaxation(t1, t2, time / 2)
    np.testing.assert_allclose(half @ half, whole, atol=1e-13)
    assert channels.is_cptp(whole)
    operators = channels.kraus(whole)
    np.testing.assert_allclose(transfer(list(operators)), whole, atol=1e-12)
    np.testing.assert_allclose(sum(k.conj().T @ k for k in operators), np.eye(2), atol=1e-12)


def test_unknown_and_unphysical_times() -> None:
    np.testing.assert_array_equal(channels.thermal_relaxation(math.nan, math.nan, 1.0), np.eye(4))
    np.testing.assert_array_equal(channels.thermal_relaxation(1.0, 1.0, math.nan), np.eye(4))
    np.testing.assert_array_equal(channels.thermal_relaxation(1.0, 5.0, 1.0), channels.thermal_relaxation(1.0, 2.0, 1.0))
    np.testing.assert_array_equal(channels.thermal_relaxation(1.0, math.nan, 1.0), channels.amplitude_damping(1 - math.exp(-1)))
    for bad in ((0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, -1.0)):
        with pytest.raises(fk.InputError):
            channels.thermal_relaxation(*bad)


@pytest.mark.parametrize("n", [1, 2])
def test_gates_end_at_their_reported_error(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(20):
        relaxations = [channels.thermal_relaxation(*rng.uniform(50, 100, 2), rng.uniform(0, 2)) for _ in range(n)]
        error = rng.uniform(0.05, 0.3)
        p = channels.remaining_depolarizing(error, relaxations)
        if n == 1:
            whole = relaxations[0] @ channels.depolarizing(p)
        else:
            whole = np.kron(relaxations[1], relaxations[0]) @ np.diag(channels.pair_depolarizing(p))
        d = 2**n
        assert 1 - (d * np.trace(whole) / d**2 + 1) / (d + 1) == pytest.approx(error, abs=1e-14)
    assert channels.remaining_depolarizing(1e-9, relaxations) == 0
    assert channels.remaining_depolarizing(math.nan, relaxations) == 0
    # Errors beyond what any gate has are cut, and the channel stays one.
    worst = channels.remaining_depolarizing(1.0, relaxations)
    assert channels.is_cptp(channels.depolarizing(worst) if n == 1 else channels.pair_depolarizing(worst))


def test_bad_channels_are_refused() -> None:
    with pytest.raises(fk.InputError, match="positive"):
        channels.kraus(np.diag([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(fk.InputError, match=r"p must be in \[0, 1.333\]"):
        channels.depolarizing(1.4)
    with pytest.raises(fk.InputError):
        channels.pair_depolarizing(-0.1)
    for bad in ([0.5, 0.6, 0.0], [-0.1, 0.0, 0.0], [0.1]):
        with pytest.raises(fk.InputError, match="probabilities"):
            channels.pauli_channel(bad)
    assert not channels.is_cptp(np.eye(4) * 2)
    assert not channels.is_cptp(np.full((4, 4), np.nan))
    # Its probabilities are negative where it flips the sign of one string alone.
    assert not channels.is_cptp(np.concatenate([np.ones(15), [-1.0]]))


def test_every_gate_is_there_once_in_order() -> None:
    native = compile_pair(fk.IQP(4).program(), load_profile("ibm_torino"))
    noisy = lower(native)
    for part, compiled in zip(noisy.parts, native.parts, strict=True):
        assert part.operations[part.operations[:, 0] == GATE, 1].tolist() == list(range(len(compiled.pulses)))
        assert (part.operations[:, 0] == PAIR_CHANNEL).sum() == sum(gate.name == "cz" for gate in compiled.program.gates)
        assert all(map(channels.is_cptp, (*part.channels, *part.pair_channels)))
        assert part.operations[part.operations[:, 0] == CHANNEL, 1].max() < len(part.channels)
    assert len(lower(native, idle=False).parts[0].operations) < len(noisy.parts[0].operations)
    np.testing.assert_array_equal(noisy.readout[:, 0], [native.profile.readout_p10[q] for q in native.qubits])


def test_a_perfect_device_has_no_noise() -> None:
    profile = load_profile("ibm_torino")
    unknown = dict.fromkeys(("t1", "t2", "readout_p10", "readout_p01", "error_1q"), (math.nan,) * 133)
    profile = replace(profile, error_2q=(math.nan,) * len(profile.error_2q), **unknown)
    half = fk.ZZ(4, reps=1, entanglement="linear").program().bind([0.1, 0.2, 0.3, 0.4])
    noisy = lower(compile_circuit(MeasuredCircuit((half, half.inverse()), (0, 1, 2, 3)), profile))
    assert all((part.operations[:, 0] == GATE).all() for part in noisy.parts)
    assert probabilities(noisy)[0] == pytest.approx(1, abs=1e-12)


def test_memory_errors_of_ions_are_of_whole_layers() -> None:
    """Wire 2 sits out two layers of the first part; wires 0 and 1 the third; wire 3 is never touched."""
    profile = replace(load_profile("quantinuum_h2-1"), memory_error=0.01)
    gates = tuple(Gate("rzz", pair, ((0.0, -1, 0.3),)) for pair in ((0, 1), (0, 1), (1, 2)))  # type: ignore[arg-type]
    program = Program(4, 0, (Gate("h", (2,)), *gates))
    native = compile_circuit(MeasuredCircuit((program,), (0,)), profile)
    (part,) = lower(native).parts
    memory = {layers: 1 - (1 - 0.01) ** layers for layers in (1, 2)}
    found = []
    for kind, index, wire, _ in part.operations:
        for layers, p in memory.items():
            if kind == CHANNEL and np.allclose(part.channels[index], channels.depolarizing(p), atol=1e-12):
                found.append((int(wire), layers))
    assert found == [(2, 2), (0, 1)]
    (quiet,) = lower(native, idle=False).parts
    assert len(quiet.operations) == len(part.operations) - 2


def test_a_missing_compiler_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qiskit", None)
    with pytest.raises(fk.BackendUnavailable, match=r"pip install 'flashket\[ibm\]'"):
        compile_pair(fk.IQP(3).program(), load_profile("ibm_torino"), compiler="qiskit")


@pytest.mark.parametrize("module", ["noise.lower", "noise.line", "noise.exact", "noise.trajectories", "noise.model", "qpu", "qpu.compile"])
def test_modules_can_be_imported_first(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import flashket.{module}"], check=True)
