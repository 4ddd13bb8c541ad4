# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Compilation by Qiskit: the same states, the device's gates, and a count to hold our own compiler against."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flashket as fk
from flashket import reference
from flashket.noise.exact import probabilities
from flashket.noise.lower import lower
from flashket.program import Program
from flashket.qpu import MeasuredCircuit, NativeCircuit, compile_circuit, compile_pair, load_profile

pytest.importorskip("qiskit", reason="no qiskit")

DEVICES = ["ibm_torino", "ibm_sherbrooke", "quantinuum_h2-1", "iqm_garnet"]
MAPS = [fk.ZZ(4, reps=1, entanglement="linear"), fk.IQP(4), fk.HardwareEfficient(4)]


def outcome(native: NativeCircuit, x: np.ndarray) -> np.ndarray:
    """Probabilities of the measured wires without noise."""
    gates = tuple(gate for part in native.parts for gate in part.program.gates)
    n = len(native.qubits)
    state = reference.run_program(Program(n, len(x), gates), x[None])[0]
    kept = [n - 1 - wire for wire in reversed(native.measured)]
    others = tuple(axis for axis in range(n) if axis not in kept)
    table = np.abs(state.reshape((2,) * n)) ** 2
    left = [axis for axis in range(n) if axis not in others]
    return table.sum(axis=others).transpose([left.index(axis) for axis in kept]).reshape(-1)


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("feature_map", MAPS, ids=str)
def test_same_outcomes_as_the_circuit(name: str, feature_map: fk.feature_maps.FeatureMap) -> None:
    profile, program = load_profile(name), feature_map.program()
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, program.n_features))
    wires = tuple(range(program.n_qubits))
    native = compile_pair(program, profile, compiler="qiskit")
    assert outcome(native, x)[0] == pytest.approx(1, abs=1e-9)
    circuit = MeasuredCircuit((program.bind(x), program.bind(y).inverse()), wires)
    theirs = compile_circuit(circuit, profile, compiler="qiskit")
    gates = tuple(gate for part in circuit.parts for gate in part.gates)
    wanted = np.abs(reference.run_program(Program(program.n_qubits, 0, gates), np.zeros((1, 0)))[0]) ** 2
    np.testing.assert_allclose(outcome(theirs, np.zeros(0)), wanted, atol=1e-9)
    ours = compile_circuit(circuit, profile)
    # Where nothing must be routed both find the same number of two-qubit gates; elsewhere ours is no worse.
    assert ours.n_two_qubit <= theirs.n_two_qubit
    for gate, pulses in zip(theirs.parts[0].program.gates, theirs.parts[0].pulses, strict=True):
        assert gate.name in ("rz", "rx", "ry", "cz", "cx", "rzz")
        assert pulses <= 1
    assert math.isnan(theirs.duration) == math.isnan(ours.duration)
    assert probabilities(lower(theirs)).sum() == pytest.approx(1)


def test_a_layout_is_kept() -> None:
    native = compile_pair(
        fk.ZZ(3, reps=1, entanglement="linear").program(), load_profile("ibm_torino"), layout=(4, 3, 2), compiler="qiskit"
    )
    assert (native.qubits, native.measured) == ((4, 3, 2), (0, 1, 2))


def test_no_basis_change_is_said() -> None:
    with pytest.raises(fk.BackendUnavailable, match="iSWAP"):
        compile_pair(MAPS[0].program(), load_profile("google_weber"), compiler="qiskit")
