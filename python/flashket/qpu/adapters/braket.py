# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``braket:local``, ``braket:local:dm``, Amazon Braket's simulators and devices, and Braket devices that the user passes.

A batch is one task: a single circuit, or a ProgramSet where the device takes one. Barriers are written for devices and for local
simulators; AWS's own simulators run circuits as they are, so that nothing cancels there and none is needed. A device that knows no
barrier refuses the task, which costs nothing.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from flashket.errors import InputError, JobError, explanation
from flashket.qpu.adapters._asking import asked, before_sending, sent
from flashket.qpu.adapters._base import Batch, Limits, Result
from flashket.qpu.adapters._shared import LocalAdapter, angle_of, check_batch, counts_of_bits, device_cost, drawn, rewritten, sdk
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost
from flashket.qpu.credentials import Secret, find_credential, need_credential, redact

SIMULATORS = {name: f"arn:aws:braket:::device/quantum-simulator/amazon/{name}" for name in ("sv1", "dm1", "tn1")}

NAMES = {
    **{name: name for name in ("h", "x", "y", "z", "s", "t", "rx", "ry", "rz", "cz", "swap")},
    "sdg": "si",
    "tdg": "ti",
    "p": "phaseshift",
    "cx": "cnot",
    "cp": "cphaseshift",
    "rzz": "zz",
    "rxx": "xx",
    "ryy": "yy",
}
"""A Program's gates as Braket calls them. Controlled rotations are written with others."""

_ABSENT = {"ionq": {"p", "cz", "cp"}, "rigetti": {"rzz", "rxx", "ryy"}}
"""What devices of a maker do not take."""

_TASK_STATES = {
    "CREATED": "queued",
    "QUEUED": "queued",
    "RUNNING": "running",
    "COMPLETED": "done",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}
_TAG = "flashket-token"
_PROGRAM_SET = "braket.ir.openqasm.program_set"


def opened(target: str, **options: Any) -> Any:
    """Return the adapter of ``braket:<target>``."""
    if target in ("local", "local:sv", "local:dm"):
        devices = sdk("braket.devices", "amazon-braket-sdk", "braket", f"braket:{target}")
        backend = "braket_dm" if target.endswith(":dm") else "braket_sv"
        return LocalBraketAdapter(f"braket:{target}", devices.LocalSimulator(backend), **options)
    return BraketAdapter(target, **options)


def wrapped(device: Any) -> Any:
    """Return the adapter of a Braket Device."""
    if hasattr(device, "arn") and hasattr(device, "aws_session"):
        return BraketAdapter(device.arn, session=device.aws_session)
    if type(device).__module__.startswith(("braket.devices", "braket.emulation", "braket.aws.")) and hasattr(device, "run"):
        return LocalBraketAdapter(f"braket:{getattr(device, 'name', type(device).__name__)}", device)
    raise InputError(explanation("wrap", "a Braket LocalSimulator, emulator or AwsDevice was wanted", type(device).__name__))


def openqasm(circuit: MeasuredCircuit, *, maker: str = "", barriers: bool = True) -> str:
    """Return the OpenQASM 3 that Braket reads: no include, its own names of gates.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> half = Program(2, 0, (Gate("sdg", (0,)),))
    >>> print(openqasm(MeasuredCircuit((half, half), (1,))))
    OPENQASM 3.0;
    qubit[2] q;
    bit[1] c;
    si q[0];
    barrier q[0], q[1];
    si q[0];
    c[0] = measure q[1];
    <BLANKLINE>
    """
    allowed = NAMES.keys() - _ABSENT.get(maker, set())
    every = ", ".join(f"q[{qubit}]" for qubit in range(circuit.n_qubits))
    lines = ["OPENQASM 3.0;", f"qubit[{circuit.n_qubits}] q;", f"bit[{len(circuit.measured)}] c;"]
    for index, part in enumerate(circuit.parts):
        if index and barriers:
            lines.append(f"barrier {every};")
        for gate in rewritten(part.gates, allowed):
            angle = angle_of(gate)
            word = NAMES[gate.name] if angle is None else f"{NAMES[gate.name]}({angle!r})"
            lines.append(f"{word} {', '.join(f'q[{qubit}]' for qubit in gate.qubits)};")
    lines += [f"c[{bit}] = measure q[{qubit}];" for bit, qubit in enumerate(circuit.measured)]
    return "\n".join(lines) + "\n"


_MEASURED = re.compile(r"^c\[(\d+)\] = measure q\[(\d+)\];$", re.M)


def _counts(entry: Any, source: str) -> dict[int, int]:
    """Return the counts of a result: one column for each measured qubit, in the order that the result names.

    Which qubit a classical bit holds is read from the program that the result carries, for a task may be fetched by another process.
    """
    measured = [int(qubit) for _, qubit in sorted((int(bit), qubit) for bit, qubit in _MEASURED.findall(source))]
    qubits = [int(qubit) for qubit in entry.measured_qubits]
    if not measured or not set(measured) <= set(qubits):
        raise JobError(explanation("braket", f"results of qubits {measured} were wanted", qubits, "fetch the task with Braket's SDK"))
    return counts_of_bits(entry.measurements[:, [qubits.index(qubit) for qubit in measured]])


def _all_counts(result: Any) -> list[dict[int, int]]:
    """Return the counts of every program of a task's result."""
    if hasattr(result, "measured_qubits"):
        return [_counts(result, result.additional_metadata.action.source)]
    return [_counts(entry, program.program.source) for program in result for entry in program.entries]


class LocalBraketAdapter(LocalAdapter):
    """A Braket device that simulates in this process.

    Braket's simulators cannot be seeded. With a seed they give exact probabilities, and counts are drawn here; emulators always sample.
    """

    def __init__(self, name: str, device: Any) -> None:
        super().__init__(name, Limits(None))
        self._device = device
        self._can_be_exact = type(device).__module__ == "braket.devices.local_simulator"
        self._program = sdk("braket.ir.openqasm", "amazon-braket-sdk", "braket", name).Program

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        exact = batch.seed is not None and self._can_be_exact
        counts = []
        for index, (circuit, shots) in enumerate(zip(batch.circuits, batch.shots, strict=True)):
            text = openqasm(circuit)
            if exact:
                # The first qubit that is named is the highest bit.
                qubits = ", ".join(f"q[{qubit}]" for qubit in reversed(circuit.measured))
                gates = "\n".join(line for line in text.splitlines() if " = measure " not in line)
                text = f"{gates}\n#pragma braket result probability {qubits}\n"
                found = self._device.run(self._program(source=text), shots=0).result()
                counts.append(drawn(found.values[0], shots, batch.seed, index))
            else:
                counts += _all_counts(self._device.run(self._program(source=text), shots=shots).result())
        return counts, {"device": str(getattr(self._device, "name", "")), "exact": exact}


class BraketAdapter:
    """A simulator or device of Amazon Braket.

    Each batch is one task with the token as its client token, so that sending it twice makes one task, and as a tag.

    Parameters
    ----------
    target : str
        ``"sv1"``, ``"dm1"``, ``"tn1"`` or the device's ARN.
    s3 : (str, str), optional
        Bucket and prefix for results; by default Braket's own bucket of the account.
    profile : str, optional
        The device profile that estimates the cost; by default the device's name in lower case with its maker, e.g. ``"iqm_garnet"``.
    session : braket.aws.AwsSession, optional
        An open one.
    """

    is_remote = True

    def __init__(self, target: str, *, s3: tuple[str, str] | None = None, profile: str | None = None, session: Any = None) -> None:
        self.name = f"braket:{target}"
        self._arn = SIMULATORS.get(target, target)
        parts = self._arn.split("/")
        if not self._arn.startswith("arn:aws:braket:") or len(parts) != 4:
            do = f"choose local, local:dm, {', '.join(SIMULATORS)} or an ARN such as arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"
            raise InputError(explanation("open_adapter", "a Braket device was wanted", repr(target), do))
        self._aws = sdk("braket.aws", "amazon-braket-sdk", "braket", self.name)
        self._is_simulator, self._maker = parts[1] == "quantum-simulator", parts[2]
        self._profile = profile or f"{parts[2]}_{parts[3]}".lower()
        self._s3, self._session_found, self._is_known = s3, session, False
        self._capabilities_found: dict[str, Any] | None = None

    def _session(self) -> Any:
        if self._session_found is None:
            need_credential("braket", self.name)
            boto3 = sdk("boto3", "amazon-braket-sdk", "braket", self.name)
            region = self._arn.split(":")[3]
            session = asked(self.name, lambda: boto3.Session(**({"region_name": region} if region else {})))
            config = sdk("botocore.config", "amazon-braket-sdk", "braket", self.name).Config(retries={"total_max_attempts": 1})
            self._session_found = asked(self.name, lambda: self._aws.AwsSession(boto_session=session, config=config))
        if not self._is_known:
            # Whatever boto3 found, so that redact() knows it.
            found = asked(self.name, self._session_found.boto_session.get_credentials)
            for value in () if found is None else found.get_frozen_credentials():
                Secret(value if isinstance(value, str) else "")
            self._is_known = True
        return self._session_found

    def _capabilities(self) -> dict[str, Any]:
        if self._capabilities_found is None:
            session = self._session()
            found = asked(self.name, lambda: session.get_device(self._arn)["deviceCapabilities"])
            capabilities: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
            self._capabilities_found = capabilities
        return self._capabilities_found

    def limits(self) -> Limits:
        """Say what one task may hold, from the device's capabilities; asks AWS, which costs nothing. Without credentials: one circuit."""
        if self._session_found is None and find_credential("braket") is None:
            return Limits(None, None, 1)
        capabilities = self._capabilities()
        shots = capabilities.get("service", {}).get("shotsRange")
        programs = capabilities.get("action", {}).get(_PROGRAM_SET)
        qubits = capabilities.get("paradigm", {}).get("qubitCount")
        most = None if not shots else int(shots[1])
        if programs is None:
            return Limits(qubits, most, 1, most)
        return Limits(qubits, most, int(programs["maximumExecutables"]), int(programs["maximumTotalShots"]), True)

    def estimate(self, batch: Batch) -> Cost:
        """Say what the batch costs: a price for each task and each shot."""
        # A profile that the user names, the device's name, and its name without the number: "ionq_forte" for "Forte-1".
        return device_cost(
            batch, [self._profile, re.sub(r"(-enterprise)?-\d+$", "", self._profile)], "braket_", circuits_per_task=len(batch.circuits)
        )

    def request(self, batch: Batch, token: str, bucket: str, prefix: str) -> dict[str, Any]:
        """Return the parameters of CreateQuantumTask."""
        openqasm_ir = sdk("braket.ir.openqasm", "amazon-braket-sdk", "braket", self.name)
        texts = [openqasm(circuit, maker=self._maker, barriers=not self._is_simulator) for circuit in batch.circuits]
        programs = [openqasm_ir.Program(source=text, inputs={}) for text in texts]
        action = programs[0] if len(programs) == 1 else openqasm_ir.ProgramSet(programs=programs)
        return {
            "clientToken": token[:64],
            "deviceArn": self._arn,
            "shots": sum(batch.shots),
            "outputS3Bucket": bucket,
            "outputS3KeyPrefix": prefix,
            "action": action.json(exclude_none=True),
            "tags": {_TAG: token, "application": "flashket"},
        }

    def submit(self, batch: Batch, token: str) -> str:
        """Send the batch as one task."""
        check_batch(batch, before_sending(self.limits), self.name)
        session = before_sending(self._session)
        bucket, prefix = self._s3 or (before_sending(lambda: asked(self.name, session.default_bucket)), "flashket")
        request = self.request(batch, token, bucket, prefix)
        # A session of the user's may ask several times: then the last answer is not the whole story.
        retries: dict[str, Any] = getattr(session.braket_client.meta.config, "retries", None) or {}
        asks_once = retries.get("total_max_attempts") == 1
        return str(sent(self.name, lambda: session.create_quantum_task(**request), is_one_request=asks_once))

    def find(self, token: str) -> str | None:
        """Return the task with this tag, among all tasks of the device."""
        session = self._session()
        filters = [{"name": "deviceArn", "operator": "EQUAL", "values": [self._arn]}]
        page: dict[str, Any] = {}
        while True:
            following = {"nextToken": page["nextToken"]} if page.get("nextToken") else {}
            page = asked(self.name, partial(session.braket_client.search_quantum_tasks, filters=filters, maxResults=100, **following))
            for task in page["quantumTasks"]:
                if task.get("tags", {}).get(_TAG) == token:
                    return str(task["quantumTaskArn"])
            if not page.get("nextToken"):
                return None

    def status(self, job_id: str) -> str:
        """Return the task's state."""
        session = self._session()
        return _TASK_STATES.get(asked(self.name, lambda: session.get_quantum_task(job_id))["status"], "running")

    def result(self, job_id: str) -> Result:
        """Return the counts from the task's file in S3."""
        session = self._session()
        task = asked(self.name, lambda: session.get_quantum_task(job_id))
        if task["status"] != "COMPLETED":
            got = redact(f"{task['status']} {task.get('failureReason', '')}".strip())
            raise JobError(explanation(self.name, "a completed task was wanted", got, "look at the task in the AWS console"))
        found = asked(self.name, lambda: self._aws.AwsQuantumTask(job_id, aws_session=session).result())
        # The time between createdAt and endedAt is mostly the queue's: Braket does not say when a task began to run.
        names = ("quantumTaskArn", "status", "deviceArn", "shots", "createdAt", "endedAt", "outputS3Bucket", "outputS3Directory")
        return Result(tuple(_all_counts(found)), raw=redact({name: task.get(name) for name in names}))

    def cancel(self, job_id: str) -> None:
        """Ask Braket to stop the task."""
        session = self._session()
        asked(self.name, lambda: session.cancel_quantum_task(job_id))
