# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Device profiles: the bundled numbers, what files are refused, and the graph of a device."""

from __future__ import annotations

import csv
import json
import math
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flashket as fk
from flashket.qpu import DeviceProfile, load_profile, profile_names
from flashket.qpu.profile import DEVICES, parse_profile

MEDIANS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "device_medians.csv").read_text().splitlines()))
"""Medians taken from the same packages by other means, in the vendors' units and error definitions."""

SMALL: dict[str, Any] = {
    "name": "small",
    "n_qubits": 4,
    "one_qubit_gate": "sx",
    "two_qubit_gate": "cz",
    "edges": [[0, 1], [1, 2], [2, 3]],
    "t1": [1e-4, 2e-4, 3e-4, 4e-4],
    "t2": 1e-4,
    "error_1q": 1e-4,
    "error_2q": [1e-3, 2e-3, 3e-3],
    "readout_p10": 0.01,
    "readout_p01": 0.03,
}


def small(**changes: Any) -> DeviceProfile:
    return parse_profile(json.dumps(SMALL | changes))


def close(value: float, wanted: str, tolerance: float) -> bool:
    return wanted == "" or abs(value / float(wanted) - 1) <= tolerance


def test_every_device_of_the_table_is_there() -> None:
    assert {row["device"] for row in MEDIANS} <= set(profile_names())


@pytest.mark.parametrize("row", MEDIANS, ids=lambda row: row["device"])
def test_units_and_medians(row: dict[str, str]) -> None:
    profile = load_profile(row["device"])
    is_sampled = profile.vendor == "IQM"  # the table has the parameters of channels, the profile the infidelity they make
    digits = 0.02 if profile.vendor == "Google" else 0.005  # as many as the table has
    assert (profile.n_qubits, profile.processor) == (int(row["qubits"]), row["processor"])
    assert profile.snapshot.startswith(row["snapshot"])
    assert profile.two_qubit_gate == row["gate_2q"].replace("zzphase", "rzz")
    assert close(profile.median("t1") * 1e6, row["T1_us"], digits)
    assert close(profile.median("t2") * 1e6, row["T2_us"], digits)
    assert close(profile.median("duration_1q") * 1e9, row["dur_1q_ns"], 1e-4)
    # The table's median counts the pairs that are out of order too, which matters where durations differ (Nighthawk).
    assert close(profile.median("duration_2q") * 1e9, row["dur_2q_ns"], 0.08)
    assert close(profile.median("duration_readout") * 1e9, row["dur_readout_ns"], 1e-4)
    assert close(profile.rep_delay * 1e6, row["rep_delay_us"], 1e-6)
    # Readout: the table has IBM's own mean, and for Google the mean of two medians.
    assert close(profile.median("readout_error"), row["err_readout"], 0.1 if profile.vendor == "Google" else 0.03)
    if not is_sampled:
        assert close(profile.median("error_1q"), row["err_1q"], digits)
        assert close(profile.median("error_2q"), row["err_2q_median"], digits)
        assert close(profile.best("error_2q"), row["err_2q_best"], digits)


@pytest.mark.parametrize("name", profile_names())
def test_bundled_profiles_say_where_they_come_from(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.source and profile.licence and profile.notes
    assert profile.snapshot or profile.modelled
    assert len(profile.good_qubits) >= 0.9 * profile.n_qubits
    assert all(error < 1 for error in profile.error_2q)


def test_bundled_profiles_are_small() -> None:
    assert sum(path.stat().st_size for path in DEVICES.iterdir()) < 300_000


def test_one_number_stands_for_all() -> None:
    profile = small(t2=None, duration_2q=6e-8)
    assert profile.readout_p10 == (0.01,) * 4
    assert profile.duration_2q == (6e-8,) * 3
    assert all(map(math.isnan, profile.t2))
    assert all(map(math.isnan, profile.duration_1q))  # left out: not known
    assert profile.median("t1") == pytest.approx(2.5e-4)
    assert math.isnan(profile.median("t2"))
    assert profile.best("error_2q") == 1e-3
    assert profile.median("readout_error") == pytest.approx(0.02)


def test_all_to_all_has_one_figure() -> None:
    profile = small(edges=None, error_2q=1e-3)
    assert profile.error_2q == (1e-3,)
    assert profile.has_edge(3, 0)
    assert not profile.has_edge(2, 2)
    assert not profile.has_edge(0, 4)
    assert profile.edge_index(0, 3) == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"vendor": 3}, "vendor"),
        ({"n_qubits": 0}, "n_qubits"),
        ({"n_qubits": 10**9}, "n_qubits"),
        ({"n_qubits": True}, "n_qubits"),
        ({"n_qubits": 5}, "t1"),
        ({"snapshot": "2026-02-31"}, "snapshot"),
        ({"snapshot": "20260201"}, "snapshot"),
        ({"one_qubit_gate": "rx"}, "one_qubit_gate"),
        ({"two_qubit_gate": "swap"}, "two_qubit_gate"),
        ({"edges": "all"}, "edges"),
        ({"edges": [[0, 1], [1, 0], [2, 3]]}, "edges"),
        ({"edges": [[0, 1], [1, 1], [2, 3]]}, "edges"),
        ({"edges": [[0, 1], [1, 4], [2, 3]]}, "edges"),
        ({"edges": [[0, 1], [1, 2, 3], [2, 3]]}, "edges"),
        ({"broken_edges": [[0, 1]]}, "broken_edges"),
        ({"t1": [1e-4, 2e-4]}, "t1"),
        ({"t1": [1e-4, 2e-4, -3e-4, 4e-4]}, "t1[2]"),
        ({"t1": 0.0}, "t1[0]"),
        ({"t2": "fast"}, "t2"),
        ({"t2": ["a", 1.0, 1.0, 1.0]}, "t2[0]"),
        ({"duration_1q": math.inf}, "duration_1q[0]"),
        ({"error_1q": 1.5}, "error_1q[0]"),
        ({"error_2q": [0.1, 0.2]}, "error_2q"),
        ({"error_2q": [0.1, 0.2, -0.1]}, "error_2q[2]"),
        ({"error_2q_parallel": [0.1]}, "error_2q_parallel"),
        ({"readout_p10": True}, "readout_p10[0]"),
        ({"memory_error": 2}, "memory_error"),
        ({"rep_delay": -1}, "rep_delay"),
        ({"max_shots": 0}, "max_shots"),
        ({"max_executions": 1e6}, "max_executions"),
        ({"modelled": ["t3"]}, "modelled"),
        ({"labels": ["a", "a", "b", "c"]}, "labels"),
        ({"layer_fidelity": [[[0, 1, 9], 0.9]]}, "layer_fidelity"),
        ({"layer_fidelity": [1]}, "layer_fidelity"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(fk.InputError) as refused:
        small(**changes)
    assert field in str(refused.value)


@pytest.mark.parametrize("field", ["name", "n_qubits", "one_qubit_gate", "two_qubit_gate", "edges", "error_1q", "error_2q", "readout_p10"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(fk.InputError, match=f"{field} must be given"):
        parse_profile(json.dumps({key: value for key, value in SMALL.items() if key != field}))


@pytest.mark.parametrize("text", ["", "[1]", "{", '"name"', "[" * 100_000, "null"])
def test_text_that_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(fk.InputError, match="a profile must be"):
        parse_profile(text)


@settings(max_examples=200, deadline=None)
@given(
    field=st.sampled_from([*SMALL, "snapshot", "labels", "modelled", "broken_edges", "layer_fidelity", "rep_delay", "max_shots", "notes"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        max_leaves=6,
    ),
)
def test_any_value_is_taken_or_refused(field: str, value: Any) -> None:
    try:
        profile = small(**{field: value})
    except fk.InputError:
        return
    assert profile.n_qubits == 4


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "mine.json"
    good.write_text(json.dumps(SMALL))
    assert load_profile(good) == load_profile(str(good))
    good.write_text(json.dumps(SMALL | {"name": "changed"}))
    assert load_profile(good).name == "changed"
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"\xff\xfe")
    for name in (tmp_path / "absent.json", tmp_path, broken, "ibm_nowhere", "", "../devices/ibm_torino", "a\0.json", None, 3):
        with pytest.raises(fk.InputError, match=r"\[profile\]"):
            load_profile(name)


def test_unknown_device_lists_the_known_ones() -> None:
    with pytest.raises(fk.InputError, match="ibm_torino"):
        load_profile("ibm_atlantis")


def test_faulty_qubits() -> None:
    assert small().faulty_qubits == frozenset()
    assert small(error_1q=[1e-4, 1.0, 1e-4, 1e-4]).faulty_qubits == {1}
    assert small(readout_p10=[0.01, 0.01, 0.5, 0.01], readout_p01=[0.01, 0.01, 0.5, 0.01]).faulty_qubits == {2}
    assert small(t1=[1e-4, None, 1e-4, 1e-4]).faulty_qubits == {1}
    assert small(t1=None).faulty_qubits == frozenset()  # known of no qubit: nothing is wrong with any
    profile = small(error_2q=[1e-3, 1.0, None])
    assert profile.neighbours == ((1,), (0,), (), ())
    assert small(error_1q=[1e-4, 1.0, 1e-4, 1e-4]).neighbours == ((), (), (3,), (2,))


def test_graph() -> None:
    profile = load_profile("ibm_torino")
    assert profile.edges is not None
    for index in (0, 7, len(profile.edges) - 1):
        a, b = profile.edges[index]
        assert profile.edge_index(a, b) == profile.edge_index(b, a) == index
    with pytest.raises(fk.InputError, match="coupled qubits"):
        profile.edge_index(0, 132)
    assert not set(profile.edges) & set(profile.broken_edges)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_connectedness_is_that_of_matrix_powers(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 8))
    edges = [pair for pair in combinations(range(n), 2) if random.random() < 0.3]
    profile = small(n_qubits=n, edges=[list(edge) for edge in edges], t1=None, error_2q=[1e-3] * len(edges))
    chosen = sorted(random.permutation(n)[: int(random.integers(1, n + 1))].tolist())
    adjacency = np.eye(len(chosen)) + [[float((min(a, b), max(a, b)) in edges) for b in chosen] for a in chosen]
    reached = np.linalg.matrix_power(adjacency, len(chosen)) > 0
    assert profile.is_connected(chosen) == bool(reached.all())


def test_age() -> None:
    profile = small(snapshot="2026-04-17")
    assert profile.age_days(date(2026, 4, 27)) == 10
    assert not profile.is_stale(date(2026, 10, 14))
    assert profile.is_stale(date(2026, 10, 15))
    assert small().age_days(date(2026, 4, 27)) is None
    assert small().is_stale(date(2026, 4, 27))


def test_median_of_what_is_no_field() -> None:
    with pytest.raises(fk.InputError, match="readout_error"):
        small().median("edges")
