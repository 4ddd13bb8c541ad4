# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``flashket bench --qpu``: rows with a device's noise and shots, and what a token would cost there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import flashket as fk
from flashket import llm
from flashket.benchmark import devices, runner, terminal
from flashket.benchmark.suite import QPU_SHOTS, load_suite
from flashket.errors import InputError
from flashket.qpu import estimate_cost, load_profile
from flashket.qpu.estimators import Hadamard

DATA = Path(__file__).parent.parent / "data"
SUITE = f"""
schema = 1
name = "tiny"
seed = 5
windows = 2
texts = ["flashket"]
[latency]
prompt_bytes = 8
repeats = 1
output_bytes = 2
[[rows]]
name = "softmax (control)"
model = "{DATA}/llm_softmax.safetensors"
[[rows]]
name = "angle, exact"
model = "{DATA}/llm_angle.safetensors"
[[rows]]
name = "angle, 50 shots"
model = "{DATA}/llm_angle.safetensors"
shots = 50
[[rows]]
name = "amplitude, exact"
model = "{DATA}/llm_amplitude.safetensors"
"""


class Silent:
    def __init__(self):
        self.finished = []

    def note(self, text): ...
    def begin(self, cells, n_done): ...
    def step(self, cell): ...
    def end(self): ...

    def finish(self, cell, row):
        self.finished.append((cell, row))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "tiny.toml").write_text(SUITE)
    request = runner.Request(suite=str(folder / "tiny.toml"), out=folder / "run", qpus=("ibm_torino", "quantinuum_h2-2"))
    return runner.run(request, Silent())


def rows_of(outcome, metric):
    return {row["cell"]["row"]: row for row in outcome.rows if row["cell"]["metric"] == metric}


def test_every_device_gets_a_row_for_every_quantum_model(outcome):
    names = [f"{model} on {device}, {QPU_SHOTS} shots" for device in ("ibm_torino", "quantinuum_h2-2") for model in ("angle", "amplitude")]
    assert [row.name for row in outcome.suite.rows][-4:] == names
    quality, costs = rows_of(outcome, "quality"), rows_of(outcome, "qpu")
    assert set(costs) == set(names) and set(names) <= set(quality) and not set(names) & set(rows_of(outcome, "latency"))
    for name in names:
        assert quality[name]["kind"] == "simulated" and costs[name]["kind"] == "modelled"
        assert quality[name]["cell"]["qpu"] == costs[name]["cell"]["qpu"] == name.split()[2].rstrip(",")
        assert quality[name]["cell"]["shots"] == QPU_SHOTS
    noisy, exact = (quality[name]["result"]["bits_per_byte"] for name in ("amplitude on ibm_torino, 1000 shots", "amplitude, exact"))
    assert abs(noisy - exact) > 1e-3


def test_other_rows_keep_their_hashes(outcome, tmp_path):
    (tmp_path / "tiny.toml").write_text(SUITE)
    suite = runner.load_suite(str(tmp_path / "tiny.toml"))
    _, plain = runner.plan(suite, runner.Request())
    found = {row["config_hash"] for row in outcome.rows}
    assert {runner.config_hash(cell.config) for cell in plain} <= found and len(found) == len(outcome.rows)


def test_the_cost_is_that_of_one_compiled_circuit_many_times(outcome):
    config = llm.load(str(DATA / "llm_amplitude.safetensors")).config
    circuits = devices.circuits_per_token(config)
    half = config.context // 2
    assert circuits == config.n_layers * config.n_heads * sum(range(half + 1, config.context + 1)) / (config.context - half)
    kernel = llm.load(str(DATA / "llm_amplitude.safetensors")).kernel
    for device in ("ibm_torino", "quantinuum_h2-2"):
        result = rows_of(outcome, "qpu")[f"amplitude on {device}, {QPU_SHOTS} shots"]["result"]
        native = fk.NoiseModel.from_profile(device).native(kernel)
        cost = estimate_cost(load_profile(device), [native] * 100, [QPU_SHOTS] * 100)
        assert result["circuits_per_token"] == circuits and result["executions_per_token"] == round(circuits) * QPU_SHOTS
        assert result["two_qubit_gates"] == native.n_two_qubit > 0
        # Beside what a job costs to begin, costs grow with circuits.
        assert result["usd_per_token"] == pytest.approx(cost.usd * circuits / 100, rel=0.05) and result["usd_kind"] == cost.kind
        assert result["price_date"] == cost.price_date and result["is_stale"] == cost.is_stale
        assert result["qpu_seconds_per_token"] == pytest.approx(cost.qpu_seconds * circuits / 100, rel=0.05)
        found = fk.NoiseModel.from_profile(device).effective(kernel)
        assert (result["scale"], result["offset"], result["error_rms"]) == (found.scale, found.offset, found.error_rms)


def test_the_circuit_is_the_estimators(outcome):
    kernel = fk.HadamardTest(fk.Amplitude(32))
    native = fk.NoiseModel.from_profile("quantinuum_h2-2").native(kernel)
    assert len(native.qubits) == Hadamard(kernel).example().n_qubits == 6 and len(native.measured) == 1
    angle = fk.NoiseModel.from_profile("quantinuum_h2-2").native(fk.Fidelity(fk.Angle(8)))
    assert (angle.n_two_qubit, len(angle.measured)) == (0, 8)


def test_the_table_shows_cost_beside_quality(outcome, capsys, monkeypatch):
    terminal.print_table(outcome)
    text = capsys.readouterr().out
    assert text.isascii()
    for word in ("circuits", "QPU s/token", "modelled", "USD/token", "2-qubit gates", "fit error", "angle on ibm_torino, 1000 shots"):
        assert word in text
    assert "list prices" in text and "No QPU ran" in text
    result = rows_of(outcome, "qpu")["amplitude on ibm_torino, 1000 shots"]["result"]
    assert f"RMS {result['error_rms']:.4f}" in text and f"{result['scale']:.3f} p" in text


def test_resume_keeps_the_devices(outcome):
    again = runner.run(runner.Request(out=outcome.folder, resume=True), Silent())
    assert [row.name for row in again.suite.rows] == [row.name for row in outcome.suite.rows] and len(again.rows) == len(outcome.rows)
    assert json.loads((outcome.folder / "environment.json").read_text())["selection"]["qpus"] == ["ibm_torino", "quantinuum_h2-2"]
    with pytest.raises(InputError, match="was made with --qpu ibm_torino quantinuum_h2-2"):
        runner.run(runner.Request(out=outcome.folder, resume=True, qpus=("ibm_fez",)), Silent())


def test_new_calibration_data_is_another_cell(outcome, tmp_path):
    profile = load_profile("ibm_torino")
    newer = dataclasses.replace(profile, snapshot="2026-01-01")
    assert devices.profile_hash(fk.NoiseModel.from_profile(profile)) != devices.profile_hash(fk.NoiseModel.from_profile(newer))


def test_the_plan_prices_the_tokens(outcome, tmp_path):
    (tmp_path / "tiny.toml").write_text(SUITE)
    request = runner.Request(suite=str(tmp_path / "tiny.toml"), out=tmp_path / "run", qpus=("ibm_torino",), plans=("flex",))
    _, cells = runner.plan(load_suite(request.suite), request)
    flex = [cell for cell in cells if cell.config["metric"] == "qpu"]
    assert flex and all(cell.config["plan"] == "ibm_flex" for cell in flex)
    result = flex[0].measure(progress=lambda: None)["result"]
    usual = rows_of(outcome, "qpu")[flex[0].config["row"]]["result"]
    assert result["provider"] == "ibm_flex" and result["usd_per_token"] == pytest.approx(usual["usd_per_token"] * 72 / 60 / 1.6)
    assert all("plan" not in row["cell"] for row in outcome.rows)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"qpus": ("ibm_torino",), "plans": ("cheap",)}, "a plan must be one of"),
        ({"qpus": ("ibm_torino",), "plans": ("iqm_resonance",)}, "must sell one of ibm_torino"),
        ({"plans": ("flex",)}, "--plan prices the devices of --qpu"),
        ({"qpus": ("ibm_nowhere",)}, "got 'ibm_nowhere'"),
        ({"qpus": ("ibm_torino",), "kernels": ("softmax:4",)}, "--qpu needs a model with a quantum kernel"),
    ],
)
def test_refused_requests_leave_no_run(options, reason, tmp_path):
    (tmp_path / "tiny.toml").write_text(SUITE)
    with pytest.raises(InputError, match=reason):
        runner.run(runner.Request(suite=str(tmp_path / "tiny.toml"), out=tmp_path / "run", **options), Silent())
    assert not (tmp_path / "run").exists()
