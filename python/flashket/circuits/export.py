# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A Program as OpenQASM 3 text."""

from __future__ import annotations

from collections.abc import Sequence

from flashket.circuits.expression import Expression
from flashket.circuits.gates import WRITTEN, Op, written
from flashket.program import Gate, Linear, Program


def write_qasm(program: Program) -> str:
    """Return the text; see :meth:`flashket.Program.to_qasm`."""
    lines = [*_head(program.n_features, {gate.name for gate in program.gates}), f"qubit[{program.n_qubits}] q;"]
    return "\n".join([*lines, *map(_statement, program.gates)]) + "\n"


def write_measured_qasm(parts: Sequence[Program], measured: Sequence[int]) -> str:
    """Return the text; see :meth:`flashket.qpu.MeasuredCircuit.to_qasm`."""
    lines = [*_head(0, {gate.name for part in parts for gate in part.gates}), f"qubit[{parts[0].n_qubits}] q;", f"bit[{len(measured)}] c;"]
    for index, part in enumerate(parts):
        lines += ["barrier q;"] * (index > 0) + [_statement(gate) for gate in part.gates]
    return "\n".join([*lines, *(f"c[{bit}] = measure q[{qubit}];" for bit, qubit in enumerate(measured))]) + "\n"


def _head(n_features: int, used: set[str]) -> list[str]:
    # One scalar for each feature: not every reader takes arrays as inputs.
    inputs = [f"input float[64] x_{feature};" for feature in range(n_features)]
    return ["OPENQASM 3.0;", 'include "stdgates.inc";', *inputs, *(_definition(name) for name in WRITTEN if name in used)]


def _definition(name: str) -> str:
    """Return ``gate name(t) a, b { ... }``; the symbol t is feature 0 while the body is written."""
    body = " ".join(_operation(op) for op in written(name, [Expression.feature(0)], [0, 1]))
    return f"gate {name}(t) a, b {{ {body} }}"


def _operation(op: Op) -> str:
    names = ", ".join("ab"[qubit] for qubit in op.qubits)
    if op.angle is None:
        return f"{op.name} {names};"
    text = repr(op.angle.offset) if op.angle.is_constant else "t"
    return f"{op.name}({text}) {names};"


def _statement(gate: Gate) -> str:
    qubits = ", ".join(f"q[{qubit}]" for qubit in gate.qubits)
    if not gate.angle:
        return f"{gate.name} {qubits};"
    factors = [_factor(factor) for factor in gate.angle]
    angle = factors[0] if len(factors) == 1 else " * ".join(f"({factor})" for factor in factors)
    return f"{gate.name}({angle}) {qubits};"


def _factor(factor: Linear) -> str:
    scale, feature, offset = (float(factor.scale), factor.feature, float(factor.offset))
    if feature < 0 or scale == 0:
        return repr(offset)
    name = f"x_{feature}"
    term = {1.0: name, -1.0: f"-{name}"}.get(scale, f"{scale!r} * {name}")
    if offset == 0:
        return term
    return f"{term} {'+' if offset > 0 else '-'} {abs(offset)!r}"
