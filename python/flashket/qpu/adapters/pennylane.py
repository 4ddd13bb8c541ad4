# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``pennylane:<device>`` and PennyLane devices that the user passes."""

from __future__ import annotations

from typing import Any

from flashket.errors import InputError, explanation
from flashket.qpu.adapters._asking import Unlisted
from flashket.qpu.adapters._base import Batch, Limits
from flashket.qpu.adapters._shared import LocalAdapter, angle_of, circuit_seeds, counts_of_bits, free, sdk
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost

NAMES = {
    "h": "Hadamard",
    "x": "PauliX",
    "y": "PauliY",
    "z": "PauliZ",
    "s": "S",
    "t": "T",
    "rx": "RX",
    "ry": "RY",
    "rz": "RZ",
    "p": "PhaseShift",
    "cx": "CNOT",
    "cz": "CZ",
    "cp": "ControlledPhaseShift",
    "swap": "SWAP",
    "crx": "CRX",
    "cry": "CRY",
    "crz": "CRZ",
    "rzz": "IsingZZ",
    "rxx": "IsingXX",
    "ryy": "IsingYY",
}
"""A Program's gates as PennyLane calls them; sdg and tdg are adjoints."""

_HERE = ("pennylane.devices", "pennylane_lightning", "flashket")


def opened(target: str, **options: Any) -> Any:
    """Return the adapter of ``pennylane:<target>``; options go to ``qml.device``."""
    qml = sdk("pennylane", "pennylane", "pennylane", f"pennylane:{target}")
    known = qml.plugin_devices
    if target not in known:
        do = f"choose one of {', '.join(sorted(known))}, or install the device's plugin"
        raise InputError(explanation("open_adapter", "a PennyLane device was wanted", repr(target), do))
    # A device has as many wires as its circuits need, so it is made when they are known.
    kind = known[target].load()
    return PennyLaneAdapter(f"pennylane:{target}", lambda wires, seed: _device(qml, target, wires, seed, options), kind.__module__)


def wrapped(device: Any) -> Any:
    """Return the adapter of a PennyLane device."""
    if not hasattr(device, "execute") or not hasattr(device, "wires"):
        raise InputError(explanation("wrap", "a PennyLane device was wanted", type(device).__name__, 'e.g. qml.device("default.qubit")'))
    limit = None if device.wires is None else len(device.wires)
    target = getattr(device, "target_device", device)
    return PennyLaneAdapter(f"pennylane:{device.name}", lambda wires, seed: device, type(target).__module__, limit)


def _device(qml: Any, target: str, wires: int, seed: int | None, options: dict[str, Any]) -> Any:
    if seed is None:
        return qml.device(target, wires=wires, **options)
    try:
        return qml.device(target, wires=wires, seed=seed, **options)
    except TypeError:
        return qml.device(target, wires=wires, **options)


def operations(circuit: MeasuredCircuit) -> list[Any]:
    """Return a measured circuit's gates as PennyLane operators, with a Barrier between the parts."""
    import pennylane as qml

    made: list[Any] = []
    for index, part in enumerate(circuit.parts):
        if index:
            made.append(qml.Barrier(wires=range(circuit.n_qubits)))
        for gate in part.gates:
            angle, wires = angle_of(gate), list(gate.qubits)
            if gate.name in ("sdg", "tdg"):
                made.append(qml.adjoint((qml.S if gate.name == "sdg" else qml.T)(wires=wires)))
            else:
                made.append(getattr(qml, NAMES[gate.name])(*(() if angle is None else (angle,)), wires=wires))
    return made


class PennyLaneAdapter(LocalAdapter):
    """A PennyLane device with shots. Devices that are not PennyLane's own simulators count as remote, at an unknown price."""

    def __init__(self, name: str, device: Any, module: str, limit: int | None = None) -> None:
        self.is_remote = not module.startswith(_HERE)
        # It answers when it is done: where a circuit fails, those before it in one job would have been paid for nothing.
        super().__init__(name, Limits(limit, None, 1 if self.is_remote else None))
        self._device = device
        self._tokens = Unlisted(name, is_one_request=not self.is_remote)

    def estimate(self, batch: Batch) -> Cost:
        """Return no cost for simulators here, an unknown one for others."""
        if not self.is_remote:
            return free(batch)
        return Cost(len(batch.circuits), sum(batch.shots), None, None, None, notes=(f"prices of {self.name} are not known",))

    def submit(self, batch: Batch, token: str) -> str:
        """Run the batch."""
        return self._tokens.send(token, lambda: super(PennyLaneAdapter, self).submit(batch, token))

    def find(self, token: str) -> str | None:
        """Return the job's id if this process ran it; other jobs of a remote device cannot be looked up."""
        return self._tokens.find(token) if self.is_remote else super().find(token)

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        import pennylane as qml

        counts = []
        for circuit, shots, seed in zip(batch.circuits, batch.shots, circuit_seeds(batch), strict=True):
            tape = qml.tape.QuantumScript(operations(circuit), [qml.sample(wires=list(circuit.measured))], shots=shots)
            (samples,) = qml.execute([tape], self._device(circuit.n_qubits, seed))
            counts.append(counts_of_bits(qml.math.reshape(samples, (shots, len(circuit.measured)))))
        return counts, {"package": f"pennylane {qml.__version__}"}
