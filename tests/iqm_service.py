# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The part of IQM's interface that iqm-client needs, on a real socket; it runs the circuits that it is sent."""

from __future__ import annotations

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from flashket.program import Gate, Linear, Program
from flashket.qpu import MeasuredCircuit, load_profile
from measured import probabilities


class IQMService:
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
