# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One Gram matrix of 20 rows, 6 qubits, 1000 shots, 190 circuits: published figures, and what the model must never do."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

import flashket as fk
from flashket.errors import InputError
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.cost import Cost, call_seconds, cost_of_work, device_durations, estimate_cost, hqc_of
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.offers import IBM_PLANS, OFFERS, device_names, find_device, find_offer, offer_name, offers_for
from flashket.qpu.profile import load_profile
from flashket.qpu.workload import CircuitCounts, Work, count

TODAY = date(2026, 11, 23)
HALF = fk.ZZ(6, reps=1, entanglement="linear").program()


def overlap_work(device, circuits=190, shots=1000):
    duration_1q, duration_2q, _ = device_durations(device)
    gates = {"one": device.one_qubit_gate, "two": device.two_qubit_gate}
    counts = count((HALF, HALF.inverse()), 6, **gates, duration_1q=duration_1q, duration_2q=duration_2q)
    return [Work(counts, circuits, shots)]


def cost_of(name, **options):
    device = find_device(name)
    return cost_of_work(device, overlap_work(device), today=TODAY, **options)


@pytest.mark.parametrize(
    ("name", "options", "usd", "kind"),
    [
        ("ibm_torino", {}, 110, "modelled"),
        ("iqm_garnet", {}, 332, "list-price"),
        ("iqm_garnet", {"circuits_per_task": 190}, 276, "list-price"),
        ("rigetti_ankaa", {}, 228, "list-price"),
        ("ionq_forte", {}, 15257, "list-price"),
    ],
)
def test_published_dollars(name, options, usd, kind):
    cost = cost_of(name, **options)
    assert abs(cost.usd - usd) < 0.6 and cost.kind == kind
    assert cost.circuits == 190 and cost.executions == 190_000
    assert cost.usd_worst >= cost.usd and cost.is_stale and cost.price_date and cost.provider


def test_published_seconds_and_credits():
    assert cost_of("ibm_torino").qpu_seconds == 68.5
    # Compiled: 18 one-qubit and 9 ZZPhase gates, 6 qubits prepared and measured.
    assert round(190 * hqc_of(CircuitCounts(6, 6, 18, 9, 9, math.nan), 1000)) == 7334


def test_a_long_pause_between_shots_decides_the_time():
    nighthawk = replace(load_profile("ibm_torino"), rep_delay=4e-3)
    circuit = MeasuredCircuit((HALF.bind(np.zeros(6)),), tuple(range(6)))
    cost = estimate_cost(nighthawk, [circuit], [1000], today=TODAY)
    assert cost.qpu_seconds == pytest.approx(6.0, rel=2e-3)  # the readout's microseconds are above 6
    assert cost.qpu_seconds_worst == 10.0


def test_plans_of_ibm():
    payg, flex, premium, free = (cost_of("ibm_torino", provider=f"ibm_{plan}") for plan in ("payg", "flex", "premium", "open"))
    assert flex.usd == pytest.approx(68.5 / 60 * 72) and premium.usd == pytest.approx(68.5 / 60 * 48) and payg.usd == pytest.approx(109.6)
    assert free.usd == free.usd_worst == 0.0 and free.qpu_seconds == 68.5 and free.qpu_seconds_worst == 103.0
    assert any("free plan: 103 s at worst is within its 600 s" in note for note in free.notes)
    device = find_device("ibm_torino")
    more = cost_of_work(device, overlap_work(device, 2000), provider="ibm_open", today=TODAY)
    assert any("MORE THAN" in note for note in more.notes)


def test_plans_go_by_ibms_own_names_too():
    for plan, offer in IBM_PLANS.items():
        assert offer_name(plan) == offer_name(offer) == offer
        assert cost_of("ibm_torino", provider=plan) == cost_of("ibm_torino", provider=offer)
    devices = [find_device(name) for name in ("ibm_torino", "quantinuum_h2-2", "ionq_forte")]
    assert offers_for((), devices) == [None] * 3
    assert offers_for(("quantinuum_17k_hqc", "flex"), devices) == ["ibm_flex", "quantinuum_17k_hqc", None]
    for plans, reason in (
        (("cheap",), "open, pay-as-you-go, flex, premium, ibm_payg.*got 'cheap'"),
        (("iqm_resonance",), "plan iqm_resonance must sell one of ibm_torino.*sold by ibm_payg"),
        (("flex", "open"), "one plan for ibm_torino was wanted"),
    ):
        with pytest.raises(InputError, match=reason):
            offers_for(plans, devices)


def test_every_job_of_ibm_is_billed_its_start():
    device = replace(load_profile("ibm_torino"), max_circuits=100, max_executions=None)
    assert cost_of_work(device, overlap_work(device), today=TODAY).qpu_seconds == pytest.approx(2 * 2 + 66.5)
    device = replace(device, max_circuits=None)  # 30 million executions, at most 5 million a job
    assert cost_of_work(device, overlap_work(device, 30_000), today=TODAY).qpu_seconds == pytest.approx(6 * 2 + 0.00035 * 30e6)


def test_ionq_on_azure_has_a_minimum_for_each_circuit():
    forte = find_device("ionq_forte")
    counts = CircuitCounts(6, 6, 12, 10, 10, math.nan)
    small = cost_of_work(forte, [Work(counts, 2, 10)], provider="azure_ionq_forte", today=TODAY)
    assert small.usd == pytest.approx(2 * 25.79) and small.usd_worst == pytest.approx(2 * 168.20)
    large = cost_of_work(forte, [Work(counts, 1, 100_000)], provider="azure_ionq_forte", today=TODAY)
    assert large.usd == pytest.approx(1e5 * (12 * 0.0001645 + 10 * 0.001121)) and large.usd_worst == pytest.approx(1.25 * large.usd)


def test_rigetti_on_azure_charges_started_intervals():
    cepheus = find_device("rigetti_cepheus-1-108q")
    cost = cost_of_work(cepheus, [Work(CircuitCounts(2, 2, 4, 2, 2, math.nan), 1, 41)], today=TODAY)  # 41 x 250 us = 10.25 ms
    assert cost.usd == pytest.approx(0.04) and any("assumed" in note for note in cost.notes)


def test_an_unpriced_device_has_no_dollars_and_says_so():
    device = replace(load_profile("ibm_torino"), vendor="Nobody", name="own")
    cost = cost_of_work(device, overlap_work(device))
    assert cost.usd is None and cost.usd_worst is None and cost.provider == "" and any("price" in note for note in cost.notes)


def test_every_offer_sells_some_device_and_the_worst_case_is_never_less():
    sold = set()
    for name in device_names():
        device = find_device(name)
        for offer in OFFERS:
            if offer.sells(device):
                sold.add(offer.name)
                for circuits, shots in ((1, 1), (190, 1000)):
                    cost = cost_of_work(device, overlap_work(device, circuits, shots), provider=offer.name, today=TODAY)
                    assert isinstance(cost, Cost) and cost.notes and cost.price_date
                    assert cost.usd is None or 0 <= cost.usd <= cost.usd_worst
                    assert cost.qpu_seconds is None or 0 < cost.qpu_seconds <= cost.qpu_seconds_worst
    assert {offer.name for offer in OFFERS if offer.vendor in ("IBM", "IQM", "IonQ", "Rigetti")} <= sold


def test_todays_date_decides_staleness():
    device = find_device("ibm_torino")
    assert not cost_of_work(device, overlap_work(device), today=date(2026, 6, 1)).is_stale
    assert cost_of_work(device, overlap_work(device), today=date(2027, 6, 1)).is_stale


def test_counts_of_bound_and_native_circuits():
    bell = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    counts = count((bell,), 2, one="sx", two="cz", duration_1q=1.0, duration_2q=10.0)
    assert counts == CircuitCounts(2, 2, 3, 1, 1, 12.0)  # h, h cz h: the last h after the gate
    assert count((bell,), 2, one="u", two="cx", duration_1q=math.nan, duration_2q=10.0).n_1q == 1
    swap = Program(2, 0, (Gate("swap", (0, 1)), Gate("swap", (0, 1))))
    assert count((swap,), 1, one="u", two="cx", duration_1q=1.0, duration_2q=10.0) == CircuitCounts(2, 1, 0, 6, 6, 60.0)
    assert count((swap,), 1, one="u", two="sqrt_iswap", duration_1q=1.0, duration_2q=10.0).n_2q == 12
    native = NativeCircuit(
        load_profile("ibm_torino"), (4, 5), (NativePart(Program(2, 0, (Gate("h", (0,)), Gate("cz", (0, 1)))), (1, 1)),), (0,)
    )
    cost = estimate_cost("ibm_torino", [native], [100], today=TODAY)
    assert cost.qpu_seconds == pytest.approx(2.035)


def test_waiting_time():
    assert call_seconds(5, 100, 1e-3, queue=10.0, roundtrip=0.5, load=2.0, circuits_per_job=2, parallel=5) == pytest.approx(10.5 + 6 + 0.1)


def test_bad_input():
    circuit = MeasuredCircuit((HALF.bind(np.zeros(6)),), (0,))
    for circuits, shots in (([circuit], []), ([], []), ([circuit], [0]), ([circuit], [-5]), ([circuit], [1.5])):
        with pytest.raises(InputError, match="shots"):
            estimate_cost("ibm_torino", circuits, shots)
    with pytest.raises(InputError, match="iqm_garnet"):
        estimate_cost("ibm_nowhere", [circuit], [10])
    with pytest.raises(InputError, match="sold by braket_iqm_garnet, iqm_resonance"):
        find_offer(find_device("iqm_garnet"), "ibm_payg")
    with pytest.raises(InputError, match="circuits_per_task"):
        estimate_cost("iqm_garnet", [circuit], [10], circuits_per_task=0)
