# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Bundled profiles against the providers' own packages: the same files come out, and the packages' own objects say the same."""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from flashket.qpu import load_profile
from flashket.qpu.profile import DEVICES
from flashket.qpu.refresh import PROVIDERS, refresh


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if not any(is_installed(package) for package in PROVIDERS.values()):
        pytest.skip("no provider's package")
    done = refresh(tmp_path_factory.mktemp("devices"))
    assert not done.skipped
    return done.written


def is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def test_refresh_makes_the_bundled_files(fresh: dict[str, Path]) -> None:
    """Where the same version is installed, byte by byte."""
    for name, path in fresh.items():
        bundled = load_profile(name)
        if load_profile(path).source == bundled.source:
            assert path.read_text() == (DEVICES / f"{name}.json").read_text()


def test_ibm_against_the_fake_backend() -> None:
    fake_provider = pytest.importorskip("qiskit_ibm_runtime.fake_provider", reason="no qiskit-ibm-runtime")
    target = fake_provider.FakeFez().target
    profile = load_profile("ibm_fez")
    assert profile.edges is not None
    assert target.num_qubits == profile.n_qubits
    for edge, error, duration in zip(profile.edges, profile.error_2q, profile.duration_2q, strict=True):
        properties = target["cz"][edge]
        assert (properties.error, properties.duration) == pytest.approx((error, duration), rel=1e-4)
    for edge in profile.broken_edges:
        assert target["cz"][edge].error == 1
    for qubit in range(profile.n_qubits):
        assert target["sx"][(qubit,)].error == pytest.approx(profile.error_1q[qubit], rel=1e-4)
        assert target.qubit_properties[qubit].t1 == pytest.approx(profile.t1[qubit], rel=1e-4)
        assert target.qubit_properties[qubit].t2 == pytest.approx(profile.t2[qubit], rel=1e-4)
        assert target["measure"][(qubit,)].duration == pytest.approx(profile.duration_readout[qubit], rel=1e-4)


@pytest.mark.parametrize("name", ["weber", "willow_pink"])
def test_google_against_cirqs_noise_properties(name: str) -> None:
    cirq = pytest.importorskip("cirq", reason="no cirq-core")
    cirq_google = pytest.importorskip("cirq_google", reason="no cirq-google")
    properties = cirq_google.engine.load_device_noise_properties(name)
    profile = load_profile(f"google_{name}")
    assert profile.edges is not None
    gate = cirq.ISwapPowGate if name == "weber" else cirq.CZPowGate
    two_qubit_errors = profile.error_2q_parallel or profile.error_2q
    pauli_errors = {op.qubits: error for op, error in properties.gate_pauli_errors.items() if op.gate_type is gate}
    qubits = [cirq.GridQubit(*map(int, label.split("_"))) for label in profile.labels]
    for (a, b), error in zip(profile.edges, two_qubit_errors, strict=True):
        # average infidelity = d / (d + 1) x Pauli error, d = 4
        assert error == pytest.approx(0.8 * pauli_errors[qubits[a], qubits[b]], rel=1e-4)
    for index, qubit in enumerate(qubits):
        assert profile.t1[index] == pytest.approx(properties.t1_ns[qubit] * 1e-9, rel=1e-4)
        t2 = 1 / (0.5 / properties.t1_ns[qubit] + 1 / properties.tphi_ns[qubit])
        assert profile.t2[index] == pytest.approx(t2 * 1e-9, rel=1e-3)
    assert profile.duration_2q[0] == pytest.approx(properties.gate_times_ns[gate] * 1e-9)
    assert profile.duration_1q[0] == pytest.approx(properties.gate_times_ns[cirq.PhasedXZGate] * 1e-9)
    assert profile.duration_readout[0] == pytest.approx(properties.gate_times_ns[cirq.MeasurementGate] * 1e-9)


def test_iqm_against_its_own_noise_model() -> None:
    """The average infidelity of the channels that IQM's fake device simulates."""
    pytest.importorskip("qiskit_aer", reason="no qiskit-aer")
    fake_backends = pytest.importorskip("iqm.qiskit_iqm.fake_backends.fake_garnet", reason="no iqm-client")
    quantum_info = pytest.importorskip("qiskit.quantum_info", reason="no qiskit-aer")
    model = fake_backends.IQMFakeGarnet().noise_model
    profile = load_profile("iqm_garnet")
    assert profile.edges is not None
    errors = {tuple(sorted(qubits)): error for qubits, error in model._local_quantum_errors["cz"].items()}
    for edge, infidelity in zip(profile.edges, profile.error_2q, strict=True):
        fidelity = quantum_info.average_gate_fidelity(quantum_info.SuperOp(errors[edge]))
        assert infidelity == pytest.approx(1 - fidelity, rel=1e-4)


def test_quantinuum_against_its_machine_list() -> None:
    api_wrappers = pytest.importorskip("pytket.extensions.quantinuum.backends.api_wrappers", reason="no pytket-quantinuum")
    machine = next(machine for machine in api_wrappers.OFFLINE_MACHINE_LIST if machine["name"] == "H2-1")
    profile = load_profile("quantinuum_h2-1")
    assert profile.error_2q == (machine["noise_specs"]["2q_gate_error"]["p2"],)
    assert profile.readout_p10[0] == machine["noise_specs"]["spam_error"]["p_meas_0"]
    assert profile.n_qubits == machine["n_qubits"]
    assert math.isnan(profile.t1[0])
