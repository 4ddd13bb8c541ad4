# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``ionq:simulator``, ``ionq:qpu.forte-1`` ...: IonQ's REST interface v0.4, spoken directly.

Circuits for QPUs are written in native gates, which IonQ runs as they are, so that U(x) is not cancelled against U(y)^dagger; the ideal
simulator gets gates of the "qis" set. Qubit labels are permuted so that classical bit j is qubit j.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from typing import Any

import numpy as np

from flashket.errors import BackendUnavailable, InputError, JobError, explanation
from flashket.program import Gate, Program
from flashket.qpu.adapters._asking import never_connected, retry_after
from flashket.qpu.adapters._base import Batch, Limits, Result, TransientError
from flashket.qpu.adapters._phased import Barrier, Pulse, phased
from flashket.qpu.adapters._shared import angle_of, check_batch, device_cost, drawn, free, rewritten
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import need_credential, redact

URL = "https://api.ionq.co/v0.4"

MAX_CIRCUITS, MAX_GATES, MAX_SHOTS = 5_000, 150_000, 1_000_000
"""Of one job: circuits, gates in all of them, shots of each."""

_QIS = {
    **{name: name for name in ("x", "y", "z", "h", "s", "t", "rx", "ry", "rz", "swap")},
    "sdg": "si",
    "tdg": "ti",
    "cx": "cnot",
    "rzz": "zz",
    "rxx": "xx",
    "ryy": "yy",
}
_STATES = {"submitted": "queued", "ready": "queued", "started": "running", "completed": "done", "failed": "failed", "canceled": "cancelled"}
_TOKEN, _BITS = "flashket_token", "flashket_bits"


def opened(target: str, **options: Any) -> IonQAdapter:
    """Return the adapter of ``ionq:<target>``."""
    return IonQAdapter(target, **options)


class _NotAllowed(JobError):
    """The API key is wrong, has expired, or may not do this."""


class IonQAdapter:
    """A simulator or QPU of IonQ. A batch is one job; the token is in its metadata.

    Parameters
    ----------
    target : str
        ``"simulator"``, ``"qpu.forte-1"``, ``"qpu.forte-enterprise-1"`` or what IonQ adds.
    noise : str, optional
        Noise model of the simulator, e.g. ``"forte-1"``.
    profile : str, optional
        The device profile that estimates the cost; by default ``ionq_forte-1`` for ``qpu.forte-1``.
    url : str, optional
        The service's address; by default ``IONQ_API_URL``, else IonQ's own. HTTPS, or this machine.
    timeout : float
        Seconds to wait for an answer.
    """

    is_remote = True

    def __init__(
        self, target: str, *, noise: str | None = None, profile: str | None = None, url: str | None = None, timeout: float = 30.0
    ) -> None:
        self.name, self._target, self._noise = f"ionq:{target}", target, noise
        self._is_simulator = target == "simulator"
        if not self._is_simulator and not target.startswith("qpu."):
            do = "choose simulator, qpu.forte-1 or qpu.forte-enterprise-1"
            raise InputError(explanation("open_adapter", "a backend of IonQ was wanted", repr(target), do))
        if noise is not None and not self._is_simulator:
            raise InputError(explanation("open_adapter", "noise is an option of ionq:simulator", repr(target)))
        self._profile = profile or f"ionq_{target.removeprefix('qpu.')}"
        self._url = (url or os.environ.get("IONQ_API_URL") or URL).rstrip("/")
        self._timeout = timeout
        parsed = urllib.parse.urlsplit(self._url)
        if parsed.scheme != "https" and not (parsed.scheme == "http" and parsed.hostname in ("localhost", "127.0.0.1", "::1")):
            raise InputError(explanation("open_adapter", "url must be https", repr(redact(self._url)), "a key is never sent in clear"))

    def limits(self) -> Limits:
        """Say what one job may hold."""
        from flashket.qpu.profile import load_profile

        try:
            qubits: int | None = load_profile(self._profile).n_qubits
        except InputError:
            qubits = None
        return Limits(qubits, MAX_SHOTS, MAX_CIRCUITS, None, True)

    def estimate(self, batch: Batch) -> Cost:
        """Say what the batch costs, by Azure's list price for IonQ, the only public one; IonQ's own simulator is free."""
        if self._is_simulator:
            return free(batch, "IonQ does not charge for its simulator")
        return device_cost(batch, [self._profile, re.sub(r"(-enterprise)?-\d+$", "", self._profile)], "azure_")

    def request(self, batch: Batch, token: str) -> dict[str, Any]:
        """Return the body of POST /jobs."""
        check_batch(batch, self.limits(), self.name)
        made = [_qis(circuit) if self._is_simulator else _native(circuit) for circuit in batch.circuits]
        n_gates = sum(map(len, made))
        if n_gates > MAX_GATES:
            raise InputError(explanation(self.name, f"gates of a job must be at most {MAX_GATES:,}", f"{n_gates:,}", "split the batch"))
        gateset = "qis" if self._is_simulator else "native"
        width = max(circuit.n_qubits for circuit in batch.circuits)
        bits = [len(circuit.measured) for circuit in batch.circuits]
        body: dict[str, Any] = {
            "backend": self._target,
            "name": f"flashket {token}"[:128],
            "shots": batch.shots[0],
            # Values are strings; bits as one number where all are alike, which keeps thousands of circuits short.
            "metadata": {_TOKEN: token, _BITS: json.dumps(bits[0] if len(set(bits)) == 1 else bits)},
        }
        if len(made) == 1:
            body |= {"type": "ionq.circuit.v1", "input": {"qubits": width, "gateset": gateset, "circuit": made[0]}}
        else:
            circuits = [{"name": f"circuit {index}", "circuit": gates} for index, gates in enumerate(made)]
            body |= {"type": "ionq.multi-circuit.v1", "input": {"qubits": width, "gateset": gateset, "circuits": circuits}}
        if self._is_simulator:
            seed = {} if batch.seed is None else {"seed": int(np.random.default_rng(batch.seed).integers(2**31 - 1))}
            body["noise"] = {"model": self._noise or "ideal", **seed}
        else:
            body["settings"] = {"error_mitigation": {"debiasing": False}}
        return body

    def submit(self, batch: Batch, token: str) -> str:
        """Send the batch as one job."""
        need_credential("ionq", self.name)
        try:
            return str(self._ask("POST", "/jobs", self.request(batch, token))["id"])
        except _NotAllowed as error:
            text = f"{error} (nothing was sent)"
        # Not a job of unknown outcome: a key that has expired cannot have sent one.
        raise BackendUnavailable(text)

    def find(self, token: str) -> str | None:
        """Return the job with this token in its metadata, among all jobs of the backend."""
        query: dict[str, str] = {"target": self._target, "limit": "100"}
        while True:
            page = self._ask("GET", f"/jobs?{urllib.parse.urlencode(query)}")
            for job in page["jobs"]:
                if (job.get("metadata") or {}).get(_TOKEN) == token:
                    return str(job["id"])
            if not page.get("next"):
                return None
            query["next"] = page["next"]

    def _job(self, job_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/jobs/{urllib.parse.quote(job_id, safe='')}")

    def status(self, job_id: str) -> str:
        """Return the job's state."""
        return _STATES.get(self._job(job_id)["status"], "running")

    def result(self, job_id: str) -> Result:
        """Return the counts. IonQ gives probabilities: multiples of 1/shots from a QPU, exact ones from its ideal simulator.

        Exact ones are drawn from here, with the job's id as the seed, so that every fetch gives the same counts.
        """
        job = self._job(job_id)
        if job["status"] != "completed":
            failure = job.get("failure") or {}
            got = redact(f"{job['status']} {failure.get('code', '')} {failure.get('message', '')}".strip())
            raise JobError(explanation(self.name, "a completed job was wanted", got))
        children = job.get("child_job_ids") or [job_id]
        bits = json.loads((job.get("metadata") or {}).get(_BITS, "null"))
        if bits is None:
            raise JobError(explanation(self.name, "a job that this package sent was wanted", f"{job_id} without its metadata"))
        widths = [bits] * len(children) if isinstance(bits, int) else bits
        shots = job.get("shots")
        probabilities = [self._ask("GET", f"/jobs/{urllib.parse.quote(child, safe='')}/results/probabilities") for child in children]
        ideal = (job.get("noise") or {}).get("model") == "ideal" or not shots
        counts = tuple(
            _counts(found, width, shots or 0, f"{job_id}/{index}" if ideal else "")
            for index, (found, width) in enumerate(zip(probabilities, widths, strict=True))
        )
        sent, began, ended = (_time(job.get(name)) for name in ("submitted_at", "started_at", "completed_at"))
        duration = job.get("execution_duration_ms")
        stats = job.get("stats") or {}
        billed = stats.get("billed_quantum_compute_time_us")
        return Result(
            counts,
            queue_seconds=(began - sent).total_seconds() if began and sent else None,
            execution_seconds=duration / 1e3 if duration is not None else ((ended - began).total_seconds() if ended and began else None),
            qpu_seconds=None if billed is None else billed / 1e6,
            usd=self._billed(job_id),
            raw=redact({name: job.get(name) for name in ("id", "backend", "shots", "stats", "noise", "settings", "cost_model")}),
        )

    def _billed(self, job_id: str) -> float | None:
        """Return what IonQ charged in USD, where it says so."""
        if self._is_simulator:
            return 0.0
        try:
            cost = self._ask("GET", f"/jobs/{urllib.parse.quote(job_id, safe='')}/cost").get("cost") or {}
        except (JobError, TransientError):
            return None
        return float(cost["value"]) if str(cost.get("unit", "")).lower() == "usd" and cost.get("value") is not None else None

    def cancel(self, job_id: str) -> None:
        """Ask IonQ to stop the job."""
        self._ask("PUT", f"/jobs/{urllib.parse.quote(job_id, safe='')}/status/cancel")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request and return its JSON."""
        secret = need_credential("ionq", self.name).secret
        assert secret is not None
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, method=method)  # checked to be http(s)
        request.add_unredirected_header("Authorization", f"apiKey {secret.reveal()}")
        request.add_header("Content-Type", "application/json")
        request.add_header("User-Agent", "flashket")
        failure: Exception
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                found: dict[str, Any] = json.load(response)
            return found
        except urllib.error.HTTPError as error:
            reason = redact(error.read(2000).decode(errors="replace"))
            text = f"HTTP {error.code} {reason}".strip()
            if error.code in (408, 425, 429) or error.code >= 500:
                failure = TransientError(
                    explanation(self.name, "IonQ did not answer", text), retry_after(dict(error.headers or {})), refused=error.code == 429
                )
            else:
                is_key = error.code in (401, 403)
                kind = _NotAllowed if is_key else JobError
                failure = kind(explanation(self.name, "IonQ refused", text, "check the API key" if is_key else None))
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException, OSError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException) else error
            reason = redact(f"{type(cause).__name__}: {cause}")
            text = explanation(self.name, "IonQ did not answer", reason)
            failure = TransientError(text, refused=never_connected(error))
        except ValueError as error:
            failure = JobError(explanation(self.name, "IonQ's answer must be JSON", redact(str(error))))
        # Raised here, so that no chained exception holds the request with its header.
        raise failure


def _relabelled(circuit: MeasuredCircuit) -> list[Program]:
    """Return the parts with classical bit j on qubit j."""
    order = [*circuit.measured, *(qubit for qubit in range(circuit.n_qubits) if qubit not in circuit.measured)]
    place = {qubit: index for index, qubit in enumerate(order)}
    return [
        Program(part.n_qubits, 0, tuple(Gate(gate.name, tuple(place[qubit] for qubit in gate.qubits), gate.angle) for gate in part.gates))
        for part in circuit.parts
    ]


def _qis(circuit: MeasuredCircuit) -> list[dict[str, Any]]:
    """Return a circuit in the gates of the "qis" set."""
    made: list[dict[str, Any]] = []
    for gate in (gate for part in _relabelled(circuit) for gate in rewritten(part.gates, _QIS)):
        where: dict[str, Any] = {"targets": list(gate.qubits)}
        if gate.name == "cx":
            where = {"control": gate.qubits[0], "target": gate.qubits[1]}
        angle = angle_of(gate)
        made.append({"gate": _QIS[gate.name], **where, **({} if angle is None else {"rotation": angle})})
    return made


def _native(circuit: MeasuredCircuit) -> list[dict[str, Any]]:
    """Return a circuit in gpi, gpi2 and zz. Phases are in turns; zz(a) = exp(-i pi a ZZ)."""
    made: list[dict[str, Any]] = []
    for step in phased(_relabelled(circuit), "rzz", quarters=True):
        if isinstance(step, Pulse):
            name = "gpi" if abs(step.angle - math.pi) < 1e-9 else "gpi2"
            made.append({"gate": name, "target": step.wire, "phase": (step.phase / (2 * math.pi)) % 1.0})
        elif not isinstance(step, Barrier):
            made.append({"gate": "zz", "targets": list(step.wires), "angle": step.angle / (2 * math.pi)})
    return made


def _counts(probabilities: dict[str, float], bits: int, shots: int, seed: str) -> dict[int, int]:
    """Return counts of the measured bits from IonQ's probabilities by decimal state, whose lowest bit is qubit 0."""
    totals: dict[int, float] = {}
    for state, probability in probabilities.items():
        outcome = int(state) & ((1 << bits) - 1)
        totals[outcome] = totals.get(outcome, 0.0) + float(probability)
    if seed:
        outcomes = sorted(totals)
        found = drawn(np.array([totals[outcome] for outcome in outcomes]), shots, int.from_bytes(seed.encode(), "little"), 0)
        return {outcomes[index]: times for index, times in found.items()}
    return {outcome: times for outcome, probability in totals.items() if (times := round(probability * shots))}


def _time(text: str | None) -> datetime | None:
    return None if not text else datetime.fromisoformat(text.replace("Z", "+00:00"))
