# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One contract for every adapter that runs on this machine: order of qubits and bits, all gates, seeds, shots."""

from __future__ import annotations

import numpy as np
import pytest

from flashket.errors import JobError
from flashket.program import Gate, Linear, Program
from flashket.qpu import Batch, MeasuredCircuit, open_adapter, wrap
from measured import FLIP, chi_square_is_fine, probabilities, random_circuit

IDEAL = [
    pytest.param("sim:ideal", id="sim"),
    pytest.param("aer:ideal", marks=pytest.mark.needs("qiskit-aer"), id="aer"),
    pytest.param("braket:local", marks=pytest.mark.needs("amazon-braket-sdk"), id="braket"),
    pytest.param("braket:local:dm", marks=pytest.mark.needs("amazon-braket-sdk"), id="braket-dm"),
    pytest.param("cirq:local", marks=pytest.mark.needs("cirq-core"), id="cirq"),
    pytest.param("cirq:local:dm", marks=pytest.mark.needs("cirq-core"), id="cirq-dm"),
    pytest.param("pennylane:default.qubit", marks=pytest.mark.needs("pennylane"), id="pennylane"),
    pytest.param("pennylane:lightning.qubit", marks=pytest.mark.needs("pennylane"), id="pennylane-lightning"),
    pytest.param("quantinuum:H2-1LE", marks=pytest.mark.needs("pytket-quantinuum", "pytket-pecos"), id="quantinuum"),
]
SLOW = {"quantinuum:H2-1LE": 2}
"""Circuits fewer than four, for simulators of a second and more a circuit."""


@pytest.mark.parametrize("name", IDEAL)
def test_order_of_qubits_and_bits(name):
    device = open_adapter(name)
    others = [MeasuredCircuit(FLIP.parts, measured) for measured in ((0,), (1, 0), (1, 2), (2, 1, 0))]
    for seed in (1, None):
        found = device.result(device.submit(Batch((FLIP, *others), (40, 10, 20, 30, 50), seed), f"token {seed}")).counts
        assert found == ({2: 40}, {1: 10}, {2: 20}, {0: 30}, {4: 50})


@pytest.mark.parametrize("name", IDEAL)
def test_all_gates(name):
    device = open_adapter(name)
    orders = [None, (2, 0), (1,), (0, 1, 2)]
    circuits = tuple(random_circuit(seed, 3, measured) for seed, measured in enumerate(orders))[: SLOW.get(name, 4)]
    shots = 1_000 if name in SLOW else 4_000
    # Without a seed too, as that may be another path.
    results = [device.result(device.submit(Batch(circuits, (shots,) * len(circuits), seed), f"token {seed}")) for seed in (3, None)]
    for counts, circuit in zip(results[0].counts + results[1].counts, circuits * 2, strict=True):
        assert sum(counts.values()) == shots
        assert chi_square_is_fine(counts, probabilities(circuit))


@pytest.mark.parametrize("name", IDEAL)
def test_every_gate_alone(name):
    """A phase that random circuits average away is seen where one gate stands between two bases."""
    from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE

    device, circuits = open_adapter(name), []
    for gate in OPCODES:
        angle = (Linear(0.0, -1, 0.7),) if gate in WITH_ANGLE else ()
        middle = Gate(gate, (1, 0) if gate in TWO_QUBIT else (1,), angle)
        turns = [Gate(turn, (q,), (Linear(0.0, -1, 0.6 + q),)) for turn in ("ry", "rz") for q in (0, 1)]
        circuits.append(MeasuredCircuit((Program(2, 0, (*turns, middle, *turns)),), (0, 1)))
    shots = 500 if name in SLOW else 2_000
    result = device.result(device.submit(Batch(tuple(circuits), (shots,) * len(circuits), seed=5), "token"))
    for counts, circuit in zip(result.counts, circuits, strict=True):
        assert chi_square_is_fine(counts, probabilities(circuit)), circuit


@pytest.mark.parametrize("name", IDEAL)
def test_equal_seeds_give_equal_counts(name):
    batch = Batch((random_circuit(1), random_circuit(2)), (300, 200), seed=11)
    first, second, other = open_adapter(name), open_adapter(name), open_adapter(name)
    counts = first.result(first.submit(batch, "a")).counts
    assert second.result(second.submit(batch, "b")).counts == counts
    assert other.result(other.submit(Batch(batch.circuits, batch.shots, seed=12), "c")).counts != counts


@pytest.mark.parametrize("name", IDEAL)
def test_no_cost_and_no_memory_of_other_processes(name):
    device = open_adapter(name)
    assert not device.is_remote
    cost = device.estimate(Batch((FLIP,), (10,)))
    assert (cost.usd_worst, cost.qpu_seconds_worst) == (0.0, 0.0)
    assert device.find("token") is None
    with pytest.raises(JobError, match="submit the batch again"):
        device.status("local-token")


def _qiskit():
    from qiskit.primitives import BackendSamplerV2, StatevectorSampler
    from qiskit.providers.basic_provider import BasicSimulator
    from qiskit_aer import AerSimulator
    from qiskit_aer.primitives import SamplerV2

    return [AerSimulator(), BasicSimulator(), StatevectorSampler(seed=1), BackendSamplerV2(backend=AerSimulator()), SamplerV2()]


def _braket():
    from braket.devices import LocalSimulator

    return [LocalSimulator()]


def _cirq():
    import cirq

    return [cirq.Simulator(seed=1), cirq.DensityMatrixSimulator(seed=1)]


def _pennylane():
    import pennylane as qml

    return [qml.device("default.qubit", wires=4, seed=1), qml.device("lightning.qubit", wires=3)]


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(_qiskit, marks=pytest.mark.needs("qiskit-aer")),
        pytest.param(_braket, marks=pytest.mark.needs("amazon-braket-sdk")),
        pytest.param(_cirq, marks=pytest.mark.needs("cirq-core")),
        pytest.param(_pennylane, marks=pytest.mark.needs("pennylane")),
    ],
)
def test_objects_that_the_user_passes(objects):
    circuit = random_circuit(6)
    for given in objects():
        device = wrap(given)
        assert not device.is_remote
        result = device.result(device.submit(Batch((FLIP, circuit), (50, 4_000), seed=2), "token"))
        assert result.counts[0] == {2: 50}
        assert chi_square_is_fine(result.counts[1], probabilities(circuit)), device.name


@pytest.mark.needs("qiskit-aer")
def test_aer_runs_the_channels_of_the_profile():
    """Exact probabilities of our simulation and of Aer, on the same channels, with readout and a marginal."""
    from qiskit_aer import AerSimulator

    from flashket.noise.exact import probabilities as own
    from flashket.noise.lower import lower
    from flashket.qpu import compile_circuit, load_profile
    from flashket.qpu.adapters.aer import noisy_quantum_circuit

    for seed, profile, measured in ((1, "ibm_torino", None), (2, "ibm_sherbrooke", (2, 0)), (3, "ibm_miami", (1,))):
        noisy = lower(compile_circuit(random_circuit(seed, 3, measured), load_profile(profile)))
        for kraus in (False, True):
            circuit = noisy_quantum_circuit(noisy, kraus=kraus)
            wires = [one.qubits[0] for one in circuit.data if one.operation.name == "measure"]
            circuit.data = [one for one in circuit.data if one.operation.name != "measure"]
            circuit.save_probabilities(wires)
            found = AerSimulator(method="density_matrix").run(circuit).result().data(0)["probabilities"]
            np.testing.assert_allclose(found, own(noisy), atol=1e-12)


@pytest.mark.needs("qiskit-aer")
def test_aer_and_sim_draw_from_one_distribution():
    from flashket.noise.exact import probabilities as own
    from flashket.noise.lower import lower
    from flashket.qpu import compile_circuit, load_profile

    circuit = random_circuit(4)
    expected = np.asarray(own(lower(compile_circuit(circuit, load_profile("ibm_torino")))))
    for name in ("sim:ibm_torino", "aer:ibm_torino"):
        device = open_adapter(name)
        result = device.result(device.submit(Batch((circuit,), (20_000,), seed=8), "token"))
        assert chi_square_is_fine(result.counts[0], expected), name
