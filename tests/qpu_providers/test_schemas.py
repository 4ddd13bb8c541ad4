# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Requests to IonQ, IQM and Quantinuum, checked by the providers' own packages."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from flashket.errors import BackendUnavailable, InputError
from flashket.program import Gate, Linear, Program
from flashket.qpu import Batch, MeasuredCircuit, load_profile, open_adapter
from ionq_service import matrix
from measured import FLIP, probabilities, random_circuit

HALF = Program(3, 0, (Gate("h", (0,)), Gate("cx", (0, 1)), Gate("cx", (1, 2))))
ECHO = MeasuredCircuit((HALF, HALF.inverse()), (2, 0, 1))


@pytest.mark.needs("ionq-core")
@pytest.mark.parametrize("target", ["simulator", "qpu.forte-1"])
def test_ionq_requests_fit_the_models_of_their_interface(target):
    from ionq_core.models import CircuitJobCreationPayload, JSONMultiCircuitJob

    device = open_adapter(f"ionq:{target}")
    for batch, model in (
        (Batch((random_circuit(1),), (500,), seed=1), CircuitJobCreationPayload),
        (Batch((FLIP, random_circuit(2), ECHO), (500,) * 3), JSONMultiCircuitJob),
    ):
        body = json.loads(json.dumps(device.request(batch, "token-1")))
        # The models drop what they do not know and refuse what they cannot read: the same comes back.
        assert model.from_dict(body).to_dict() == body


@pytest.mark.needs("ionq-core")
def test_native_gates_are_the_documented_matrices():
    from ionq_core import gpi2_matrix, gpi_matrix, zz_matrix

    for turns in (0.0, 0.1, 0.37, 0.9):
        np.testing.assert_allclose(matrix({"gate": "gpi", "phase": turns}), gpi_matrix(turns), atol=1e-14)
        np.testing.assert_allclose(matrix({"gate": "gpi2", "phase": turns}), gpi2_matrix(turns), atol=1e-14)
        np.testing.assert_allclose(matrix({"gate": "zz", "angle": turns / 4}), zz_matrix(turns / 4), atol=1e-14)


@pytest.mark.needs("qiskit-ionq")
def test_ionq_gates_are_those_of_qiskit_ionq():
    """The same circuit through their converter has the same gates in the same words."""
    from qiskit import QuantumCircuit
    from qiskit_ionq.helpers import qiskit_circ_to_ionq_circ

    names = {"sdg": "sdg", "tdg": "tdg", "cx": "cx", "rzz": "rzz", "rxx": "rxx", "ryy": "ryy"}
    gates, theirs = [], QuantumCircuit(2)
    for name in ("h", "x", "y", "z", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "cx", "swap", "rzz", "rxx", "ryy"):
        qubits = (0, 1) if name in ("cx", "swap", "rzz", "rxx", "ryy") else (1,)
        angle = (0.3,) if name.startswith("r") else ()
        gates.append(Gate(name, qubits, tuple(Linear(0.0, -1, one) for one in angle)))
        getattr(theirs, names.get(name, name))(*angle, *qubits)
    device = open_adapter("ionq:simulator")
    ours = device.request(Batch((MeasuredCircuit((Program(2, 0, tuple(gates)),), (0, 1)),), (10,)), "token")["input"]["circuit"]

    def plain(gate: dict[str, Any]) -> tuple[Any, ...]:
        # They write a cnot as x with controls; both are documented.
        targets = gate.get("targets", [gate.get("target")])
        controls = gate.get("controls", [gate["control"]] if "control" in gate else [])
        name = "x" if gate["gate"] == "cnot" else gate["gate"]
        return name, tuple(targets), tuple(controls), gate.get("rotation")

    assert [plain(gate) for gate in ours] == [plain(gate) for gate in qiskit_circ_to_ionq_circ(theirs)[0]]


def _iqm_probabilities(circuit: Any, measured: int) -> np.ndarray:
    """Return the probabilities of an IQM circuit's outcomes, from prx and cz as iqm-client documents them."""
    names = sorted(circuit.all_locus_components())
    gates: list[Gate] = []
    for step in circuit.instructions:
        wires = tuple(names.index(name) for name in step.locus)
        if step.name == "prx":
            angle, phase = step.args["angle"], step.args["phase"]
            for gate, value in (("rz", -phase), ("rx", angle), ("rz", phase)):
                gates.append(Gate(gate, wires, (Linear(0.0, -1, value),)))
        elif step.name == "cz":
            gates.append(Gate("cz", wires))
        elif step.name == "measure":
            assert len(wires) == measured
            order = wires
    return probabilities(MeasuredCircuit((Program(len(names), 0, tuple(gates)),), order))


@pytest.mark.needs("iqm-client")
def test_iqm_requests_fit_the_models_and_the_architecture():
    from iqm.iqm_client.models import validate_circuit
    from iqm.iqm_client.validation import validate_circuit_instructions
    from iqm.station_control.interface.models import CircuitJobDefinition, DynamicQuantumArchitecture

    from flashket.qpu.adapters.iqm import architecture_profile

    garnet = load_profile("iqm_garnet")
    names = [f"QB{index + 1}" for index in range(garnet.n_qubits)]

    def info(loci: list[tuple[str, ...]]) -> dict[str, Any]:
        return {"implementations": {"one": {"loci": loci}}, "default_implementation": "one", "override_default_implementation": {}}

    pairs = [(names[a], names[b]) for a, b in garnet.edges]
    architecture = DynamicQuantumArchitecture(
        calibration_set_id=uuid4(),
        qubits=names,
        computational_resonators=[],
        gates={"prx": info([(name,) for name in names]), "cz": info(pairs), "measure": info([(name,) for name in names])},
    )
    device, found = architecture_profile(architecture, "iqm_garnet")
    assert found == names
    assert device is garnet
    adapter = open_adapter("iqm:garnet")
    circuits = [FLIP, random_circuit(1), random_circuit(2, 4, (3, 1)), ECHO]
    made = adapter.circuits(Batch(tuple(circuits), (100,) * 4), "token-1", device, names)
    for one in made:
        validate_circuit(one)
    validate_circuit_instructions(architecture, made)
    definition = CircuitJobDefinition(circuits=made, shots=100)
    assert CircuitJobDefinition.model_validate_json(definition.model_dump_json()).shots == 100
    for one, circuit in zip(made, circuits, strict=True):
        np.testing.assert_allclose(_iqm_probabilities(one, len(circuit.measured)), probabilities(circuit), atol=1e-9)
        assert one.metadata["flashket_token"] == "token-1"
    (alone,) = adapter.circuits(Batch((ECHO,), (100,)), "token-2", device, names)  # on a layout of its own, which needs no SWAPs
    steps = [step.name for step in alone.instructions]
    assert steps.count("cz") == 4, "U was cancelled against its inverse"
    assert steps.index("barrier") > steps.index("cz")


@pytest.mark.needs("iqm-client")
def test_iqm_architectures_without_couplers_are_refused():
    from types import SimpleNamespace

    from flashket.qpu.adapters.iqm import architecture_profile

    star = SimpleNamespace(qubits=["QB1", "QB2"], gates={"cz": SimpleNamespace(loci=[("QB1", "COMP_R"), ("QB2", "COMP_R")])})
    with pytest.raises(BackendUnavailable, match="resonator"):
        architecture_profile(star, "iqm_deneb")
    pair = SimpleNamespace(qubits=["QB10", "QB2", "QB1"], gates={"cz": SimpleNamespace(loci=[("QB2", "QB10"), ("QB1", "QB2")])})
    device, names = architecture_profile(pair, "iqm_unknown")
    assert names == ["QB1", "QB2", "QB10"]
    assert device.edges == ((0, 1), (1, 2))


@pytest.mark.needs("iqm-client")
def test_iqm_without_credentials_sends_nothing():
    device = open_adapter("iqm:garnet")
    assert device.is_remote
    assert device.estimate(Batch((FLIP,), (1000,))).usd_worst > 0
    with pytest.raises(BackendUnavailable, match="IQM_TOKEN"):
        device.submit(Batch((FLIP,), (10,)), "token")
    with pytest.raises(InputError, match="https"):
        open_adapter("iqm:http://example.org")


@pytest.mark.needs("pytket-quantinuum")
def test_quantinuum_circuits_satisfy_the_machine():
    from pytket.circuit import OpType

    from flashket.qpu.adapters.quantinuum import _Compiler, tket_circuit

    compiler = _Compiler("H2-1", "test")
    for circuit in (FLIP, random_circuit(1), random_circuit(2, 4, (3, 1)), ECHO):
        made = compiler.compiled(circuit)
        assert compiler.backend.valid_circuit(made)
        bare = tket_circuit(MeasuredCircuit(circuit.parts, circuit.measured))
        unitary = _without_measurements(bare).get_unitary() if bare.n_qubits < 4 else None
        if unitary is not None:
            # pytket's first qubit is the most significant.
            n = circuit.n_qubits
            weights = np.abs(unitary[:, 0]) ** 2
            ours = probabilities(MeasuredCircuit(circuit.parts, tuple(range(n))))
            np.testing.assert_allclose([weights[int(f"{i:0{n}b}"[::-1], 2)] for i in range(2**n)], ours, atol=1e-10)
    made = compiler.compiled(ECHO)
    assert made.n_gates_of_type(OpType.ZZPhase) == 4, "U was cancelled against its inverse"


def _without_measurements(circuit: Any) -> Any:
    from pytket.circuit import Circuit, OpType

    made = Circuit(circuit.n_qubits)
    for command in circuit.get_commands():
        if command.op.type not in (OpType.Measure, OpType.Barrier):
            made.add_gate(command.op, [qubit.index[0] for qubit in command.qubits])
    return made


@pytest.mark.needs("pytket-quantinuum", "qnexus")
def test_quantinuum_requests_fit_the_models_of_nexus():
    from quantinuum_schemas.models.backend_config import QuantinuumConfig

    device = open_adapter("quantinuum:H2-2")
    batch = Batch((FLIP, random_circuit(1)), (100, 50))
    request = device.request(batch, "token-1")
    assert isinstance(request["backend_config"], QuantinuumConfig)
    document = request["backend_config"].model_dump_json()
    assert QuantinuumConfig.model_validate_json(document).device_name == "H2-2"
    assert request["n_shots"] == [100, 50]
    assert request["name"] == "flashket-token-1"
    cost = device.estimate(batch)
    # What the service may charge at most is what a budget reserves, at 12.50 USD a credit.
    assert cost.hqc <= sum(request["max_cost"]) == pytest.approx(cost.usd_worst / 12.5)
    with pytest.raises(BackendUnavailable, match=r"qnexus\.login"):
        device.submit(batch, "token-1")


@pytest.mark.needs("pytket-quantinuum")
def test_quantinuum_names():
    with pytest.raises(InputError, match="H2-1"):
        open_adapter("quantinuum:Z9-1")
