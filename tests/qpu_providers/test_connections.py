# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Connections that fail, of providers' own packages over real sockets: what is known of a job then, and what it costs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import flashket as fk
from doorway import FAULTS, Doorway
from flashket.errors import BackendUnavailable, JobError
from flashket.qpu import Batch, Journal, jobs, open_adapter
from flashket.qpu.adapters import TransientError
from flashket.qpu.adapters.cirq import EngineAdapter
from flashket.qpu.retry import Retry
from iqm_service import IQMService
from measured import FLIP
from nexus_service import nexus

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
TASK = "arn:aws:braket:eu-north-1:123456789012:quantum-task/6b5b1f2c-0000-4000-8000-000000000000"
BATCH = Batch((FLIP,), (10,))
QUICK = Retry(attempts=2, first_wait=0.01, longest_wait=10.0)


class AWS:
    """The part of Braket's REST interface that sending a task needs."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = json.dumps(service.answer(self.path, json.loads(body) if body else {})).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(found)))
                self.end_headers()
                self.wfile.write(found)

            do_GET = do_POST = _serve

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=lambda: self.http.serve_forever(0.01), daemon=True).start()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return JSON for a request."""
        if path.startswith("/device/"):
            action = {"braket.ir.openqasm.program": {"version": ["1"], "actionType": "braket.ir.openqasm.program"}}
            capabilities = {"service": {"shotsRange": [1, 20_000]}, "action": action, "paradigm": {"qubitCount": 20}}
            facts = {"deviceArn": GARNET, "deviceName": "Garnet", "providerName": "IQM", "deviceType": "QPU", "deviceStatus": "ONLINE"}
            return {**facts, "deviceCapabilities": json.dumps(capabilities)}
        if path == "/quantum-task":
            self.tasks.append(body)
            return {"quantumTaskArn": TASK}
        assert path == "/quantum-tasks"
        keys = {"status": "QUEUED", "deviceArn": GARNET, "shots": 10, "outputS3Bucket": "b", "outputS3Directory": "d"}
        found = [{"quantumTaskArn": TASK, **keys, "createdAt": "2026-01-01T00:00:00Z", "tags": task["tags"]} for task in self.tasks]
        return {"quantumTasks": found}


class Provider:
    """How to reach a provider's own package through a door; ``sent`` is what its service took."""

    def __init__(self, port: int, device: Any, sent: Any, *, says_when: bool = False) -> None:
        self.port, self._device, self._sent, self.says_when = port, device, sent, says_when

    def through(self, door: Doorway) -> Any:
        """Return a fresh adapter."""
        return self._device(door.port)

    @property
    def n_sent(self) -> int:
        """Jobs that were taken."""
        return len(self._sent())


@pytest.fixture(params=["braket", "iqm", "nexus"])
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Provider]:
    """One of the packages, where it is installed."""
    if request.param == "braket":
        pytest.importorskip("braket.aws", reason="no amazon-braket-sdk")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA" + "B" * 16)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-the-cloud")
        monkeypatch.setenv("AMZN_BRAKET_OUT_S3_BUCKET", "amazon-braket-bucket")
        aws = AWS()

        def on_braket(port: int) -> Any:
            monkeypatch.setenv("BRAKET_ENDPOINT", f"http://127.0.0.1:{port}")
            return open_adapter(f"braket:{GARNET}")

        yield Provider(aws.http.server_port, on_braket, lambda: aws.tasks, says_when=True)
        aws.http.shutdown()
        aws.http.server_close()
    elif request.param == "iqm":
        pytest.importorskip("iqm.iqm_client", reason="no iqm-client")
        monkeypatch.setenv("IQM_TOKEN", "iqm-canary-55aa-7731")
        running = IQMService()
        yield Provider(
            running.http.server_port,
            lambda port: open_adapter(f"iqm:http://127.0.0.1:{port}", computer="garnet", profile="iqm_garnet"),
            lambda: running.jobs,
        )
        running.http.shutdown()
        running.http.server_close()
    else:
        client = pytest.importorskip("qnexus.client", reason="no qnexus")
        from qnexus.config import CONFIG

        pytest.importorskip("pytket_pecos", reason="no pytket-pecos")

        def on_nexus(port: int) -> Any:
            monkeypatch.setattr(CONFIG, "port", port)
            client.get_nexus_client(reload=True)
            return open_adapter("quantinuum:H2-1")

        with nexus(monkeypatch, tmp_path) as service:
            yield Provider(service.http.server_port, on_nexus, lambda: service.stored["jobs"])


@pytest.fixture
def sending(provider: Provider) -> int:
    """The number of the request that sends a job, counted on a second job that goes well: a first one may make more."""
    for index in range(2):
        door = Doorway(provider.port)
        assert provider.through(door).submit(BATCH, f"token-0-{index}")
    last = max(index for index, line in enumerate(door.seen) if line.startswith("POST"))
    assert re.search(r"/quantum-task$|/jobs/v1beta3$|/jobs/[^/]+/circuits?$|/jobs", door.seen[last]), door.seen
    return last


def meant(fault: str | int, *, is_before: bool) -> tuple[type[Exception], bool]:
    """Return what an adapter must raise, and of a TransientError whether nothing can have been taken."""
    if fault in (401, 403, 400):
        return (JobError if fault == 400 and not is_before else BackendUnavailable), False
    return TransientError, is_before or fault in ("gone", 429)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_of_the_request_that_sends(provider, sending, fault):
    """Only what surely was not taken is called so."""
    before = provider.n_sent
    door = Doorway(provider.port, fault, sending)
    with pytest.raises((TransientError, BackendUnavailable, JobError)) as caught:
        provider.through(door).submit(BATCH, "token-1")
    kind, refused = meant(fault, is_before=False)
    assert type(caught.value) is kind, caught.value
    assert "canary" not in str(caught.value)
    assert provider.n_sent - before == (fault == "read")
    if kind is TransientError:
        assert caught.value.refused == refused
        if fault == 429 and provider.says_when:
            assert caught.value.retry_after == 7.0
    if kind is BackendUnavailable:
        assert "nothing was sent" in str(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_before_a_job_is_sent(provider, fault):
    """Whatever it is, nothing was taken."""
    before = provider.n_sent
    with pytest.raises((TransientError, BackendUnavailable)) as caught:
        provider.through(Doorway(provider.port, fault, 0)).submit(BATCH, "token-2")
    kind, _ = meant(fault, is_before=True)
    assert type(caught.value) is kind, caught.value
    assert provider.n_sent == before
    assert kind is BackendUnavailable or caught.value.refused


@pytest.mark.parametrize("fault", ["gone", 401, "read", 500])
def test_what_a_failed_job_costs(provider, sending, fault, tmp_path):
    """Nothing is reserved any more for what was not taken, and all of it for what may have been."""
    device = provider.through(Doorway(provider.port, fault, sending))
    journal = Journal(tmp_path / "journal.db")
    with fk.qpu.budget(usd=100, qpu_seconds=100, allow_unknown=True) as budget:
        with pytest.raises((JobError, BackendUnavailable)):
            jobs.submit(BATCH, device, journal=journal, retry=QUICK)
        (part,) = journal.parts(1)
        is_sure = fault in ("gone", 401)
        assert part.state == ("planned" if is_sure else "unknown")
        assert (budget.left.usd == 100) == is_sure
        assert (part.usd_spent == 0) == is_sure
        assert budget.reserved.usd == 0


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """A gRPC server that answers as the Quantum Engine does, and the adapter of a processor of it; ``faults`` go by method."""
    pytest.importorskip("cirq_google", reason="no cirq-google")
    from concurrent import futures

    import grpc
    from cirq_google.cloud import quantum

    key = tmp_path / "key.json"
    key.write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    state = EngineState(quantum, grpc)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((state.handler(),))
    state.port = server.add_insecure_port("127.0.0.1:0")
    state.server = server
    server.start()
    yield state
    server.stop(None)


class EngineState:
    """What the engine took, and what it is told to answer instead."""

    port = 0
    server: Any = None

    def __init__(self, quantum: Any, grpc: Any) -> None:
        self.quantum, self.grpc = quantum, grpc
        self.programs: dict[str, Any] = {}
        self.jobs: dict[str, Any] = {}
        self.faults: dict[str, Any] = {}

    def handler(self) -> Any:
        """Return the gRPC handler of every method."""
        quantum, grpc, state = self.quantum, self.grpc, self
        requests = {
            "CreateQuantumProgram": quantum.CreateQuantumProgramRequest,
            "CreateQuantumJob": quantum.CreateQuantumJobRequest,
            "GetQuantumProcessor": quantum.GetQuantumProcessorRequest,
            "ListQuantumJobs": quantum.ListQuantumJobsRequest,
            "GetQuantumJob": quantum.GetQuantumJobRequest,
            "GetQuantumResult": quantum.GetQuantumResultRequest,
            "CancelQuantumJob": quantum.CancelQuantumJobRequest,
        }

        class Handler(grpc.GenericRpcHandler):
            def service(self, call: Any) -> Any:
                method = call.method.rpartition("/")[2]
                if method not in requests:
                    return None

                def answer(data: bytes, context: Any) -> bytes:
                    if method in state.faults and not str(state.faults[method]).startswith("after"):
                        context.abort(state.faults[method], "told to")
                    found = state.answer(method, requests[method].deserialize(data), context)
                    if str(state.faults.get(method, "")).startswith("after"):
                        context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
                    return type(found).serialize(found)

                return grpc.unary_unary_rpc_method_handler(answer)

        return Handler()

    def answer(self, method: str, request: Any, context: Any) -> Any:
        """Return what the engine answers."""
        import cirq_google

        quantum = self.quantum
        if method == "GetQuantumProcessor":
            from google.protobuf import any_pb2

            specification = any_pb2.Any()
            device = cirq_google.engine.create_device_from_processor_id("willow_pink")
            specification.Pack(device.to_proto())
            return quantum.QuantumProcessor(name=request.name, device_spec=specification)
        if method == "CreateQuantumProgram":
            name = request.quantum_program.name
            if name in self.programs:
                context.abort(self.grpc.StatusCode.ALREADY_EXISTS, "there is one")
            self.programs[name] = request.quantum_program
            return request.quantum_program
        if method == "CreateQuantumJob":
            if request.quantum_job.name in self.jobs:
                context.abort(self.grpc.StatusCode.ALREADY_EXISTS, "there is one")
            job = request.quantum_job
            job.execution_status.state = quantum.ExecutionStatus.State.SUCCESS
            self.jobs[job.name] = job
            return job
        if method == "GetQuantumJob":
            return self.jobs[request.name]
        if method == "CancelQuantumJob":
            self.jobs[request.name].execution_status.state = quantum.ExecutionStatus.State.CANCELLED
            return quantum.QuantumJob()
        if method == "GetQuantumResult":
            return quantum.QuantumResult(parent=request.parent, result=self.run(request.parent))
        wanted = re.search(r"labels\.flashket-token:(\S+)", request.filter)
        found = [job for job in self.jobs.values() if wanted and job.labels["flashket-token"] == wanted.group(1).strip('"')]
        return quantum.ListQuantumJobsResponse(jobs=found)

    def run(self, name: str) -> Any:
        """Return the result of a job: its program, run without noise."""
        import cirq
        import cirq_google
        from cirq_google.api import v2
        from google.protobuf import any_pb2

        code = v2.program_pb2.Program()
        self.programs[name.partition("/jobs/")[0]].code.Unpack(code)
        circuit = cirq_google.CIRCUIT_SERIALIZER.deserialize(code)
        found = cirq.Simulator(seed=1).run_sweep(circuit, None, repetitions=10)
        result = any_pb2.Any()
        result.Pack(v2.results_to_proto([found], v2.find_measurements(circuit)))
        return result

    def device(self) -> EngineAdapter:
        """Return an adapter that speaks to it."""
        import grpc
        from cirq_google.cloud.quantum_v1alpha1.services.quantum_engine_service.transports import QuantumEngineServiceGrpcAsyncIOTransport

        def transport(**options: Any) -> Any:
            return QuantumEngineServiceGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(f"127.0.0.1:{self.port}"))

        return EngineAdapter("willow_pink", project="a-project", service_args={"transport": transport})


def test_the_engine_takes_a_job(engine):
    device = engine.device()
    job = device.submit(BATCH, "token-1")
    assert job.startswith("flashket-token-1/")
    assert len(engine.jobs) == len(engine.programs) == 1
    assert device.find("token-1") == job
    assert device.find("token-2") is None
    assert device.status(job) == "done"
    assert device.result(job).counts == ({2: 10},)
    device.cancel(job)
    assert device.status(job) == "cancelled"
    with pytest.raises(JobError):
        device.result(job)


@pytest.mark.parametrize("method", ["GetQuantumProcessor", "CreateQuantumProgram", "CreateQuantumJob"])
@pytest.mark.parametrize(
    "code", ["UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "INTERNAL"]
)
def test_what_the_engine_refuses(engine, method, code):
    import grpc

    engine.faults[method] = grpc.StatusCode[code]
    device = engine.device()
    with pytest.raises((TransientError, BackendUnavailable, JobError)) as caught:
        device.submit(BATCH, "token-1")
    assert not engine.jobs
    is_before = method != "CreateQuantumJob"
    if code in ("UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED"):
        assert type(caught.value) is TransientError
        # An UNAVAILABLE of the job alone says nothing: the engine may have it.
        assert caught.value.refused == (is_before or code == "RESOURCE_EXHAUSTED")
    else:
        assert type(caught.value) is (JobError if code == "INVALID_ARGUMENT" and not is_before else BackendUnavailable)
    # The same attempt again finds its program there.
    engine.faults.clear()
    assert device.submit(BATCH, "token-1")
    assert len(engine.jobs) == 1


def test_an_answer_of_the_engine_that_is_lost(engine):
    engine.faults["CreateQuantumJob"] = "after"
    device = engine.device()
    with pytest.raises(TransientError) as caught:
        device.submit(BATCH, "token-1")
    assert not caught.value.refused
    engine.faults.clear()
    assert device.find("token-1") == "flashket-token-1/job-token-1"


def test_an_engine_that_is_not_there(engine):
    engine.server.stop(None).wait()
    with pytest.raises(TransientError) as caught:
        engine.device().submit(BATCH, "token-1")
    assert caught.value.refused
