# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuit: a Program as a feature map, as data, in kernels, plans and specs. The contract tests include one of every gate."""

from __future__ import annotations

import copy
import pickle
from itertools import combinations

import numpy as np
import pytest

import flashket as fk
from contract import any_circuit, rows, run_python
from flashket import reference
from flashket.spec import parse_spec

ENTANGLED = """OPENQASM 3.0;
include "stdgates.inc";
input array[float[64], 3] x;
qubit[3] q;
h q;
for int i in [0:2] { rz(2 * x[i]) q[i]; }
for int i in [0:1] { cp((pi - x[i]) * (pi - x[i + 1])) q[i], q[i + 1]; }
ry(x[0] + x[2]) q[1];
"""

BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0], q[1];
measure q -> c;
"""


def test_kernels_of_a_circuit_match_the_oracle():
    feature_map = fk.Circuit(fk.Program.from_qasm(ENTANGLED))
    assert (feature_map.n_features, feature_map.n_qubits) == (3, 3)
    x, y = rows(7, 3, np.float64), rows(5, 3, np.float64, 1)
    for kernel in (fk.Fidelity(feature_map), fk.HadamardTest(feature_map, power=2)):
        np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), reference.gram(x, y, kernel), atol=1e-12)
        np.testing.assert_allclose(fk.gram(x, kernel=kernel), reference.gram(x, None, kernel), atol=1e-12)


def test_a_map_and_the_circuit_of_its_program_are_one_kernel():
    x = rows(6, 4, np.float64)
    for feature_map in (fk.ZZ(4), fk.IQP(4, reps=2), fk.HardwareEfficient(4), fk.Angle(4)):
        circuit = fk.Circuit(feature_map.program())
        np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(circuit)), fk.gram(x, kernel=fk.Fidelity(feature_map)), atol=1e-12)
        np.testing.assert_array_equal(fk.states(x, feature_map=circuit), fk.states(x, feature_map=feature_map))


def test_a_circuit_without_features_is_one_state():
    feature_map = fk.Circuit(fk.Program.from_qasm(BELL))
    assert feature_map.n_features == 0
    empty = np.zeros((3, 0))
    np.testing.assert_allclose(fk.states(empty, feature_map=feature_map), [[0.5**0.5, 0, 0, 0.5**0.5]] * 3, atol=1e-12)
    np.testing.assert_allclose(fk.gram(empty, kernel=fk.Fidelity(feature_map)), np.ones((3, 3)), atol=1e-12)
    with pytest.raises(fk.InputError, match=r"X must be \(n_samples, 0\)"):
        fk.gram([[1.0]], kernel=fk.Fidelity(feature_map))


def test_equality_is_by_content():
    first, second = (fk.Circuit(fk.Program.from_qasm(ENTANGLED)) for _ in range(2))
    assert first == second and hash(first) == hash(second) and repr(first) == repr(second)
    other = fk.Circuit(fk.Program.from_qasm(ENTANGLED.replace("2 * x[i]", "2.5 * x[i]")))
    assert first != other and repr(first) != repr(other)
    assert first != fk.ZZ(3) and fk.Circuit(fk.ZZ(3).program()) != fk.ZZ(3)
    for same in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first), type(first)(**first.get_params())):
        assert same == first and same.program() == first.program()
    assert first.get_params() == {"program": first.program()}
    assert fk.Fidelity(first).get_params()["feature_map__program"] is first.program()
    with pytest.raises(AttributeError):
        first.n_features = 5


def test_repr_is_short_and_stays():
    """Run configurations are hashed by it, so another process must write the same."""
    code = "import flashket as fk; print(fk.Circuit(fk.ZZ(3).program()))"
    assert run_python(code).stdout.strip() == repr(fk.Circuit(fk.ZZ(3).program()))
    text = repr(fk.Circuit(fk.ZZ(12).program()))
    assert text.startswith("Circuit(<12 qubits, 12 features, 444 gates, sha256 ") and len(text) < 80


def test_explain():
    plan = fk.explain(fk.Fidelity(fk.Circuit(fk.Program.from_qasm(ENTANGLED))), n=50)
    assert "2^3 amplitudes" in plan.path and plan.limit == ""
    assert "Circuit(<3 qubits" in str(plan)
    # Every pair of qubits: no line and no small bond.
    entangling = tuple(fk.Gate("crx", pair, (fk.Linear(1.0, 0),)) for pair in combinations(range(60), 2))
    wide = fk.Program(60, 1, entangling)
    assert "one state of Circuit(<60 qubits" in fk.explain(fk.Fidelity(fk.Circuit(wide)), n=1).limit
    with pytest.raises(fk.ResourceLimit):
        fk.gram([[0.0]], kernel=fk.Fidelity(fk.Circuit(wide)))


def test_features_that_no_gate_uses_change_nothing():
    program = fk.Program(1, 2, (fk.Gate("ry", (0,), (fk.Linear(1.0, 1),)),))
    x = rows(4, 2, np.float64)
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(fk.Circuit(program))), fk.gram(x[:, 1:], kernel=fk.Fidelity(fk.Angle(1))))


def test_angles_beyond_float64_are_refused_before():
    program = fk.Program(1, 1, (fk.Gate("ry", (0,), (fk.Linear(1e60, 0), fk.Linear(1e60, 0))),))
    with pytest.raises(fk.InputError, match=r"\[gram\] X"):
        fk.gram([[1e20]], kernel=fk.Fidelity(fk.Circuit(program)))
    assert np.isfinite(fk.gram([[1e10], [1.0]], kernel=fk.Fidelity(fk.Circuit(program)))).all()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("h q;", r"\[Circuit\] program must be a Program, got 'h q;': e.g. fk.Program.from_qasm"),
        (fk.Angle(2), r"program must be a Program, got Angle\(2\): it is a feature map already"),
        (None, r"program must be a Program"),
    ],
)
def test_bad_programs(program, message):
    with pytest.raises(fk.InputError, match=message):
        fk.Circuit(program)


def test_spec_reads_a_file(tmp_path):
    file = tmp_path / "entangled.qasm"
    file.write_text(ENTANGLED, encoding="utf-8")
    feature_map = fk.Circuit(fk.Program.from_qasm(ENTANGLED))
    assert parse_spec(f"circuit:{file}") == fk.Fidelity(feature_map)
    assert parse_spec(f"hadamard:circuit:{file},power=2") == fk.HadamardTest(feature_map, power=2)
    with_colon = tmp_path / "a:b.qasm"
    with_colon.write_text(ENTANGLED, encoding="utf-8")
    assert parse_spec(f"fidelity:circuit:{with_colon}") == fk.Fidelity(feature_map)


def test_command_line_reads_a_file(tmp_path):
    from flashket.cli import main

    (tmp_path / "c.qasm").write_text(ENTANGLED, encoding="utf-8")
    np.save(tmp_path / "x.npy", rows(4, 3, np.float64))
    assert main(["gram", str(tmp_path / "x.npy"), str(tmp_path / "k.npy"), "--kernel", f"circuit:{tmp_path / 'c.qasm'}"]) == 0
    expected = reference.gram(rows(4, 3, np.float64), None, fk.Fidelity(fk.Circuit(fk.Program.from_qasm(ENTANGLED))))
    np.testing.assert_allclose(np.load(tmp_path / "k.npy"), expected, atol=1e-12)


def test_bad_specs(tmp_path):
    (tmp_path / "bad.qasm").write_text("qubit q; warp q;", encoding="utf-8")
    (tmp_path / "binary.qasm").write_bytes(b"\xff\xfe\x00")
    for text, message in (
        (f"circuit:{tmp_path / 'none.qasm'}", r"\[spec\] FILE must be a readable OpenQASM file, got '.*none.qasm' \(No such file"),
        (f"circuit:{tmp_path}", r"FILE must be a readable OpenQASM file, .*directory"),
        ("circuit:", r"FILE must be a readable OpenQASM file"),
        ("circuit", r"FILE must be a readable OpenQASM file"),
        (f"circuit:{tmp_path / 'binary.qasm'}", r"FILE must be a readable OpenQASM file"),
        (f"circuit:{tmp_path / 'bad.qasm'}", r"line 1: gates must be standard or defined in the text, got warp"),
        (f"circuit:{tmp_path / 'bad.qasm'},bandwidth=2", r"options must exist, got 'bandwidth': circuit has power"),
    ):
        with pytest.raises(fk.InputError, match=message):
            parse_spec(text)


def test_contract_circuit_has_every_gate():
    program = any_circuit(3).program()
    assert {gate.name for gate in program.gates} == set(fk.program.OPCODES)
    assert {len(gate.angle) for gate in program.gates} == {0, 1, 2}
