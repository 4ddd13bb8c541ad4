# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A QPU provider in a process of its own, over HTTP: takes jobs, charges money, remembers both in a file, and misbehaves when told to.

Run as ``python fake_provider.py STORE``; prints its port. Counts are a fixed function of a circuit's text, so that a client can check
them. It imports nothing of FlashKet.

POST /faults takes a list of {"op": "submit" | "find" | "status" | "result" | "cancel", "kind": ...}; each is used up by one request:
  "busy": 429 with Retry-After 0.05      "busy for long": 429 with Retry-After 86400      "error": 500
  "drop before", "drop after": close the connection before or after doing what was asked
  "hang before", "hang after": let the client's time run out, before or after
  "kill before", "kill after": SIGKILL the client, before or after
  "fail": the job that is submitted fails later    "slow": it is queued for three questions    "forget": it is never found again
  "wrong counts": the result lacks a shot    "refuse": 400
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

USD_PER_SHOT = 0.01
QPU_SECONDS_PER_SHOT = 0.001


def counts_of(qasm: str, n_bits: int, shots: int) -> dict[int, int]:
    """Return the counts that the provider gives for a circuit."""
    digest = hashlib.sha256(qasm.encode()).digest()
    zeros = shots * digest[0] // 255
    other = 1 + digest[1] % ((1 << n_bits) - 1)
    return {outcome: n for outcome, n in ((0, zeros), (other, shots - zeros)) if n}


class Store:
    """Jobs, in a file that is written before any answer is given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.jobs: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
        self.faults: list[dict[str, str]] = []

    def save(self) -> None:
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.jobs))
        temporary.replace(self.path)

    def fault(self, op: str) -> str:
        for index, fault in enumerate(self.faults):
            if fault["op"] == op:
                return self.faults.pop(index)["kind"]
        return ""

    def submit(self, request: dict[str, Any], kind: str) -> dict[str, Any]:
        shots = sum(circuit["shots"] for circuit in request["circuits"])
        job = {
            "id": f"fake-{len(self.jobs) + 1}",
            "token": request["token"],
            "circuits": request["circuits"],
            "usd": shots * USD_PER_SHOT,
            "state": "queued",
            "questions": 3 if kind == "slow" else 0,
            "fails": kind == "fail",
            "is_found": kind != "forget",
        }
        self.jobs[job["id"]] = job
        self.save()
        return {"id": job["id"]}

    def status(self, job: dict[str, Any]) -> dict[str, Any]:
        if job["state"] == "queued":
            if job["questions"]:
                job["questions"] -= 1
            else:
                job["state"] = "failed" if job["fails"] else "done"
            self.save()
        return {"state": job["state"]}

    def result(self, job: dict[str, Any], kind: str) -> dict[str, Any]:
        counts = [counts_of(circuit["qasm"], circuit["n_bits"], circuit["shots"]) for circuit in job["circuits"]]
        if kind == "wrong counts":
            counts[0][next(iter(counts[0]))] -= 1
        return {"counts": counts, "usd": job["usd"], "queue_seconds": 1.5, "execution_seconds": 0.25, "calibration": "2026-11-01T00:00:00"}


class Handler(BaseHTTPRequestHandler):
    """POST /OP with JSON."""

    server: Server

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        store, op = self.server.store, self.path[1:]
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code, wait = 200, None
        with store.lock:
            kind = store.fault(op)
            verb, _, moment = kind.partition(" ")
            if kind in ("busy", "busy for long", "error", "refuse"):
                code = {"busy": 429, "busy for long": 429, "error": 500, "refuse": 400}[kind]
                wait = {"busy": "0.05", "busy for long": "86400"}.get(kind)
                answer = {"error": f"told to: {kind}"}
            elif moment == "before":
                answer = {}
            else:
                answer = self._do(op, request, kind)
                if answer is None:
                    code, answer = 404, {"error": "no such job"}
        if moment in ("before", "after"):
            self._misbehave(verb, request)
        else:
            self._answer(code, answer, wait)

    def _do(self, op: str, request: Any, kind: str) -> dict[str, Any] | None:
        store = self.server.store
        if op == "faults":
            store.faults = request
            return {}
        if op == "reset":
            store.jobs, store.faults = {}, []
            store.save()
            return {}
        if op == "ledger":
            return {"jobs": [{key: job[key] for key in ("id", "token", "usd", "state")} for job in store.jobs.values()]}
        if op == "submit":
            return store.submit(request, kind)
        if op == "find":
            return {"id": next((key for key, job in store.jobs.items() if job["token"] == request["token"] and job["is_found"]), None)}
        job = store.jobs.get(request["id"])
        if job is None:
            return None
        if op == "status":
            return store.status(job)
        if op == "result":
            return store.result(job, kind)
        if job["state"] == "queued":
            job["state"] = "cancelled"
            job["usd"] = 0.0
            store.save()
        return {}

    def _misbehave(self, verb: str, request: dict[str, Any]) -> None:
        if verb == "kill":
            os.kill(request["pid"], signal.SIGKILL)
        elif verb == "hang":
            time.sleep(0.6)
        self.close_connection = True

    def _answer(self, code: int, body: dict[str, Any], retry_after: str | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """Holds the store for its handlers."""

    daemon_threads = True
    store: Store

    def handle_error(self, *args: object) -> None:
        """Say nothing of clients that went away."""


def main() -> None:
    """Serve until killed."""
    server = Server(("127.0.0.1", 0), Handler)
    server.store = Store(Path(sys.argv[1]))
    print(server.server_address[1], flush=True)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
