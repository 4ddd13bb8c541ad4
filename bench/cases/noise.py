# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Noisy kernel matrices with a device's calibration data, beside Qiskit Aer with the same channels on the same qubits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import flashket as fk
from cases.gram import uniform
from cases.harness import Array, Case, Side, faster, need
from flashket import reference
from flashket.noise import channels, exact, trajectories
from flashket.noise.program import CHANNEL, GATE, PAIR_CHANNEL, NoisyCircuit

Makers = dict[str, Callable[[], Side]]

SHOTS = 1000
DEVICE = "ibm_torino"
KERNEL_PEER = "FidelityQuantumKernel + Aer"
AER = "Aer, density matrix"
AER_PACKAGES = ("qiskit-aer", "qiskit")


def physical_name(gate: fk.Gate) -> str:
    """Return Qiskit's name of a native gate."""
    if gate.name != "rx":
        return gate.name
    return "sx" if math.isclose(gate.angle[0].offset, math.pi / 2) else "x"


def qiskit_part(part: Any, parameters: Any, circuit: Any) -> None:
    """Append a part's native gates, their angles of ``parameters``."""
    for gate in part.program.gates:
        if gate.name == "rz":
            angle = 1.0
            for scale, feature, offset in gate.angle:
                angle = angle * (scale * parameters[feature] + offset if feature >= 0 else offset)
            circuit.rz(angle, *gate.qubits)
        else:
            getattr(circuit, physical_name(gate))(*gate.qubits)


def aer_noise(noisy: NoisyCircuit) -> Any:
    """Return Aer's model of the channels that follow each gate, on the used qubits alone."""
    noise = need("qiskit_aer.noise", "qiskit-aer")
    model = noise.NoiseModel(basis_gates=["rz", "sx", "x", "cz"])
    known = set()
    for part in noisy.parts:
        gates = part.program.gates
        after: dict[int, list[Any]] = {index: [] for index in range(len(gates))}
        last = -1
        for kind, index, q0, _ in part.operations.tolist():
            if kind == GATE:
                last = index
            else:
                after[last].append((kind, index, q0))
        for index, found in after.items():
            gate = gates[index]
            place = (physical_name(gate), gate.qubits)
            if not found or place in known:
                continue
            known.add(place)
            error = None
            for kind, channel, wire in found:
                if kind == PAIR_CHANNEL:
                    own = noise.depolarizing_error(1 - part.pair_channels[channel][1], 2)
                else:
                    assert kind == CHANNEL
                    own = noise.kraus_error(list(channels.kraus(part.channels[channel])))
                    if len(gate.qubits) == 2:
                        idle = noise.kraus_error([np.eye(2)])
                        own = own.expand(idle) if wire == gate.qubits[0] else idle.expand(own)
                error = own if error is None else error.compose(own)
            model.add_quantum_error(error, *place)
    for (p10, p01), wire in zip(noisy.readout, noisy.measured, strict=True):
        model.add_readout_error([[1 - p10, p10], [p01, 1 - p01]], [wire])
    return model


def torino_gram() -> Case:
    """The case of 190 circuits."""

    def make(quick: bool) -> Makers:
        n_rows, qubits = (5, 3) if quick else (20, 6)
        x = uniform(n_rows, qubits, 2 * np.pi, np.float64)
        kernel = fk.Fidelity(fk.ZZ(qubits, reps=1, entanglement="linear"))
        model = fk.NoiseModel.from_profile(DEVICE, method="exact", idle=False)  # Aer's model does not know idling
        noisy = model.circuit(kernel)
        off_diagonal = np.triu_indices(n_rows, 1)
        some = off_diagonal[0][:3], off_diagonal[1][:3]
        wanted = exact.gram(noisy, x)
        slow = [reference.noisy_probabilities(noisy, (x[i], x[j]))[0] for i, j in zip(*some, strict=True)]
        oracle_error = float(np.abs(wanted[some] - slow).max())
        spread = np.sqrt(wanted * (1 - wanted) / SHOTS) + 1 / SHOTS

        def check_exact(gram: Array) -> float:
            return max(oracle_error, float(np.abs(gram - wanted)[off_diagonal].max()))

        def check_sampled(gram: Array) -> float:  # in standard deviations of the shots
            return max(1e12 * oracle_error, float((np.abs(np.asarray(gram) - wanted) / spread)[off_diagonal].max()))

        def aer_side(shots: int) -> Side:
            simulators = need("qiskit_aer", "qiskit-aer")
            qiskit = need("qiskit", "qiskit")
            first, second = (qiskit.circuit.ParameterVector(name, qubits) for name in "xy")
            circuit = qiskit.QuantumCircuit(qubits)
            for part, parameters in zip(noisy.parts, (first, second), strict=True):
                qiskit_part(part, parameters, circuit)
                circuit.barrier()
            circuit.measure_all()
            simulator = simulators.AerSimulator(method="density_matrix", noise_model=aer_noise(noisy), seed_simulator=1)
            values = {first[k]: x[off_diagonal[0], k].tolist() for k in range(qubits)}
            values |= {second[k]: x[off_diagonal[1], k].tolist() for k in range(qubits)}

            def run() -> Array:
                result = simulator.run([circuit], parameter_binds=[values], shots=shots).result()
                gram = np.zeros((n_rows, n_rows))
                gram[off_diagonal] = [counts.get("0" * qubits, 0) / shots for counts in result.get_counts()]
                return gram

            return Side(run, check_sampled, 6.0, AER_PACKAGES)

        def kernel_peer() -> Side:
            qiskit = need("qiskit", "qiskit")
            primitives = need("qiskit_aer.primitives", "qiskit-aer")
            kernels = need("qiskit_machine_learning.kernels", "qiskit-machine-learning")
            fidelities = need("qiskit_machine_learning.state_fidelities")
            parameters = qiskit.circuit.ParameterVector("x", qubits)
            circuit = qiskit.QuantumCircuit(qubits)
            qiskit_part(noisy.parts[0], parameters, circuit)
            options = {"backend_options": {"method": "density_matrix", "noise_model": aer_noise(noisy)}}
            sampler = primitives.SamplerV2(default_shots=SHOTS, seed=1, options=options)
            passes = qiskit.transpiler.generate_preset_pass_manager(0, basis_gates=["rz", "sx", "x", "cz"])

            def run() -> Array:
                fidelity = fidelities.ComputeUncompute(sampler=sampler, pass_manager=passes)
                return kernels.FidelityQuantumKernel(feature_map=circuit, fidelity=fidelity, enforce_psd=False).evaluate(x)

            # It undoes U(y) gate by gate, we compile the inverse: single-qubit gates may differ by one.
            packages = ("qiskit-machine-learning", *AER_PACKAGES)
            return Side(run, check_sampled, 7.0, packages, note="its second half is the first one's gates inverted")

        return {
            "ours": lambda: Side(lambda: fk.gram(x, kernel=kernel, noise=model, shots=SHOTS, seed=1), check_sampled, 6.0, ("flashket",)),
            "our probabilities": lambda: Side(lambda: exact.gram(noisy, x), check_exact, 1e-12, ("flashket",)),
            KERNEL_PEER: kernel_peer,
            AER: lambda: aer_side(SHOTS),
        }

    about = f"ZZ, 1 repetition, linear, 6 qubits, N = 20, 190 circuits, {SHOTS} shots, {DEVICE}: depolarisation, relaxation and readout "
    about += "of the used qubits, every side the same channels; errors in standard deviations of the shots"
    rows = (faster(KERNEL_PEER, 20.0), faster(AER), faster(AER, ours="our probabilities"))
    return Case("noisy_gram_zz_6q_20_torino", about, make, rows, frozenset({KERNEL_PEER}))


def trajectory_gram() -> Case:
    """What density matrices of ten qubits cost, and what trajectories reach."""

    def make(quick: bool) -> Makers:
        n_rows, qubits = (4, 4) if quick else (20, 10)
        x = uniform(n_rows, qubits, 2 * np.pi, np.float64)
        kernel = fk.Fidelity(fk.ZZ(qubits, reps=1, entanglement="linear"))
        noisy = fk.NoiseModel.from_profile(DEVICE, method="exact", idle=False).circuit(kernel)
        wanted = exact.gram(noisy, x)
        few = trajectories.gram(noisy, x[:2], trajectories=64, seed=2)

        def check(gram: Array) -> float:  # two simulations that share no arithmetic, in standard errors
            return float((np.abs(few[0] - gram[:2, :2]) / few[1]).max())

        def check_estimate(estimate: tuple[Array, Array]) -> float:
            return float((np.abs(estimate[0] - wanted) / estimate[1]).max())

        return {
            "ours": lambda: Side(lambda: exact.gram(noisy, x), check, 5.0, ("flashket",)),
            "our trajectories": lambda: Side(
                lambda: trajectories.gram(noisy, x, trajectories=256, seed=1), check_estimate, 6.0, ("flashket",)
            ),
        }

    about = f"ZZ, 1 repetition, linear, 10 qubits, N = 20, {DEVICE}: density matrices beside 256 trajectories a row"
    return Case("noisy_gram_zz_10q_20_torino", about, make, (faster("our trajectories"),))


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    yield torino_gram()
    yield trajectory_gram()
