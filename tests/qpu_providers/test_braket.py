# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Braket: requests checked against AWS's service model (botocore) and braket-schemas, results as the service stores them."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from flashket.errors import BackendUnavailable, InputError, JobError
from flashket.program import Gate, Program
from flashket.qpu import Batch, MeasuredCircuit, open_adapter
from flashket.qpu.adapters import TransientError
from flashket.qpu.adapters.braket import BraketAdapter, openqasm
from measured import FLIP, probabilities, random_circuit

pytestmark = pytest.mark.needs("amazon-braket-sdk")

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"
TASK = "arn:aws:braket:eu-north-1:123456789012:quantum-task/6b5b1f2c-0000-4000-8000-000000000000"


@pytest.fixture
def cloud() -> Any:
    """An AwsSession whose two clients are stubbed by botocore: it checks every request against AWS's own service model."""
    import boto3
    from botocore.stub import Stubber
    from braket.aws import AwsSession

    boto = boto3.Session(aws_access_key_id="AKIA" + "B" * 16, aws_secret_access_key="canary-of-the-cloud", region_name="eu-north-1")
    client, storage = boto.client("braket"), boto.client("s3")
    session = AwsSession(boto_session=boto, braket_client=client, default_bucket="amazon-braket-bucket")
    session._s3 = None
    with Stubber(client) as service, Stubber(storage) as files:
        session.service, session.files = service, files
        session.boto_session.resource = lambda name, **settings: _Resource(storage)
        yield session


class _Resource:
    """The part of boto3's S3 resource that Braket uses, over a stubbed client."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def Object(self, bucket: str, key: str) -> Any:  # boto3's name
        client = self.client

        class Stored:
            def get(self) -> Any:
                return client.get_object(Bucket=bucket, Key=key)

        return Stored()


def _device(program_sets: bool) -> dict[str, Any]:
    action = {"braket.ir.openqasm.program": {"version": ["1"], "actionType": "braket.ir.openqasm.program"}}
    if program_sets:
        action["braket.ir.openqasm.program_set"] = {"maximumExecutables": 100, "maximumTotalShots": 20_000}
    capabilities = {"service": {"shotsRange": [1, 20_000]}, "action": action, "paradigm": {"qubitCount": 20}}
    return {
        "deviceArn": GARNET,
        "deviceName": "Garnet",
        "providerName": "IQM",
        "deviceType": "QPU",
        "deviceStatus": "ONLINE",
        "deviceCapabilities": json.dumps(capabilities),
    }


def _task(**more: Any) -> dict[str, Any]:
    return {
        "quantumTaskArn": TASK,
        "status": "COMPLETED",
        "deviceArn": GARNET,
        "deviceParameters": "{}",
        "shots": 40,
        "outputS3Bucket": "amazon-braket-bucket",
        "outputS3Directory": "flashket/6b5b",
        "createdAt": datetime(2026, 1, 1, tzinfo=timezone.utc),
        "endedAt": datetime(2026, 1, 1, 0, 0, 9, tzinfo=timezone.utc),
        **more,
    }


@pytest.mark.parametrize("maker", ["", "ionq", "rigetti", "iqm"])
def test_every_gate_reads_as_openqasm(maker):
    from braket.circuits import Circuit
    from braket.devices import LocalSimulator
    from braket.ir.openqasm import Program as Text

    absent = {"ionq": {"cz", "cphaseshift", "phaseshift"}, "rigetti": {"xx", "yy", "zz"}}.get(maker, set())
    for seed in range(3):
        circuit = random_circuit(seed)
        text = openqasm(circuit, maker=maker)
        Text(source=text)
        names = {line.partition("(")[0].partition(" ")[0] for line in text.splitlines()[3:]}
        assert not names & absent
        assert any(instruction.operator.name == "Barrier" for instruction in Circuit.from_ir(text).instructions)
        lines = "\n".join(line for line in text.splitlines() if "measure" not in line)
        exact = (
            LocalSimulator().run(Text(source=f"{lines}\n#pragma braket result probability q[2], q[1], q[0]\n"), shots=0).result().values[0]
        )
        plain = MeasuredCircuit(circuit.parts, (0, 1, 2))
        assert abs(exact - probabilities(plain)).max() < 1e-12


def test_without_credentials_nothing_is_sent():
    for name in ("braket:sv1", f"braket:{FORTE}"):
        device = open_adapter(name)
        assert device.is_remote
        with pytest.raises(BackendUnavailable, match="AWS_ACCESS_KEY_ID"):
            device.submit(Batch((FLIP,), (10,)), "token")
    for name in ("braket:sv2", "braket:arn:aws:s3:::bucket"):
        with pytest.raises(InputError, match="Braket device"):
            open_adapter(name)


def test_prices_of_tasks_and_shots():
    garnet, forte = open_adapter(f"braket:{GARNET}"), open_adapter(f"braket:{FORTE}")
    batch = Batch((FLIP,), (1000,))
    assert garnet.estimate(batch).usd == pytest.approx(0.30 + 1000 * 0.00145)
    assert forte.estimate(batch).usd == pytest.approx(0.30 + 1000 * 0.08)
    assert open_adapter("braket:sv1").estimate(batch).usd_worst is None


def test_one_circuit_is_a_task(cloud):
    from braket.ir.openqasm import Program as Text

    device = BraketAdapter(GARNET, session=cloud)
    half = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    batch = Batch((MeasuredCircuit((half, half.inverse()), (1, 0)),), (100,))
    cloud.service.add_response("get_device", _device(False), {"deviceArn": GARNET})
    expected = device.request(batch, "token-1", "amazon-braket-bucket", "flashket")
    cloud.service.add_response("create_quantum_task", {"quantumTaskArn": TASK}, expected)
    assert device.submit(batch, "token-1") == TASK
    assert (expected["clientToken"], expected["tags"]["flashket-token"], expected["shots"]) == ("token-1", "token-1", 100)
    source = Text.parse_raw(expected["action"]).source
    assert source.count("barrier") == 1
    assert source.count("cnot") == 2
    assert device.limits().max_circuits == 1


def test_many_circuits_are_a_program_set(cloud):
    from braket.ir.openqasm import ProgramSet

    device = BraketAdapter(GARNET, session=cloud)
    batch = Batch((FLIP, FLIP, FLIP), (50, 50, 50))
    cloud.service.add_response("get_device", _device(True), {"deviceArn": GARNET})
    expected = device.request(batch, "token-2", "amazon-braket-bucket", "flashket")
    cloud.service.add_response("create_quantum_task", {"quantumTaskArn": TASK}, expected)
    assert device.submit(batch, "token-2") == TASK
    assert len(ProgramSet.parse_raw(expected["action"]).programs) == 3
    assert expected["shots"] == 150
    assert device.limits().same_shots


def test_a_result_is_read_in_the_order_of_the_bits(cloud):
    from braket.task_result import GateModelTaskResult

    # FLIP measures qubits 2, 0, 1 as bits 0, 1, 2; the service may name the qubits in any order.
    document = {
        "braketSchemaHeader": {"name": "braket.task_result.gate_model_task_result", "version": "1"},
        "measurements": [[1, 0, 0]] * 30 + [[0, 0, 1]] * 10,
        "measuredQubits": [0, 1, 2],
        "taskMetadata": {
            "braketSchemaHeader": {"name": "braket.task_result.task_metadata", "version": "1"},
            "id": TASK,
            "shots": 40,
            "deviceId": GARNET,
        },
        "additionalMetadata": {
            "action": {
                "braketSchemaHeader": {"name": "braket.ir.openqasm.program", "version": "1"},
                "source": openqasm(FLIP, maker="iqm"),
            }
        },
    }
    text = GateModelTaskResult.parse_obj(document).json()
    device = BraketAdapter(GARNET, session=cloud)
    for _ in range(5):  # as often as the SDK may ask for the task's state
        cloud.service.add_response("get_quantum_task", _task())
    cloud.files.add_response(
        "get_object", {"Body": io.BytesIO(text.encode())}, {"Bucket": "amazon-braket-bucket", "Key": "flashket/6b5b/results.json"}
    )
    result = device.result(TASK)
    assert result.counts == ({2: 30, 1: 10},)
    # A task's times include the queue, so they are no execution; they are kept as they are.
    assert result.execution_seconds is None and {"createdAt", "endedAt"} <= result.raw.keys()
    assert "canary-of-the-cloud" not in json.dumps(result.raw)


def test_tasks_are_found_by_their_tag_on_every_page(cloud):
    device = BraketAdapter(GARNET, session=cloud)
    keys = ("quantumTaskArn", "status", "deviceArn", "shots", "outputS3Bucket", "outputS3Directory", "createdAt")
    summary = {key: _task()[key] for key in keys}
    filters = {"filters": [{"name": "deviceArn", "operator": "EQUAL", "values": [GARNET]}], "maxResults": 100}
    pages = [{"quantumTasks": [{**summary, "tags": {"flashket-token": "x"}}, summary], "nextToken": "2"}]
    pages.append({"quantumTasks": [{**summary, "quantumTaskArn": TASK, "tags": {"flashket-token": "token-9"}}]})
    cloud.service.add_response("search_quantum_tasks", pages[0], filters)
    cloud.service.add_response("search_quantum_tasks", pages[1], {**filters, "nextToken": "2"})
    assert device.find("token-9") == TASK
    cloud.service.add_response("search_quantum_tasks", {"quantumTasks": []}, filters)
    assert device.find("token-9") is None


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 429, TransientError),
        ("InternalServiceException", 500, TransientError),
        ("ValidationException", 400, JobError),
    ],
)
def test_errors_of_the_service(cloud, code, status, kind):
    device = BraketAdapter(GARNET, session=cloud)
    cloud.service.add_client_error("cancel_quantum_task", code, "the key canary-of-the-cloud is wrong", status)
    with pytest.raises(kind, match=code) as caught:
        device.cancel(TASK)
    assert "canary-of-the-cloud" not in str(caught.value)


def test_failed_tasks_tell_why(cloud):
    device = BraketAdapter(GARNET, session=cloud)
    cloud.service.add_response("get_quantum_task", _task(status="FAILED", failureReason="qubits not connected"))
    with pytest.raises(JobError, match="qubits not connected"):
        device.result(TASK)
