# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""IBM: local testing mode with a small bundled device, and the request checked against IBM's published schema."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from flashket.errors import BackendUnavailable, InputError, JobError
from flashket.program import Gate, Program
from flashket.qpu import Batch, MeasuredCircuit, open_adapter, wrap
from flashket.qpu.adapters.ibm import IBMAdapter
from measured import FLIP, probabilities, random_circuit

pytestmark = pytest.mark.needs("qiskit-ibm-runtime", "qiskit-aer")


def test_local_testing_mode():
    device = open_adapter("ibm:fake_manila")
    circuit = random_circuit(1)
    result = device.result(device.submit(Batch((FLIP, circuit), (2_000, 4_000), seed=1), "token"))
    # Read where the circuit with two-qubit gates is read, on whichever qubits are good for those.
    assert result.counts[0][2] > 1_650
    expected = probabilities(circuit)
    found = [result.counts[1].get(outcome, 0) / 4_000 for outcome in range(8)]
    distance = sum(abs(a - b) for a, b in zip(found, expected, strict=True)) / 2
    mirrored = sum(abs(a - expected[int(f"{i:03b}"[::-1], 2)]) for i, a in enumerate(found)) / 2
    assert distance < 0.25 < mirrored
    assert len(result.raw["layout"][0]) == 3
    assert not device.is_remote


def test_unknown_snapshot():
    with pytest.raises(InputError, match="fake_manila"):
        open_adapter("ibm:fake_nowhere")


def test_without_credentials_nothing_is_sent():
    device = open_adapter("ibm:ibm_torino")
    assert device.is_remote
    assert device.limits().max_executions == 5_000_000
    assert device.estimate(Batch((FLIP,), (1000,))).qpu_seconds > 2
    with pytest.raises(BackendUnavailable, match="QISKIT_IBM_TOKEN"):
        device.submit(Batch((FLIP,), (10,)), "token")


def test_the_request_fits_the_schema_and_the_device():
    from ibm_quantum_schemas.sampler.version_0_1.params import ParamsModel
    from qiskit.primitives.containers.sampler_pub import SamplerPub
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2
    from qiskit_ibm_runtime.json import RuntimeEncoder
    from qiskit_ibm_runtime.utils import validate_isa_circuits

    backend = FakeManilaV2()
    device = IBMAdapter("manila", backend=backend)
    half = Program(3, 0, (Gate("h", (0,)), Gate("cx", (0, 1)), Gate("cx", (1, 2))))
    batch = Batch((FLIP, MeasuredCircuit((half, half.inverse()), (2, 0, 1))), (100, 100))
    pubs, sampler = device.pubs(batch), device.sampler("token-17")
    validate_isa_circuits([circuit for circuit, _, _ in pubs], backend.target)
    compiled = pubs[1][0]
    assert compiled.count_ops()["cx"] >= 4, "U was cancelled against its inverse"
    assert compiled.count_ops()["barrier"] == 2
    options = asdict(sampler.options)
    runtime = sampler._options_class._get_runtime_options(options)
    assert runtime["job_tags"] == ["flashket", "token-17"]
    params = {"pubs": [SamplerPub.coerce(pub) for pub in pubs], **sampler._options_class._get_program_inputs(options)}
    text = json.dumps(params, cls=RuntimeEncoder)
    model = ParamsModel.model_validate_json(text)
    assert [pub.root[2] for pub in model.pubs] == [100, 100]


def test_bundled_devices_that_the_user_passes():
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    device = wrap(FakeManilaV2())
    assert not device.is_remote
    assert device.limits().n_qubits == 5
    counts = device.result(device.submit(Batch((FLIP,), (1_000,), seed=2), "token")).counts
    assert counts[0][2] > 900
    assert device.name == "qiskit:fake_manila"


def test_circuits_of_one_run_have_streams_of_their_own():
    flat = MeasuredCircuit((Program(3, 0, tuple(Gate("h", (qubit,)) for qubit in range(3))),), (0, 1, 2))
    batch = Batch((flat,) * 4, (500, 500, 400, 500), seed=3)
    first, again = (device.result(device.submit(batch, "token")).counts for device in (open_adapter("ibm:fake_manila") for _ in range(2)))
    assert first == again
    assert [sum(counts.values()) for counts in first] == [500, 500, 400, 500]
    assert first[0] != first[1] != first[3] != first[0]


class Service:
    """As much of an open service as a backend that the user passes brings along."""

    token = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"

    def active_account(self):
        return {"channel": "ibm_quantum_platform", "token": self.token}

    def jobs(self, **options):
        raise ValueError(f"no jobs for {self.token}")


def test_the_token_of_a_backend_that_the_user_passes_is_hidden():
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    backend = FakeManilaV2()
    backend.service = Service()
    with pytest.raises(JobError, match="no jobs for <hidden>"):
        IBMAdapter("manila", backend=backend).find("token-17")
