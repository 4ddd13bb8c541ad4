# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A server that speaks IonQ's REST interface v0.4 on a real socket, and simulates circuits from its own matrices."""

from __future__ import annotations

import cmath
import json
import math
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

_R = 1 / math.sqrt(2)
_FIXED = {
    "x": [[0, 1], [1, 0]],
    "y": [[0, -1j], [1j, 0]],
    "z": [[1, 0], [0, -1]],
    "h": [[_R, _R], [_R, -_R]],
    "s": [[1, 0], [0, 1j]],
    "si": [[1, 0], [0, -1j]],
    "t": [[1, 0], [0, cmath.exp(0.25j * math.pi)]],
    "ti": [[1, 0], [0, cmath.exp(-0.25j * math.pi)]],
}


def _pair(letter: str, angle: float) -> np.ndarray:
    """Return exp(-i angle/2 P P)."""
    single = np.array(_FIXED[letter], complex)
    return math.cos(angle / 2) * np.eye(4) - 1j * math.sin(angle / 2) * np.kron(single, single)


def matrix(gate: dict[str, Any]) -> np.ndarray:
    """Return a gate's matrix as IonQ documents it: angles of "qis" gates in radians, those of native ones in turns."""
    name = gate["gate"]
    if name in _FIXED:
        return np.array(_FIXED[name], complex)
    if name in ("rx", "ry", "rz"):
        single = np.array(_FIXED[name[1]], complex)
        return math.cos(gate["rotation"] / 2) * np.eye(2) - 1j * math.sin(gate["rotation"] / 2) * single
    if name in ("xx", "yy"):
        return _pair(name[0], gate["rotation"])
    if name == "zz":
        return _pair("z", gate["rotation"] if "rotation" in gate else 2 * math.pi * gate["angle"])
    if name in ("gpi", "gpi2"):
        phase = 2 * math.pi * gate["phase"]
        up, down = cmath.exp(-1j * phase), cmath.exp(1j * phase)
        return np.array([[0, up], [down, 0]]) if name == "gpi" else _R * np.array([[1, -1j * up], [-1j * down, 1]])
    if name == "swap":
        return np.eye(4)[[0, 2, 1, 3]]
    if name == "cnot":
        return np.eye(4)[[0, 1, 3, 2]]  # written (control, target), the control in front
    raise KeyError(name)


def simulate(gates: list[dict[str, Any]], n_qubits: int) -> dict[str, float]:
    """Return probabilities by decimal state, qubit 0 the lowest bit."""
    state = np.zeros((2,) * n_qubits, complex)
    state[(0,) * n_qubits] = 1
    for gate in gates:
        wires = [gate["control"], gate["target"]] if gate["gate"] == "cnot" else gate.get("targets", [gate.get("target")])
        axes = [n_qubits - 1 - wire for wire in wires]
        operator = matrix(gate).reshape((2,) * (2 * len(wires)))
        state = np.moveaxis(np.tensordot(operator, state, (range(len(wires), 2 * len(wires)), axes)), range(len(wires)), axes)
    return {str(index): float(weight) for index, weight in enumerate((np.abs(state) ** 2).reshape(-1)) if weight > 1e-15}


class IonQService:
    """``with IonQService(key) as service: ... service.url``. ``faults`` are (status, headers, body) given instead of the next answers."""

    def __init__(self, key: str) -> None:
        self.key, self.jobs, self.requests = key, dict[str, dict[str, Any]](), list[tuple[str, str, Any]]()
        self.faults: list[tuple[int, dict[str, str], str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                service.requests.append((self.command, self.path, body))
                status, headers, answer = service.answer(self.command, self.path, body, self.headers.get("Authorization", ""))
                data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _serve

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v0.4"
        self.thread = threading.Thread(target=lambda: self.server.serve_forever(0.01), daemon=True)

    def __enter__(self) -> IonQService:
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, method: str, path: str, body: Any, authorization: str) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and body."""
        if self.faults:
            return self.faults.pop(0)
        if authorization != f"apiKey {self.key}":
            return 401, {}, {"statusCode": 401, "error": "Unauthorized", "message": f"bad key in {authorization}"}
        route = urllib.parse.urlsplit(path).path.removeprefix("/v0.4").strip("/").split("/")
        if method == "POST" and route == ["jobs"]:
            return 201, {}, self.create(body)
        if method == "GET" and route == ["jobs"]:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
            ids = sorted(job for job in self.jobs if "/" not in job)
            first = int(query.get("next", ["0"])[0])
            page = [self.jobs[job] for job in ids[first : first + 2]]
            return 200, {}, {"jobs": page, "next": str(first + 2) if first + 2 < len(ids) else None}
        job = self.jobs.get(route[1])
        if job is None:
            return 404, {}, {"statusCode": 404, "error": "Not Found", "message": "no such job"}
        if route[2:] == ["results", "probabilities"]:
            return 200, {}, job["probabilities"]
        if route[2:] == ["cost"]:
            return 200, {}, {"dry_run": False, "cost": {"unit": "usd", "value": 1.25}}
        if method == "PUT" and route[2:] == ["status", "cancel"]:
            job["status"] = "canceled"
            return 200, {}, {"id": route[1], "status": "canceled"}
        return 200, {}, {key: value for key, value in job.items() if key != "probabilities"}

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Run a job at once."""
        identity = f"job-{sum('.' not in job for job in self.jobs)}"
        given = body["input"]
        circuits = [given["circuit"]] if "circuit" in given else [one["circuit"] for one in given["circuits"]]
        found = []
        for gates in circuits:
            exact = simulate(gates, given["qubits"])
            if body["backend"] != "simulator":
                keys = list(exact)
                drawn = np.random.default_rng(5).multinomial(body["shots"], np.array([exact[key] for key in keys]) / sum(exact.values()))
                exact = {key: int(times) / body["shots"] for key, times in zip(keys, drawn, strict=True) if times}
            found.append(exact)
        children = [] if len(found) == 1 else [f"{identity}.{index}" for index in range(len(found))]
        base = {
            "status": "completed",
            "backend": body["backend"],
            "metadata": body["metadata"],
            "shots": body["shots"],
            "noise": body.get("noise"),
            "submitted_at": "2026-06-11T20:47:05.440Z",
            "started_at": "2026-06-11T20:47:10.000Z",
            "completed_at": "2026-06-11T20:47:15.000Z",
            "execution_duration_ms": 4200,
            "stats": {"billed_quantum_compute_time_us": 5200},
        }
        self.jobs[identity] = {**base, "id": identity, "child_job_ids": children or None, "probabilities": found[0]}
        for child, exact in zip(children, found if children else [], strict=True):
            self.jobs[child] = {**base, "id": child, "probabilities": exact}
        return {"id": identity, "status": "ready", "session_id": None}
