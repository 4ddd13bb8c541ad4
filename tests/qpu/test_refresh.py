# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Profiles made from providers' data: conversions from first principles, small packages written here, and what is refused.

tests/qpu_providers compares with the providers' own packages.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flashket as fk
from flashket.qpu import load_profile, profile_names, refresh
from flashket.qpu.profile import DEVICES, parse_profile
from flashket.qpu.profile_table import profiles_command, table
from flashket.qpu.refresh import PROVIDERS, profile_text
from flashket.qpu.refresh.google import _t2
from flashket.qpu.refresh.iqm import average_infidelity


def relaxation(t1: float, t2: float, duration: float) -> np.ndarray:
    """Pauli transfer matrix of thermal relaxation to the ground state."""
    one, two = math.exp(-duration / t1), math.exp(-duration / t2)
    return np.array([[1, 0, 0, 0], [0, two, 0, 0], [0, 0, two, 0], [1 - one, 0, 0, one]])


def infidelity_over_states(transfer: np.ndarray, n_qubits: int, seed: int) -> float:
    """Average infidelity of a channel, as the mean over many random pure states: its definition."""
    random = np.random.default_rng(seed)
    d = 2**n_qubits
    states = random.normal(size=(20_000, d)) + 1j * random.normal(size=(20_000, d))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    single = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.array([[1, 0], [0, -1]])]
    paulis = single if n_qubits == 1 else [np.kron(a, b) for a in single for b in single]
    vectors = np.stack([np.einsum("si,ij,sj->s", states.conj(), pauli, states).real for pauli in paulis], axis=1)
    return float(1 - np.einsum("sa,ab,sb->s", vectors, transfer, vectors).mean() / d)


@pytest.mark.parametrize("times", [[(49e-6, 9e-6)], [(49e-6, 9e-6), (41e-6, 12e-6)]])
def test_infidelity_of_relaxation_and_depolarising(times: list[tuple[float, float]]) -> None:
    p, duration = 0.1, 2e-6
    relaxed = relaxation(*times[0], duration)
    for other in times[1:]:
        relaxed = np.kron(relaxed, relaxation(*other, duration))
    depolarised = np.diag([1.0] + [1 - p] * (len(relaxed) - 1))
    wanted = infidelity_over_states(depolarised @ relaxed, len(times), 0)
    assert average_infidelity(p, times, duration) == pytest.approx(wanted, rel=0.01)


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 1e-4), st.floats(0.1, 1.9))
def test_t2_from_the_incoherent_error(t1: float, ratio: float) -> None:
    """The T2 we derive gives, over a short time, the error it was derived from."""
    duration, t2 = 1e-10, ratio * t1
    error = average_infidelity(0.0, [(t1, t2)], duration)
    assert _t2(t1, error, duration) == pytest.approx(t2, rel=2e-3)
    assert _t2(t1, 0.0, duration) == pytest.approx(2 * t1)  # less error than T1 alone makes: no dephasing


def test_quantinuum_memory_is_the_channel_with_the_reported_infidelity() -> None:
    profile = load_profile("quantinuum_h2-2")
    depolarised = np.diag([1.0] + [1 - profile.memory_error] * 3)
    assert infidelity_over_states(depolarised, 1, 0) == pytest.approx(1.2e-4, rel=1e-6)


@pytest.mark.parametrize("name", profile_names())
def test_files_are_as_they_are_written(name: str) -> None:
    text = (DEVICES / f"{name}.json").read_text()
    assert profile_text(load_profile(name)) == text
    assert all(len(line) < 5000 for line in text.splitlines())


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, dict[str, str]], None]:
    """Put a package with data files where Python finds it, in place of any that is installed."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(refresh, "PROVIDERS", {})
    monkeypatch.syspath_prepend(str(site))

    def put(provider: str, version: str, files: dict[str, str]) -> None:
        package = f"flashket-test-{provider}"
        refresh.PROVIDERS[provider] = package
        information = site / f"{package.replace('-', '_')}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        for name, text in files.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(text)

    return put


def value(name: str, number: float, unit: str = "") -> dict[str, Any]:
    return {"date": "2026-01-02T03:04:05+00:00", "name": name, "unit": unit, "value": number}


def ibm_files(short: str) -> dict[str, str]:
    """A device of three qubits in the form of IBM's snapshots: gate 1-2 out of order, qubit 2 without T1, mixed units."""
    qubit = [value("T1", 100, "us"), value("T2", 0.05, "ms"), value("readout_length", 1200, "ns")]
    qubit += [value("prob_meas0_prep1", 0.02), value("prob_meas1_prep0", 0.01)]
    gates = [
        {"gate": "sx", "qubits": [q], "parameters": [value("gate_error", 1e-4 * (q + 1)), value("gate_length", 32, "ns")]} for q in range(3)
    ]
    for pair, error in (((0, 1), 0.004), ((1, 0), 0.005), ((2, 1), 1), ((1, 2), 1)):
        gates.append({"gate": "cz", "qubits": list(pair), "parameters": [value("gate_error", error), value("gate_length", 68, "ns")]})
    properties = {
        "last_update_date": "2026-01-02T03:04:05+00:00",
        "qubits": [qubit, qubit, qubit[1:]],
        "gates": gates,
        "general": [value("lf_10", 0.9)],
        "general_qlists": [{"name": "lf_10", "qubits": [0, 1]}],
    }
    configuration = {
        "n_qubits": 3,
        "basis_gates": ["cz", "id", "rz", "sx", "x"],
        "default_rep_delay": 250.0,
        "processor_type": {"family": "Heron", "revision": "2"},
        "max_shots": 100_000,
    }
    folder = f"qiskit_ibm_runtime/fake_provider/backends/{short}"
    return {f"{folder}/props_{short}.json": json.dumps(properties), f"{folder}/conf_{short}.json": json.dumps(configuration)}


def test_refresh_reads_what_is_installed(install: Callable[..., None], tmp_path: Path) -> None:
    install("ibm", "9.8.7", ibm_files("fez"))
    refresh.PROVIDERS["iqm"] = "flashket-test-not-installed"
    done = refresh.refresh(tmp_path / "out")
    assert list(done.written) == ["ibm_fez"]
    assert done.packages == {"ibm": "flashket-test-ibm 9.8.7"}
    assert done.missing == {"iqm": "flashket-test-not-installed"}
    assert "ibm_boston" in done.skipped
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ibm_fez.json"]

    profile = load_profile(done.written["ibm_fez"])
    assert (profile.processor, profile.n_qubits, profile.snapshot) == ("Heron r2", 3, "2026-01-02")
    assert "9.8.7" in profile.source
    assert profile.edges == ((0, 1),)
    assert profile.broken_edges == ((1, 2),)
    assert profile.error_2q == (0.005,)  # the worse of both directions
    assert profile.duration_2q == (6.8e-8,)
    assert profile.t1[:2] == (1e-4, 1e-4)
    assert math.isnan(profile.t1[2])
    assert profile.faulty_qubits == {2}
    assert profile.t2 == (5e-5,) * 3
    assert profile.error_1q == (1e-4, 2e-4, 3e-4)
    assert profile.duration_1q == (3.2e-8,) * 3
    assert (profile.readout_p10[0], profile.readout_p01[0], profile.duration_readout[0]) == (0.01, 0.02, 1.2e-6)
    assert profile.rep_delay == 2.5e-4
    assert (profile.max_shots, profile.max_circuits, profile.max_executions) == (None, None, 5_000_000)
    assert profile.layer_fidelity == (((0, 1), 0.9),)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"n_qubits": 3}', "not JSON"])
def test_data_in_another_form_is_skipped_not_guessed(install: Callable[..., None], tmp_path: Path, text: str) -> None:
    install("ibm", "1.0", dict.fromkeys(ibm_files("fez"), text))
    done = refresh.refresh(tmp_path / "out")
    assert not done.written
    assert "flashket-test-ibm 1.0 has no data" in done.skipped["ibm_fez"]


@pytest.mark.parametrize(
    ("provider", "name", "file"),
    [
        ("quantinuum", "quantinuum_h1-1", "pytket/extensions/quantinuum/backends/api_wrappers.py"),
        ("iqm", "iqm_apollo", "iqm/qiskit_iqm/fake_backends/fake_apollo.py"),
        ("google", "google_weber", "cirq_google/devices/calibrations/weber_2021_11_03_calibration.json"),
    ],
)
@pytest.mark.parametrize("text", ["", "x = (", "OFFLINE_MACHINE_LIST = 3", "IQMErrorProfile(t1s=f())", '{"metrics": {"metrics": []}}'])
def test_other_providers_in_another_form(
    install: Callable[..., None], tmp_path: Path, provider: str, name: str, file: str, text: str
) -> None:
    install(provider, "1.0", {file: text})
    assert name in refresh.refresh(tmp_path / "out").skipped


def test_no_package_is_an_error_that_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(refresh, "PROVIDERS", {"ibm": "flashket-test-not-installed"})
    with pytest.raises(fk.BackendUnavailable, match="pip install flashket-test-not-installed"):
        refresh.refresh(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused(install: Callable[..., None], tmp_path: Path) -> None:
    install("ibm", "1.0", ibm_files("fez"))
    (tmp_path / "file").write_text("")
    with pytest.raises(fk.InputError, match="--out must be a folder"):
        refresh.refresh(tmp_path / "file")


def test_every_profile_has_a_provider() -> None:
    vendors = {load_profile(name).name.split("_")[0] for name in profile_names()}
    assert vendors == set(PROVIDERS)


def test_table_shows_every_device_and_labels_its_numbers() -> None:
    profiles = [load_profile(name) for name in profile_names()]
    text = table(profiles, date(2026, 5, 1))
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    for profile in profiles:
        assert rows[profile.name].split()[-1] in ("measured", "modelled")
        assert profile.name in text.split("\n\n")[1]  # its source
    assert "2026-04-17  " in rows["ibm_boston"] and "2025-02-26* " in rows["ibm_torino"]  # stale after 180 days
    assert "undated*" in rows["iqm_apollo"] and rows["iqm_apollo"].endswith("modelled")
    assert "14.5m" in rows["google_weber"]
    assert "nan" not in text
    assert text.isascii()


def test_command(capsys: pytest.CaptureFixture[str], install: Callable[..., None], tmp_path: Path) -> None:
    assert profiles_command(argparse.Namespace(refresh=False, out=None)) == 0
    assert "ibm_torino" in capsys.readouterr().out
    with pytest.raises(fk.InputError, match="--refresh"):
        profiles_command(argparse.Namespace(refresh=False, out=tmp_path))
    install("ibm", "1.0", ibm_files("fez"))
    refresh.PROVIDERS["iqm"] = "flashket-test-not-installed"
    assert profiles_command(argparse.Namespace(refresh=True, out=tmp_path / "out")) == 0
    out = capsys.readouterr().out
    assert "ibm_fez.json: ibm_fez, 2026-01-02" in out
    assert "pip install flashket-test-not-installed" in out
    install("google", "1.0", {})
    del refresh.PROVIDERS["ibm"]
    assert profiles_command(argparse.Namespace(refresh=True, out=tmp_path / "out")) == 1
    assert "skipped google_weber" in capsys.readouterr().out


def test_user_profile_may_lack_everything_the_table_shows() -> None:
    text = {"name": "mine", "n_qubits": 2, "one_qubit_gate": "u", "two_qubit_gate": "rzz", "edges": None, "error_1q": None}
    profile = parse_profile(json.dumps(text | {"error_2q": None, "readout_p10": None, "readout_p01": None}))
    row = table([profile], date(2026, 1, 1)).splitlines()[1]
    assert row.split()[:7] == ["mine", "2", "0", "all", "0", "rzz", "undated*"]
