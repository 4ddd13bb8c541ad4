# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The part of Nexus' interface that qnexus needs, on a real socket; it runs the circuits that it is sent with pytket's emulator."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

TOKEN = "nexus-canary-90aa-1177"
TIMES = {"created": "2026-06-01T10:00:00+00:00", "modified": "2026-06-01T10:00:00+00:00"}


class NexusService:
    """The part of Nexus' interface that qnexus needs for jobs of circuits."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, dict[str, Any]]] = {"projects": {}, "circuits": {}, "jobs": {}, "results": {}}
        self.faults: list[tuple[int, Any]] = []
        self.cookies: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.cookies.add(self.headers.get("Cookie", ""))
                parts = urllib.parse.urlsplit(self.path)
                query = urllib.parse.parse_qs(parts.query)
                status, answer = server.answer(
                    self.command, parts.path.strip("/").split("/")[1:], query, json.loads(body) if body else None
                )
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
        threading.Thread(target=lambda: self.http.serve_forever(0.01), daemon=True).start()

    def answer(self, method: str, path: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Return status and JSON; path is kind, version, and what follows."""
        kind, rest = path[0], path[2:]
        if self.faults and kind == "jobs":
            return self.faults.pop(0)
        store = self.stored[kind]
        if method == "POST" and not rest:
            identity = str(uuid4())
            attributes = {**body["data"]["attributes"], "timestamps": TIMES, "contents_modified": TIMES["created"], "archived": False}
            entry = {"id": identity, "type": kind[:-1], "attributes": attributes, "relationships": body["data"]["relationships"]}
            store[identity] = entry
            if kind == "jobs":
                self.run(entry)
            return (202 if kind == "jobs" else 201), {"data": entry}
        if rest and rest[-1] == "cancel":
            store[rest[0]]["attributes"]["status"]["status"] = "CANCELLED"
            return 202, {}
        if rest == ["meta", "count"]:
            return 200, {"count": len(self.named(store, query))}
        included = list(self.stored["projects"].values())
        if not rest:
            page = int(query.get("page[number]", ["0"])[0])
            return 200, {"data": self.named(store, query) if page == 0 else [], "included": included}
        if rest[1:] == ["attributes", "status"]:
            return 200, store[rest[0]]["attributes"]["status"]
        if kind == "results":
            return 200, store[rest[0]]
        return 200, {"data": store[rest[0]], "included": included}

    def named(self, store: dict[str, dict[str, Any]], query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Return the entries of a name."""
        names = next((value for key, value in query.items() if "name" in key), None)
        return [entry for entry in store.values() if names is None or entry["attributes"]["name"] in names]

    def run(self, job: dict[str, Any]) -> None:
        """Run a job at once."""
        from pytket.circuit import Circuit
        from pytket.extensions.quantinuum.backends.data import QuantinuumBackendData
        from pytket.extensions.quantinuum.backends.quantinuum import QuantinuumBackend

        definition = job["attributes"]["definition"]
        backend = QuantinuumBackend("H2-1", data=QuantinuumBackendData(n_qubits=56, n_cl_reg=100, local_emulator=True))
        for item in definition["items"]:
            attributes = dict(self.stored["circuits"][item["program_id"]]["attributes"])
            for name in ("properties", "description", "timestamps", "contents_modified", "archived"):
                attributes.pop(name, None)
            circuit = Circuit.from_dict(attributes)
            handle = backend.process_circuit(circuit, n_shots=item["n_shots"], seed=3, valid_check=False)
            result = backend.get_result(handle)
            identity = str(uuid4())
            facts = {"name": "b", "version": "1", "device": {"nodes": [], "edges": []}, "gate_set": []}
            facts |= {"supports_fast_feedforward": True, "supports_reset": True, "supports_midcircuit_measurement": True}
            self.stored["results"][identity] = {
                "data": {
                    "attributes": result.to_dict(),
                    "relationships": {"program": {"data": {"id": item["program_id"], "type": "circuit"}}},
                },
                "included": [{"type": "backend_snapshot", "attributes": facts}],
            }
            item |= {"result_id": identity, "result_type": "PYTKET", "status": {"status": "COMPLETED", "message": "", "cost": 7.5}}
        times = {"submitted_time": "2026-06-01T10:00:00+00:00", "running_time": "2026-06-01T10:00:04+00:00"}
        job["attributes"]["status"] = {"status": "COMPLETED", "message": "", **times, "completed_time": "2026-06-01T10:00:05.500000+00:00"}
        programs = [{"id": item["program_id"], "type": "circuit"} for item in definition["items"]]
        job["relationships"]["programs"] = {"data": programs}


@contextmanager
def nexus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[NexusService]:
    """A running server, and tokens where Nexus' own login puts them."""
    from qnexus import client
    from qnexus.config import CONFIG

    running = NexusService()
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / CONFIG.token_path
    folder.mkdir(parents=True)
    (folder / "token.json").write_text(json.dumps({"data": {"delete_version_after": None, "refresh_token": TOKEN}}))
    (folder / "id.json").write_text(json.dumps({"data": {"access_token": f"id-{TOKEN}"}}))
    for name, value in (("protocol", "http"), ("domain", "127.0.0.1"), ("port", running.http.server_port)):
        monkeypatch.setattr(CONFIG, name, value)
    client.get_nexus_client(reload=True)
    yield running
    running.http.shutdown()
    running.http.server_close()
