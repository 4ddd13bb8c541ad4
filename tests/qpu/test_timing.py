# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The time of a shot on every device: cases worked out by hand, sources, and that noise never sees it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

import flashket as fk
from flashket.errors import InputError
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit
from flashket.qpu.cost import cost_of_work, count_on, device_durations, estimate_cost, qpu_seconds, shot_seconds
from flashket.qpu.offers import PRICED_DEVICES, device_names, find_device
from flashket.qpu.profile import DEVICES, load_profile, parse_profile
from flashket.qpu.spending import reserve, worst_case
from flashket.qpu.timing import TIME_MODELS, TimeModel, parse_time_model, time_model_fields
from flashket.qpu.workload import CircuitCounts, Work, count

TODAY = date(2026, 11, 23)
ZZ = fk.ZZ(6, reps=1, entanglement="linear").program().bind(np.linspace(0.1, 0.6, 6))
OVERLAP = MeasuredCircuit((ZZ, ZZ.inverse()), tuple(range(6)))
BELL = MeasuredCircuit((Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1)))),), (0, 1))
READ = MeasuredCircuit((Program(2, 0, (Gate("x", (0,)),)),), (0, 1))


def seconds_of(name, circuit):
    device = find_device(name)
    return shot_seconds(device, count_on(device, circuit))[0]


@pytest.mark.parametrize(
    ("name", "circuit", "seconds"),
    [
        # Ten layers of two-qubit gates of 55 ms; a circuit without any still costs one.
        ("quantinuum_h1-1", OVERLAP, 0.550),
        ("quantinuum_h2-1", OVERLAP, 0.550),
        ("quantinuum_h2-2", OVERLAP, 0.550),
        ("quantinuum_h2-2", BELL, 0.055),
        ("quantinuum_h2-2", READ, 0.055),
        # h before, and a quarter turn on either side of the rzz: three pulses, one gate, the readout, and Aria's reset.
        ("ionq_forte", BELL, 3 * 130e-6 + 970e-6 + 150e-6),
        ("ionq_aria", BELL, 20e-6 + 3 * 135e-6 + 600e-6 + 300e-6),
        ("ionq_forte", READ, 130e-6 + 150e-6),
        # On the path: h and a quarter turn of the other qubit at once, cz, a quarter turn; the profile's own gates, 15 us to read.
        ("iqm_garnet", BELL, 20e-9 + 40e-9 + 20e-9 + 15e-6 + 250e-6),
        ("iqm_emerald", BELL, 42e-9 + 130e-9 + 42e-9 + 15e-6 + 250e-6),
        ("rigetti_ankaa", READ, 40e-9 + 250e-6),
        ("google_weber", READ, 25e-9 + 4e-6 + 200e-6),
        ("google_willow_pink", READ, 25e-9 + 600e-9 + 200e-6),
        ("ibm_torino", READ, 32e-9 + 1.56e-6 + 250e-6),
    ],
)
def test_one_shot_by_hand(name, circuit, seconds):
    assert seconds_of(name, circuit) == pytest.approx(seconds, rel=1e-9)


def test_a_gram_matrix_of_quantinuum():
    cost = estimate_cost("quantinuum_h2-2", [OVERLAP] * 190, [1000] * 190, today=TODAY)
    assert cost.qpu_seconds == pytest.approx(190_000 * 0.55) and cost.qpu_seconds_worst == pytest.approx(1.5 * 104_500)
    assert worst_case(cost).qpu_seconds == cost.qpu_seconds_worst  # what a budget reserves
    (row,) = fk.qpu.estimate(fk.Fidelity(fk.ZZ(6, reps=1, entanglement="linear")), 20, 1000, ["quantinuum_h2-2"], today=TODAY)
    assert row.cost.qpu_seconds == pytest.approx(cost.qpu_seconds) and row.counts.duration == pytest.approx(0.55)


def test_a_chain_of_ions_runs_gates_one_after_another():
    pairs = Program(4, 0, (Gate("cz", (0, 1)), Gate("cz", (2, 3)), Gate("cz", (0, 1))))

    def duration(at_once):
        return count((pairs,), 4, one="u", two="cz", duration_1q=1.0, duration_2q=10.0, gates_at_once=at_once).duration

    assert (duration(None), duration(2), duration(1)) == (20.0, 20.0, 30.0)
    three = Program(6, 0, tuple(Gate("cz", (q, q + 1)) for q in (0, 2, 4)))
    durations = [count((three,), 6, one="u", two="cz", duration_1q=1.0, duration_2q=10.0, gates_at_once=k).duration for k in (1, 2, 3, 9)]
    assert durations == [30.0, 20.0, 10.0, 10.0]
    turns = Program(3, 0, tuple(Gate("x", (q,)) for q in range(3)))
    assert [count((turns,), 3, one="u", two="cz", duration_1q=1.0, duration_2q=9.0, gates_at_once=k).duration for k in (1, 3)] == [3.0, 1.0]


def test_a_gate_waits_for_its_own_qubits_alone():
    """However a circuit is written down: pairs that have nothing to do with each other run side by side."""
    two = [tuple(g for _ in range(10) for g in (Gate("cz", pair), Gate("x", pair[:1]))) for pair in ((0, 1), (2, 3))]
    one_after_another, in_turns = Program(4, 0, two[0] + two[1]), Program(4, 0, tuple(g for both in zip(*two, strict=True) for g in both))
    for circuit in (one_after_another, in_turns):
        for at_once, seconds in ((None, 110.0), (4, 110.0), (2, 110.0), (1, 220.0)):
            found = count((circuit,), 4, one="u", two="cz", duration_1q=1.0, duration_2q=10.0, gates_at_once=at_once)
            assert found.duration == seconds and found.depth_2q == 10
    # As the duration of a compiled circuit is the longest way through it.
    device = load_profile("ibm_torino")
    full = fk.ZZ(6, reps=2).program().bind(np.linspace(0.1, 0.6, 6))
    native = compile_circuit(MeasuredCircuit((full, full.inverse()), tuple(range(6))), device)
    assert count_on(device, native).duration == pytest.approx(longest_way(native, *device_durations(device)[:2]))


def longest_way(native, pulse, pair):
    """Return a native circuit's duration: what a qubit waits for are the gates before on itself and its partner, and barriers."""
    free = [0.0] * len(native.qubits)
    for part in native.parts:
        free = [max(free)] * len(free)
        for gate, pulses in zip(part.program.gates, part.pulses, strict=True):
            end = max(free[q] for q in gate.qubits) + pulses * (pulse if len(gate.qubits) == 1 else pair)
            for q in gate.qubits:
                free[q] = end
    return max(free)


def test_every_device_has_a_time_and_says_whence():
    for name in device_names():
        device = find_device(name)
        seconds, worst, notes = qpu_seconds(device, [Work(count_on(device, BELL), 2, 100)])
        assert seconds is not None and worst is not None and 0 < seconds <= worst < math.inf
        if device.vendor != "IBM":
            assert device.timing is not None and any(device.timing.source in note and device.timing.as_of in note for note in notes), name
    for model in TIME_MODELS.values():
        assert date.fromisoformat(model.as_of) <= TODAY and model.note
    assert {device.timing for device in PRICED_DEVICES} <= set(TIME_MODELS.values())


def test_files_hold_the_time_models():
    for path in DEVICES.glob("*.json"):
        profile = load_profile(path.stem)
        kind = f"Google {profile.processor}" if profile.vendor == "Google" else profile.vendor
        found = profile.timing
        assert found == TIME_MODELS.get(kind)
        assert ("timing" in json.loads(path.read_text())) == (found is not None)


def test_calibration_data_come_before_published_durations():
    garnet = load_profile("iqm_garnet")
    assert device_durations(garnet) == pytest.approx((20e-9, 40e-9, 15e-6))
    assert device_durations(replace(garnet, timing=None))[:2] == pytest.approx((20e-9, 40e-9))
    assert math.isnan(device_durations(replace(garnet, timing=None))[2])


def test_an_ion_device_of_the_users_own():
    own = replace(load_profile("quantinuum_h2-2"), name="own", timing=None)
    seconds, notes = shot_seconds(own, CircuitCounts(2, 2, 3, 1, 1, math.nan))
    assert math.isnan(seconds) and "no source" in notes[0]
    cost = cost_of_work(own, [Work(CircuitCounts(2, 2, 3, 1, 1, math.nan), 1, 10)], today=TODAY)
    assert cost.qpu_seconds is None and cost.qpu_seconds_worst is None and any("not modelled" in note for note in cost.notes)
    known = replace(own, duration_2q=(200e-6,), duration_1q=(5e-6,) * 56)
    counts = count_on(known, BELL)
    assert counts.duration == pytest.approx(2 * 5e-6 + 200e-6)  # both first turns at once
    seconds, notes = shot_seconds(known, counts)
    assert seconds == pytest.approx(counts.duration) and any("readout" in note for note in notes)  # ions are not given IBM's pause


def test_noise_does_not_read_the_time_model():
    x = np.random.default_rng(3).uniform(0, 6, (4, 3))
    kernel = fk.Fidelity(fk.ZZ(3, reps=1))
    for name in ("quantinuum_h2-2", "iqm_garnet", "google_weber"):
        profile = load_profile(name)
        with_time, without = (
            fk.gram(x, kernel=kernel, noise=fk.NoiseModel.from_profile(each)) for each in (profile, replace(profile, timing=None))
        )
        np.testing.assert_array_equal(with_time, without)


@pytest.mark.parametrize(
    ("timing", "reason"),
    [
        (3.0, "timing must be an object"),
        ({"as_of": "2026-01-01"}, "timing.source must be given"),
        ({"source": "x"}, "timing.as_of must be given"),
        ({"source": "", "as_of": "2026-01-01"}, "timing.source"),
        ({"source": "x", "as_of": "2026"}, "timing.as_of must be a date"),
        ({"source": "x", "as_of": None}, "timing.as_of"),
        ({"source": "x", "as_of": "2026-01-01", "pair": -1}, "timing.pair"),
        ({"source": "x", "as_of": "2026-01-01", "pair": "1"}, "timing.pair"),
        ({"source": "x", "as_of": "2026-01-01", "layer": math.inf}, "timing.layer"),
        ({"source": "x", "as_of": "2026-01-01", "gates_at_once": 0}, "timing.gates_at_once"),
        ({"source": "x", "as_of": "2026-01-01", "gates_at_once": True}, "timing.gates_at_once"),
        ({"source": "x", "as_of": "2026-01-01", "speed": 1}, "speed"),
    ],
)
def test_a_wrong_time_model_is_refused(timing, reason):
    document = json.loads((DEVICES / "quantinuum_h2-2.json").read_text()) | {"timing": timing}
    with pytest.raises(InputError, match=reason):
        parse_profile(json.dumps(document))


def test_a_time_model_survives_its_file():
    model = TimeModel("x", "2026-01-01", pair=1e-3, gates_at_once=4)
    assert time_model_fields(parse_time_model(time_model_fields(model))) == time_model_fields(model)
    assert parse_time_model(None) is None and math.isnan(parse_time_model({"source": "x", "as_of": "2026-01-01", "pair": None}).pair)
    with pytest.raises(InputError, match="timing must be a TimeModel"):
        replace(load_profile("quantinuum_h2-2"), timing={"layer": 1})


def test_an_adapter_reserves_what_the_estimate_says():
    batch = fk.qpu.Batch((BELL,) * 3, (1000,) * 3)
    cost = fk.qpu.open_adapter("ionq:qpu.forte-1").estimate(batch)
    assert cost.qpu_seconds == pytest.approx(3000 * (3 * 130e-6 + 970e-6 + 150e-6)) and cost.qpu_seconds_worst == 7.0
    with fk.qpu.budget(usd=1e6, qpu_seconds=6.9), pytest.raises(fk.BudgetExceeded, match=r"7 QPU seconds.*qpu_seconds=7\.0"):
        reserve([cost], "ionq:qpu.forte-1", is_remote=True)
    with fk.qpu.budget(usd=1e6, qpu_seconds=7) as allowed:
        (held,) = reserve([cost], "ionq:qpu.forte-1", is_remote=True)
        assert allowed.left.qpu_seconds == 0.0
        held.release()
