# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""OpenQASM 2 and 3 as a Program. The text is parsed by the language's own package, openqasm3; what it means is here."""

from __future__ import annotations

from collections import ChainMap
from typing import Any, NamedTuple

from flashket.circuits.expression import Expression
from flashket.circuits.gates import (
    WRITTEN,
    Op,
    assemble,
    check_length,
    control,
    expand,
    inverse,
    known_gate,
    power,
    written,
)
from flashket.circuits.measured import Ends
from flashket.circuits.qasm_values import MAX_SIZE, PLACE, Classical, Register, Values, refusal, source
from flashket.errors import BackendUnavailable, InputError, explanation
from flashket.program import Program

_KNOWN_FILES = ("stdgates.inc", "qelib1.inc")
_VERSIONS = {None: 3, "2": 2, "2.0": 2, "3": 3, "3.0": 3, "3.1": 3}
_LARGEST_EXPONENT = 1000
_NOTHING = {"QuantumBarrier", "DelayInstruction", "Pragma", "CalibrationGrammarDeclaration"}
_IN_GATES = {"QuantumGate", "QuantumPhase", "QuantumBarrier", "DelayInstruction", "ForInLoop", "CompoundStatement", "Box"}


def read_qasm(text: str) -> Program:
    """Return the Program; see :meth:`flashket.Program.from_qasm`."""
    if not isinstance(text, str):
        do = "read the file first: Path(name).read_text()"
        raise InputError(explanation(PLACE, "text must be OpenQASM as str", type(text).__name__, do))
    try:
        tree = _parsed(text)
        if _VERSIONS.get(tree.version) == 2 and "^" in text:
            # Version 3 reads ^ as exclusive or, which binds less than + and would regroup the angle.
            tree = _parsed(text.replace("^", "**"))
        if tree.version not in _VERSIONS:
            raise InputError(explanation(PLACE, "the version must be 2.0, 3.0 or 3.1", tree.version, "export it as OpenQASM 3"))
        reader = _Reader(_VERSIONS[tree.version])
        reader.run(tree.statements)
    except RecursionError:
        do = "simplify expressions and definitions"
        raise InputError(explanation(PLACE, "nesting must fit Python's recursion limit", "more", do)) from None
    if not reader.n_qubits:
        do = "declare some: qubit[2] q;"
        raise InputError(explanation(PLACE, "the circuit must have at least one qubit", 0, do))
    return assemble(reader.ops, reader.n_qubits, reader.n_features)


def _parsed(text: str) -> Any:
    try:
        from openqasm3 import parser
    except ImportError as error:
        do = "pip install 'flashket[qasm]'"
        raise BackendUnavailable(explanation(PLACE, "reading OpenQASM needs the package openqasm3[parser]", str(error), do)) from None
    try:
        return parser.parse(text)
    except AttributeError:  # the parser asks for the last token of a text that has none
        do = "pass the text of a circuit, not a file's name"
        raise InputError(explanation(PLACE, "text must hold statements", repr(text[:40]), do)) from None
    except parser.QASM3ParsingError as error:
        # The parser wraps the grammar's exception, and that one the token at which it gave up.
        inner = error.__cause__.args[0] if error.__cause__ is not None and error.__cause__.args else None
        token = getattr(inner, "offendingToken", None)
        if token is not None:
            got = f"{token.text!r} at line {token.line}, column {token.column + 1}"
        else:
            got = str(error) or "something else"
        do = "of OpenQASM 2, opaque gates and names that are words of OpenQASM 3 are not read"
        raise InputError(explanation(PLACE, "text must be OpenQASM 2 or 3", got, do)) from None


class _Definition(NamedTuple):
    """A gate that the text defines."""

    angles: tuple[str, ...]
    qubits: tuple[str, ...]
    body: list[Any]


class _Reader:
    """Carries statements out one by one; ``ops`` are a Program's gates."""

    def __init__(self, version: int) -> None:
        self.values = Values(version)
        self.ends = Ends(PLACE)
        self.definitions: dict[str, _Definition] = {}
        self.expanding: list[str] = []
        self.ops: list[Op] = []
        self.n_qubits = self.n_features = 0
        self.n_steps = 0
        self.n_physical = 0

    def run(self, statements: list[Any]) -> None:
        for statement in statements:
            # Steps count too: a loop may make no gates and still never end.
            self.n_steps += 1
            check_length(max(self.n_steps, len(self.ops)))
            name = type(statement).__name__
            if self.expanding and name not in _IN_GATES:
                raise refusal(statement, "a gate's definition may hold only gates", "move the statement out")
            if name in _NOTHING:
                continue
            handler = getattr(self, f"run_{name}", None)
            if handler is None:
                do = "a feature map is one list of gates: no classical control, subroutines or calibrations"
                raise refusal(statement, "the circuit must consist of declarations and gates", do)
            handler(statement)

    def block(self, statements: list[Any], names: dict[str, Any]) -> None:
        """Run statements in a scope of their own."""
        self.n_steps += 1  # an empty body has no statement to count
        check_length(self.n_steps)
        outer = self.values.names
        self.values.names = outer.new_child(names)
        try:
            self.run(statements)
        finally:
            self.values.names = outer

    # Declarations.

    def run_Include(self, node: Any) -> None:
        if node.filename not in _KNOWN_FILES:
            do = "paste the file's definitions into the text"
            raise refusal(node, f"only {' and '.join(_KNOWN_FILES)} may be included", do, node.filename)

    def run_QubitDeclaration(self, node: Any) -> None:
        size = 1 if node.size is None else self.size(node.size)
        if self.n_physical:
            raise refusal(node, "a circuit has registers or physical qubits ($0), not both", "use one kind")
        self.values.declare(node, node.qubit.name, Register(tuple(range(self.n_qubits, self.n_qubits + size)), node.size is not None))
        self.n_qubits += size

    def size(self, node: Any) -> int:
        found = self.values.integer(node, "sizes must be integers")
        if not 1 <= found <= MAX_SIZE:
            raise refusal(node, f"sizes must be in 1..{MAX_SIZE:,}", "check the declaration")
        return found

    def run_IODeclaration(self, node: Any) -> None:
        name, kind = node.identifier.name, type(node.type).__name__
        if node.io_identifier.name == "output":
            self.values.declare(node, name, Classical(name))
            return
        element = node.type.base_type if kind == "ArrayType" else node.type
        if type(element).__name__ not in ("FloatType", "AngleType") or (kind == "ArrayType" and len(node.type.dimensions) != 1):
            do = "features are real: input float x; or input array[float, 4] x;"
            raise refusal(node, "inputs must be float, angle, or an array of these with one dimension", do)
        if kind == "ArrayType":
            size = self.size(node.type.dimensions[0])
            features: Any = [Expression.feature(self.n_features + k) for k in range(size)]
        else:
            size, features = 1, Expression.feature(self.n_features)
        if self.n_features + size > MAX_SIZE:
            raise refusal(node, f"a circuit must have at most {MAX_SIZE:,} features", "declare fewer inputs")
        self.values.declare(node, name, features)
        self.n_features += size

    def run_ConstantDeclaration(self, node: Any) -> None:
        self.values.declare(node, node.identifier.name, self.initial(node))

    def run_ClassicalDeclaration(self, node: Any) -> None:
        value: Any = Classical(node.identifier.name)
        if type(node.init_expression).__name__ == "QuantumMeasurement":
            self.measure(node.init_expression)
        elif node.init_expression is not None and type(node.type).__name__ not in ("BitType", "BoolType"):
            value = self.initial(node)
        self.values.declare(node, node.identifier.name, value)

    def initial(self, node: Any) -> Any:
        """Return a declared value; assignments are refused, so it stays."""
        kind = type(node.type).__name__
        if kind in ("IntType", "UintType"):
            return self.values.integer(node.init_expression, "an integer must have an integer value")
        if kind in ("FloatType", "AngleType"):
            return self.values.angle(node.init_expression)
        if kind == "ArrayType" and type(node.init_expression).__name__ == "ArrayLiteral":
            return [self.values.number(value) for value in node.init_expression.values]
        raise refusal(node, "constants must be int, float, angle, or an array of these", "leave others out")

    def run_AliasStatement(self, node: Any) -> None:
        self.values.declare(node, node.target.name, self.operand(node.value))

    def run_QuantumGateDefinition(self, node: Any) -> None:
        name = node.name.name
        if name in self.definitions:
            raise refusal(node, "gates must be defined once", "rename one", name)
        angles, qubits = (tuple(entry.name for entry in entries) for entries in (node.arguments, node.qubits))
        if len({*angles, *qubits}) != len(angles) + len(qubits):
            raise refusal(node, "the parameters of a gate must have different names", "rename one", name)
        self.definitions[name] = _Definition(angles, qubits, node.body)

    # Statements.

    def run_CompoundStatement(self, node: Any) -> None:
        self.block(node.statements, {})

    def run_Box(self, node: Any) -> None:
        self.block(node.body, {})

    def run_ForInLoop(self, node: Any) -> None:
        kind, choice = type(node.set_declaration).__name__, node.set_declaration
        if kind == "RangeDefinition" and choice.start is not None and choice.end is not None:
            items: Any = self.values.span(choice, 0, 0)
        elif kind == "DiscreteSet":
            items = [self.values.number(value) for value in choice.values]
        else:
            items = self.values.value(choice) if kind == "Identifier" else None
            if not isinstance(items, list):
                raise refusal(node, "loops must run over a range, a set or a constant array", "write for int i in [0:3]")
        for item in items:
            self.block(node.block, {node.identifier.name: item})

    def run_QuantumMeasurementStatement(self, node: Any) -> None:
        self.measure(node.measure)

    def run_QuantumReset(self, node: Any) -> None:
        self.ends.reset(self.operand(node.qubits).qubits, f"{source(node)} on line {node.span.start_line}")

    def measure(self, node: Any) -> None:
        self.ends.measure(self.operand(node.qubit).qubits)

    def run_QuantumPhase(self, node: Any) -> None:
        self.apply(node, "gphase", [self.values.angle(node.argument)])

    def run_QuantumGate(self, node: Any) -> None:
        self.apply(node, node.name.name, [self.values.angle(argument) for argument in node.arguments])

    # Gates.

    def apply(self, node: Any, name: str, angles: list[Expression]) -> None:
        operands = [self.operand(operand) for operand in node.qubits]
        lengths = {len(operand.qubits) for operand in operands if operand.is_register}
        if len(lengths) > 1:
            raise refusal(node, "registers in one gate must be equally long", "index their qubits")
        for k in range(lengths.pop() if lengths else 1):
            qubits = [operand.qubits[k if operand.is_register else 0] for operand in operands]
            if len(set(qubits)) != len(qubits):
                raise refusal(node, "a gate must act on different qubits", "check the indices")
            self.ends.act(qubits, f"{source(node)} on line {node.span.start_line}")
            self.ops += self.modified(node, node.modifiers, name, angles, qubits)
            check_length(len(self.ops))

    def modified(self, node: Any, modifiers: list[Any], name: str, angles: list[Expression], qubits: list[int]) -> list[Op]:
        """Return a gate under its modifiers; the leftmost acts last and takes the first qubits."""
        if not modifiers:
            return self.called(node, name, angles, qubits)
        first, rest = modifiers[0], modifiers[1:]
        kind = first.modifier.name
        if kind == "inv":
            return inverse(self.modified(node, rest, name, angles, qubits))
        if kind == "pow":
            exponent = self.values.integer(first.argument, "powers must be integers")
            if abs(exponent) > _LARGEST_EXPONENT:
                raise refusal(node, f"powers must be at most {_LARGEST_EXPONENT}", "multiply the angle instead", str(exponent))
            return power(self.modified(node, rest, name, angles, qubits), exponent)
        count = 1 if first.argument is None else self.values.integer(first.argument, "the number of controls must be an integer")
        if not 1 <= count <= len(qubits):
            raise refusal(node, "every control needs a qubit", "list controls first")
        controls = qubits[:count]
        ops = self.modified(node, rest, name, angles, qubits[count:])
        for qubit in controls:
            ops = control(ops, qubit)
        flips = [Op("x", (qubit,)) for qubit in controls] if kind == "negctrl" else []
        return [*flips, *ops, *flips]

    def called(self, node: Any, name: str, angles: list[Expression], qubits: list[int]) -> list[Op]:
        """Return a gate without modifiers as a Program's gates."""
        if name == "gphase":
            if self.values.version == 2 and len(qubits) == 1:
                # Version 2 has no gphase. PennyLane writes it there with a qubit behind it, and means its GlobalPhase, e^(-i angle).
                return [Op("gphase", (), -angles[0])]
            if qubits:
                raise refusal(node, "gphase acts on no qubit but its controls", "leave the qubits out")
            return [Op("gphase", (), angles[0])]
        definition = self.definitions.get(name)
        shape = known_gate(name) if definition is None else (len(definition.angles), len(definition.qubits))
        if shape is None:
            raise refusal(node, "gates must be standard or defined in the text", "add gate NAME(angles) qubits { ... }", name)
        if shape != (len(angles), len(qubits)):
            wanted = f"{name} takes {shape[0]} angle(s) and {shape[1]} qubit(s)"
            raise refusal(node, wanted, "check the call", f"{len(angles)} and {len(qubits)}")
        if definition is None:
            return expand(name, angles, qubits)
        ops = self.inlined(node, name, definition, angles, qubits)
        # An exported text defines these by the very gates below: then they are a Program's own.
        if name in WRITTEN and shape == known_gate(name) and ops == written(name, angles, qubits):
            return expand(name, angles, qubits)
        return ops

    def inlined(self, node: Any, name: str, definition: _Definition, angles: list[Expression], qubits: list[int]) -> list[Op]:
        if name in self.expanding:
            raise refusal(node, "a gate's definition must not lead back to itself", "break the circle", name)
        names: dict[str, Any] = dict(zip(definition.angles, angles, strict=True))
        names |= {qubit: Register((index,), False) for qubit, index in zip(definition.qubits, qubits, strict=True)}
        outer, ops = self.values.names, self.ops
        # Of what is outside, a definition sees constants; registers would let it touch qubits it was not given.
        constants = {key: value for key, value in outer.maps[-1].items() if not isinstance(value, Register)}
        self.values.names, self.ops = ChainMap({}, names, constants), []
        self.expanding.append(name)
        try:
            self.run(definition.body)
            return self.ops
        finally:
            self.expanding.pop()
            self.values.names, self.ops = outer, ops

    # Qubits.

    def operand(self, node: Any) -> Register:
        """Return the qubits that a name, an index or a concatenation stands for."""
        kind = type(node).__name__
        if kind == "Concatenation":
            return Register(self.operand(node.lhs).qubits + self.operand(node.rhs).qubits, True)
        if kind == "Identifier":
            return self.named(node, node.name)
        if kind not in ("IndexedIdentifier", "IndexExpression"):
            raise refusal(node, "gates act on qubits", "write a name, an index, or a concatenation with ++")
        collection, indices = (node.name, node.indices) if kind == "IndexedIdentifier" else (node.collection, [node.index])
        found = self.operand(collection)
        for index in indices:
            if not found.is_register:
                raise refusal(node, "only registers have indices", "name the qubit alone")
            chosen, is_single = self.values.select(found.qubits, index, node)
            found = Register(chosen, not is_single)
        return found

    def named(self, node: Any, name: str) -> Register:
        if name.startswith("$"):
            index = int(name[1:])
            if self.n_qubits > self.n_physical or index >= MAX_SIZE:
                raise refusal(node, "a circuit has registers or physical qubits ($0), not both", "use one kind", name)
            self.n_qubits = self.n_physical = max(self.n_physical, index + 1)
            return Register((index,), False)
        found = self.values.lookup(node, name)
        if not isinstance(found, Register):
            raise refusal(node, "gates act on qubits", "check the name", name)
        return found
