# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""OpenQASM 2 and 3: what each statement means, and what is refused with which line."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flashket as fk
from flashket import reference


def gates(text, header="OPENQASM 3.0;\n"):
    return fk.Program.from_qasm(header + text).gates


def names(text):
    return [(gate.name, gate.qubits) for gate in gates(text)]


def angle(text):
    """Return the factors of a single rz whose angle is text, over float x, float[64] y, angle t and an array z of two."""
    (gate,) = gates(f"input float x; input float[64] y; input angle[32] t; input array[float[64], 2] z; qubit q; rz({text}) q;")
    return [tuple(factor) for factor in gate.angle]


def state(text, x=()):
    program = fk.Program.from_qasm(text)
    return reference.run_program(program, np.array([x], float).reshape(1, program.n_features))[0]


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("pi / 2", [(0, -1, math.pi / 2)]),
        ("-τ + π*2 + euler", [(0, -1, math.e)]),
        ("tau", [(0, -1, math.tau)]),
        ("3", [(0, -1, 3)]),
        ("7 / 2.0", [(0, -1, 3.5)]),
        ("6 / 3", [(0, -1, 2)]),
        ("2 ** 3 + 2 ** -1", [(0, -1, 8.5)]),
        ("7 % 4", [(0, -1, 3)]),
        ("sqrt(2) * cos(0.5)", [(0, -1, math.sqrt(2) * math.cos(0.5))]),
        ("x", [(1, 0, 0)]),
        ("-x", [(-1, 0, 0)]),
        ("2 * x + 0.5", [(2, 0, 0.5)]),
        ("(x - 1) / 4", [(0.25, 0, -0.25)]),
        ("0.5 - (2 * (x + 1))", [(-2, 0, -1.5)]),
        ("x + x", [(2, 0, 0)]),
        ("x - x + 1", [(0, -1, 1)]),
        ("y * x", [(1, 1, 0), (1, 0, 0)]),
        ("x ** 2", [(1, 0, 0), (1, 0, 0)]),
        ("2 * (pi - x) * (pi - z[1])", [(-2, 0, 2 * math.pi), (-1, 4, math.pi)]),
        ("-(t + 1) * (z[0] * 3)", [(-1, 2, -1), (3, 3, 0)]),
        ("float(x) + angle(t) * 0", [(1, 0, 0)]),
        ("z[-1]", [(1, 4, 0)]),
        # Expanded products are one gate too.
        ("x * y - x - y + 1", [(1, 0, -1), (1, 1, -1)]),
    ],
)
def test_angles(text, factors):
    assert angle(text) == factors


@pytest.mark.parametrize(
    "text",
    [
        *("sin(x)", "x * x * x", "x * y * t", "1 / x", "x ** 3", "x ** y", "2 ** x", "exp(x)", "x * y * (t + 1)", "x % 2", "z", "frob(1)"),
        *("true", "1 + (2 & y)", "x ^ 2"),
    ],
)
def test_other_angles_are_refused_by_line_and_text(text):
    with pytest.raises(fk.InputError) as caught:
        fk.Program.from_qasm(f"input float x; input float y; input float t; input array[float, 2] z;\nqubit q;\n\nrz({text}) q;")
    message = str(caught.value)
    assert message.startswith("[Program.from_qasm] line 4: angles must be a x_i + b, products of two such")
    wanted = "2 & y" if "&" in text else text
    assert f"got {wanted}: " in message


def test_sums_of_features_are_several_gates():
    text = "input array[float, 3] x; qubit[2] q; h q; crx(x[0] - 2 * x[2] + 0.25) q[0], q[1]; rz(x[0] * x[1] + x[2] * x[2] - 1) q[1];"
    x = (0.3, -1.1, 2.2)
    expected = f"qubit[2] q; h q; crx({0.3 - 4.4 + 0.25}) q[0], q[1]; rz({0.3 * -1.1 + 2.2**2 - 1}) q[1];"
    np.testing.assert_allclose(state(text, x), state(expected), atol=1e-14)
    assert all(1 <= len(gate.angle) <= 2 for gate in gates(text) if gate.name != "h")


def test_inputs_in_order_and_constants():
    text = """
const int n = 2;
const float half = pi / 2;
input float a;
input array[angle[16], n] b;
input angle c;
output bit[n] result;
qubit[n] q;
rx(half * b[n - 1]) q[0];
ry(c) q[1];
rz(a) q[n - 2];
"""
    program = fk.Program.from_qasm(text)
    assert program.n_features == 4
    assert [(gate.name, gate.angle[0].feature) for gate in program.gates] == [("rx", 2), ("ry", 3), ("rz", 0)]


def test_registers_are_in_order_of_declaration():
    assert names("qubit a; qubit[2] b; x a; y b[1]; cx b, a;") == [("x", (0,)), ("y", (2,)), ("cx", (1, 0)), ("cx", (2, 0))]
    # The first register's first qubit is the lowest bit.
    np.testing.assert_array_equal(np.flatnonzero(state("qubit a; qubit[2] b; x a; x b[1];")), [0b101])


def test_broadcast_slices_and_aliases():
    assert names("qubit[2] a; qubit[2] b; cx a, b; h a[1:-1];") == [("cx", (0, 2)), ("cx", (1, 3)), ("h", (1,))]
    text = "qubit[5] q; let even = q[0:2:4]; let some = q[{3, 1}] ++ even[1:]; x some; z even[-1]; y q[4:-2:0];"
    assert names(text) == [("x", (3,)), ("x", (1,)), ("x", (2,)), ("x", (4,)), ("z", (4,)), ("y", (4,)), ("y", (2,)), ("y", (0,))]
    assert names("x $2; cx $0, $2;") == [("x", (2,)), ("cx", (0, 2))]
    assert fk.Program.from_qasm("x $2;").n_qubits == 3


def test_loops():
    assert names("qubit[4] q; for uint i in [0:2:3] { h q[i]; }") == [("h", (0,)), ("h", (2,))]
    assert names("qubit[4] q; for int i in [3:-1:2] h q[i];") == [("h", (3,)), ("h", (2,))]
    assert names("qubit[4] q; for int i in {2, 0} { for int j in [0:i - 1] { cx q[i], q[j]; } }") == [("cx", (2, 0)), ("cx", (2, 1))]
    assert names("qubit[2] q; for int i in [1:0] { h q[i]; }") == []
    text = "qubit q; array[float, 2] w = {0.5, 1.5}; for float t in w { rx(t) q; }"
    assert [gate.angle[0].offset for gate in gates(text)] == [0.5, 1.5]
    assert [gate.angle[0].offset for gate in gates("qubit q; for float t in {0.5, -2} { rx(t) q; }")] == [0.5, -2]


def test_definitions_are_inlined():
    text = """
input float x;
const float c = 0.5;
qubit[3] q;
gate twist(a, b) u, v { rx(a * b) u; cz u, v; rz(-a / 2 + c) v; }
gate both(a) u, v { twist(a, 2) v, u; barrier u, v; twist(1, a) u, v; }
both(x + 1) q[2], q[0];
"""
    assert names(text) == [("rx", (0,)), ("cz", (0, 2)), ("rz", (2,)), ("rx", (2,)), ("cz", (2, 0)), ("rz", (0,))]
    angles = [tuple(gate.angle[0]) for gate in gates(text) if gate.angle]
    assert angles == [(2, 0, 2), (-0.5, 0, 0), (1, 0, 1), (0, -1, 0)]


def test_a_definition_overrides_a_standard_name():
    assert names("gate h q { x q; } qubit q; h q;") == [("x", (0,))]
    # One that says what the standard gate is, is that gate.
    assert names("gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; } qubit[2] q; rzz(0.5) q[0], q[1];") == [("rzz", (0, 1))]
    assert names("gate rzz(t) a, b { cx a, b; rz(-t) b; cx a, b; } qubit[2] q; rzz(0.5) q[0], q[1];")[0] == ("cx", (0, 1))


PREPARE = "qubit[3] q; u3(0.3, 1.2, 0.4) q[0]; ry(0.7) q[1]; u(1.3, -0.2, 0.9) q[2]; cx q[0], q[1]; cry(0.4) q[1], q[2]; "


@pytest.mark.parametrize(
    ("modified", "plain"),
    [
        ("ctrl @ x q[0], q[1];", "cx q[0], q[1];"),
        ("ctrl(2) @ x q[0], q[1], q[2];", "ccx q[0], q[1], q[2];"),
        ("ctrl @ ctrl @ z q[0], q[1], q[2];", "ccz q[0], q[1], q[2];"),
        ("negctrl @ x q[0], q[1];", "x q[0]; cx q[0], q[1]; x q[0];"),
        ("negctrl @ ctrl @ x q[0], q[1], q[2];", "x q[0]; ccx q[0], q[1], q[2]; x q[0];"),
        ("ctrl @ rz(0.4) q[2], q[1];", "crz(0.4) q[2], q[1];"),
        ("ctrl @ gphase(0.4) q[2];", "p(0.4) q[2];"),
        ("ctrl @ U(0.1, 0.2, 0.3) q[2], q[0];", "cu3(0.1, 0.2, 0.3) q[2], q[0];"),
        ("ctrl @ swap q[2], q[0], q[1];", "cswap q[2], q[0], q[1];"),
        ("inv @ s q[0];", "sdg q[0];"),
        ("inv @ U(0.1, 0.2, 0.3) q[0];", "U(-0.1, -0.3, -0.2) q[0];"),
        ("inv @ cu(0.1, 0.2, 0.3, 0.4) q[0], q[1];", "cu(-0.1, -0.3, -0.2, -0.4) q[0], q[1];"),
        ("pow(3) @ s q[0];", "sdg q[0];"),
        ("pow(-2) @ t q[0];", "sdg q[0];"),
        ("pow(0) @ h q[0];", ""),
        ("pow(2) @ rx(0.4) q[0];", "rx(0.8) q[0];"),
        ("ctrl @ pow(2) @ inv @ t q[0], q[2];", "csdg q[0], q[2];"),
        ("inv @ ctrl @ sx q[0], q[2];", "ctrl @ sxdg q[0], q[2];"),
        (
            "gate g(a) u, v { ry(a) u; cx u, v; gphase(a); } ctrl @ g(0.3) q[2], q[0], q[1];",
            "cry(0.3) q[2], q[0]; ccx q[2], q[0], q[1]; p(0.3) q[2];",
        ),
        ("gphase(0.3); gphase(-0.1);", "rz(-0.4) q[0]; p(0.4) q[0];"),
        ("ctrl @ x q[0], q[1:2];", "cx q[0], q[1]; cx q[0], q[2];"),
    ],
)
def test_modifiers(modified, plain):
    np.testing.assert_allclose(state(PREPARE + modified), state(PREPARE + plain), atol=1e-13)


def test_version_2():
    text = """OPENQASM 2.0;
include "qelib1.inc";
// a comment
gate entangle(a) x0, y0 { U(a, 0, a^2/3) x0; CX x0, y0; barrier x0, y0; }
qreg first[1];
qreg second[2];
creg c[3];
entangle(3/2) first[0], second[1];
u2(0, pi) second;
cu1(-pi/2^2) first[0], second[0];
measure first -> c[0];
"""
    program = fk.Program.from_qasm(text)
    assert (program.n_qubits, program.n_features) == (3, 0)
    expected = "qubit[3] q; U(1.5, 0, 0.75) q[0]; cx q[0], q[2]; h q[1]; h q[2]; cp(-pi / 4) q[0], q[1];"
    np.testing.assert_allclose(state(text), state(expected), atol=1e-14)


def test_measurements_resets_and_barriers():
    text = (
        "qubit[2] q; bit[2] c; reset q; h q[0]; barrier q; delay[100ns] q[0]; c[0] = measure q[0]; x q[1]; bit d = measure q[1]; measure q;"
    )
    assert names(text) == [("h", (0,)), ("x", (1,))]
    assert names("#pragma keep\n@note this\nqubit q; box { h q; } { x q; }") == [("h", (0,)), ("x", (0,))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (7, r"text must be OpenQASM as str, got int"),
        ("", r"text must hold statements, got ''"),
        ("qubit q; h q", r"text must be OpenQASM 2 or 3, got '<EOF>' at line 1, column 13"),
        ("qubit q;\nh h q;", r"text must be OpenQASM 2 or 3, got .* line 2"),
        ("OPENQASM 4.0; qubit q;", r"the version must be 2.0, 3.0 or 3.1, got 4.0"),
        ("OPENQASM 2.0; opaque g a;", r"opaque gates .* are not read"),
        ("const int n = 2;", r"the circuit must have at least one qubit"),
        ('include "mine.inc"; qubit q;', r"line 1: only stdgates.inc and qelib1.inc may be included, got mine.inc"),
        ("qubit q;\nwarp q;", r"line 2: gates must be standard or defined in the text, got warp"),
        ("qubit q; rx q;", r"rx takes 1 angle\(s\) and 1 qubit\(s\), got 0 and 1"),
        ("qubit[2] q; cx q;", r"cx takes 0 angle\(s\) and 2 qubit\(s\)"),
        ("qubit[2] q; cx q[0], q[0];", r"a gate must act on different qubits"),
        ("qubit[2] q; x q[2];", r"indices must be in 0..1, got q\[2\]"),
        ("qubit[2] q; qubit[3] r; cx q, r;", r"registers in one gate must be equally long"),
        ("qubit q; x q[0];", r"only registers have indices"),
        ("qubit[2] q; let a = q + q[0];", r"gates act on qubits, got q \+ q\[0\]"),
        ("qubit q; x r;", r"names must be declared, got r"),
        ("qubit q; qubit q;", r"names must be declared once, got q"),
        ("qubit[0] q;", r"sizes must be in 1..1,000,000, got 0"),
        ("qubit[1.5] q;", r"sizes must be integers"),
        ("qubit q; x $0;", r"registers or physical qubits"),
        ("x $0; qubit q;", r"registers or physical qubits"),
        ("input int n; qubit q;", r"inputs must be float, angle, or an array of these with one dimension"),
        ("input array[float, 2, 2] x; qubit q;", r"with one dimension"),
        ("input array[float, 2] x; qubit q; rx(x[2]) q;", r"indices must be in 0..1"),
        ("qubit q; rx(1/2) q;", r"write 1.0/2 for a half"),
        ("qubit q; rx(1.0/0) q;", r"numbers must be real and finite"),
        ("qubit q; rx(sqrt(-1)) q;", r"numbers must be real and finite"),
        ("qubit q; bit c; c = measure q; h q;", r"qubit 0 must have no gates after its measurement, got h q; on line 1"),
        ("qubit q; h q; reset q;", r"qubit 0 may be reset only before its first gate"),
        ("qubit q; bit c;\nif (c == 1) { x q; }", r"line 2: the circuit must consist of declarations and gates, got if"),
        ("OPENQASM 2.0; qreg q[1]; creg c[1]; if (c == 1) x q[0];", r"must consist of declarations and gates"),
        ("qubit q; bit c; rx(c) q;", r"not known before the circuit runs"),
        ("qubit q; float a = 1.0; a = 2.0; rx(a) q;", r"must consist of declarations and gates, got a = 2.0"),
        ("qubit q; while (true) { x q; }", r"must consist of declarations and gates"),
        ("def f(qubit a) { x a; } qubit q; f(q);", r"must consist of declarations and gates"),
        ("gate g a { g a; } qubit q; g q;", r"must not lead back to itself, got g"),
        ("qubit[2] q; gate g a { cx a, q; } g q[0];", r"names must be declared, got q"),
        ("gate g a { x a; } gate g a { y a; } qubit q;", r"gates must be defined once"),
        ("gate g a, a { x a; } qubit q;", r"must have different names"),
        ("qubit q; pow(0.5) @ x q;", r"powers must be integers"),
        ("qubit q; pow(5000) @ x q;", r"powers must be at most 1000"),
        ("qubit[2] q; ctrl(3) @ x q[0], q[1];", r"every control needs a qubit"),
        ("qubit q; gphase(0.1) q;", r"gphase acts on no qubit"),
        ("qubit q; for int i in [0:0:3] { x q; }", r"the step of a range must not be zero"),
        ("qubit q; for int i in q { x q; }", r"loops must run over a range"),
        ("qubit q; const bool b = true;", r"constants must be int, float, angle"),
        ("qubit q; const int n = 1.5;", r"an integer must have an integer value"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(fk.InputError, match=r"\[Program.from_qasm\] .*" + message):
        fk.Program.from_qasm(text)


def test_phase_as_pennylane_writes_it():
    header = "OPENQASM 2.0; qreg q[2]; h q[1]; "
    np.testing.assert_allclose(state(header + "gphase(0.3) q[1];"), np.exp(-0.3j) * state(header), atol=1e-14)


def test_powers_of_version_2_bind_first():
    header = "OPENQASM 2.0; qreg q[1]; "
    for text, value in (("-pi/2^2", -math.pi / 4), ("2^2/3", 4 / 3), ("3*2^2+1", 13), ("-2^2", -4), ("1/2", 0.5), ("2^0.5", math.sqrt(2))):
        (gate,) = gates(f"rz({text}) q[0];", header)
        assert gate.angle == (fk.Linear(0.0, -1, value),), text


@pytest.mark.parametrize(
    "text",
    [
        "for int i in [0:999] { for int j in [0:9999] {} }",
        "for int i in [0:999] { for int j in [0:99] { x q; } }",
        "gate a q {" + "x q;" * 90 + "} gate b q {" + "a q;" * 90 + "} gate c q {" + "b q;" * 90 + "} c q;",
        "gate a q { x q; x q; } gate b q { pow(1000) @ a q; } pow(1000) @ b q;",
        "qubit[14] r; ctrl(13) @ x " + ", ".join(f"r[{k}]" for k in range(14)) + ";",
    ],
)
def test_texts_that_would_not_end(text, monkeypatch):
    monkeypatch.setattr("flashket.circuits.gates.MAX_GATES", 10_000)  # the real bound takes ten seconds to reach
    with pytest.raises(fk.ResourceLimit, match=r"a circuit must have at most 10,000 gates"):
        fk.Program.from_qasm("qubit q; " + text)


def test_ranges_and_registers_are_bounded_before_they_are_made():
    for text in ("for int i in [0:999999999999] {}", "qubit[1000000000000] r;", "input array[float, 1000000000000] x;"):
        with pytest.raises(fk.InputError, match=r"1,000,000"):
            fk.Program.from_qasm("qubit q; " + text)
