# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Cirq: circuits on Google's grids, the noise of the virtual engine, and what the engine would be sent."""

from __future__ import annotations

import numpy as np
import pytest

from flashket.errors import BackendUnavailable, JobError
from flashket.program import Gate, Program
from flashket.qpu import Batch, MeasuredCircuit, open_adapter, wrap
from flashket.qpu.adapters.cirq import VIRTUAL, cirq_circuit, grid_circuit
from measured import FLIP, chi_square_is_fine, probabilities, random_circuit

pytestmark = pytest.mark.needs("cirq-core")


@pytest.mark.needs("cirq-google")
@pytest.mark.parametrize("processor", VIRTUAL)
def test_circuits_on_the_grid_are_valid_and_the_same(processor):
    import cirq
    import cirq_google

    device = cirq_google.engine.create_device_from_processor_id(processor)
    for seed, n_qubits in ((1, 2), (2, 3), (3, 4)):
        circuit = random_circuit(seed, n_qubits)
        made = grid_circuit(circuit, device)
        device.validate_circuit(made)
        found = cirq.Simulator(seed=seed).run(made, repetitions=4_000).measurements["c"]
        counts: dict[int, int] = {}
        for row in found:
            outcome = sum(int(bit) << index for index, bit in enumerate(row))
            counts[outcome] = counts.get(outcome, 0) + 1
        assert chi_square_is_fine(counts, probabilities(circuit))


@pytest.mark.needs("cirq-google")
def test_nothing_cancels_between_parts():
    import cirq_google

    half = Program(3, 0, (Gate("h", (0,)), Gate("cx", (0, 1)), Gate("cx", (1, 2))))
    device = cirq_google.engine.create_device_from_processor_id("willow_pink")
    made = grid_circuit(MeasuredCircuit((half, half.inverse()), (0, 1, 2)), device)
    assert sum(len(operation.qubits) == 2 for operation in made.all_operations()) == 4


@pytest.mark.needs("cirq-google")
@pytest.mark.parametrize("processor", VIRTUAL)
def test_the_virtual_engine_is_noisy(processor):
    device = open_adapter(f"cirq:{processor}")
    result = device.result(device.submit(Batch((FLIP,), (1_000,), seed=1), "token"))
    assert 850 < result.counts[0][2] < 1_000
    assert not device.is_remote
    again = open_adapter(f"cirq:{processor}")
    assert again.result(again.submit(Batch((FLIP,), (1_000,), seed=1), "token")).counts == result.counts


@pytest.mark.needs("cirq-google")
def test_what_the_engine_would_be_sent_is_serialisable():
    import cirq
    import cirq_google

    device = cirq_google.engine.create_device_from_processor_id("willow_pink")
    made = grid_circuit(random_circuit(5), device)
    message = cirq_google.CIRCUIT_SERIALIZER.serialize(made)
    again = cirq_google.CIRCUIT_SERIALIZER.deserialize(message)
    assert cirq.approx_eq(again, made, atol=1e-6)  # angles are sent in single precision


@pytest.mark.needs("cirq-google")
def test_without_credentials_nothing_is_sent(monkeypatch, tmp_path):
    device = open_adapter("cirq:a_processor", project="a-project")
    assert device.is_remote
    with pytest.raises(BackendUnavailable, match="GOOGLE_APPLICATION_CREDENTIALS"):
        device.submit(Batch((FLIP,), (10,)), "token")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with pytest.raises(BackendUnavailable, match="GOOGLE_CLOUD_PROJECT"):
        open_adapter("cirq:a_processor").submit(Batch((FLIP,), (10,)), "token")


def test_other_samplers_count_as_remote():
    import cirq

    class Far(cirq.Sampler):
        def run_sweep(self, program, params, repetitions=1):
            return cirq.Simulator(seed=2).run_sweep(program, params, repetitions)

    device = wrap(Far())
    assert device.is_remote
    assert device.estimate(Batch((FLIP,), (10,))).usd_worst is None
    assert device.result(device.submit(Batch((FLIP,), (10,)), "token")).counts == ({2: 10},)
    assert device.find("token") == "token"
    with pytest.raises(JobError, match="looked up"):
        device.find("other")


def test_the_unitary_is_ours():
    import cirq

    for seed in range(4):
        circuit = random_circuit(seed, 3, (0, 1, 2))
        made = cirq_circuit(circuit)
        made = made[:-1]
        qubits = cirq.LineQubit.range(3)
        # Cirq's first qubit is the most significant.
        state = cirq.final_state_vector(made, qubit_order=list(reversed(qubits)), dtype=np.complex128)
        np.testing.assert_allclose(np.abs(state) ** 2, probabilities(circuit), atol=1e-7)
