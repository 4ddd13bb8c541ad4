# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``quantinuum:<device>``: circuits compiled by pytket-quantinuum here, sent through Nexus.

``quantinuum:H2-1LE`` runs pytket's local emulator. pytket keeps barriers, and jobs ask Nexus not to compile again.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

from flashket.errors import InputError, JobError, explanation
from flashket.qpu.adapters._asking import asked, before_sending, sent
from flashket.qpu.adapters._base import Batch, Limits, Result
from flashket.qpu.adapters._shared import LocalAdapter, angle_of, check_batch, circuit_seeds, device_cost, sdk
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import Secret, need_credential, redact

QUBITS = {"H1": 20, "H2": 56}
"""Of the machines whose native gates pytket-quantinuum describes."""

MAX_SHOTS = 10_000

TIMEOUT = 60.0
"""Seconds to wait for an answer of Nexus."""

_STATES = {
    "COMPLETED": "done",
    "QUEUED": "queued",
    "SUBMITTED": "queued",
    "RETRYING": "queued",
    "RUNNING": "running",
    "CANCELLED": "cancelled",
    "CANCELLING": "cancelled",
    "ERROR": "failed",
    "TERMINATED": "failed",
    "DEPLETED": "failed",
}


def opened(target: str, **options: Any) -> Any:
    """Return the adapter of ``quantinuum:<target>``."""
    return LocalEmulatorAdapter(target, **options) if target.upper().endswith("LE") else QuantinuumAdapter(target, **options)


def tket_circuit(circuit: MeasuredCircuit) -> Any:
    """Return a ``pytket.Circuit`` with a barrier between the parts; register ``c``, bit j is ``measured[j]``. Angles are in half turns."""
    from pytket.circuit import Circuit, OpType

    names = {
        "h": "H",
        "x": "X",
        "y": "Y",
        "z": "Z",
        "s": "S",
        "sdg": "Sdg",
        "t": "T",
        "tdg": "Tdg",
        "rx": "Rx",
        "ry": "Ry",
        "rz": "Rz",
        "p": "U1",
        "cx": "CX",
        "cz": "CZ",
        "cp": "CU1",
        "swap": "SWAP",
        "crx": "CRx",
        "cry": "CRy",
        "crz": "CRz",
        "rzz": "ZZPhase",
        "rxx": "XXPhase",
        "ryy": "YYPhase",
    }
    made = Circuit(circuit.n_qubits, len(circuit.measured))
    for index, part in enumerate(circuit.parts):
        if index:
            made.add_barrier(list(range(circuit.n_qubits)))
        for gate in part.gates:
            angle = angle_of(gate)
            made.add_gate(getattr(OpType, names[gate.name]), [] if angle is None else [angle / math.pi], list(gate.qubits))
    for bit, qubit in enumerate(circuit.measured):
        made.Measure(qubit, bit)
    return made


class _Compiler:
    """pytket-quantinuum's compiler for a machine, which needs no connection."""

    def __init__(self, target: str, place: str, *, is_local: bool = False) -> None:
        family = target.upper().partition("-")[0]
        if family not in QUBITS:
            do = f"choose {' or '.join(f'{name}-1' for name in QUBITS)}, with E for the emulator and LE for the local one"
            raise InputError(explanation("open_adapter", "a machine of Quantinuum was wanted", repr(target), do))
        self.n_qubits, self.place = QUBITS[family], place
        backends = sdk("pytket.extensions.quantinuum.backends.quantinuum", "pytket-quantinuum", "quantinuum", place)
        data = sdk("pytket.extensions.quantinuum.backends.data", "pytket-quantinuum", "quantinuum", place)
        kinds = sdk("pytket.circuit", "pytket", "quantinuum", place).OpType
        gates = frozenset({kinds.PhasedX, kinds.Rz, kinds.ZZPhase, kinds.Measure, kinds.Barrier})
        facts = data.QuantinuumBackendData(n_qubits=self.n_qubits, n_cl_reg=4000, gate_set=gates, local_emulator=is_local)
        self.backend = backends.QuantinuumBackend(target.upper(), data=facts)

    def compiled(self, circuit: MeasuredCircuit) -> Any:
        """Return a circuit in PhasedX, Rz and ZZPhase."""
        return asked(self.place, lambda: self.backend.get_compiled_circuit(tket_circuit(circuit), optimisation_level=2))


def _counts(result: Any, n_bits: int) -> dict[int, int]:
    """Return the counts of register c, of a pytket BackendResult that holds shots or counts."""
    from pytket.circuit import Bit

    found = result.get_counts(cbits=[Bit(bit) for bit in range(n_bits)])
    return {sum(int(bit) << index for index, bit in enumerate(outcome)): int(times) for outcome, times in found.items()}


class LocalEmulatorAdapter(LocalAdapter):
    """pytket's local emulator: no noise, no connection. Needs ``pytket-quantinuum[pecos]``."""

    def __init__(self, target: str) -> None:
        name = f"quantinuum:{target}"
        sdk("pytket_pecos", "pytket-quantinuum[pecos]", "quantinuum", name)
        self._compiler = _Compiler(target.upper().removesuffix("LE"), name, is_local=True)
        super().__init__(name, Limits(self._compiler.n_qubits, MAX_SHOTS))

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        counts, backend = [], self._compiler.backend
        for circuit, shots, seed in zip(batch.circuits, batch.shots, circuit_seeds(batch), strict=True):
            made = self._compiler.compiled(circuit)
            handle = backend.process_circuit(made, n_shots=shots, **({} if seed is None else {"seed": seed}))
            counts.append(_counts(backend.get_result(handle), len(circuit.measured)))
        return counts, {"package": "pytket-pecos"}


class QuantinuumAdapter:
    """A machine or emulator of Quantinuum. A batch is one Nexus job whose name is the token.

    Each circuit's credits are capped at the worst case that was estimated, which the service enforces.

    Parameters
    ----------
    target : str
        ``"H2-1"``, ``"H2-2"``, ``"H1-1"``, or with ``E`` for the hosted emulator.
    project : str
        Of Nexus; made if it is not there.
    profile : str, optional
        The device profile that estimates the cost; by default ``quantinuum_<target>``.
    max_hqc : float, optional
        The most credits of one circuit; by default as estimated.
    """

    is_remote = True

    def __init__(self, target: str, *, project: str = "flashket", profile: str | None = None, max_hqc: float | None = None) -> None:
        self.name, self._target = f"quantinuum:{target}", target.upper()
        self._compiler = _Compiler(target, self.name)
        self._profile = profile or f"quantinuum_{target.lower().removesuffix('e')}"
        self._project, self._max_hqc = project, max_hqc

    def _nexus(self) -> Any:
        """Return the module qnexus; it connects with the tokens that its own login has stored."""
        nexus = sdk("qnexus", "qnexus", "quantinuum", self.name)
        need_credential("quantinuum", self.name)
        tokens = sdk("qnexus.client.utils", "qnexus", "quantinuum", self.name)
        for kind in ("refresh_token", "access_token"):
            # So that redact() knows them.
            with contextlib.suppress(OSError, ValueError):
                Secret(tokens.read_token(kind))
        # It has none, and would wait for ever.
        sdk("qnexus.client", "qnexus", "quantinuum", self.name).get_nexus_client().timeout = TIMEOUT
        return nexus

    def limits(self) -> Limits:
        """Say what one job may hold."""
        return Limits(self._compiler.n_qubits, MAX_SHOTS)

    def estimate(self, batch: Batch) -> Cost:
        """Say what the batch costs, in credits and in a plan's dollars."""
        return device_cost(batch, [self._profile], "quantinuum_")

    def _most_credits(self, batch: Batch) -> list[float] | None:
        """Return the cap of each circuit's credits."""
        if self._max_hqc is not None:
            return [self._max_hqc] * len(batch.circuits)
        from flashket.economics.prices import load_prices
        from flashket.qpu.cost import usd_per_hqc

        # What a budget reserves is the worst case's credits at the dearer plan's price: a cap above would not be reserved.
        prices = load_prices()
        usd_a_credit = max(usd_per_hqc(prices[item]) for item in ("quantinuum_10k_hqc", "quantinuum_17k_hqc"))
        worst = [self.estimate(Batch((circuit,), (shots,))).usd_worst for circuit, shots in zip(batch.circuits, batch.shots, strict=True)]
        caps = [usd / usd_a_credit for usd in worst if usd is not None]
        return caps if len(caps) == len(worst) else None

    def request(self, batch: Batch, token: str) -> dict[str, Any]:
        """Return the arguments of Nexus' start_execute_job, but for programs and project."""
        nexus = sdk("qnexus", "qnexus", "quantinuum", self.name)
        caps = self._most_credits(batch)
        return {
            "n_shots": list(batch.shots),
            "backend_config": nexus.QuantinuumConfig(device_name=self._target, no_opt=True, allow_implicit_swaps=False),
            "name": f"flashket-{token}",
            **({} if caps is None else {"max_cost": caps}),
        }

    def submit(self, batch: Batch, token: str) -> str:
        """Compile, upload and start the batch."""
        check_batch(batch, self.limits(), self.name)
        nexus = self._nexus()
        circuits = before_sending(lambda: [self._compiler.compiled(circuit) for circuit in batch.circuits])
        request = before_sending(lambda: asked(self.name, lambda: self.request(batch, token)))

        def upload() -> tuple[Any, list[Any]]:
            project = nexus.projects.get_or_create(name=self._project)
            return project, [
                nexus.circuits.upload(circuit=circuit, project=project, name=f"flashket-{token}-{index}")
                for index, circuit in enumerate(circuits)
            ]

        # Only the job costs anything.
        project, programs = before_sending(lambda: asked(self.name, upload))
        return sent(self.name, lambda: str(nexus.start_execute_job(programs=programs, project=project, **request).id))

    def find(self, token: str) -> str | None:
        """Return the job of this name."""
        nexus = self._nexus()

        def look() -> str | None:
            project = nexus.projects.get_or_create(name=self._project)
            found = nexus.jobs.get_all(name_exact=[f"flashket-{token}"], project=project).list()
            return str(found[0].id) if found else None

        return asked(self.name, look)

    def status(self, job_id: str) -> str:
        """Return the job's state."""
        nexus = self._nexus()
        said = asked(self.name, lambda: nexus.jobs.status(nexus.jobs.get(id=job_id))).status
        return _STATES.get(str(getattr(said, "name", said)), "running")

    def result(self, job_id: str) -> Result:
        """Return the counts; credits are in ``raw["hqc"]``."""
        nexus = self._nexus()
        job = asked(self.name, lambda: nexus.jobs.get(id=job_id))
        state = asked(self.name, lambda: nexus.jobs.status(job))
        if state.status.name != "COMPLETED":
            got = redact(f"{state.status.name} {state.message} {state.error_detail or ''}".strip())
            raise JobError(explanation(self.name, "a completed job was wanted", got))
        found = asked(self.name, lambda: nexus.jobs.results(job))
        downloads = [asked(self.name, one.download_result) for one in found]
        if not downloads or not all(hasattr(one, "c_bits") for one in downloads):
            kinds = ", ".join(sorted({type(one).__name__ for one in downloads})) or "none"
            raise JobError(explanation(self.name, "results of pytket circuits were wanted", kinds, f"fetch {job_id} with qnexus"))
        sent, began, ended = state.submitted_time, state.running_time, state.completed_time
        return Result(
            tuple(_counts(one, len(one.c_bits)) for one in downloads),
            queue_seconds=(began - sent).total_seconds() if began and sent else None,
            execution_seconds=(ended - began).total_seconds() if ended and began else None,
            raw=redact({"job": job_id, "hqc": [getattr(one, "cost", None) for one in found]}),
        )

    def cancel(self, job_id: str) -> None:
        """Ask Nexus to stop the job."""
        nexus = self._nexus()
        asked(self.name, lambda: nexus.jobs.cancel(nexus.jobs.get(id=job_id)))
