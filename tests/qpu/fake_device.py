# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The adapter of the fake provider, its process, and batches for it. Run as a script, a client that can be killed at any step."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_provider import QPU_SECONDS_PER_SHOT, USD_PER_SHOT, counts_of
from flashket.errors import JobError
from flashket.program import Gate, Program
from flashket.qpu import budget, jobs
from flashket.qpu.adapters._base import Batch, Limits, Result, TransientError
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost
from flashket.qpu.journal import Journal
from flashket.qpu.retry import Retry

HERE = Path(__file__).parent
QUICK = Retry(attempts=3, first_wait=0.002, longest_wait=5.0, first_poll=0.002, longest_poll=0.05)


class FakeDevice:
    """An adapter that speaks HTTP over a socket. The worst case is a tenth more than what is billed."""

    name = "fake:qpu"
    is_remote = True

    def __init__(self, port: int, limits: Limits | None = None, *, usd: float | None = USD_PER_SHOT, timeout: float = 10.0) -> None:
        self.port = port
        self.timeout = timeout
        self._limits = limits or Limits(20, max_circuits=2)
        self._usd = usd

    def limits(self) -> Limits:
        return self._limits

    def estimate(self, batch: Batch) -> Cost:
        n = sum(batch.shots)
        usd = None if self._usd is None else n * self._usd
        notes = ("by contract",) if usd is None else ()
        return Cost(len(batch.circuits), n, n * QPU_SECONDS_PER_SHOT, usd, None if usd is None else 1.1 * usd, notes=notes)

    def submit(self, batch: Batch, token: str) -> str:
        circuits = [
            {"qasm": circuit.to_qasm(), "n_bits": len(circuit.measured), "shots": shots}
            for circuit, shots in zip(batch.circuits, batch.shots, strict=True)
        ]
        return str(self.ask("submit", token=token, circuits=circuits)["id"])

    def find(self, token: str) -> str | None:
        found: str | None = self.ask("find", token=token)["id"]
        return found

    def status(self, job_id: str) -> str:
        return str(self.ask("status", id=job_id)["state"])

    def result(self, job_id: str) -> Result:
        answer = self.ask("result", id=job_id)
        counts = tuple({int(outcome): n for outcome, n in found.items()} for found in answer.pop("counts"))
        return Result(
            counts, answer["queue_seconds"], answer["execution_seconds"], None, answer["usd"], answer["calibration"], {"by": "fake"}
        )

    def cancel(self, job_id: str) -> None:
        self.ask("cancel", id=job_id)

    def ask(self, op: str, **body: Any) -> dict[str, Any]:
        """Make one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            connection.connect()
        except OSError as error:
            raise TransientError(f"no connection: {error}", refused=True) from error
        try:
            connection.request("POST", f"/{op}", json.dumps({**body, "pid": os.getpid()}))
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(f"{type(error).__name__} in {op}") from error
        finally:
            connection.close()
        if response.status == 429:
            raise TransientError("429", float(response.headers["Retry-After"]), refused=True)
        if response.status >= 500:
            raise TransientError(str(response.status))
        if response.status != 200:
            raise JobError(f"[fake:qpu] {response.status}: {answer['error']}")
        return answer


class Provider:
    """The fake provider's process."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "provider.json"
        self.timeout = 10.0
        self.start()

    def start(self) -> None:
        """Start, with what the file remembers."""
        command = [sys.executable, str(HERE / "fake_provider.py"), str(self.store)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def device(self, limits: Limits | None = None, **options: Any) -> FakeDevice:
        """Return an adapter."""
        return FakeDevice(self.port, limits, timeout=self.timeout, **options)

    def _tell(self, op: str, body: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", f"/{op}", json.dumps(body))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def faults(self, *faults: tuple[str, str]) -> None:
        """Say what goes wrong next: (op, kind). Devices that are made later have little patience where the provider will hang."""
        self.timeout = 0.3 if any(kind.startswith("hang") for _, kind in faults) else 10.0
        self._tell("faults", [{"op": op, "kind": kind} for op, kind in faults])

    def reset(self) -> None:
        """Forget every job."""
        self.timeout = 10.0
        self._tell("reset", {})

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """What was taken and charged."""
        found: list[dict[str, Any]] = self._tell("ledger", {})["jobs"]
        return found

    @property
    def usd(self) -> float:
        """All the money that was charged."""
        return float(sum(job["usd"] for job in self.ledger))


@contextmanager
def running(folder: Path) -> Iterator[Provider]:
    """Run a provider."""
    provider = Provider(folder)
    try:
        yield provider
    finally:
        provider.stop()


def batch_of(n_circuits: int, shots: int = 100, seed: int | None = None) -> Batch:
    """Return a batch of different circuits on two qubits."""
    circuits = []
    for index in range(n_circuits):
        turn = Gate("ry", (0,), ((0.0, -1, 0.1 * (index + 1)),))  # type: ignore[arg-type]
        circuits.append(MeasuredCircuit((Program(2, 0, (turn, Gate("cx", (0, 1)))),), (0, 1)))
    return Batch(tuple(circuits), (shots,) * n_circuits, seed)


def expected(batch: Batch) -> tuple[dict[int, int], ...]:
    """Return the counts that the provider gives for a batch that is not split."""
    pairs = zip(batch.circuits, batch.shots, strict=True)
    return tuple(counts_of(circuit.to_qasm(), len(circuit.measured), shots) for circuit, shots in pairs)


def _killed(where: str, what: str, nth: int) -> None:
    """Make this process kill itself "before", "during" or "after" the nth transaction that brings a part into the state ``what``."""
    seen = [0]

    def die(state: str) -> None:
        if state == what:
            seen[0] += 1
            if seen[0] == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    change, log, plan, deliver = Journal.change, Journal._log, Journal.plan, Journal.deliver

    def patched_change(self: Journal, part: int, before: Any, state: str, **fields: Any) -> bool:
        name = "kept" if "counts" in fields else state
        if where == "before":
            die(name)
        changed = change(self, part, before, state, **fields)
        if where == "after" and not self._connection.in_transaction:
            die(name)
        return changed

    def patched_log(self: Journal, part: int, state: str) -> None:
        log(self, part, state)
        if where == "during":
            die(state)

    def patched_plan(self: Journal, **fields: Any) -> Any:
        found = plan(self, **fields)
        if where == "after":
            die("planned")
        return found

    def patched_deliver(self: Journal, job: int) -> None:
        if where == "before":
            die("delivered")
        deliver(self, job)

    Journal.change, Journal._log, Journal.plan, Journal.deliver = patched_change, patched_log, patched_plan, patched_deliver  # type: ignore[method-assign]


def main() -> None:
    """Submit and fetch a batch; print the counts."""
    request = json.loads(sys.argv[1])
    if request.get("kill"):
        _killed(*request["kill"])
    device = FakeDevice(request["port"])
    with budget(usd=request.get("usd", 100), qpu_seconds=100):
        job = jobs.submit(batch_of(request["n"]), device, journal=request["journal"], retry=QUICK)
        print(json.dumps(job.result().counts))


if __name__ == "__main__":
    main()
