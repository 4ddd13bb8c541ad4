# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Names and values in an OpenQASM text: numbers, features, qubits, and the expressions over them."""

from __future__ import annotations

import math
from collections import ChainMap
from typing import Any, NamedTuple, TypeAlias

from flashket.circuits.expression import DegreeError, Expression
from flashket.errors import InputError, explanation

PLACE = "Program.from_qasm"
MAX_SIZE = 1_000_000
"""Longest register, array or range."""

Number: TypeAlias = "int | Expression"
"""Integers stay integers: they count and index, and dividing them is not dividing reals."""


class Register(NamedTuple):
    """Qubits under one name; gates on a register act on each of its qubits, gates on a single qubit do not broadcast."""

    qubits: tuple[int, ...]
    is_register: bool


class Classical(NamedTuple):
    """A name whose value is not known before the circuit runs."""

    name: str


_CONSTANTS = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}
_FUNCTIONS = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log,
    "sqrt": math.sqrt,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
}
_ANGLES = "angles must be a x_i + b, products of two such, or sums of these"
_LARGEST_POWER = 64


def refusal(node: Any, wanted: str, do: str, got: str | None = None) -> InputError:
    """Return the error that names a node's line and text."""
    return InputError(explanation(PLACE, f"line {node.span.start_line}: {wanted}", source(node) if got is None else got, do))


def source(node: Any) -> str:
    """Return a node's text, shortened."""
    import openqasm3

    text = " ".join(openqasm3.dumps(node).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


class Values:
    """Evaluates expressions in nested scopes.

    Parameters
    ----------
    version : int
        2 or 3: in version 2 all numbers are real.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.names: ChainMap[str, Any] = ChainMap()

    def declare(self, node: Any, name: str, value: Any) -> None:
        """Give a name a value in the innermost scope."""
        if name in self.names.maps[0]:
            raise refusal(node, "names must be declared once", "rename one", name)
        self.names[name] = value

    def lookup(self, node: Any, name: str) -> Any:
        """Return what a name means."""
        if name in self.names:
            return self.names[name]
        if name in _CONSTANTS:
            return Expression(_CONSTANTS[name])
        raise refusal(node, "names must be declared", "check the spelling", name)

    def number(self, node: Any) -> Number:
        """Return an expression's value."""
        value = self.value(node)
        if isinstance(value, (int, Expression)):
            return value
        do = (
            "a measured or unset value is not known before the circuit runs"
            if isinstance(value, Classical)
            else "name one element or value"
        )
        raise refusal(node, _ANGLES, do)

    def angle(self, node: Any) -> Expression:
        """Return an expression's value as an angle in radians."""
        value = self.number(node)
        return self.real(node, value) if isinstance(value, int) else value

    def real(self, node: Any, value: int) -> Expression:
        """Return an integer as a real constant."""
        try:
            return Expression(float(value))
        except OverflowError:
            raise refusal(node, "numbers must be finite", "use smaller ones") from None

    def integer(self, node: Any, wanted: str) -> int:
        """Return an expression's value if it is an integer constant."""
        value = self.number(node)
        if not isinstance(value, int) or abs(value) > 2**63:
            raise refusal(node, wanted, "it must be known before the circuit runs")
        return value

    def value(self, node: Any) -> Any:
        kind = type(node).__name__
        if kind == "IntegerLiteral":
            return int(node.value)
        if kind == "FloatLiteral":
            return Expression(float(node.value))
        if kind == "Identifier":
            return self.lookup(node, node.name)
        if kind == "UnaryExpression" and node.op.name == "-":
            return -self.number(node.expression)
        if kind == "BinaryExpression":
            return self.binary(node)
        if kind == "IndexExpression":
            return self.element(node)
        if kind == "FunctionCall":
            return self.function(node)
        if kind == "Cast" and type(node.type).__name__ in ("FloatType", "AngleType"):
            return self.angle(node.argument)
        if kind == "Cast" and type(node.type).__name__ in ("IntType", "UintType"):
            return self.integer(node.argument, "only integers may be cast to integers")
        raise refusal(node, _ANGLES, "compute it before, or declare it as an input")

    def binary(self, node: Any) -> Number:
        left, right, op = self.number(node.lhs), self.number(node.rhs), node.op.name
        if isinstance(left, int) and isinstance(right, int) and (op != "/" or self.version == 3):
            return self.integers(node, left, right, op)
        x = self.real(node, left) if isinstance(left, int) else left
        y = self.real(node, right) if isinstance(right, int) else right
        try:
            if op == "+":
                return x + y
            if op == "-":
                return x - y
            if op == "*":
                return x * y
            if op == "/" and y.is_constant:
                return Expression(x.offset / y.offset) if x.is_constant else x * (1 / y.offset)
            if op == "**" and y.is_constant:
                return self.raised(x, y.offset)
        except DegreeError:
            raise refusal(node, _ANGLES, "no single gate has an angle of degree three or more") from None
        except (ArithmeticError, TypeError):
            raise refusal(node, "numbers must be real and finite", "check divisors and powers") from None
        raise refusal(node, _ANGLES, "only +, -, * and division by constants keep that form")

    def raised(self, base: Expression, exponent: float) -> Expression:
        if base.is_constant:
            return Expression(float(base.offset**exponent))
        if exponent not in (0, 1, 2):
            raise DegreeError
        return Expression(1.0) if exponent == 0 else base if exponent == 1 else base * base

    def integers(self, node: Any, left: int, right: int, op: str) -> Number:
        if op in ("+", "-", "*"):
            return {"+": left + right, "-": left - right, "*": left * right}[op]
        if op == "/" and right and left % right == 0:
            return left // right
        if op == "%" and right:
            return math.trunc(math.fmod(left, right)) if max(abs(left), abs(right)) < 2**53 else left % right
        if op == "**" and 0 <= right <= _LARGEST_POWER and abs(left) < 2**63:
            return int(left**right)
        if op == "**" and left and -_LARGEST_POWER <= right < 0:
            return Expression(float(left) ** right)
        do = "in OpenQASM 3 the quotient of integers is an integer: write 1.0/2 for a half" if op == "/" else "use real numbers"
        raise refusal(node, "integers must combine to integers", do)

    def function(self, node: Any) -> Expression:
        name = node.name.name
        arguments = [self.angle(argument) for argument in node.arguments]
        if name not in _FUNCTIONS or len(arguments) != 1 or not arguments[0].is_constant:
            raise refusal(node, _ANGLES, "functions take one constant; compute functions of features before encoding")
        try:
            return Expression(_FUNCTIONS[name](arguments[0].offset))
        except (ValueError, OverflowError):
            raise refusal(node, "numbers must be real and finite", "check the argument") from None

    def element(self, node: Any) -> Any:
        array = self.value(node.collection)
        if not isinstance(array, list) or not isinstance(node.index, list) or len(node.index) != 1:
            raise refusal(node, _ANGLES, "index an input array or a constant array once")
        chosen, is_single = self.select(range(len(array)), node.index, node)
        if not is_single:
            raise refusal(node, _ANGLES, "name one element")
        return array[chosen[0]]

    def span(self, node: Any, start: int, stop: int) -> range:
        """Return a range as integers, both ends included; a missing end is ``start`` or ``stop``."""
        wanted = "the ends of a range must be integers"
        step = 1 if node.step is None else self.integer(node.step, wanted)
        if step == 0:
            raise refusal(node, "the step of a range must not be zero", "use 1 or -1", source(node.step))
        first = (start if step > 0 else stop) if node.start is None else self.integer(node.start, wanted)
        last = (stop if step > 0 else start) if node.end is None else self.integer(node.end, wanted)
        found = range(first, last + (1 if step > 0 else -1), step)
        if found and abs(found[-1] - found[0]) // abs(step) >= MAX_SIZE:
            raise refusal(node, f"ranges must be at most {MAX_SIZE:,} long", "split it", f"{first}:{step}:{last}")
        return found

    def select(self, items: Any, index: Any, node: Any) -> tuple[tuple[int, ...], bool]:
        """Return what an index takes from a sequence, and whether that is a single element."""
        length = len(items)
        parts = index.values if type(index).__name__ == "DiscreteSet" else index
        is_single = parts is index and len(parts) == 1
        positions: list[int] = []
        for part in parts:
            if type(part).__name__ == "RangeDefinition":
                is_single = False
                if part.start is not None or part.end is not None:
                    ends = [None if end is None else self.position(end, length, node) for end in (part.start, part.end)]
                    step = 1 if part.step is None else self.integer(part.step, "steps must be integers")
                    first = ends[0] if ends[0] is not None else 0 if step > 0 else length - 1
                    last = ends[1] if ends[1] is not None else length - 1 if step > 0 else 0
                    if step == 0:
                        raise refusal(node, "the step of a range must not be zero", "use 1 or -1")
                    positions += range(first, last + (1 if step > 0 else -1), step)
                else:
                    positions += self.span(part, 0, length - 1)
            else:
                positions.append(self.position(part, length, node))
        return tuple(items[position] for position in positions), is_single

    def position(self, part: Any, length: int, node: Any) -> int:
        found = self.integer(part, "an index must be an integer")
        if not -length <= found < length:
            raise refusal(node, f"indices must be in 0..{length - 1}", "check the size that was declared")
        return found % length
