# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A doorway in front of an HTTP service on this machine, that lets requests through until one of them, and spoils that one."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("gone", "closed", "read", 429, 401, 403, 500, 503, 400)
"""No one listens any more; the connection is closed unread; closed after it was read and passed on; and answers by their status."""


class Doorway:
    """Passes requests to a port. Of the request number ``at`` (from 0) on, none gets through unharmed.

    Parameters
    ----------
    port : int
        Of the service.
    fault : str or int
        One of FAULTS.
    at : int, optional
        None harms nothing.
    """

    def __init__(self, port: int, fault: str | int = "", at: int | None = None) -> None:
        self.upstream, self.fault, self.at = port, fault, at
        self.seen: list[str] = []
        doorway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                doorway.serve(self)

            do_GET = do_POST = do_PUT = _serve

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.http.server_port)
        if fault == "gone" and at == 0:
            self.http.server_close()
        else:
            threading.Thread(target=lambda: self.http.serve_forever(0.01), daemon=True).start()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass a request on, or spoil it."""
        handler.close_connection = True
        number, spoilt = len(self.seen), self.at is not None and len(self.seen) >= self.at
        if spoilt and self.fault == "closed":
            return
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.seen.append(f"{handler.command} {handler.path}")
        if spoilt and isinstance(self.fault, int):
            self.answer(handler, self.fault, {"Retry-After": "7"}, json.dumps({"message": "told to"}).encode())
            return
        if self.fault == "gone" and number + 1 == self.at:
            self.http.socket.shutdown(socket.SHUT_RDWR)  # at once, and before the answer: the next request finds nobody
            self.http.socket.close()
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in ("connection", "host", "expect")}
        connection.request(handler.command, handler.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if spoilt:
            return
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("content-type", "retry-after", "set-cookie")}
        self.answer(handler, answer.status, kept, data)

    def answer(self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], data: bytes) -> None:
        """Send an answer and close the connection."""
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data)), "Connection": "close"}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
