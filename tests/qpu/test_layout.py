# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Layouts: against brute force on small devices, against random lines on real ones, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, pairwise, permutations
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flashket as fk
from flashket.qpu import DeviceProfile, check_layout, choose_layout, expected_infidelity, line_layout, load_profile, random_line_layouts
from flashket.qpu.layout import line_interactions


def device(n: int, edges: list[tuple[int, int]] | None, seed: int, **changes: Any) -> DeviceProfile:
    """A device whose numbers differ a lot from qubit to qubit."""
    random = np.random.default_rng(seed)

    def around(value: float, size: int = n) -> tuple[float, ...]:
        return tuple((value * random.lognormal(0, 0.8, size)).tolist())

    count = 1 if edges is None else len(edges)
    drawn = DeviceProfile(
        name="drawn",
        vendor="",
        processor="",
        n_qubits=n,
        snapshot="",
        source="",
        licence="",
        one_qubit_gate="sx",
        two_qubit_gate="cz",
        edges=None if edges is None else tuple(edges),
        t1=around(1e-4),
        t2=around(8e-5),
        error_1q=around(1e-3),
        duration_1q=(3e-8,) * n,
        readout_p10=around(1e-2),
        readout_p01=around(2e-2),
        duration_readout=(1e-6,) * n,
        error_2q=around(1e-2, count),
        duration_2q=(1e-7,) * count,
    )
    return replace(drawn, **changes)


def grid(rows: int, columns: int) -> list[tuple[int, int]]:
    right = [(r * columns + c, r * columns + c + 1) for r in range(rows) for c in range(columns - 1)]
    return right + [(r * columns + c, (r + 1) * columns + c) for r in range(rows - 1) for c in range(columns)]


def by_hand(profile: DeviceProfile, layout: tuple[int, ...], interactions: list[tuple[int, int]]) -> float:
    """Expected infidelity of a layout whose pairs all are neighbours, from the formulas alone."""
    fidelity = 1.0
    busy = dict.fromkeys(range(len(layout)), 0)
    for a, b in interactions:
        fidelity *= 1 - profile.error_2q[profile.edge_index(layout[a], layout[b])]
        busy[a] = busy[b] = max(busy[a], busy[b]) + 1
    for qubit, physical in enumerate(layout):
        degree = sum(qubit in pair for pair in interactions)
        pulses = 2 * (degree + 1)
        idle = max(0.0, max(busy.values()) * 1.6e-7 - degree * 1e-7 - pulses * 3e-8)
        t1 = profile.t1[physical]
        t2 = min(profile.t2[physical], 2 * t1)
        relaxed = (3 + math.exp(-idle / t1) + 2 * math.exp(-idle / t2)) / 6
        readout = 1 - (profile.readout_p10[physical] + profile.readout_p01[physical]) / 2
        fidelity *= (1 - profile.error_1q[physical]) ** pulses * readout * relaxed
    return 1 - fidelity


def fits(profile: DeviceProfile, layout: tuple[int, ...], interactions: list[tuple[int, int]]) -> bool:
    return all(profile.has_edge(layout[a], layout[b]) for a, b in interactions)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_expected_infidelity_is_the_product_of_what_is_known(seed: int, n: int) -> None:
    profile = device(9, grid(3, 3), seed)
    layout = random_line_layouts(profile, n, 1, seed)[0]
    interactions = line_interactions(n)
    assert expected_infidelity(profile, layout, interactions) == pytest.approx(by_hand(profile, layout, interactions), rel=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_lines_are_optimal_on_small_devices(seed: int, n: int) -> None:
    profile = device(9, grid(3, 3), seed)
    interactions = line_interactions(n)
    best = min(by_hand(profile, layout, interactions) for layout in permutations(range(9), n) if fits(profile, layout, interactions))
    chosen = line_layout(profile, n)
    assert fits(profile, chosen, interactions)
    assert by_hand(profile, chosen, interactions) == pytest.approx(best, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_line_in_another_order_of_qubits(seed: int) -> None:
    profile = device(6, grid(2, 3), seed)
    names = np.random.default_rng(seed).permutation(5).tolist()
    interactions = [(names[a], names[b]) for a, b in [(0, 1), (2, 3), (1, 2), (3, 4), (1, 2)]]
    best = min(by_hand(profile, layout, interactions) for layout in permutations(range(6), 5) if fits(profile, layout, interactions))
    assert by_hand(profile, choose_layout(profile, 5, interactions), interactions) == pytest.approx(best, rel=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["star", "ring", "full"]))
def test_other_circuits_are_optimal_on_small_devices(seed: int, shape: str) -> None:
    profile = device(8, grid(2, 4), seed)
    shapes = {"star": [(0, 1), (0, 2), (0, 3)], "ring": [(0, 1), (1, 2), (2, 3), (3, 0)], "full": list(combinations(range(4), 2))}
    interactions = shapes[shape]
    layouts = [layout for layout in permutations(range(8), 4) if profile.is_connected(layout)]
    values = sorted(expected_infidelity(profile, layout, interactions) for layout in layouts)
    chosen = expected_infidelity(profile, choose_layout(profile, 4, interactions), interactions)
    assert chosen == pytest.approx(values[0], rel=1e-9)


@pytest.mark.parametrize("name", ["ibm_torino", "ibm_boston", "ibm_miami", "ibm_brisbane", "google_willow_pink", "iqm_garnet"])
@pytest.mark.parametrize("n", [2, 10, 16])
def test_the_chosen_line_beats_random_lines(name: str, n: int) -> None:
    profile = load_profile(name)
    interactions = line_interactions(n)
    chosen = line_layout(profile, n)
    lines = random_line_layouts(profile, n, 30, seed=1)
    for line in (chosen, *lines):
        assert len(set(line)) == n
        assert all(profile.has_edge(a, b) for a, b in pairwise(line))
        assert not profile.faulty_qubits.intersection(line)
    infidelities = [expected_infidelity(profile, line, interactions) for line in lines]
    ours = expected_infidelity(profile, chosen, interactions)
    assert ours <= min(infidelities)
    assert ours < (0.98 if profile.n_qubits < 50 else 0.9) * median(infidelities)


def test_the_chosen_line_is_no_worse_than_the_vendors() -> None:
    """IBM publishes the line of n qubits with the best layer fidelity: by our measure ours must be as good or better."""
    compared = 0
    for name in ("ibm_boston", "ibm_aachen", "ibm_miami", "ibm_fez"):
        profile = load_profile(name)
        for line, _ in profile.layer_fidelity[:2]:
            if all(b in profile.neighbours[a] for a, b in pairwise(line)):
                interactions = line_interactions(len(line))
                ours = expected_infidelity(profile, line_layout(profile, len(line)), interactions)
                assert ours <= expected_infidelity(profile, line, interactions)
                compared += 1
    assert compared >= 6


def test_long_lines_exist() -> None:
    profile = load_profile("ibm_boston")
    line = line_layout(profile, 100)
    assert len(set(line)) == 100
    assert all(profile.has_edge(a, b) for a, b in pairwise(line))


def test_used_more_often_means_better() -> None:
    """The pair that has most gates gets the best of the edges."""
    edges = [(0, 1), (1, 2), (2, 3)]
    profile = device(4, edges, 0, error_2q=(0.05, 0.001, 0.05), readout_p10=(0.01,) * 4, readout_p01=(0.01,) * 4, error_1q=(1e-4,) * 4)
    chosen = choose_layout(profile, 3, [(0, 1), (1, 2), (1, 2), (1, 2)])
    assert set(chosen[1:]) == {1, 2}


def test_measured_qubits_get_the_good_readout() -> None:
    readout = (0.01, 0.2, 0.01, 0.01)
    profile = device(4, None, 0, t1=(1e-4,) * 4, t2=(1e-4,) * 4, error_1q=(1e-3,) * 4, readout_p10=readout, readout_p01=readout)
    assert choose_layout(profile, 4, [(0, 1)], measured=[0, 2, 3])[1] in (0, 1)
    assert 1 not in choose_layout(profile, 3, [(0, 1)])


def test_faulty_qubits_and_gates_are_not_used() -> None:
    ring = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)]
    errors = [1e-6, 1e-6, 1e-2, 1e-2, 1e-2, 1e-2]
    profile = device(6, ring, 0, error_2q=(1.0, *errors[1:]), error_1q=(1e-3, 1e-3, 0.5, 1e-3, 1e-3, 1e-3))
    assert profile.faulty_qubits == {2}
    assert set(choose_layout(profile, 4, [(0, 1), (1, 2), (2, 3)])) == {0, 3, 4, 5}
    with pytest.raises(fk.InputError, match="at most 4 good qubits"):
        choose_layout(profile, 5, [(0, 1), (1, 2), (2, 3), (3, 4)])


def test_all_to_all_and_circuits_without_pairs() -> None:
    assert choose_layout(load_profile("quantinuum_h2-1"), 56, combinations(range(56), 2)) == tuple(range(56))
    torino = load_profile("ibm_torino")
    free = choose_layout(torino, 3, [])
    assert len(set(free)) == 3
    assert expected_infidelity(torino, free, []) <= expected_infidelity(torino, (0, 1, 2), [])


def test_groups_that_do_not_interact() -> None:
    profile = device(7, [(0, 1), (1, 2), (3, 4), (4, 5)], 3)
    pairs = [(0, 1), (1, 2), (3, 4), (4, 5)]
    chosen = choose_layout(profile, 7, pairs)
    assert check_layout(profile, chosen, 7, pairs) == chosen
    with pytest.raises(fk.InputError, match="disconnected layout"):
        choose_layout(profile, 4, [(0, 1), (1, 2), (2, 3)])
    with pytest.raises(fk.InputError, match="no room for all of them"):
        choose_layout(profile, 6, [(0, 1), (2, 3), (4, 5)])


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ([3, 4], "3 qubits was wanted"),
        ([3, 4, 4], "used once"),
        ([3, 4, 133], "0..132"),
        ([3, 4, -1], "0..132"),
        ([3, 4, 5.0], "0..132"),
        ([85, 86, 87], "out of order"),
        ([3, 4, 100], "disconnected"),
    ],
)
def test_wrong_layouts_are_refused(layout: list[int], text: str) -> None:
    with pytest.raises(fk.InputError, match=text):
        check_layout(load_profile("ibm_torino"), layout, 3)


def test_layouts_need_to_hang_together_only_where_qubits_interact() -> None:
    torino = load_profile("ibm_torino")
    assert check_layout(torino, np.array([3, 4, 100]), 3, [(0, 1)]) == (3, 4, 100)
    with pytest.raises(fk.InputError, match="disconnected"):
        check_layout(torino, [3, 4, 100], 3, [(0, 2)])


@pytest.mark.parametrize("pairs", [[(0, 0)], [(0, 3)], [(0, -1)], [(0, 1, 2)], [(0, 1.0)]])
def test_wrong_interactions_are_refused(pairs: list[tuple[int, int]]) -> None:
    with pytest.raises(fk.InputError, match="interactions must be pairs"):
        choose_layout(load_profile("ibm_torino"), 3, pairs)


def test_other_wrong_arguments_are_refused() -> None:
    torino = load_profile("ibm_torino")
    for n_qubits in (0, -1, True, 2.0):
        with pytest.raises(fk.InputError, match="n_qubits"):
            choose_layout(torino, n_qubits, [])  # type: ignore[arg-type]
    with pytest.raises(fk.InputError, match="at most 132 qubits"):
        choose_layout(torino, 133, [])
    with pytest.raises(fk.InputError, match="pulses"):
        choose_layout(torino, 2, [(0, 1)], pulses=[1.0])
    with pytest.raises(fk.InputError, match="measured"):
        choose_layout(torino, 2, [(0, 1)], measured=[2])
    with pytest.raises(fk.InputError, match="count"):
        random_line_layouts(torino, 2, 0, 0)


def test_rings_are_laid_on_cycles() -> None:
    same = {
        field: (value,) * 9 for field, value in {"t1": 1e-4, "t2": 1e-4, "error_1q": 1e-4, "readout_p10": 0.01, "readout_p01": 0.01}.items()
    }
    profile = device(9, grid(3, 3), 0, **same)
    profile = replace(profile, error_2q=(1e-3,) * 12)
    ring = [(q, (q + 1) % 8) for q in range(8)]
    assert fits(profile, choose_layout(profile, 8, ring), ring)
    fez = load_profile("ibm_fez")
    hexagon = [(q, (q + 1) % 12) for q in range(12)]
    chosen = choose_layout(fez, 12, hexagon)
    lines = random_line_layouts(fez, 12, 10, seed=0)
    assert expected_infidelity(fez, chosen, hexagon) < min(expected_infidelity(fez, line, hexagon) for line in lines)


def test_random_lines_are_those_of_their_seed() -> None:
    profile = load_profile("ibm_miami")
    lines = random_line_layouts(profile, 12, 5, seed=7)
    assert lines == random_line_layouts(profile, 12, 5, seed=7)
    assert lines[:3] == random_line_layouts(profile, 12, 3, seed=7)
    assert lines != random_line_layouts(profile, 12, 5, seed=8)
    assert len(set(lines)) == 5
