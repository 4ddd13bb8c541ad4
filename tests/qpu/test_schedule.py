# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Times of gates, and who waits for whom."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import flashket as fk
from flashket.program import Gate, Linear, Program
from flashket.qpu import DeviceProfile, NativeCircuit, NativePart, compile_pair, load_profile
from flashket.qpu.schedule import Idle, schedule


def device(two: str = "cz") -> DeviceProfile:
    edges = ((0, 1), (1, 2))
    three = dict.fromkeys(("readout_p10", "readout_p01", "t1", "t2", "error_1q", "duration_readout"), (0.1, 0.1, 0.1))
    no = {"broken_edges": (), "labels": (), "layer_fidelity": (), "error_2q_parallel": None}
    return replace(
        load_profile("ibm_torino"),
        n_qubits=3,
        edges=edges,
        two_qubit_gate=two,
        duration_1q=(1.0, 2.0, 4.0),
        error_2q=(0.1, 0.1),
        duration_2q=(10.0, 20.0),
        **three,
        **no,
    )


def number(value: float) -> tuple[Linear, ...]:
    return (Linear(0.0, -1, value),)


def part(*gates: tuple[str, tuple[int, ...], int]) -> NativePart:
    with_angle = {"rx", "ry", "rz", "rzz", "rxx", "ryy"}
    program = Program(3, 0, tuple(Gate(name, wires, number(0.5) if name in with_angle else ()) for name, wires, _ in gates))
    return NativePart(program, tuple(pulses for _, _, pulses in gates))


def test_gates_start_as_soon_as_their_wires_are_free() -> None:
    first = part(("rx", (0,), 1), ("rz", (0,), 0), ("rx", (1,), 1), ("cz", (0, 1), 1), ("rx", (2,), 1), ("cz", (1, 2), 1), ("rx", (0,), 1))
    second = part(("rx", (2,), 1))
    plan = schedule(NativeCircuit(device(), (0, 1, 2), (first, second), (0,)))
    assert plan.starts == ((0, 1, 0, 2, 0, 12, 12), (32,))
    assert plan.idles[0] == (Idle(3, 0, 1.0), Idle(5, 2, 8.0), Idle(7, 0, 19.0))
    # After the barrier only wire 2 works, until the measurement.
    assert plan.idles[1] == (Idle(1, 0, 4.0), Idle(1, 1, 4.0))
    assert plan.duration == 36


def test_qubits_that_nothing_touched_do_not_wait() -> None:
    plan = schedule(NativeCircuit(device(), (2, 1, 0), (part(("rx", (0,), 1)), part(("rx", (1,), 1))), (0,)))
    assert plan.starts == ((0,), (4,))  # wire 0 is qubit 2
    assert plan.idles == ((), (Idle(1, 0, 2.0),))


def test_waiting_ends_where_the_operation_begins() -> None:
    # An ECR's free gates belong to it: the control waits before them.
    gates = part(("rx", (1,), 1), ("rx", (0,), 1), ("rz", (0,), 0), ("rx", (0,), 0), ("rx", (1,), 0), ("cx", (0, 1), 1))
    plan = schedule(NativeCircuit(device("ecr"), (0, 1, 2), (gates,), (0,)))
    assert plan.idles == ((Idle(3, 0, 1.0),),)
    assert plan.duration == 12


def test_unknown_durations_are_said() -> None:
    profile = replace(device(), duration_2q=(math.nan, 20.0))
    known = NativeCircuit(profile, (0, 1, 2), (part(("rx", (0,), 1), ("cz", (1, 2), 1)),), (0,))
    assert known.duration == 20
    assert math.isnan(NativeCircuit(profile, (0, 1, 2), (part(("cz", (0, 1), 1)),), (0,)).duration)


def test_duration_of_a_kernel_entry_on_a_device() -> None:
    native = compile_pair(fk.ZZ(2, reps=1).program(), load_profile("ibm_torino"), layout=(0, 1))
    # Each half of wire 1: H P H, cz, H P H, cz, H: five pulses of 32 ns and two cz of 68 ns, all in a row.
    assert native.duration == pytest.approx(2 * (5 * 32e-9 + 2 * 68e-9))
