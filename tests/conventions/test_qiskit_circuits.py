# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits of the real Qiskit as feature maps: its objects, and what it writes as OpenQASM 2 and 3. Global phases count."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit, QuantumRegister, qasm2, qasm3, transpile
from qiskit.circuit import Gate as QiskitGate
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import efficient_su2, pauli_feature_map, real_amplitudes, standard_gates, zz_feature_map
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector

import flashket as fk
from flashket.circuits.gates import ALIASES, RULES, known_gate

ATOL = 1e-12


def states_of(program: fk.Program, x: Any) -> Any:
    return fk.states(x, feature_map=fk.Circuit(program))


def qiskit_states(circuit: QuantumCircuit, x: Any, parameters: Any = None) -> Any:
    """Return (rows, 2**n) amplitudes; both sides count qubit 0 as the lowest bit."""
    entries = circuit.parameters if parameters is None else parameters
    names = [name for entry in entries for name in (entry if isinstance(entry, ParameterVector) else [entry])]
    bound = [circuit.assign_parameters(dict(zip(names, row, strict=True)), strict=False) for row in x]
    return np.array([Statevector(one).data for one in bound])


def check_up_to_phase(got: Any, wanted: Any, atol: float) -> None:
    """Qiskit's OpenQASM leaves global phases out, those of the rows' angles too."""
    overlaps = np.sum(np.conj(got) * wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(overlaps), 1, rtol=0, atol=atol)
    np.testing.assert_allclose(got * overlaps, wanted, rtol=0, atol=atol)


def check(circuit: QuantumCircuit, seed: int = 0, parameters: Any = None, atol: float = ATOL) -> fk.Program:
    program = fk.Program.from_qiskit(circuit, parameters)
    x = np.random.default_rng(seed).uniform(-math.pi, math.pi, (3, program.n_features))
    np.testing.assert_allclose(states_of(program, x), qiskit_states(circuit, x, parameters), rtol=0, atol=atol)
    return program


def standard() -> list[type]:
    """Return Qiskit's gate classes that can be made from angles alone."""
    classes = [value for value in vars(standard_gates).values() if inspect.isclass(value) and issubclass(value, QiskitGate)]
    found = []
    for gate_class in classes:
        required = [
            parameter
            for name, parameter in inspect.signature(gate_class.__init__).parameters.items()
            if name != "self" and parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        if gate_class.__name__ not in ("MCXGate", "MCPhaseGate", "MCU1Gate", "MCXGrayCode", "MCXRecursive", "MCXVChain", "GlobalPhaseGate"):
            found.append((gate_class, len(required)))
    return found


@pytest.mark.parametrize(("gate_class", "n_angles"), standard(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_every_standard_gate(gate_class: Any, n_angles: int) -> None:
    """On a random state, with affine angles of parameters and with numbers."""
    x = ParameterVector("x", 2)
    gate = gate_class(*[(0.7 - k) * x[k % 2] + 0.3 * k for k in range(n_angles)])
    rng = np.random.default_rng(len(gate.name))
    circuit = QuantumCircuit(gate.num_qubits + 1)
    for qubit in range(circuit.num_qubits):
        circuit.u(*rng.uniform(0, 6, 3), qubit)
    for qubit in range(circuit.num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.append(gate, [int(qubit) for qubit in rng.permutation(circuit.num_qubits)[: gate.num_qubits]])
    check(circuit, parameters=[x])


def test_the_table_knows_the_same_gates_as_qiskit() -> None:
    """Names, numbers of angles and of qubits agree wherever both have a gate."""
    made = {gate.name: gate for gate in (gate_class(*[0.1] * n_angles) for gate_class, n_angles in standard())}
    shared = {name for name in {**RULES, **ALIASES} if name in made} | {"rx", "cx", "crz", "rzz"}
    assert len(shared) > 25
    for name in shared:
        assert known_gate(name) == (len(made[name].params), made[name].num_qubits), name


@pytest.mark.parametrize(
    "make",
    [
        lambda: zz_feature_map(4),
        lambda: zz_feature_map(3, reps=1, entanglement="linear"),
        lambda: efficient_su2(3, reps=2),
        lambda: efficient_su2(3, su2_gates=["rx", "y"], entanglement="circular"),
        lambda: real_amplitudes(4, reps=2, entanglement="reverse_linear"),
        lambda: pauli_feature_map(3, reps=1, paulis=["Z", "YY"]),
        lambda: pauli_feature_map(3, reps=2, paulis=["Z", "XX", "YZ"], alpha=1.3),
    ],
)
def test_library_circuits(make: Any) -> None:
    check(make())


def test_zz_is_the_same_map_read_or_written() -> None:
    """Not only equal states: the same gates, so the same fast path."""
    read = fk.Program.from_qiskit(zz_feature_map(3, reps=2))
    own = fk.ZZ(3).program()
    assert [(gate.name, gate.qubits, len(gate.angle)) for gate in read.gates] == [
        (gate.name, gate.qubits, len(gate.angle)) for gate in own.gates
    ]


def test_products_of_three_are_refused() -> None:
    with pytest.raises(fk.InputError, match="polynomials of degree two"):
        fk.Program.from_qiskit(pauli_feature_map(3, reps=1, paulis=["ZZZ"]))


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits(seed: int) -> None:
    circuit = random_circuit(4, 6, max_operands=4, seed=seed)
    circuit.global_phase = 0.1 * seed
    check(circuit, atol=1e-10)  # multi-controlled gates are decomposed by Qiskit, to about 1e-11


def test_global_phase_definitions_and_names() -> None:
    a, b = Parameter("a"), Parameter("b")
    inner = QuantumCircuit(2, global_phase=2 * b - 0.3, name="h")  # called as a standard gate is, and it is another
    inner.ry(a * b, 0)
    inner.cx(0, 1)
    circuit = QuantumCircuit(3, global_phase=a)
    circuit.append(inner.to_gate(), [2, 0])
    circuit.h(1)
    circuit.cx(0, 2, ctrl_state=0)
    circuit.barrier()
    program = check(circuit)
    assert program.n_features == 2
    check(circuit, parameters=[b, a])
    check(circuit.decompose())


def test_order_of_features_is_that_of_the_parameters() -> None:
    a, b, x = Parameter("a"), Parameter("b"), ParameterVector("x", 12)
    circuit = QuantumCircuit(1)
    circuit.rx(b, 0)
    circuit.rz(a, 0)
    for parameters, order in ((None, [1, 0]), ([b, a], [0, 1]), ([x, b, a], [12, 13]), ((Parameter("c"), a, b), [2, 1])):
        gates = fk.Program.from_qiskit(circuit, parameters).gates
        assert [gate.angle[0].feature for gate in gates] == order
    vector = QuantumCircuit(1)
    vector.rx(x[10], 0)  # x[10] comes after x[2], not before
    vector.rz(x[2], 0)
    assert [gate.angle[0].feature for gate in fk.Program.from_qiskit(vector).gates] == [1, 0]
    assert [gate.angle[0].feature for gate in fk.Program.from_qiskit(vector, x).gates] == [10, 2]
    single = QuantumCircuit(1)
    single.rx(a, 0)
    assert fk.Program.from_qiskit(single, a).n_features == 1


def test_controlled_and_inverted_circuits() -> None:
    circuit = zz_feature_map(2, reps=1)
    outer = QuantumCircuit(3)
    outer.h(2)
    outer.append(circuit.to_gate().inverse(), [1, 0])
    check(outer)
    bound = circuit.assign_parameters([0.3, 1.1])
    controlled = QuantumCircuit(3)
    controlled.h(2)
    controlled.append(bound.to_gate().control(1), [2, 0, 1])
    check(controlled, atol=1e-10)


@pytest.mark.parametrize(
    "angle",
    [
        lambda x, y: 2 * (math.pi - x) * (math.pi - y),
        lambda x, y: -(x - 1) * (x + 2) / 3,
        lambda x, y: x * x,
        lambda x, y: (x - 0.5) ** 2,
        lambda x, y: x + 2 * y - 1,
        lambda x, y: (x + y) * (x - y) + 0.25,
        lambda x, y: x * y - y * x + 0.5 * x,
    ],
)
def test_polynomials_are_recovered(angle: Any) -> None:
    x, y = Parameter("x"), Parameter("y")
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.rz(angle(x, y), 0)
    circuit.rx(angle(y, x) * 0.5, 0)
    check(circuit, parameters=[x, y])


@pytest.mark.parametrize(
    "angle",
    [
        lambda x: x.sin(),
        lambda x: x**3,
        lambda x: 1 / x,
        lambda x: x.exp(),
        lambda x: abs(x),
        lambda x: x.sign(),
        lambda x: x**0.5,
        lambda x: x + 1e-3 * x.cos(),
        lambda x: (x * 1e8).sin() * 1e-9 + x,
        lambda x: x.arctan(),
        lambda x: (1 + x * x).log(),
    ],
)
def test_other_functions_are_refused(angle: Any) -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(angle(Parameter("x")), 0)
    with pytest.raises(fk.InputError, match=r"\[Program.from_qiskit\] angles must be real polynomials of degree two .*got rx\("):
        fk.Program.from_qiskit(circuit)


def measured(after: bool) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    if after:
        circuit.cx(0, 1)
    return circuit


def reset_late() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.reset(0)
    return circuit


def branching() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    return circuit


def test_measurements_at_the_end_are_dropped() -> None:
    assert [gate.name for gate in fk.Program.from_qiskit(measured(False)).gates] == ["h"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fk.Program.from_qiskit(measured(True)), r"qubit 0 must have no gates after its measurement, got cx"),
        (lambda: fk.Program.from_qiskit(reset_late()), r"qubit 0 may be reset only before its first gate"),
        (lambda: fk.Program.from_qiskit(branching()), r"must have no classical control, got if_else"),
        (lambda: fk.Program.from_qiskit("h q;"), r"circuit must be a qiskit.QuantumCircuit, got str"),
        (lambda: fk.Program.from_qiskit(QuantumCircuit()), r"at least one qubit"),
        (lambda: fk.Program.from_qiskit(zz_feature_map(2), [Parameter("z")]), r"parameters must hold all of the circuit's"),
        (lambda: fk.Program.from_qiskit(zz_feature_map(2), ["x"]), r"parameters must be Qiskit's"),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(fk.InputError, match=message):
        make()


@pytest.mark.parametrize("seed", range(6))
def test_qasm2_of_qiskit(seed: int) -> None:
    registers = QuantumRegister(2, "first"), QuantumRegister(2, "second")
    circuit = QuantumCircuit(*registers)
    circuit.compose(random_circuit(4, 5, max_operands=3, seed=seed), inplace=True)
    program = fk.Program.from_qasm(qasm2.dumps(circuit))
    check_up_to_phase(states_of(program, np.zeros((1, 0))), Statevector(circuit).data[None], 1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_qasm3_of_qiskit(seed: int) -> None:
    circuit = random_circuit(3, 5, max_operands=3, seed=seed)
    program = fk.Program.from_qasm(qasm3.dumps(circuit))
    check_up_to_phase(states_of(program, np.zeros((1, 0))), Statevector(circuit).data[None], 1e-10)


@pytest.mark.parametrize("make", [lambda: zz_feature_map(3), lambda: efficient_su2(2, reps=1), lambda: pauli_feature_map(2, paulis=["YY"])])
def test_parametrised_qasm3_of_qiskit(make: Any) -> None:
    """Its inputs are the circuit's parameters in their order."""
    circuit = make()
    program = fk.Program.from_qasm(qasm3.dumps(circuit))
    x = np.random.default_rng(1).uniform(-3, 3, (3, program.n_features))
    check_up_to_phase(states_of(program, x), qiskit_states(circuit, x), ATOL)


def test_transpiled_circuits_with_physical_qubits() -> None:
    circuit = transpile(zz_feature_map(3), basis_gates=["rz", "sx", "x", "cx"], coupling_map=[[0, 1], [1, 2]], seed_transpiler=1)
    check(circuit, atol=1e-10)
    text = qasm3.dumps(circuit)
    assert "$0" in text
    x = np.random.default_rng(1).uniform(-3, 3, (3, 3))
    check_up_to_phase(states_of(fk.Program.from_qasm(text), x), qiskit_states(circuit, x), 1e-10)


@pytest.mark.parametrize("feature_map", [fk.ZZ(3), fk.IQP(3), fk.HardwareEfficient(3)])
def test_qiskit_reads_what_is_written(feature_map: Any) -> None:
    """The exchange with QPU backends: our text through Qiskit's own importer gives our states."""
    circuit = qasm3.loads(feature_map.program().to_qasm())
    x = np.random.default_rng(2).uniform(-3, 3, (3, 3))
    by_name = sorted(circuit.parameters, key=lambda parameter: int(parameter.name.removeprefix("x_")))
    np.testing.assert_allclose(fk.states(x, feature_map=feature_map), qiskit_states(circuit, x, by_name), rtol=0, atol=ATOL)
    check(circuit, parameters=by_name)
