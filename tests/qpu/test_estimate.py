# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
import argparse
import math
from datetime import date

import pytest

import flashket as fk
from flashket.controls import ScaledDot
from flashket.errors import InputError
from flashket.qpu import compile_pair, profile_names
from flashket.qpu.estimates import estimate, estimate_command, expected_fidelity, native_fidelity, table
from flashket.qpu.offers import PRICED_DEVICES, device_names
from flashket.qpu.profile import load_profile
from flashket.qpu.workload import CircuitCounts

TODAY = date(2026, 11, 23)
ZZ = fk.Fidelity(fk.ZZ(6, reps=1, entanglement="linear"))


def test_every_device_has_a_row():
    rows = estimate(ZZ, 20, 1000, today=TODAY)
    assert [row.device for row in rows] == device_names()
    assert len(rows) == len(set(profile_names()) | {device.name for device in PRICED_DEVICES})
    for row in rows:
        assert row.reason or (row.cost.circuits == 190 and row.cost.executions == 190_000 and row.counts.n_2q >= 10)
        assert row.kind in ("modelled", "list-price")
        assert math.isnan(row.fidelity) or 0 < row.fidelity < 1


@pytest.mark.parametrize(
    ("kernel", "n", "m", "circuits", "qubits"),
    [
        (ZZ, 20, None, 190, 6),
        (ZZ, 20, 3, 60, 6),
        (fk.HadamardTest(fk.Angle(4)), 5, None, 10, 5),
        (fk.HadamardTest(fk.Amplitude(8)), 5, None, 10, 4),
        (fk.Fidelity(fk.Amplitude(8)), 5, None, 10, 3),
        (fk.Projected(fk.ZZ(6, reps=1)), 5, None, 15, 6),
        (ZZ, 4096, None, 4096 * 4095 // 2, 6),
    ],
)
def test_circuits_of_kernels(kernel, n, m, circuits, qubits):
    (row,) = estimate(kernel, n, 100, ["ibm_torino"], m=m, today=TODAY)
    assert row.cost.circuits == circuits and row.counts.n_qubits == qubits and row.cost.executions == 100 * circuits


def test_circuits_that_are_too_wide_are_listed_with_the_reason():
    rows = estimate(fk.Fidelity(fk.Angle(30)), 3, 10, ["iqm_garnet", "ibm_torino"], today=TODAY)
    assert rows[0].reason == "circuits have 30 qubits, the device 20" and rows[0].cost is None and not rows[1].reason
    text = table(fk.Fidelity(fk.Angle(30)), rows)
    assert "iqm_garnet: not possible, circuits have 30 qubits" in text
    assert "not possible" in table(fk.Fidelity(fk.Angle(30)), rows[:1])


def test_the_command_prints_every_device(capsys):
    arguments = argparse.Namespace(kernel="zz:6,reps=1,entanglement=linear", n=20, shots=1000, qpu=[], plan=[])
    assert estimate_command(arguments) == 0
    out = capsys.readouterr().out
    for name in device_names():
        assert f"\n{name}" in out
    assert "2025-02-26" in out and "undated*" in out and "nothing was run" in out and "list-price" in out
    assert max(map(len, out.splitlines())) < 180


def test_the_command_takes_chosen_devices(capsys):
    assert estimate_command(argparse.Namespace(kernel="angle:2", n=3, shots=10, qpu=["ionq_forte"], plan=[])) == 0
    assert "ibm_" not in capsys.readouterr().out.replace("ibm_payg", "")


def test_a_provider_can_be_chosen():
    (row,) = estimate(ZZ, 20, 1000, ["ibm_torino"], provider="ibm_open", today=TODAY)
    assert row.cost.usd == 0.0 and row.cost.qpu_seconds > 0


def test_routing_is_counted_where_pairs_are_not_connected():
    full = fk.Fidelity(fk.ZZ(6))
    line, ions = estimate(full, 3, 10, ["ibm_torino", "quantinuum_h2-1"], today=TODAY)
    assert ions.counts.n_2q == 60 and line.counts.n_2q > 120  # 2 halves of 2 repetitions of 15 pairs
    assert line.fidelity < ions.fidelity


def test_wide_circuits_are_compiled_for_named_devices_only():
    kernel = fk.Fidelity(fk.ZZ(12, reps=1))
    (named,) = estimate(kernel, 3, 10, ["ibm_torino"], today=TODAY)
    (counted,) = [row for row in estimate(kernel, 3, 10, today=TODAY) if row.device == "ibm_torino"]
    assert counted.counts.n_2q == 4 * 66 < named.counts.n_2q
    assert any("without routing" in note for note in counted.notes) and not named.notes
    assert 0 < named.fidelity < counted.fidelity < 1


def test_native_fidelity_is_a_product_over_the_circuits_own_qubits():
    profile = load_profile("ibm_torino")
    native = compile_pair(fk.ZZ(2, reps=1).program(), profile)
    two, q = profile.error_2q[native.edge(0, 1)], native.qubits
    expected = (1 - 1.25 * two) ** native.n_two_qubit
    for wire in (0, 1):
        pulses = sum(
            count for part in native.parts for gate, count in zip(part.program.gates, part.pulses, strict=True) if gate.qubits == (wire,)
        )
        expected *= (1 - 1.5 * profile.error_1q[q[wire]]) ** pulses * (
            1 - (profile.readout_p10[q[wire]] + profile.readout_p01[q[wire]]) / 2
        )
    assert native_fidelity(native) == pytest.approx(expected, rel=1e-12)


def test_expected_fidelity_of_counts_falls_with_every_count():
    profile = load_profile("quantinuum_h2-1")
    base = CircuitCounts(6, 6, 52, 20, 8, 1e-6)
    value = expected_fidelity(profile, base)
    for change in ({"n_1q": 80}, {"n_2q": 30}, {"n_measured": 7}, {"depth_2q": 9}):
        assert expected_fidelity(profile, CircuitCounts(**{**vars(base), **change})) < value
    assert expected_fidelity(profile, CircuitCounts(1, 0, 0, 0, 0, 0.0)) == 1.0


def test_bad_input():
    for n, shots in ((0, 10), (3, 0), (2.5, 10), (True, 10), ("3", 10)):
        with pytest.raises(InputError, match="positive integer"):
            estimate(ZZ, n, shots)
    with pytest.raises(InputError, match="controls are classical"):
        estimate(ScaledDot(4), 3, 10)
    with pytest.raises(InputError, match="measure"):
        estimate(ZZ, 1, 10)
    with pytest.raises(InputError, match="ibm_torino"):
        estimate(ZZ, 3, 10, ["ibm_nowhere"])


def test_a_plan_holds_where_it_is_sold():
    rows = estimate(ZZ, 20, 1000, ["ibm_boston", "ionq_forte"], provider="flex", today=TODAY)
    assert [row.cost.provider for row in rows] == ["ibm_flex", "braket_ionq_forte"]
    assert rows[0].cost.usd == pytest.approx(68.5 / 60 * 72)
    rows = estimate(ZZ, 20, 1000, ["ibm_boston", "ionq_forte"], provider=["premium", "azure_ionq_forte"], today=TODAY)
    assert [row.cost.provider for row in rows] == ["ibm_premium", "azure_ionq_forte"]
    assert "ibm_premium" in table(ZZ, rows)
    with pytest.raises(InputError, match="plan ibm_open must sell one of ionq_forte"):
        estimate(ZZ, 20, 1000, ["ionq_forte"], provider="open")
