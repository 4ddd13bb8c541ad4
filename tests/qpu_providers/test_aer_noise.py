# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Noise channels against Qiskit Aer's device model of the same calibration data, on the same native circuits."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import flashket as fk
from flashket import reference
from flashket.noise import bloch
from flashket.noise.exact import probabilities
from flashket.noise.lower import lower
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program
from flashket.qpu import DeviceProfile, MeasuredCircuit, NativeCircuit, compile_circuit, load_profile
from flashket.qpu.compile import compile_program
from flashket.qpu.estimators.local import turned
from flashket.qpu.schedule import schedule

pytest.importorskip("qiskit_aer", reason="no qiskit-aer")
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Measure, Parameter
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RYGate, RZGate, RZZGate, SXGate, XGate, XXPlusYYGate
from qiskit.providers import BackendV2, Options, QubitProperties
from qiskit.quantum_info import Statevector, SuperOp
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, thermal_relaxation_error

N = 4
ROOT = XXPlusYYGate(-math.pi / 2)


class Device(BackendV2):
    """A backend that has only calibration data."""

    def __init__(self, profile: DeviceProfile) -> None:
        super().__init__()

        def known(value: float) -> float | None:
            return None if math.isnan(value) else value

        qubits = [QubitProperties(t1=known(t1), t2=known(t2)) for t1, t2 in zip(profile.t1, profile.t2, strict=True)]
        self._target = Target(num_qubits=profile.n_qubits, qubit_properties=qubits)
        singles = {
            (q,): InstructionProperties(duration=known(profile.duration_1q[q]), error=known(profile.error_1q[q]))
            for q in range(profile.n_qubits)
        }
        virtual = {(q,): InstructionProperties(duration=0.0, error=0.0) for q in range(profile.n_qubits)}
        assert profile.edges is not None
        pairs = {}
        for (a, b), duration, error in zip(profile.edges, profile.duration_2q, profile.error_2q, strict=True):
            for pair in ((a, b), (b, a)):
                pairs[pair] = InstructionProperties(duration=known(duration), error=known(error))
        self._target.add_instruction(RZGate(Parameter("a")), virtual)
        for gate in (SXGate(), XGate()) if profile.one_qubit_gate == "sx" else (RYGate(Parameter("a")),):
            self._target.add_instruction(gate, dict(singles))
        two = {"cz": CZGate(), "cx": CXGate(), "ecr": ECRGate(), "rzz": RZZGate(Parameter("a")), "sqrt_iswap": ROOT}
        self._target.add_instruction(two[profile.two_qubit_gate], pairs)
        self._target.add_instruction(Delay(Parameter("t"), "s"), {(q,): None for q in range(profile.n_qubits)})
        readout = {}
        for q in range(profile.n_qubits):
            properties = InstructionProperties(duration=1e-6, error=0.1)
            properties.prob_meas1_prep0, properties.prob_meas0_prep1 = profile.readout_p10[q], profile.readout_p01[q]
            readout[(q,)] = properties
        self._target.add_instruction(Measure(), readout)

    @property
    def target(self) -> Target:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: object, **options: object) -> None:
        raise AssertionError("never run")


def to_qiskit(native: NativeCircuit, idle: bool, model: NoiseModel | None = None) -> QuantumCircuit:
    """The same physical operations on the same physical qubits; with the model's own channels after them if one is given."""

    def noise(name: str, qubits: list[int]) -> None:
        if model is not None and tuple(qubits) in model._local_quantum_errors.get(name, {}):
            circuit.append(SuperOp(model._local_quantum_errors[name][tuple(qubits)]), qubits)

    circuit = QuantumCircuit(native.profile.n_qubits)
    waits = schedule(native).idles
    for part, idles in zip(native.parts, waits, strict=True):
        gates, skip = part.program.gates, set()
        if native.profile.two_qubit_gate == "ecr":
            # An ECR is written as three free gates and a cx.
            skip = {k for index, gate in enumerate(gates) if gate.name == "cx" for k in (index - 3, index - 2, index - 1)}
        for index in range(len(gates) + 1):
            for wait in idles if idle else ():
                q = native.qubits[wait.wire]
                if wait.gate == index and model is None:
                    circuit.delay(wait.seconds, q, unit="s")
                elif wait.gate == index:
                    t1, t2 = native.profile.t1[q], native.profile.t2[q]
                    circuit.append(SuperOp(thermal_relaxation_error(t1, min(t2, 2 * t1), wait.seconds)), [q])
            if index == len(gates) or index in skip:
                continue
            name, qubits = gates[index].name, [native.qubits[wire] for wire in gates[index].qubits]
            angle = gates[index].angle[0].offset if gates[index].angle else 0.0
            if name == "rx":
                assert angle in (math.pi / 2, math.pi)
                (circuit.sx if angle == math.pi / 2 else circuit.x)(*qubits)
                noise("sx" if angle == math.pi / 2 else "x", qubits)
            elif name == "cx" and native.profile.two_qubit_gate == "ecr":
                circuit.ecr(*qubits)
            elif name == "rxx":
                assert not part.pulses[index]
            elif name == "ryy":
                # Aer finds the noise of a matrix by its label.
                circuit.unitary(ROOT.to_matrix(), qubits, label=ROOT.name)
            else:
                getattr(circuit, name)(*([angle] if gates[index].angle else []), *qubits)
                noise(name, qubits)
        circuit.barrier()
    return circuit


def aer_probabilities(native: NativeCircuit, idle: bool, *, explicit: bool = False, backend: BackendV2 | None = None) -> np.ndarray:
    """Aer's density matrix under its own model, with the readout errors of that model; bit j is ``measured[j]``.

    While it runs, Aer leaves out terms of a channel with a probability below 1e-10, of which a good device's two-qubit gates have many.
    ``explicit`` puts the model's channels into the circuit instead, which Aer then takes as they are.
    """
    model = NoiseModel.from_backend(backend or Device(native.profile))
    circuit = to_qiskit(native, idle, model if explicit else None)
    circuit.save_density_matrix(qubits=[native.qubits[wire] for wire in native.measured])
    simulator = AerSimulator(method="density_matrix", noise_model=None if explicit else model, fusion_enable=False)
    result = simulator.run(circuit, shots=1).result()
    assert result.success, result.status
    n = len(native.measured)
    found = np.real(np.diag(result.data()["density_matrix"])).reshape((2,) * n)
    for bit, wire in enumerate(native.measured):
        (flips,) = [error.probabilities for key, error in model._local_readout_errors.items() if key == (native.qubits[wire],)]
        axis = n - 1 - bit
        found = np.moveaxis(np.tensordot(np.asarray(flips).T, found, (1, axis)), 0, axis)
    return found.reshape(-1)


def random_circuit(rng: np.random.Generator) -> MeasuredCircuit:
    parts = []
    for _ in range(2):
        gates = []
        for name in rng.choice(list(OPCODES), 20):
            qubits = tuple(int(q) for q in rng.permutation(N)[: 2 if name in TWO_QUBIT else 1])
            gates.append(Gate(str(name), qubits, (Linear(0.0, -1, float(rng.normal())),) if name in WITH_ANGLE else ()))
        parts.append(Program(N, 0, tuple(gates)))
    return MeasuredCircuit(tuple(parts), tuple(int(q) for q in rng.permutation(N)))


def compiled(rng: np.random.Generator, profile: DeviceProfile, layout: tuple[int, ...]) -> NativeCircuit:
    """A random circuit on these qubits, although some are of no use."""
    good = {"t1": (1e-4,) * 6, "t2": (1e-4,) * 6, "error_1q": (1e-3,) * 6, "error_2q": (1e-2,) * 6}
    return replace(compile_circuit(random_circuit(rng), replace(profile, **good), layout=layout), profile=profile)


def made_up(one: str, two: str, seed: int) -> DeviceProfile:
    """Six qubits on a ring with numbers from bad to good, unphysical and unknown ones among them."""
    rng = np.random.default_rng(seed)
    edges = (*pairwise(range(6)), (5, 0))
    t1 = rng.uniform(20e-6, 300e-6, 6)
    t2 = t1 * rng.uniform(0.1, 2.5, 6)  # some above 2 T1
    t1[2], t2[3] = math.nan, math.nan
    return replace(
        load_profile("ibm_torino"),
        name="made-up",
        broken_edges=(),
        error_2q_parallel=None,
        labels=(),
        layer_fidelity=(),
        n_qubits=6,
        edges=edges,
        one_qubit_gate=one,
        two_qubit_gate=two,
        t1=tuple(t1),
        t2=tuple(t2),
        error_1q=(1e-3, 5e-4, 1e-5, 0.02, 3e-3, 0.9),
        duration_1q=tuple(rng.uniform(20e-9, 80e-9, 6)),
        readout_p10=tuple(rng.uniform(0.001, 0.2, 6)),
        readout_p01=tuple(rng.uniform(0.001, 0.2, 6)),
        duration_readout=(1e-6,) * 6,
        # Less than relaxation explains, usual, huge, and one beyond what any channel has.
        error_2q=(1e-5, 5e-3, 2e-2, 0.3, 0.95, 8e-3),
        duration_2q=tuple(rng.uniform(60e-9, 600e-9, 6)),
    )


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize(("one", "two"), [("sx", "cz"), ("sx", "ecr"), ("sx", "cx"), ("u", "cz"), ("u", "rzz"), ("u", "sqrt_iswap")])
def test_same_probabilities_as_aer(one: str, two: str, idle: bool) -> None:
    rng = np.random.default_rng(len(one + two))
    for seed in range(3):
        profile = made_up(one, two, seed)
        layout = tuple(int(q) for q in (np.arange(N) + rng.integers(6)) % 6)
        native = compiled(rng, profile, layout)
        wanted = aer_probabilities(native, idle)
        np.testing.assert_allclose(probabilities(lower(native, idle=idle)), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("idle", [False, True])
def test_same_probabilities_as_aer_on_bundled_calibration_data(idle: bool) -> None:
    rng = np.random.default_rng(9)
    profile = load_profile("ibm_torino")
    native = compile_circuit(random_circuit(rng), profile)
    used = sorted(native.qubits)
    # Aer's density matrix holds every qubit of a circuit: keep the used ones.
    assert profile.edges is not None
    kept = [index for index, (a, b) in enumerate(profile.edges) if a in used and b in used]
    per_qubit = ("t1", "t2", "error_1q", "duration_1q", "readout_p10", "readout_p01", "duration_readout")
    small = replace(
        profile,
        n_qubits=len(used),
        broken_edges=(),
        error_2q_parallel=None,
        labels=(),
        layer_fidelity=(),
        edges=tuple((used.index(profile.edges[k][0]), used.index(profile.edges[k][1])) for k in kept),
        error_2q=tuple(profile.error_2q[k] for k in kept),
        duration_2q=tuple(profile.duration_2q[k] for k in kept),
        **{name: tuple(getattr(profile, name)[q] for q in used) for name in per_qubit},
    )
    restricted = replace(native, profile=small, qubits=tuple(used.index(q) for q in native.qubits))
    found = probabilities(lower(native, idle=idle))
    np.testing.assert_allclose(found, aer_probabilities(restricted, idle, explicit=True), rtol=0, atol=1e-10)
    np.testing.assert_allclose(found, aer_probabilities(restricted, idle), rtol=0, atol=1e-7)


def test_gates_are_qiskits() -> None:
    """The native circuit without noise is the unitary that Qiskit makes of the same gates."""
    rng = np.random.default_rng(4)
    for two in ("cz", "ecr", "sqrt_iswap"):
        native = compiled(rng, made_up("sx", two, 0), (0, 1, 2, 3))
        merged = Program(N, 0, tuple(gate for part in native.parts for gate in part.program.gates))
        ours = reference.run_program(merged, np.zeros((1, 0)))[0]
        theirs = Statevector(to_qiskit(native, idle=False)).data[: 2**N]
        assert abs(np.vdot(ours, theirs)) == pytest.approx(1, abs=1e-12)


def test_same_probabilities_as_aer_for_a_fake_backend() -> None:
    """Not our numbers under Aer's definition, but Aer's model of the backend whose snapshot the profile was taken from."""
    fake = pytest.importorskip("qiskit_ibm_runtime.fake_provider", reason="no qiskit-ibm-runtime")
    native = compile_circuit(random_circuit(np.random.default_rng(11)), load_profile("ibm_torino"))
    wanted = aer_probabilities(native, False, explicit=True, backend=fake.FakeTorino())
    # Fake backends keep one readout error for both outcomes, the mean.
    mean = tuple((p10 + p01) / 2 for p10, p01 in zip(native.profile.readout_p10, native.profile.readout_p01, strict=True))
    native = replace(native, profile=replace(native.profile, readout_p10=mean, readout_p01=mean))
    # The profile has six digits of each number.
    np.testing.assert_allclose(probabilities(lower(native, idle=False)), wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("feature_map", [fk.ZZ(4, entanglement="linear"), fk.IQP(3), fk.HardwareEfficient(4)], ids=repr)
def test_same_projected_kernel_as_aer(feature_map: fk.FeatureMap) -> None:
    """One compilation with symbolic angles; Aer runs the three circuits of each row."""
    n = feature_map.n_qubits
    profile = made_up("sx", "cz", 1)
    good = {"t1": (1e-4,) * 6, "t2": (8e-5,) * 6, "error_1q": (1e-3,) * 6, "error_2q": (2e-2,) * 6}
    profile = replace(profile, **good)
    rows = np.random.default_rng(2).uniform(-2, 2, (3, feature_map.n_features))
    natives = [compile_program(each, profile) for each in turned(feature_map.program())]
    signs = 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    vectors = []
    for row in rows:
        bound = [replace(one, parts=tuple(replace(p, program=p.program.bind(row)) for p in one.parts)) for one in natives]
        vectors.append(np.concatenate([aer_probabilities(one, True, explicit=True) @ signs for one in bound]))
    distances = ((np.array(vectors)[:, None] - np.array(vectors)) ** 2).sum(axis=2)
    found, _ = bloch.gram(tuple(map(lower, natives)), 0.7, rows)
    np.testing.assert_allclose(found, np.exp(-0.35 * distances), rtol=0, atol=1e-10)
    whole = fk.gram(rows, kernel=fk.Projected(feature_map, gamma=0.7), noise=profile)
    np.testing.assert_allclose(whole, found, rtol=0, atol=1e-12)
