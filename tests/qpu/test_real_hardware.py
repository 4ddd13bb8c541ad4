# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions from calibration data beside measurements on real QPUs (metriq-data, CC BY 4.0), and what predictions must do."""

import importlib.util
import math
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from flashket.errors import InputError
from flashket.noise.line import zero_probability
from flashket.noise.lower import lower
from flashket.qpu import compile_pair, load_profile
from flashket.qpu.hardware import DEVICE_DRIFT, PERSISTENCE, crosstalk_factor, line_circuit, return_probability

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "real_hardware.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("real_hardware", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_hardware"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def predicted(study):
    rows = [row for row in study.load_rows() if not study.why_not(row)]
    return rows, [study.predict(row.device, row.n, row.day) for row in rows]


def test_68_of_95_rows_are_predicted_and_the_rest_say_why(study):
    rows = study.load_rows()
    reasons = Counter(study.why_not(row) for row in rows)
    assert len(rows) == 95 and reasons[""] == 68
    assert {row.device for row in rows if not study.why_not(row)} == {
        f"ibm_{d}" for d in ("boston", "fez", "marrakesh", "miami", "pittsburgh")
    }
    assert all(study.why_not(row) for row in rows if row.provider in ("aws", "origin"))
    assert "CC BY 4.0" in (SCRIPT.parent / "data" / "real_qpu_kernel.csv").read_text().split("provider")[0]


def test_no_worse_than_the_product_of_medians(study, predicted):
    rows, found = predicted
    values = [value.value for value in found]
    medians = [study.medians(row.device, row.n) for row in rows]
    few, every = study.mean_absolute_error(rows, values, 10), study.mean_absolute_error(rows, values)
    assert few <= 0.054 and few <= study.mean_absolute_error(rows, medians, 10)
    assert every <= 0.08 and every <= 0.6 * study.mean_absolute_error(rows, medians)


def test_the_stated_spread_is_that_of_the_measurements(predicted):
    rows, found = predicted
    inside = np.mean([value.low <= row.p <= value.high for row, value in zip(rows, found, strict=True)])
    assert 0.5 < inside < 0.85  # 0.68 is meant


def test_the_usage_model_errs_on_the_safe_side(study):
    timed = [row for row in study.load_rows() if not math.isnan(row.qpu_seconds)]
    assert len(timed) == 4
    for row in timed:
        assert 1.0 < study.usage_seconds(row) / row.qpu_seconds < 1.25


def test_the_page_is_of_these_predictions(study, predicted):
    rows, found = predicted
    page = (SCRIPT.parents[1] / "docs" / "real_hardware.md").read_text()
    assert "CC BY 4.0" in page and "metriq-data" in page
    values = [value.value for value in found]
    assert f"**{study.mean_absolute_error(rows, values, 10):.3f}** up to 10" in page
    assert f"**{study.mean_absolute_error(rows, values):.3f}** over all" in page


def test_the_bounds_are_those_of_the_page(study, predicted):
    rows, found = predicted
    known = study.bounds(rows, found, 10)
    page = (SCRIPT.parents[1] / "docs" / "real_hardware.md").read_text()
    assert all(f"| {name} | {few:.3f} | {every:.3f} |" in page for name, (few, every) in known.items())
    shots, expected, told, others, between = (few for few, _ in known.values())
    assert shots < told < others < 0.054  # a fit to other rows is no better than one to the same rows
    assert told < between and 0.03 < expected < 0.06
    above = sorted(value.value - row.p for row, value in zip(rows, found, strict=True) if row.n <= 10)[-5:]
    assert f"lie {above[0]:.2f} to {above[-1]:.2f} below the prediction" in page


_HEADER = "provider,device,qubits,shots,p_all_zero,date"


def test_other_measurements_are_judged(study, tmp_path, monkeypatch, capsys):
    lines = (
        "# a comment",
        _HEADER + ",qpu_seconds",
        "ibm,ibm_kingston,4,1000,0.9,2025-11-11,",
        "quantinuum,H2-2,10,500,0.95,2026-01-01,",
        "ibm,ibm_miami,4,1000,0.9,2026-08-13,5.0",
        "ibm,ibm_nowhere,4,1000,0.5,2025-11-11,",
        "ibm,ibm_fez,300,1000,0.5,2025-11-11,",
        "ibm,ibm_fez,155,1000,0.0,2025-11-11,",
        "iqm,garnet,4,1000,0.9,2026-01-01,",
    )
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))
    monkeypatch.setattr(sys, "argv", ["real_hardware.py", "--rows", str(path)])
    study.main()
    printed = capsys.readouterr().out.splitlines()
    assert [("unpredicted" in line) for line in printed[:7]] == [False, False, False, True, True, True, True]
    assert "quantinuum_h2-2 10: measured 0.950, predicted 0.9" in printed[1] and "5.00 s, modelled" in printed[2]
    assert printed[-1] == "3 of 7 rows predicted" and "up to 10 qubits: 3 rows predicted, mean absolute error 0.0" in printed[-3]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "missing: provider"),
        ("provider,device\nibm,ibm_fez", "missing: qubits"),
        (_HEADER, "got 0 rows"),
        (_HEADER + "\nibm,ibm_fez,4.5,9,0.1,2025-01-01", "line 2: qubits must be a whole number"),
        (_HEADER + "\nibm,ibm_fez,four,9,0.1,2025-01-01", "line 2: qubits must be a number from 1"),
        (_HEADER + "\n# x\nibm,ibm_fez,4,0,0.1,2025-01-01", "line 3: shots must be a number from 1"),
        (_HEADER + "\nibm,ibm_fez,4,9,1.1,2025-01-01", "p_all_zero must be a number from 0 to 1, got '1.1'"),
        (_HEADER + "\nibm,ibm_fez,4,9,nan,2025-01-01", "p_all_zero"),
        (_HEADER + "\nibm,ibm_fez,4,9,,2025-01-01", "p_all_zero"),
        (_HEADER + "\nibm,ibm_fez,4,9,0.1,soon", "date must be YYYY-MM-DD"),
        (_HEADER + "\nibm,ibm_fez,4,9", "as many values as columns"),
        (_HEADER + "\nibm,ibm_fez,4,9,0.1,2025-01-01,7", "as many values as columns"),
        (_HEADER + '\nibm,"ibm_fez,4,9,0.1,2025-01-01\nibm,ibm_fez,4,9,0.1,2025-01-01', "one row on each line"),
    ],
)
def test_malformed_measurements_are_refused(study, tmp_path, monkeypatch, capsys, text, wanted):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(study.RowsError, match=r"rows\.csv") as caught:
        study.load_rows(path)
    assert wanted in str(caught.value)
    monkeypatch.setattr(sys, "argv", ["real_hardware.py", "--rows", str(path)])
    with pytest.raises(SystemExit) as stopped:
        study.main()
    assert stopped.value.code == 2 and wanted in capsys.readouterr().err


def test_lines_are_of_the_compiler_of_the_day(study):
    rows = [row for row in study.load_rows() if row.device == "ibm_miami"]
    for row in rows:
        assert study.predict(row.device, row.n, row.day).layout != study.predict(row.device, row.n, "2025-11-11").layout


def test_an_unchanged_device_is_the_exact_simulation():
    profile = load_profile("ibm_fez")
    x = np.linspace(0.1, 2.0, 5)
    found = return_probability(profile, x, persistence=(1, 1, 1), crosstalk=1.0, draws=3)
    exact = zero_probability(lower(compile_pair(line_circuit(5), profile, layout=found.layout)), x, x)
    assert found.as_calibrated == pytest.approx(exact, abs=1e-14)
    assert found.value == found.low == found.high == pytest.approx(exact, abs=1e-12)


def test_the_product_with_its_power_stands_in_for_exact_simulation():
    """Drift scales the product of what operations leave whole; an exact simulation with other errors says how good that is."""
    profile = load_profile("ibm_marrakesh")
    x = np.linspace(0.1, 6.0, 12)
    found = return_probability(profile, x, persistence=(1, 1, 1), crosstalk=1.0, draws=1)
    worse = replace(profile, error_2q=tuple(3 * error for error in profile.error_2q))
    exact = return_probability(worse, x, layout=found.layout, program=line_circuit(12), persistence=(1, 1, 1), crosstalk=1.0, draws=1)
    native = compile_pair(line_circuit(12), profile, layout=found.layout)

    def product(of):
        used = [native.edge(k, k + 1) for k in range(11)]
        pulses = [0] * 12
        for part in native.parts:
            for gate, count in zip(part.program.gates, part.pulses, strict=True):
                if len(gate.qubits) == 1:
                    pulses[gate.qubits[0]] += count
        logs = sum(4 * math.log1p(-1.25 * of.error_2q[edge]) for edge in used)
        logs += sum(count * math.log1p(-1.5 * of.error_1q[q]) for q, count in zip(native.qubits, pulses, strict=True))
        return logs + sum(math.log1p(-of.readout_p10[q]) for q in native.qubits)

    power = math.log(found.as_calibrated) / product(profile)
    assert 0.7 < power < 1.1
    assert math.exp(power * product(worse)) == pytest.approx(exact.as_calibrated, abs=0.04)  # three times the errors


def test_more_noise_gives_less():
    profile, x = load_profile("ibm_boston"), np.linspace(0.1, 6.0, 10)
    usual = return_probability(profile, x)
    assert usual.low < usual.value < usual.high and usual.value < usual.as_calibrated
    assert return_probability(profile, x, crosstalk=3.0).value < usual.value
    assert return_probability(profile, x, persistence=(0, 0, 0)).value < usual.value
    assert return_probability(profile, x) == usual  # the same seed


def test_crosstalk_comes_from_layer_fidelities():
    profile = load_profile("ibm_miami")
    assert crosstalk_factor(profile) > 2
    assert math.isnan(crosstalk_factor(replace(profile, layer_fidelity=())))
    assert math.isnan(crosstalk_factor(load_profile("quantinuum_h2-1")))
    assert crosstalk_factor(load_profile("google_weber")) == pytest.approx(1.7, abs=0.01)
    alone = {frozenset(pair): error for pair, error in zip(profile.edges, profile.error_2q, strict=True)}
    line = next(line for line, _ in profile.layer_fidelity if len(line) == 10)
    predicted = math.prod(1 - 1.25 * alone[frozenset(pair)] for pair in pairwise(line))
    # Each layer has a random Clifford on every qubit, 20 of the 24 with a pulse: the pulses' errors are no crosstalk.
    pulses = math.prod(1 - 1.5 * profile.error_1q[q] for q in line) ** (2 * 20 / 24)
    for power, factor in ((1.7, 1.7), (0.5, 1.0)):
        assert crosstalk_factor(replace(profile, layer_fidelity=((line, predicted**power * pulses),))) == pytest.approx(factor)


def test_heron_couplers_switch_off_and_fixed_ones_do_not():
    assert all(crosstalk_factor(load_profile(f"ibm_{name}")) < 1.4 for name in ("boston", "pittsburgh", "aachen", "kingston", "torino"))
    assert all(crosstalk_factor(load_profile(f"ibm_{name}")) > 1.3 for name in ("sherbrooke", "brisbane"))


def test_errors_of_parallel_gates_are_used_where_they_are_known():
    profile, x = load_profile("google_weber"), [0.5, 1.0, 1.5, 2.0]
    found = return_probability(profile, x, persistence=(1, 1, 1), draws=1)
    louder = replace(profile, error_2q=profile.error_2q_parallel, error_2q_parallel=None)
    same = return_probability(louder, x, program=line_circuit(4), layout=found.layout, persistence=(1, 1, 1), draws=1)
    assert found.as_calibrated == pytest.approx(same.as_calibrated, abs=1e-12)
    assert found.crosstalk == pytest.approx(crosstalk_factor(profile), rel=0.2) and found.crosstalk > 1.3
    assert found.as_calibrated < return_probability(profile, x, crosstalk=1.0, persistence=(1, 1, 1), draws=1).as_calibrated - 0.05


def test_a_device_that_drifts_as_a_whole_spreads_more():
    profile, x = load_profile("ibm_fez"), np.linspace(0.1, 6.0, 10)
    still, usual = (return_probability(profile, x, device_drift=drift) for drift in ((0, 0, 0), DEVICE_DRIFT))
    assert usual.high - usual.low > 1.2 * (still.high - still.low)
    assert usual.value == pytest.approx(still.value, abs=0.01)
    assert usual.expected_error > still.expected_error > 0
    unchanged = return_probability(profile, x, persistence=(1, 1, 1), draws=5)
    assert unchanged.expected_error == pytest.approx(0, abs=1e-12)


def test_every_profile_with_lines_is_predicted():
    for name in ("ibm_torino", "ibm_sherbrooke", "google_weber", "iqm_garnet", "quantinuum_h2-1"):
        found = return_probability(load_profile(name), [0.5, 1.0, 1.5])
        assert 0.5 < found.low <= found.value <= found.high < 1, name


def test_bad_input():
    profile = load_profile("ibm_fez")
    for options in ({"persistence": (1.0, 2.0, 0.0)}, {"persistence": (1.0,)}, {"draws": 0}, {"crosstalk": 0.0}):
        with pytest.raises(InputError, match="persistence"):
            return_probability(profile, [1.0, 2.0], **options)
    for drift in ((0.1, 0.1), (0.1, -0.1, 0.1), (0.1, math.nan, 0.1)):
        with pytest.raises(InputError, match="device_drift"):
            return_probability(profile, [1.0, 2.0], device_drift=drift)
    with pytest.raises(InputError, match="one row"):
        return_probability(profile, [[1.0, 2.0]])
    assert len(PERSISTENCE) == 3
