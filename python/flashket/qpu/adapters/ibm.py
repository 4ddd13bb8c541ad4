# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``ibm:<device>`` through SamplerV2, ``ibm:fake_<device>`` in local testing mode, and Qiskit objects that the user passes."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from flashket.errors import InputError, JobError, explanation
from flashket.qpu.adapters._asking import Unlisted, asked, asked_in_vain, before_sending, sent
from flashket.qpu.adapters._base import Batch, Limits, Result
from flashket.qpu.adapters._qiskit import counts_of_keys, quantum_circuit
from flashket.qpu.adapters._shared import (
    LocalAdapter,
    check_batch,
    circuit_seeds,
    device_cost,
    sdk,
)
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import Secret, need_credential, redact
from flashket.qpu.offers import IBM_PLANS, offer_name

MAX_EXECUTIONS = 5_000_000
"""Circuits times shots of one job, as IBM validates it."""

_STATES = {
    "INITIALIZING": "queued",
    "QUEUED": "queued",
    "VALIDATING": "queued",
    "RUNNING": "running",
    "DONE": "done",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
}
_ON_AER = ("qiskit_aer", "qiskit.providers.fake_provider", "qiskit_ibm_runtime.fake_provider")
_IN_PROCESS = ("qiskit_aer", "qiskit.providers.basic_provider", "qiskit.providers.fake_provider", "qiskit_ibm_runtime.fake_provider")


def opened(target: str, **options: Any) -> Any:
    """Return the adapter of ``ibm:<target>``."""
    if target.startswith("fake_"):
        return SamplerAdapter(f"ibm:{target}", _fake(target), runtime=True, **options)
    return IBMAdapter(target, **options)


def wrapped(device: Any) -> Any:
    """Return the adapter of a Qiskit BackendV2 or SamplerV2. Of a sampler on IBM's devices only the device is taken."""
    backend: Any = device
    if not hasattr(device, "target"):
        backend = getattr(device, "backend", None)
        backend = backend() if callable(backend) else backend
        if backend is None:
            # StatevectorSampler and Aer's sampler take any circuit and run it here.
            if type(device).__module__.startswith(("qiskit.primitives", "qiskit_aer")):
                return SamplerAdapter(f"qiskit:{type(device).__name__}", None, sampler=device)
            raise InputError(explanation("wrap", "a Sampler that names its backend was wanted", type(device).__name__, "pass the backend"))
    name = backend.name if isinstance(backend.name, str) else backend.name()
    module = type(backend).__module__
    if module.startswith(_IN_PROCESS):
        # A sampler keeps the options that the user gave it, its seed among them.
        return SamplerAdapter(f"qiskit:{name}", backend, sampler=None if device is backend else device)
    if module.startswith("qiskit_ibm_runtime"):
        return IBMAdapter(name, backend=backend)
    if not hasattr(backend, "run"):
        raise InputError(explanation("wrap", "a Qiskit BackendV2 that can run circuits was wanted", type(backend).__name__))
    return BackendAdapter(backend)


class SamplerAdapter(LocalAdapter):
    """A Qiskit backend or sampler that simulates in this process.

    Parameters
    ----------
    name : str
        Of the adapter.
    backend : qiskit.providers.BackendV2, or None
        Circuits are compiled to it.
    sampler : SamplerV2, optional
        By default Qiskit's BackendSamplerV2 of the backend.
    runtime : bool
        Use qiskit-ibm-runtime's SamplerV2, whose local testing mode takes the path of a real job up to the network.
    optimization_level : int
        Of Qiskit's compiler, 0 to 3.
    layout : sequence of int, optional
        Physical qubits.
    """

    def __init__(
        self, name: str, backend: Any, *, sampler: Any = None, runtime: bool = False, optimization_level: int = 3, layout: Any = None
    ) -> None:
        super().__init__(name, Limits(getattr(backend, "num_qubits", None)))
        self._backend, self._sampler, self._runtime = backend, sampler, runtime
        self._compiler = {"optimization_level": optimization_level, "layout": layout}

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        circuits = [quantum_circuit(circuit) for circuit in batch.circuits]
        if self._backend is not None:
            circuits = compiled(circuits, self._backend, **self._compiler)
        counts: list[dict[int, int]] = [{} for _ in circuits]
        seeds = circuit_seeds(batch)
        for positions in self._runs(batch.shots):
            with warnings.catch_warnings():
                # Its result is the same with or without; the text is for users of the SDK.
                warnings.simplefilter("ignore")
                pubs = [(circuits[position], None, batch.shots[position]) for position in positions]
                found = self._made_sampler(seeds[positions[0]]).run(pubs).result()
            for position, entry in zip(positions, found, strict=True):
                counts[position] = counts_of_keys(entry.data.c.get_counts())
        return counts, {"layout": layouts(circuits)}

    def _runs(self, shots: Sequence[int]) -> list[list[int]]:
        """Return the positions of the circuits of each run.

        Every run with the noise of a whole device costs seconds (20 s for 133 qubits), so circuits of equal shots share one where Aer
        draws each from a stream of its own; others would draw the same samples from one seed.
        """
        module = type(self._backend).__module__
        if self._sampler is not None or not module.startswith(_ON_AER) or importlib.util.find_spec("qiskit_aer") is None:
            return [[position] for position in range(len(shots))]
        alike: dict[int, list[int]] = {}
        for position, each in enumerate(shots):
            alike.setdefault(each, []).append(position)
        # 100: below what any backend takes at once, for a second run would have the first one's streams.
        return [found[first : first + 100] for found in alike.values() for first in range(0, len(found), 100)]

    def _made_sampler(self, seed: int | None) -> Any:
        if self._sampler is not None:
            return self._sampler
        if self._runtime:
            runtime = sdk("qiskit_ibm_runtime", "qiskit-ibm-runtime", "ibm", self.name)
            return _runtime_sampler(runtime, self._backend, {} if seed is None else {"simulator": {"seed_simulator": seed}})
        from qiskit.primitives import BackendSamplerV2

        return BackendSamplerV2(backend=self._backend, options={} if seed is None else {"seed_simulator": seed})


def _offer(plan: str, place: str) -> str:
    """Return the offer of one of IBM's plans."""
    offer = offer_name(plan)
    if offer not in IBM_PLANS.values():
        raise InputError(explanation(place, f"plan must be one of IBM's: {', '.join(IBM_PLANS)}", repr(plan)))
    return offer


class IBMAdapter:
    """A device of IBM Quantum.

    Circuits are compiled to the device's instruction set here, with the calibration of the moment; the job carries the token as a tag.

    Parameters
    ----------
    target : str
        The device, e.g. ``"ibm_torino"``.
    instance : str, optional
        The service instance (CRN or name); by default the account's, or ``QISKIT_IBM_INSTANCE``.
    optimization_level, layout
        Of Qiskit's compiler.
    profile : str, optional
        The device profile that estimates the cost; by default the one of this name.
    plan : str
        How time is bought: ``"pay-as-you-go"`` (default), ``"flex"``, ``"premium"``, ``"open"``.
    backend : IBMBackend, optional
        An open one.
    """

    is_remote = True

    def __init__(
        self,
        target: str,
        *,
        instance: str | None = None,
        optimization_level: int = 3,
        layout: Any = None,
        profile: str | None = None,
        plan: str = "",
        backend: Any = None,
    ) -> None:
        self.name = f"ibm:{target}"
        self._runtime = sdk("qiskit_ibm_runtime", "qiskit-ibm-runtime", "ibm", self.name)
        self._target, self._instance, self._profile = target, instance, profile or target
        self._plan = _offer(plan, self.name) if plan else ""
        self._compiler = {"optimization_level": optimization_level, "layout": layout}
        self._backend_found = backend
        self._service_found: Any = None if backend is None else getattr(backend, "service", None)
        if hasattr(self._service_found, "active_account"):
            self._know_token()

    def _service(self) -> Any:
        if self._service_found is None:
            found = need_credential("ibm", self.name)
            instance = {} if self._instance is None else {"instance": self._instance}

            def connect() -> Any:
                # The token is in no frame that an error's traceback keeps: asked() raises anew.
                token = {} if found.secret is None else {"token": found.secret.reveal(), "channel": "ibm_quantum_platform"}
                return self._runtime.QiskitRuntimeService(**token, **instance)

            self._service_found = asked(self.name, connect)
            self._know_token()
        return self._service_found

    def _know_token(self) -> None:
        """Let redact() know the token that the package read from its file, or that the user gave it."""
        account: dict[str, Any] = asked_in_vain(self.name, self._service_found.active_account) or {}
        Secret(str(account.get("token", "")))

    def _backend(self) -> Any:
        if self._backend_found is None:
            service = self._service()
            self._backend_found = asked(self.name, lambda: service.backend(self._target))
        return self._backend_found

    def limits(self) -> Limits:
        """Say what one job may hold, from the open device or else from its profile."""
        from flashket.qpu.profile import load_profile

        if self._backend_found is not None:
            backend = self._backend_found
            return Limits(
                backend.num_qubits, getattr(backend, "max_shots", None), getattr(backend, "max_circuits", None), MAX_EXECUTIONS, True
            )
        try:
            profile = load_profile(self._profile)
        except InputError:
            return Limits(None, None, None, MAX_EXECUTIONS, True)
        return Limits(profile.n_qubits, profile.max_shots, profile.max_circuits, profile.max_executions or MAX_EXECUTIONS, True)

    def estimate(self, batch: Batch) -> Cost:
        """Say what the batch costs."""
        return device_cost(batch, [self._profile], self._plan)

    def submit(self, batch: Batch, token: str) -> str:
        """Compile and send the batch."""
        check_batch(batch, self.limits(), self.name)
        before_sending(self._backend)
        check_batch(batch, self.limits(), self.name)
        pubs = before_sending(lambda: asked(self.name, lambda: self.pubs(batch)))
        sampler = before_sending(lambda: asked(self.name, lambda: self.sampler(token)))
        return sent(self.name, lambda: str(sampler.run(pubs).job_id()))

    def pubs(self, batch: Batch) -> list[Any]:
        """Return the batch as the primitive's inputs, compiled for the open device."""
        circuits = compiled(map(quantum_circuit, batch.circuits), self._backend(), **self._compiler)
        return [(circuit, None, shots) for circuit, shots in zip(circuits, batch.shots, strict=True)]

    def sampler(self, token: str) -> Any:
        """Return the primitive of the open device, whose jobs carry the token."""
        return _runtime_sampler(self._runtime, self._backend(), {"environment": {"job_tags": ["flashket", token]}})

    def find(self, token: str) -> str | None:
        """Return the newest job with this tag."""
        service = self._service()
        found = asked(self.name, lambda: service.jobs(job_tags=[token], limit=1))
        return str(found[0].job_id()) if found else None

    def _job(self, job_id: str) -> Any:
        service = self._service()
        return asked(self.name, lambda: service.job(job_id))

    def status(self, job_id: str) -> str:
        """Return the job's state."""
        job = self._job(job_id)
        said = asked(self.name, job.status)
        return _STATES.get(str(getattr(said, "name", said)).upper(), "running")

    def result(self, job_id: str) -> Result:
        """Return the counts, the times of the job and the QPU seconds that IBM charges."""
        job = self._job(job_id)
        found = asked(self.name, job.result)
        counts = tuple(counts_of_keys(entry.data.c.get_counts()) for entry in found)
        metrics: dict[str, Any] = asked_in_vain(self.name, job.metrics) or {}
        created, running, finished = (_time(metrics.get("timestamps", {}).get(name)) for name in ("created", "running", "finished"))
        usage = metrics.get("usage", {})
        charged = usage.get("qpu_charge_time_seconds", usage.get("quantum_seconds"))
        properties = asked_in_vain(self.name, job.properties)
        updated = getattr(properties, "last_update_date", None)
        return Result(
            counts,
            queue_seconds=(running - created).total_seconds() if running and created else None,
            execution_seconds=(finished - running).total_seconds() if finished and running else None,
            qpu_seconds=None if charged is None else float(charged),
            calibration=updated.isoformat() if updated else "",
            raw=redact({"metrics": metrics}),
        )

    def cancel(self, job_id: str) -> None:
        """Ask IBM to stop the job."""
        asked(self.name, self._job(job_id).cancel)


class BackendAdapter:
    """Any other Qiskit BackendV2 that the user passes: its jobs are reached through the object, so only in this process.

    Nothing is known of its prices, and it has no tags: an unknown outcome cannot be looked up.
    """

    is_remote = True

    def __init__(self, backend: Any, *, optimization_level: int = 3, layout: Any = None) -> None:
        name = backend.name if isinstance(backend.name, str) else backend.name()
        self.name, self._backend, self._jobs = f"qiskit:{name}", backend, dict[str, Any]()
        self._tokens = Unlisted(self.name)
        self._compiler = {"optimization_level": optimization_level, "layout": layout}

    def limits(self) -> Limits:
        """Say what one job may hold."""
        return Limits(self._backend.num_qubits, getattr(self._backend, "max_shots", None), self._backend.max_circuits, None, True)

    def estimate(self, batch: Batch) -> Cost:
        """Say that the cost is unknown."""
        return Cost(len(batch.circuits), sum(batch.shots), None, None, None, notes=(f"prices of {self.name} are not known",))

    def submit(self, batch: Batch, token: str) -> str:
        """Compile and send the batch."""
        check_batch(batch, self.limits(), self.name)
        made = map(quantum_circuit, batch.circuits)
        circuits = before_sending(lambda: asked(self.name, lambda: compiled(made, self._backend, **self._compiler)))

        def send() -> str:
            job = self._backend.run(circuits, shots=batch.shots[0])
            self._jobs[str(job.job_id())] = job
            return str(job.job_id())

        return self._tokens.send(token, send)

    def find(self, token: str) -> str | None:
        """Return a job that this process sent: such objects have no tags."""
        return self._tokens.find(token)

    def _job(self, job_id: str) -> Any:
        if job_id not in self._jobs:
            if not hasattr(self._backend, "retrieve_job"):
                raise JobError(explanation(self.name, "this object cannot reach jobs of another process", job_id, "ask the provider's SDK"))
            self._jobs[job_id] = asked(self.name, lambda: self._backend.retrieve_job(job_id))
        return self._jobs[job_id]

    def status(self, job_id: str) -> str:
        """Return the job's state."""
        job = self._job(job_id)
        said = asked(self.name, job.status)
        return _STATES.get(str(getattr(said, "name", said)).upper(), "running")

    def result(self, job_id: str) -> Result:
        """Return the counts."""
        job = self._job(job_id)
        found = asked(self.name, job.result)
        counts = asked(self.name, found.get_counts)
        every: Sequence[dict[str, int]] = counts if isinstance(counts, (list, tuple)) else [counts]
        return Result(tuple(map(counts_of_keys, every)), raw=redact({"backend": self.name}))

    def cancel(self, job_id: str) -> None:
        """Ask the provider to stop the job."""
        asked(self.name, self._job(job_id).cancel)


def compiled(circuits: Iterable[Any], backend: Any, *, optimization_level: int = 3, layout: Any = None) -> list[Any]:
    """Return circuits in a backend's own gates, barriers kept; equal inputs give equal circuits.

    Those of equal width share their qubits, as :func:`flashket.qpu.together.compile_together` says: the largest chooses them.
    """
    from qiskit.transpiler import generate_preset_pass_manager

    from flashket.qpu.together import layout_of_bits

    managers: dict[Any, Any] = {}

    def run(circuit: Any, start: Any) -> Any:
        key = start if start is None else tuple(start)
        if key not in managers:
            managers[key] = generate_preset_pass_manager(
                optimization_level, backend=backend, initial_layout=None if key is None else list(key), seed_transpiler=0
            )
        # One process: the pass manager would otherwise start a pool.
        return managers[key].run(circuit)

    circuits = list(circuits)
    leaders: dict[int, Any] = {}
    for circuit in circuits:
        if circuit.num_qubits not in leaders or _two_qubit_gates(circuit) > _two_qubit_gates(leaders[circuit.num_qubits]):
            leaders[circuit.num_qubits] = circuit
    done = {width: run(leader, layout) for width, leader in leaders.items()}

    def placed(circuit: Any) -> Any:
        width = circuit.num_qubits
        leader, found = leaders[width], done[width].layout
        if circuit is leader:
            return done[width]
        if found is None:
            return run(circuit, layout)
        start, end = (place(filter_ancillas=True)[:width] for place in (found.initial_index_layout, found.final_index_layout))
        if _two_qubit_gates(circuit):
            return run(circuit, start)
        return run(circuit, layout_of_bits(_measured(circuit), [end[qubit] for qubit in _measured(leader)], start))

    return [placed(circuit) for circuit in circuits]


def _two_qubit_gates(circuit: Any) -> int:
    return sum(len(instruction.qubits) == 2 and instruction.operation.name != "barrier" for instruction in circuit.data)


def _measured(circuit: Any) -> tuple[int, ...]:
    """Return which qubit each classical bit reads."""
    reads = {
        circuit.find_bit(instruction.clbits[0]).index: circuit.find_bit(instruction.qubits[0]).index
        for instruction in circuit.data
        if instruction.operation.name == "measure"
    }
    return tuple(reads[bit] for bit in sorted(reads))


def _runtime_sampler(runtime: Any, backend: Any, options: dict[str, Any]) -> Any:
    """Return qiskit-ibm-runtime's SamplerV2, which its newer versions call deprecated, or what has taken its place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(runtime, "SamplerV2", runtime.Sampler)(mode=backend, options=options)


def layouts(circuits: Iterable[Any]) -> list[list[int] | None]:
    """Return the physical qubits of each compiled circuit's qubits, None for circuits that kept theirs."""
    found: list[list[int] | None] = []
    for circuit in circuits:
        found.append(
            None if circuit.layout is None else [int(qubit) for qubit in circuit.layout.initial_index_layout(filter_ancillas=True)]
        )
    return found


def _fake(target: str) -> Any:
    """Return a bundled snapshot by name. Never lists all of them, which takes a minute."""
    module = sdk("qiskit_ibm_runtime.fake_provider", "qiskit-ibm-runtime", "ibm", f"ibm:{target}")
    name = "".join(word.capitalize() for word in target.split("_"))
    for candidate in (name, f"{name}V2"):
        if hasattr(module, candidate):
            backend = getattr(module, candidate)()
            if hasattr(backend, "target"):
                return backend
    known = ", ".join(sorted(f"fake_{kind[4:].lower().removesuffix('v2')}" for kind in vars(module) if kind.startswith("Fake"))[:200])
    raise InputError(explanation("open_adapter", "a bundled snapshot of IBM was wanted", repr(target), f"choose one of {known}"))


def _time(text: str | None) -> datetime | None:
    return None if not text else datetime.fromisoformat(text.replace("Z", "+00:00"))
