# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""iqm-client itself, speaking to a server on a real socket that runs the circuits it is sent."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from flashket.errors import InputError, JobError
from flashket.program import Gate, Linear, Program
from flashket.qpu import Batch, MeasuredCircuit, load_profile, open_adapter
from flashket.qpu.adapters import TransientError
from measured import FLIP, chi_square_is_fine, probabilities, random_circuit

pytestmark = pytest.mark.needs("iqm-client")

TOKEN = "iqm-canary-55aa-7731"


class Server:
    """The part of IQM's interface that iqm-client needs for jobs of circuits."""

    def __init__(self) -> None:
        garnet = load_profile("iqm_garnet")
        self.names = [f"QB{index + 1}" for index in range(garnet.n_qubits)]
        self.edges = garnet.edges or ()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.faults: list[tuple[int, Any]] = []
        self.authorizations: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                server.authorizations.add(self.headers.get("Authorization", ""))
                path = urllib.parse.urlsplit(self.path).path.removeprefix("/api/v1/").strip("/").split("/")
                status, answer = server.answer(self.command, path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _serve

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=lambda: self.http.serve_forever(0.01), daemon=True).start()

    def answer(self, method: str, path: list[str], body: bytes) -> tuple[int, Any]:
        """Return status and JSON."""
        if path == ["quantum-computers"]:
            return 200, {"quantum_computers": [{"id": str(UUID(int=1)), "alias": "garnet", "display_name": "Garnet"}]}
        if path[-1] == "dynamic-quantum-architecture":
            return 200, self.architecture()
        if self.faults:
            return self.faults.pop(0)
        if method == "POST" and path == ["jobs", "garnet", "circuit"]:
            return 200, self.run(body)
        job = self.jobs[path[1]]
        if path[2:] == ["artifacts", "measurements"]:
            return 200, job["measurements"]
        if path[2:] == ["cancel"]:
            job["data"]["status"] = "cancelled"
        return 200, job["data"]

    def architecture(self) -> dict[str, Any]:
        """Return what is calibrated."""

        def info(loci: list[tuple[str, ...]]) -> dict[str, Any]:
            return {"implementations": {"one": {"loci": loci}}, "default_implementation": "one", "override_default_implementation": {}}

        single = [(name,) for name in self.names]
        pairs = [(self.names[a], self.names[b]) for a, b in self.edges]
        gates = {"prx": info(single), "measure": info(single), "cz": info(pairs)}
        return {"calibration_set_id": str(UUID(int=2)), "qubits": self.names, "computational_resonators": [], "gates": gates}

    def run(self, body: bytes) -> dict[str, Any]:
        """Run a job at once; the document is read with IQM's own model."""
        from iqm.station_control.interface.models import CircuitJobDefinition

        definition = CircuitJobDefinition.model_validate_json(body)
        identity, measurements = str(uuid4()), []
        for circuit in definition.circuits:
            weights, n_bits = outcome_probabilities(circuit)
            drawn = np.random.default_rng(9).choice(len(weights), definition.shots, p=weights / weights.sum())
            measurements.append({"c": [[int(outcome) >> bit & 1 for bit in range(n_bits)] for outcome in drawn]})
        timeline = [
            {"status": "created", "source": "iqm-server", "timestamp": "2026-06-01T10:00:00Z"},
            {"status": "execution_started", "source": "iqm-station-control", "timestamp": "2026-06-01T10:00:05Z"},
            {"status": "execution_ended", "source": "iqm-station-control", "timestamp": "2026-06-01T10:00:07.5Z"},
        ]
        data = {"id": identity, "type": "circuit", "status": "completed", "timeline": timeline}
        self.jobs[identity] = {"data": data, "measurements": measurements, "definition": definition}
        return data


def outcome_probabilities(circuit: Any) -> tuple[np.ndarray, int]:
    """Return an IQM circuit's probabilities, from prx and cz as iqm-client documents them."""
    names = sorted({name for step in circuit.instructions for name in step.locus})
    gates: list[Gate] = []
    order: tuple[int, ...] = ()
    for step in circuit.instructions:
        wires = tuple(names.index(name) for name in step.locus)
        if step.name == "prx":
            for gate, value in (("rz", -step.args["phase"]), ("rx", step.args["angle"]), ("rz", step.args["phase"])):
                gates.append(Gate(gate, wires, (Linear(0.0, -1, value),)))
        elif step.name == "cz":
            gates.append(Gate("cz", wires))
        elif step.name == "measure":
            order = wires
    return probabilities(MeasuredCircuit((Program(len(names), 0, tuple(gates)),), order)), len(order)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server, and a token in the environment."""
    monkeypatch.setenv("IQM_TOKEN", TOKEN)
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_counts_of_what_the_server_ran(server):
    device = open_adapter(f"iqm:{server.url}", computer="garnet")
    circuits = (FLIP, random_circuit(1), random_circuit(2, 4, (3, 1)))
    job = device.submit(Batch(circuits, (4_000,) * 3), "token-1")
    assert device.status(job) == "done"
    result = device.result(job)
    assert result.counts[0] == {2: 4_000}
    for counts, circuit in zip(result.counts, circuits, strict=True):
        assert chi_square_is_fine(counts, probabilities(circuit))
    assert (result.queue_seconds, result.execution_seconds) == (5.0, 2.5)
    assert server.authorizations == {f"Bearer {TOKEN}"}
    assert TOKEN not in json.dumps(result.raw)
    definition = server.jobs[job]["definition"]
    assert [circuit.metadata["flashket_token"] for circuit in definition.circuits] == ["token-1"] * 3
    assert device.find("token-1") == job
    with pytest.raises(JobError, match="looked up"):
        open_adapter(f"iqm:{server.url}", computer="garnet").find("token-1")


def test_cancel_and_failure(server):
    device = open_adapter(f"iqm:{server.url}", computer="garnet")
    job = device.submit(Batch((FLIP,), (10,)), "token-1")
    device.cancel(job)
    assert device.status(job) == "cancelled"
    server.jobs[job]["data"] |= {"status": "failed", "errors": [{"error_code": "bad", "message": "no calibration", "source": "x"}]}
    with pytest.raises(JobError, match="no calibration"), pytest.warns(UserWarning):
        device.result(job)


@pytest.mark.parametrize(("status", "kind"), [(503, TransientError), (429, TransientError), (400, JobError), (401, JobError)])
def test_refusals(server, status, kind):
    device = open_adapter(f"iqm:{server.url}", computer="garnet")
    server.faults.append((status, {"message": f"Bearer {TOKEN} was refused", "error_code": "x"}))
    with pytest.raises(kind) as caught:
        device.submit(Batch((FLIP,), (10,)), "token-1")
    assert TOKEN not in str(caught.value)
    if kind is JobError:
        assert device.find("token-1") is None


@pytest.mark.parametrize(
    "address", ["https://joe:hunter2@iqm.example.org", "http://joe:hunter2@iqm.example.org", "https://iqm.example.org?key=hunter2"]
)
def test_an_address_does_not_hold_credentials(address):
    with pytest.raises(InputError, match="IQM_TOKEN") as caught:
        open_adapter(f"iqm:{address}")
    assert "hunter2" not in str(caught.value)
