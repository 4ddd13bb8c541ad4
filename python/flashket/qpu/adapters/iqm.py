# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``iqm:<https address>`` (IQM Resonance or an own server) and ``iqm:<name>`` on Resonance, through iqm-client.

Circuits are routed and written in prx and cz here, with iqm-client's barrier between the parts; the server compiles them to pulses as
they are. The token is in the metadata of every circuit and in its name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np

from flashket.errors import BackendUnavailable, InputError, JobError, explanation
from flashket.qpu.adapters._asking import Unlisted, asked, before_sending
from flashket.qpu.adapters._base import Batch, Limits, Result
from flashket.qpu.adapters._phased import Barrier, Pulse, phased
from flashket.qpu.adapters._shared import check_batch, counts_of_bits, device_cost, sdk
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import need_credential, redact
from flashket.qpu.native import NativeCircuit
from flashket.qpu.profile import DeviceProfile, load_profile

RESONANCE = "https://resonance.iqm.tech"

_STATES = {"completed": "done", "failed": "failed", "cancelled": "cancelled", "waiting": "queued", "processing": "running"}


def opened(target: str, **options: Any) -> IQMAdapter:
    """Return the adapter of ``iqm:<target>``."""
    return IQMAdapter(target, **options)


class IQMAdapter:
    """A quantum computer of IQM.

    Parameters
    ----------
    target : str
        Address of the server, or the name of a computer on Resonance, e.g. ``"garnet"``.
    computer : str, optional
        Which computer of the server.
    profile : str, optional
        Device profile that estimates the cost, and whose calibration chooses the layout; by default ``iqm_<name>``.
    layout : sequence of int, optional
        Physical qubits, 0 for QB1.
    """

    is_remote = True

    def __init__(
        self, target: str, *, computer: str | None = None, profile: str | None = None, layout: Sequence[int] | None = None
    ) -> None:
        self.name = f"iqm:{target}"
        is_address = "://" in target
        self._url, self._computer = (target, computer) if is_address else (RESONANCE, target)
        parsed = urlsplit(self._url)
        if parsed.username or parsed.password or parsed.query:
            # The name goes into the journal, and into what is printed.
            do = "set IQM_TOKEN instead"
            raise InputError(explanation("open_adapter", "an address without credentials was wanted", f"one of {parsed.hostname}", do))
        self._sdk = sdk("iqm.iqm_client", "iqm-client", "iqm", self.name)
        if parsed.scheme != "https" and parsed.hostname not in ("localhost", "127.0.0.1"):
            raise InputError(explanation("open_adapter", "the address must be https", repr(self._url), "a token is never sent in clear"))
        name = (computer or "") if is_address else target
        self._profile, self._layout = profile or f"iqm_{name.split(':')[0].lower()}", layout
        self._jobs = Unlisted(self.name)
        self._client_found: Any = None
        self._architecture_found: Any = None

    def _client(self) -> Any:
        if self._client_found is None:
            found = need_credential("iqm", self.name)

            def connect() -> Any:
                # Without a token iqm-client reads IQM_TOKENS_FILE itself. It is in no frame that an error's traceback keeps.
                token = {} if found.secret is None or found.origin.endswith("IQM_TOKEN") else {"token": found.secret.reveal()}
                return self._sdk.IQMClient.from_url(self._url, quantum_computer=self._computer, client_signature="flashket", **token)

            self._client_found = asked(self.name, connect)
        return self._client_found

    def _architecture(self) -> Any:
        if self._architecture_found is None:
            client = self._client()
            self._architecture_found = asked(self.name, client.get_dynamic_quantum_architecture)
        return self._architecture_found

    def limits(self) -> Limits:
        """Say what one job may hold, as far as its profile tells."""
        try:
            qubits: int | None = load_profile(self._profile).n_qubits
        except InputError:
            qubits = None
        return Limits(qubits, None, None, None, True)

    def estimate(self, batch: Batch) -> Cost:
        """Say what the batch costs on Resonance."""
        return device_cost(batch, [self._profile], "iqm_")

    def circuits(self, batch: Batch, token: str, device: DeviceProfile, names: Sequence[str]) -> list[Any]:
        """Return the batch as iqm-client's circuits on a device whose physical qubit i is called ``names[i]``."""
        from flashket.qpu.together import compile_together

        compiled = compile_together(batch.circuits, device, layout=self._layout)
        return [self._circuit(native, f"{token} {index}", {"flashket_token": token}, names) for index, native in enumerate(compiled)]

    def _circuit(self, native: NativeCircuit, name: str, metadata: dict[str, Any], names: Sequence[str]) -> Any:
        pulse = sdk("iqm.pulse", "iqm-client", "iqm", self.name)
        place = [names[qubit] for qubit in native.qubits]
        made: list[Any] = []
        for step in phased([part.program for part in native.parts], "cz"):
            if isinstance(step, Pulse):
                arguments = {"angle": step.angle, "phase": math.remainder(step.phase, 2 * math.pi)}
                made.append(pulse.CircuitOperation(name="prx", locus=(place[step.wire],), args=arguments))
            elif isinstance(step, Barrier):
                made.append(pulse.CircuitOperation(name="barrier", locus=tuple(place), args={}))
            else:
                made.append(pulse.CircuitOperation(name="cz", locus=tuple(place[wire] for wire in step.wires), args={}))
        measured = tuple(place[wire] for wire in native.measured)
        made.append(pulse.CircuitOperation(name="measure", locus=measured, args={"key": "c"}))
        return pulse.Circuit(name=name, instructions=tuple(made), metadata=metadata)

    def submit(self, batch: Batch, token: str) -> str:
        """Route and send the batch as one job."""
        check_batch(batch, self.limits(), self.name)
        client = before_sending(self._client)
        device, names = architecture_profile(before_sending(self._architecture), self._profile)
        circuits = self.circuits(batch, token, device, names)
        return self._jobs.send(token, lambda: str(client.submit_circuits(circuits, shots=batch.shots[0]).job_id))

    def find(self, token: str) -> str | None:
        """Return a job that this process sent: iqm-client has no list of jobs. In IQM's dashboard circuits carry the token."""
        return self._jobs.find(token)

    def _job(self, job_id: str) -> Any:
        client = self._client()
        return asked(self.name, lambda: client.get_job(UUID(job_id)))

    def status(self, job_id: str) -> str:
        """Return the job's state."""
        said = self._job(job_id).status
        return _STATES.get(str(getattr(said, "value", said)).lower(), "running")

    def result(self, job_id: str) -> Result:
        """Return the counts."""
        job = self._job(job_id)
        found = asked(self.name, job.result)
        if found is None:
            errors = "; ".join(str(error) for error in job.job_data.errors)
            raise JobError(explanation(self.name, "a completed job was wanted", redact(f"{job.status} {errors}".strip())))
        times = {str(entry.status): entry.timestamp for entry in job.job_data.timeline}
        created, began, ended = (times.get(name) for name in ("created", "execution_started", "execution_ended"))
        return Result(
            tuple(counts_of_bits(np.asarray(one["c"])) for one in found),
            queue_seconds=(began - created).total_seconds() if began and created else None,
            execution_seconds=(ended - began).total_seconds() if ended and began else None,
            raw=redact({"job": job_id, "timeline": {name: str(when) for name, when in times.items()}}),
        )

    def cancel(self, job_id: str) -> None:
        """Ask the server to stop the job."""
        client = self._client()
        asked(self.name, lambda: client.cancel_job(UUID(job_id)))


def architecture_profile(architecture: Any, profile: str) -> tuple[DeviceProfile, list[str]]:
    """Return a server's present qubits and couplers as a device profile, with the qubits' names.

    Only what has calibration data now is in it. Numbers are the profile's where its qubits and couplers are the same, else unknown.
    """
    names = sorted(architecture.qubits, key=lambda name: (len(name), name))
    index = {name: number for number, name in enumerate(names)}
    gate = architecture.gates.get("cz")
    pairs = sorted({tuple(sorted((index[a], index[b]))) for a, b in (gate.loci if gate else ()) if a in index and b in index})
    if not pairs:
        wanted = "couplers between qubits were wanted"
        raise BackendUnavailable(explanation("iqm", wanted, "a computer whose gates go through a resonator", "choose another computer"))
    try:
        known = load_profile(profile)
    except InputError:
        known = None
    if known is not None and known.n_qubits == len(names) and {tuple(sorted(edge)) for edge in known.edges or ()} == set(pairs):
        return known, names
    n, nan = len(names), math.nan
    edges = tuple((int(a), int(b)) for a, b in pairs)
    unknown = (nan,) * n
    # Equal errors everywhere: the layout is then the shortest one.
    return (
        DeviceProfile(
            *("iqm", "IQM", "", n, "", "the server's architecture", "", "u", "cz", edges, unknown, unknown),
            *((1e-3,) * n, (4e-8,) * n, (0.01,) * n, (0.01,) * n, (1e-6,) * n, (1e-2,) * len(edges), (1e-7,) * len(edges)),
        ),
        names,
    )
