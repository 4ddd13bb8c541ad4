# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``cirq:local``, ``cirq:local:dm``, Google's virtual engine and Quantum Engine, and Cirq samplers that the user passes.

Cirq has no barrier: neither its simulators nor the engine change a circuit, and here each part is compiled for itself, so that nothing
cancels between them.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from flashket.errors import BackendUnavailable, InputError, JobError, explanation
from flashket.qpu.adapters._asking import Unlisted, asked, asked_in_vain, before_sending, sent
from flashket.qpu.adapters._base import Batch, Limits, Result
from flashket.qpu.adapters._shared import (
    LocalAdapter,
    angle_of,
    check_batch,
    circuit_seeds,
    counts_of_bits,
    device_cost,
    sdk,
)
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import need_credential, redact

VIRTUAL = ("weber", "rainbow", "willow_pink")
"""Processors whose calibration cirq-google brings along."""

_STATES = {
    "READY": "queued",
    "RUNNING": "running",
    "SUCCESS": "done",
    "FAILURE": "failed",
    "CANCELLED": "cancelled",
    "CANCELLING": "cancelled",
}
_LABEL = "flashket-token"
_CONFLICT = 409

MAX_DENSITY_QUBITS = 8
"""Up to here the virtual engine simulates a density matrix."""


def opened(target: str, **options: Any) -> Any:
    """Return the adapter of ``cirq:<target>``."""
    name = f"cirq:{target}"
    if target in ("local", "local:sv", "local:dm"):
        cirq = sdk("cirq", "cirq-core", "cirq", name)
        kind = cirq.DensityMatrixSimulator if target.endswith(":dm") else cirq.Simulator
        return LocalCirqAdapter(name, lambda seed: kind(seed=seed), **options)
    if target in VIRTUAL:
        return VirtualEngineAdapter(target, **options)
    return EngineAdapter(target, **options)


def wrapped(device: Any) -> Any:
    """Return the adapter of a Cirq Sampler."""
    if not hasattr(device, "run_sweep"):
        raise InputError(explanation("wrap", "a Cirq Sampler was wanted", type(device).__name__, "e.g. cirq.Simulator()"))
    name = f"cirq:{type(device).__name__}"
    if type(device).__module__.startswith(("cirq.sim", "cirq.work.zeros", "qsimcirq")):
        return LocalCirqAdapter(name, lambda seed: device)
    return SamplerAdapter(name, device)


def parts_of(circuit: MeasuredCircuit) -> list[Any]:
    """Return a measured circuit's parts as ``cirq.Circuit`` on ``LineQubit`` 0..n-1, gate by gate, without the measurement."""
    import cirq

    qubits = cirq.LineQubit.range(circuit.n_qubits)
    rotations = {"rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz}
    fixed = {
        "h": cirq.H,
        "x": cirq.X,
        "y": cirq.Y,
        "z": cirq.Z,
        "s": cirq.S,
        "sdg": cirq.S**-1,
        "t": cirq.T,
        "tdg": cirq.T**-1,
        "cx": cirq.CNOT,
        "cz": cirq.CZ,
        "swap": cirq.SWAP,
    }
    # exp(-i t/2 P P) with P P's eigenvalues +1 and -1: PP**(t/pi) times a global phase.
    pairs = {"rzz": cirq.ZZ, "rxx": cirq.XX, "ryy": cirq.YY}

    def operation(name: str, angle: float | None, wires: tuple[int, ...]) -> Any:
        on = [qubits[wire] for wire in wires]
        if angle is None:
            return fixed[name].on(*on)
        if name in rotations:
            return rotations[name](angle).on(*on)
        if name in pairs:
            return (pairs[name] ** (angle / np.pi)).on(*on)
        if name in ("p", "cp"):
            gate = cirq.ZPowGate(exponent=angle / np.pi)
            return gate.on(*on) if name == "p" else cirq.CZPowGate(exponent=angle / np.pi).on(*on)
        return rotations[name[1:]](angle).on(on[1]).controlled_by(on[0])

    return [cirq.Circuit(operation(gate.name, angle_of(gate), gate.qubits) for gate in part.gates) for part in circuit.parts]


def cirq_circuit(circuit: MeasuredCircuit) -> Any:
    """Return a ``cirq.Circuit``; the measurement has the key "c", its column j is classical bit j."""
    import cirq

    qubits = cirq.LineQubit.range(circuit.n_qubits)
    # Circuits are added moment after moment, so that parts stay apart.
    made = cirq.Circuit()
    for part in parts_of(circuit):
        made += part
    return made + cirq.Circuit(cirq.Moment(cirq.measure(*(qubits[qubit] for qubit in circuit.measured), key="c")))


class LocalCirqAdapter(LocalAdapter):
    """A Cirq simulator in this process."""

    def __init__(self, name: str, sampler: Any) -> None:
        super().__init__(name, Limits(None))
        self._sampler = sampler

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        import cirq

        counts = []
        for circuit, shots, seed in zip(batch.circuits, batch.shots, circuit_seeds(batch), strict=True):
            found = self._sampler(seed).run(self._compiled(circuit), repetitions=shots)
            counts.append(counts_of_bits(found.measurements["c"]))
        return counts, {"package": f"cirq {cirq.__version__}"}

    def _compiled(self, circuit: MeasuredCircuit) -> Any:
        return cirq_circuit(circuit)


class VirtualEngineAdapter(LocalAdapter):
    """The noise of a Google processor from the calibration that cirq-google brings along, behind its virtual engine.

    The engine refuses what the processor would: gates that it has not, and pairs of qubits that do not touch.
    """

    def __init__(self, target: str) -> None:
        self._google = sdk("cirq_google", "cirq-google", "cirq", f"cirq:{target}")
        self._target = target
        super().__init__(f"cirq:{target}", Limits(None))

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        import cirq

        counts = []
        width = max(circuit.n_qubits for circuit in batch.circuits)
        for circuit, shots, seed in zip(batch.circuits, batch.shots, circuit_seeds(batch), strict=True):
            # A density matrix is simulated once for all shots, a noisy state vector for each.
            kind = cirq.DensityMatrixSimulator if width <= MAX_DENSITY_QUBITS else cirq.Simulator
            engine = self._google.engine.create_default_noisy_quantum_virtual_machine(self._target, kind, seed=seed)
            processor = engine.get_processor(self._target)
            made = grid_circuit(circuit, processor.get_device())
            counts.append(counts_of_bits(processor.get_sampler().run(made, repetitions=shots).measurements["c"]))
        return counts, {"package": f"cirq-google {self._google.__version__}", "processor": self._target}


def grid_circuit(circuit: MeasuredCircuit, device: Any) -> Any:
    """Return a circuit in a processor's gates on its grid; parts are routed and compiled one after another, never together."""
    import cirq

    gatesets = device.metadata.compilation_target_gatesets
    # The calibrations of Sycamore processors are of the square root of iSWAP, those of Willow of CZ.
    gateset = next((one for one in gatesets if isinstance(one, cirq.SqrtIswapTargetGateset)), gatesets[0])
    router, places, made = cirq.RouteCQC(device.metadata.nx_graph), None, cirq.Circuit()
    qubits = cirq.LineQubit.range(circuit.n_qubits)
    for part in parts_of(circuit):
        # The router places only qubits that it sees, so all are named in every part.
        every = cirq.Circuit(cirq.Moment(cirq.I.on_each(*qubits))) + part
        mapper = None if places is None else cirq.HardCodedInitialMapper(places)
        routed, first, moved = router.route_circuit(every, initial_mapper=mapper)
        places = {qubit: moved.get(place, place) for qubit, place in first.items()}
        made += cirq.optimize_for_target_gateset(_without_identities(routed), gateset=gateset)
    assert places is not None
    return made + cirq.Circuit(cirq.Moment(cirq.measure(*(places[qubits[qubit]] for qubit in circuit.measured), key="c")))


def _without_identities(circuit: Any) -> Any:
    import cirq

    return cirq.Circuit(cirq.Moment(op for op in moment if not isinstance(op.gate, cirq.IdentityGate)) for moment in circuit)


class EngineAdapter:
    """A processor of Google's Quantum Engine. The token is the name of program and job, so that sending twice makes one job.

    Parameters
    ----------
    target : str
        The processor.
    project : str, optional
        Google Cloud project; by default ``GOOGLE_CLOUD_PROJECT``.
    run_name, device_config_name : str
        As for cirq-google.
    profile : str, optional
        The device profile that estimates the cost.
    service_args : dict, optional
        As for ``cirq_google.EngineClient``: how the service is reached.
    """

    is_remote = True

    def __init__(
        self,
        target: str,
        *,
        project: str | None = None,
        run_name: str = "",
        device_config_name: str = "",
        profile: str | None = None,
        service_args: dict[str, Any] | None = None,
    ) -> None:
        self.name, self._target, self._profile = f"cirq:{target}", target, profile or f"google_{target}"
        self._google = sdk("cirq_google", "cirq-google", "cirq", self.name)
        self._project = project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
        self._run = {"run_name": run_name, "device_config_name": device_config_name}
        self._service_args = service_args
        self._engine_found: Any = None

    def _engine(self) -> Any:
        if self._engine_found is None:
            need_credential("cirq", self.name)
            if not self._project:
                do = "set GOOGLE_CLOUD_PROJECT or pass project="
                raise BackendUnavailable(explanation(self.name, "a Google Cloud project is needed", "none; nothing was sent", do))
            self._engine_found = asked(self.name, lambda: self._google.Engine(self._project, context=self._context()))
        return self._engine_found

    def _context(self) -> Any:
        """Return how the engine is asked: each request once, as who asks again is decided here, and a job's by an answer of its own.

        cirq-google would otherwise ask for up to an hour, and call a job sent that waits in a stream.
        """
        engine = sdk("cirq_google.engine.engine", "cirq-google", "cirq", self.name)
        client = sdk("cirq_google.engine.engine_client", "cirq-google", "cirq", self.name).EngineClient(
            service_args=self._service_args, verbose=False, max_retry_delay_seconds=0
        )
        return engine.EngineContext(client=client, enable_streaming=False)

    def limits(self) -> Limits:
        """Say what one job may hold: one circuit."""
        return Limits(None, None, 1)

    def estimate(self, batch: Batch) -> Cost:
        """Say what the batch costs."""
        return device_cost(batch, [self._profile])

    def submit(self, batch: Batch, token: str) -> str:
        """Compile and send the circuit."""
        check_batch(batch, self.limits(), self.name)
        engine = before_sending(self._engine)
        name = f"flashket-{token}"

        def program() -> Any:
            device = engine.get_processor(self._target).get_device()
            made = grid_circuit(batch.circuits[0], device)
            try:
                return engine.create_program(made, name)
            except Exception as error:
                if getattr(error, "code", None) != _CONFLICT:
                    raise
                return engine.get_program(name)  # of an attempt before, whose job was not taken

        # A program costs nothing; its job does.
        found = before_sending(lambda: asked(self.name, program))
        job = sent(
            self.name,
            lambda: found.run_sweep(
                processor_id=self._target,
                job_id=f"job-{token}",
                repetitions=batch.shots[0],
                labels={_LABEL: token.lower()},
                **self._run,
            ),
        )
        return f"{name}/{job.id()}"

    def find(self, token: str) -> str | None:
        """Return the job with this label."""
        engine = self._engine()
        jobs = asked(self.name, lambda: engine.list_jobs(has_labels={_LABEL: token.lower()}))
        return f"{jobs[0].program_id}/{jobs[0].job_id}" if jobs else None

    def _job(self, job_id: str) -> Any:
        engine = self._engine()
        program, _, job = job_id.partition("/")
        return asked(self.name, lambda: engine.get_program(program).get_job(job))

    def status(self, job_id: str) -> str:
        """Return the job's state."""
        job = self._job(job_id)
        return _STATES.get(asked(self.name, job.status), "queued")

    def result(self, job_id: str) -> Result:
        """Return the counts."""
        job = self._job(job_id)
        found = asked(self.name, lambda: job.results()[0])
        calibration = asked_in_vain(self.name, job.get_calibration)
        stamp = getattr(calibration, "timestamp", None)
        when = "" if stamp is None else np.datetime64(int(stamp), "ms").astype(str) + "Z"
        return Result((counts_of_bits(found.measurements["c"]),), calibration=when, raw=redact({"job": job_id}))

    def cancel(self, job_id: str) -> None:
        """Ask the engine to stop the job."""
        asked(self.name, self._job(job_id).cancel)


class SamplerAdapter:
    """Any other Cirq Sampler that the user passes. It answers when it is done, nothing is known of its prices, and it has no tags."""

    is_remote = True

    def __init__(self, name: str, sampler: Any) -> None:
        self.name, self._sampler = name, sampler
        self._results, self._tokens = dict[str, Result](), Unlisted(name, is_one_request=False)

    def limits(self) -> Limits:
        """Say what one job may hold: one circuit, for where a second one failed the first would have been paid for nothing."""
        return Limits(None, None, 1)

    def estimate(self, batch: Batch) -> Cost:
        """Say that the cost is unknown."""
        return Cost(len(batch.circuits), sum(batch.shots), None, None, None, notes=(f"prices of {self.name} are not known",))

    def submit(self, batch: Batch, token: str) -> str:
        """Run the batch."""
        check_batch(batch, self.limits(), self.name)
        made = before_sending(lambda: asked(self.name, lambda: cirq_circuit(batch.circuits[0])))

        def send() -> str:
            found = self._sampler.run(made, repetitions=batch.shots[0]).measurements["c"]
            self._results[token] = Result((counts_of_bits(found),))
            return token

        return self._tokens.send(token, send)

    def find(self, token: str) -> str | None:
        """Return the job's id if this process ran it; others cannot be looked up."""
        return self._tokens.find(token)

    def status(self, job_id: str) -> str:
        """Return "done"."""
        self.result(job_id)
        return "done"

    def result(self, job_id: str) -> Result:
        """Return the counts."""
        if job_id not in self._results:
            raise JobError(explanation(self.name, "a sampler's results live in the process that ran it", f"the unknown job {job_id}"))
        return self._results[job_id]

    def cancel(self, job_id: str) -> None:
        """Do nothing: the job is over."""
        self.result(job_id)
