# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A qiskit.QuantumCircuit as a Program. Qiskit is never imported: the circuit that came brings it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

from flashket.circuits.expression import Expression
from flashket.circuits.gates import Op, assemble, check_length, expand, known_gate
from flashket.circuits.measured import Ends
from flashket.errors import InputError, explanation
from flashket.program import Program

_PLACE = "Program.from_qiskit"
_STANDARD = "qiskit.circuit.library.standard_gates"
_IGNORED = {"barrier", "delay"}
_PROBES = 4
_MAX_DEPTH = 64


def read_qiskit(circuit: Any, parameters: Iterable[Any] | None) -> Program:
    """Return the Program; see :meth:`flashket.Program.from_qiskit`."""
    if not all(hasattr(circuit, name) for name in ("data", "num_qubits", "global_phase", "find_bit", "parameters")):
        do = "for OpenQASM text call fk.Program.from_qasm"
        raise InputError(explanation(_PLACE, "circuit must be a qiskit.QuantumCircuit", type(circuit).__name__, do))
    if circuit.num_qubits < 1:
        raise InputError(explanation(_PLACE, "circuit must have at least one qubit", 0, "nothing can be encoded without one"))
    features: dict[Any, int] = {}
    entries = circuit.parameters if parameters is None else parameters if hasattr(parameters, "__iter__") else (parameters,)
    for entry in entries:
        # A ParameterVector iterates over its elements; a Parameter is one itself.
        for parameter in entry if hasattr(entry, "__iter__") else (entry,):
            if not hasattr(parameter, "assign"):
                do = "pass qiskit.circuit.Parameter objects, e.g. circuit.parameters"
                raise InputError(explanation(_PLACE, "parameters must be Qiskit's", repr(parameter), do))
            if parameter in features:
                raise InputError(explanation(_PLACE, "parameters must be different", repr(parameter), "name each once"))
            features[parameter] = len(features)
    missing = [parameter.name for parameter in circuit.parameters if parameter not in features]
    if missing:
        raise InputError(explanation(_PLACE, "parameters must hold all of the circuit's", f"none called {', '.join(missing)}", "add them"))
    reader = _Reader(features)
    reader.read(circuit, tuple(range(circuit.num_qubits)), 0)
    return assemble(reader.ops, circuit.num_qubits, len(features))


class _Reader:
    """Walks a circuit and the definitions below it; ``ops`` are a Program's gates."""

    def __init__(self, features: dict[Any, int]) -> None:
        self.features = features
        self.ops: list[Op] = []
        self.ends = Ends(_PLACE)

    def read(self, circuit: Any, qubits: tuple[int, ...], depth: int) -> None:
        if depth > _MAX_DEPTH:
            do = "decompose it first"
            raise InputError(explanation(_PLACE, f"definitions must be at most {_MAX_DEPTH} deep", circuit.name, do))
        phase = self.expression(circuit.global_phase, "global_phase")
        if phase != Expression():
            self.ops.append(Op("gphase", (), phase))
        for instruction in circuit.data:
            targets = tuple(qubits[circuit.find_bit(qubit).index] for qubit in instruction.qubits)
            self.instruction(instruction.operation, targets, depth)
            check_length(len(self.ops))

    def instruction(self, operation: Any, qubits: tuple[int, ...], depth: int) -> None:
        name = operation.name
        if name in _IGNORED:
            return
        if name == "measure":
            self.ends.measure(qubits)
        elif name == "reset":
            self.ends.reset(qubits, name)
        # Qiskit 1 warns where its "condition" is only read; Qiskit 2 has none.
        elif getattr(operation, "blocks", None) or getattr(operation, "_condition", None) is not None:
            do = "a feature map is one circuit for all rows"
            raise InputError(explanation(_PLACE, "circuits must have no classical control", name, do))
        elif name == "global_phase":
            self.ops.append(Op("gphase", (), self.expression(operation.params[0], name)))
        elif self.is_standard(operation):
            self.ends.act(qubits, name)
            self.ops += expand(name, [self.expression(value, name) for value in operation.params], qubits)
        elif operation.definition is not None:
            # Of controlled gates a definition tells the matrix, whatever ctrl_state is.
            self.read(operation.definition, qubits, depth + 1)
        else:
            do = "decompose it to gates of Qiskit's library first"
            raise InputError(explanation(_PLACE, "gates must be of Qiskit's library or have a definition", name, do))

    def is_standard(self, operation: Any) -> bool:
        """Say whether the name means Qiskit's gate: users may call theirs anything, and open controls change the name."""
        shape = known_gate(operation.name)
        module = getattr(operation, "base_class", type(operation)).__module__ or ""
        return module.startswith(_STANDARD) and shape == (len(operation.params), operation.num_qubits)

    def expression(self, value: Any, name: str) -> Expression:
        """Return a number or ParameterExpression as Expression; the derivatives at 0 are the coefficients."""
        parameters = sorted(getattr(value, "parameters", ()), key=lambda parameter: self.features[parameter])
        try:
            if not parameters:
                return Expression(float(value))
            zero = dict.fromkeys(parameters, 0.0)
            slopes = {parameter: value.gradient(parameter) for parameter in parameters}
            linear = {self.features[parameter]: _at(slope, zero) for parameter, slope in slopes.items()}
            quadratic = {}
            for k, first in enumerate(parameters):
                for second in parameters[k:]:
                    curvature = slopes[first].gradient(second) if hasattr(slopes[first], "gradient") else 0.0
                    scale = _at(curvature, zero) / (2 if first is second else 1)
                    quadratic[self.features[first], self.features[second]] = scale
            found = Expression.polynomial(_at(value, zero), linear, quadratic)
            if all(self.agrees(found, value, parameters, seed) for seed in range(_PROBES)):
                return found
        except (TypeError, ValueError, ArithmeticError, RuntimeError, NotImplementedError, AttributeError):
            pass  # Qiskit refuses what has no derivative or is complex
        do = "bind or rewrite the parameter"
        raise InputError(explanation(_PLACE, "angles must be real polynomials of degree two in the parameters", f"{name}({value})", do))

    def agrees(self, found: Expression, value: Any, parameters: list[Any], seed: int) -> bool:
        """Compare at a point, to rounding of the largest term."""
        draw = random.Random(seed)
        point = {parameter: draw.uniform(-7.0, 7.0) for parameter in parameters}
        x = {self.features[parameter]: number for parameter, number in point.items()}
        terms = [found.offset, *(scale * x[i] for i, scale in found.scales)]
        terms += [left.scale * x[left.feature] * right.scale * x[right.feature] for left, right in found.products]
        return abs(_at(value, point) - math.fsum(terms)) <= 1e-12 * max(map(abs, terms))


def _at(value: Any, point: dict[Any, float]) -> float:
    """Evaluate a ParameterExpression or number."""
    used = getattr(value, "parameters", ())
    return float(value.bind({parameter: point[parameter] for parameter in used}) if used else value)
