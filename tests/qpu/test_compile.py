# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Compilation to devices' gates: the same unitary, on edges only, in few pulses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import flashket as fk
from flashket import reference
from flashket.noise.exact import gram
from flashket.noise.lower import lower
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program
from flashket.qpu import DeviceProfile, MeasuredCircuit, NativeCircuit, compile_circuit, compile_pair, load_profile
from flashket.qpu.runs import value_of

TORINO = load_profile("ibm_torino")

ALLOWED = {"cz": {"cz"}, "cx": {"cx"}, "ecr": {"cx"}, "rzz": {"rzz"}, "sqrt_iswap": {"rxx", "ryy", "rzz"}}


def device(n: int, edges: tuple[tuple[int, int], ...] | None, one: str = "sx", two: str = "cz") -> DeviceProfile:
    """A device with made-up numbers that differ from qubit to qubit."""
    count = 1 if edges is None else len(edges)

    def spread(value: float, size: int) -> tuple[float, ...]:
        return tuple(value * (1 + 0.1 * math.sin(7.0 * k + value)) for k in range(size))

    return replace(
        TORINO,
        name="made-up",
        broken_edges=(),
        error_2q_parallel=None,
        labels=(),
        layer_fidelity=(),
        n_qubits=n,
        edges=edges,
        one_qubit_gate=one,
        two_qubit_gate=two,
        t1=spread(100e-6, n),
        t2=spread(120e-6, n),
        error_1q=spread(3e-4, n),
        duration_1q=spread(32e-9, n),
        readout_p10=spread(0.01, n),
        readout_p01=spread(0.02, n),
        duration_readout=spread(1e-6, n),
        error_2q=spread(5e-3, count),
        duration_2q=spread(70e-9, count),
    )


def line(n: int) -> tuple[tuple[int, int], ...]:
    return tuple((k, k + 1) for k in range(n - 1))


def ring(n: int) -> tuple[tuple[int, int], ...]:
    return (*line(n), (n - 1, 0))


GRID = (*((3 * r + c, 3 * r + c + 1) for r in range(2) for c in range(2)), *((c, c + 3) for c in range(3)))
STAR = ((0, 1), (0, 2), (0, 3), (0, 4))
SQUARE = (*((3 * r + c, 3 * r + c + 1) for r in range(3) for c in range(2)), *((c, c + 3) for c in range(6)))
PLACES: dict[str, Any] = {"line": line(5), "ring": ring(6), "grid": GRID, "star": STAR, "all": None}


def random_program(rng: np.random.Generator, n: int, n_gates: int, n_features: int) -> Program:
    """Gates of every kind; angles of zero, one and two features, special angles among them."""

    def factor() -> Linear:
        if n_features and rng.random() < 0.7:
            return Linear(float(rng.normal()), int(rng.integers(n_features)), float(rng.choice([0.0, rng.normal()])))
        return Linear(0.0, -1, float(rng.choice([0.0, math.pi / 2, -math.pi, rng.normal(scale=3)])))

    gates = []
    for name in rng.choice(list(OPCODES), n_gates):
        if n == 1 and name in TWO_QUBIT:
            continue
        qubits = tuple(int(q) for q in rng.permutation(n)[: 2 if name in TWO_QUBIT else 1])
        angle = tuple(factor() for _ in range(int(rng.integers(1, 3)))) if name in WITH_ANGLE else ()
        gates.append(Gate(str(name), qubits, angle))
    return Program(n, n_features, tuple(gates))


def joined(n_features: int, *parts: Program) -> Program:
    return Program(parts[0].n_qubits, n_features, tuple(gate for part in parts for gate in part.gates))


def assert_same(native: NativeCircuit, wanted: np.ndarray, features: np.ndarray) -> None:
    """The native circuit prepares ``wanted`` on its measured wires, up to a phase."""
    got = reference.run_program(joined(len(features), *(part.program for part in native.parts)), features[None])[0]
    n = len(native.qubits)
    # Wire measured[q] holds qubit q; axes of a state are from the highest qubit down.
    tensor = got.reshape((2,) * n).transpose([n - 1 - native.measured[q] for q in reversed(range(n))]).reshape(-1)
    assert abs(np.vdot(wanted, tensor)) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(tensor, wanted * np.vdot(wanted, tensor), atol=1e-12)


def assert_native(native: NativeCircuit) -> None:
    edges = native.profile.edges
    for part in native.parts:
        assert len(part.pulses) == len(part.program.gates)
        for gate, pulses in zip(part.program.gates, part.pulses, strict=True):
            if len(gate.qubits) == 2:
                assert gate.name in ALLOWED[native.profile.two_qubit_gate]
                pair = tuple(native.qubits[wire] for wire in gate.qubits)
                assert edges is None or pair in edges or (pair[::-1] in edges and gate.name != "cx")
            else:
                assert gate.name in ("rz", "rx", "ry")
                assert gate.name != "rz" or not pulses or native.profile.two_qubit_gate == "sqrt_iswap"


@pytest.mark.parametrize("two", ["cz", "cx", "ecr", "rzz", "sqrt_iswap"])
@pytest.mark.parametrize("one", ["sx", "u"])
@pytest.mark.parametrize("place", PLACES)
def test_random_programs_keep_their_state(place: str, one: str, two: str) -> None:
    rng = np.random.default_rng(sum(map(ord, place + one + two)))
    edges = PLACES[place]
    size = 1 + max(max(edge) for edge in edges) if edges else 5
    profile = device(size, edges, one, two)
    for _ in range(3):
        program = random_program(rng, 5, 40, 0)
        layout = (0, 1, 2, 3, 4)
        native = compile_circuit(MeasuredCircuit((program, program), layout), profile, layout=layout)
        assert_native(native)
        assert_same(native, reference.run_program(joined(0, program, program), np.zeros((1, 0)))[0], np.zeros(0))


@pytest.mark.parametrize("two", ["cz", "cx", "ecr", "rzz", "sqrt_iswap"])
@pytest.mark.parametrize("one", ["sx", "u"])
@pytest.mark.parametrize("place", PLACES)
def test_symbolic_pairs_keep_their_states(place: str, one: str, two: str) -> None:
    rng = np.random.default_rng(1 + sum(map(ord, place + one + two)))
    edges = PLACES[place]
    size = 1 + max(max(edge) for edge in edges) if edges else 5
    profile = device(size, edges, one, two)
    for _ in range(3):
        program = random_program(rng, 5, 40, 3)
        native = compile_pair(program, profile, layout=(4, 3, 0, 1, 2))
        assert_native(native)
        x, y = rng.normal(size=(2, 3))
        # U(x)^dagger after U(x) is the identity, and U(y)^dagger after U(x) has the overlap for amplitude of zero.
        assert_same(native, np.eye(1, 32)[0], x)
        both = joined(0, native.parts[0].program.bind(x), native.parts[1].program.bind(y))
        (zero, *_) = reference.run_program(both, np.zeros((1, 0)))[0]
        left, right = reference.run_program(program, np.stack([y, x]))
        assert abs(zero) == pytest.approx(abs(np.vdot(left, right)), abs=1e-12)


def test_feature_maps_on_heavy_hex_and_grid() -> None:
    rng = np.random.default_rng(5)
    for feature_map in (fk.ZZ(6), fk.IQP(6, reps=2), fk.ZZ(7, entanglement="circular"), fk.HardwareEfficient(6), fk.Angle(4)):
        program = feature_map.program()
        x = rng.normal(size=program.n_features)
        for profile in (
            TORINO,
            device(9, (*((3 * r + c, 3 * r + c + 1) for r in range(3) for c in range(2)), *((c, c + 3) for c in range(6)))),
        ):
            native = compile_pair(program, profile)
            assert_native(native)
            assert_same(native, np.eye(1, 2**program.n_qubits)[0], x)
            bound = program.bind(x)
            other = compile_circuit(MeasuredCircuit((bound,), tuple(range(program.n_qubits))), profile, layout=native.qubits)
            assert_same(other, reference.run_program(program, x[None])[0], x)
            both = compile_circuit(MeasuredCircuit((bound, bound.inverse()), tuple(range(program.n_qubits))), profile)
            assert (both.n_two_qubit, both.n_pulses) == (native.n_two_qubit, native.n_pulses)


def test_line_entanglement_needs_no_swaps_and_few_pulses() -> None:
    native = compile_pair(fk.ZZ(6, reps=1, entanglement="linear").program(), TORINO)
    # Each half: 2 cz a pair; one pulse for the first H, and on each other qubit H P H, H P H and H.
    assert (native.n_two_qubit, native.n_pulses, native.n_measured) == (20, 2 * (1 + 5 * 5), 6)
    ions = device(20, None, "u", "rzz")
    native = compile_pair(fk.ZZ(6, reps=1, entanglement="linear").program(), ions)
    assert (native.n_two_qubit, native.n_pulses) == (10, 12)
    native = compile_pair(fk.Angle(4).program(), TORINO)
    assert (native.n_two_qubit, native.n_pulses) == (0, 16)
    native = compile_pair(fk.Angle(4).program(), ions)
    assert (native.n_two_qubit, native.n_pulses) == (0, 8)
    native = compile_pair(fk.HardwareEfficient(4, layers=1).program(), TORINO)
    assert (native.n_two_qubit, native.n_pulses) == (6, 16)


def test_rows_share_one_structure() -> None:
    """Bound circuits of generic rows take the pulses that the symbolic circuit counts."""
    rng = np.random.default_rng(3)
    for one, two in (("sx", "cz"), ("u", "rzz"), ("sx", "ecr"), ("u", "cz")):
        profile = device(6, ring(6), one, two)
        for feature_map in (fk.ZZ(4), fk.IQP(5, entanglement="linear"), fk.HardwareEfficient(5), fk.Angle(3, rotation="rx")):
            program = feature_map.program()
            layout = tuple(range(program.n_qubits))
            native = compile_pair(program, profile, layout=layout)
            x = rng.normal(size=program.n_features)
            bound = program.bind(x)
            other = compile_circuit(MeasuredCircuit((bound, bound.inverse()), layout), profile, layout=layout)
            assert [sum(part.pulses) for part in other.parts] == [sum(part.pulses) for part in native.parts]


def test_merged_symbolic_angles_cost_what_a_compiler_of_numbers_needs() -> None:
    gates = (Gate("rx", (0,), (Linear(1.0, 0),)), Gate("rz", (0,), (Linear(1.0, 1),)), Gate("rx", (0,), (Linear(1.0, 2),)))
    for one, pulses in (("sx", 2), ("u", 1)):
        native = compile_pair(Program(1, 3, gates), device(2, line(2), one))
        assert [sum(part.pulses) for part in native.parts] == [pulses, pulses]


def test_full_entanglement_along_a_line_takes_three_cz_a_pair() -> None:
    for n in (4, 5, 8, 12):
        native = compile_pair(fk.IQP(n).program(), device(n, line(n)))
        assert native.n_two_qubit <= 2 * 3 * n * (n - 1) // 2


def test_swaps_of_the_circuit_are_free() -> None:
    program = Program(3, 0, (Gate("h", (0,)), Gate("swap", (0, 2)), Gate("cx", (2, 1))))
    native = compile_circuit(MeasuredCircuit((program,), (0, 1, 2)), device(3, line(3)), layout=(0, 1, 2))
    assert native.n_two_qubit == 1
    assert native.measured == (2, 1, 0)


@pytest.mark.parametrize("feature_map", [fk.ZZ(2), fk.IQP(4), fk.HardwareEfficient(3), fk.ZZ(3, entanglement="linear")])
def test_symbolic_angles_cost_the_pulses_of_numbers(feature_map: Any) -> None:
    program = feature_map.program()
    x, y = np.random.default_rng(4).uniform(-1, 1, (2, program.n_features))
    for one, two in (("sx", "cz"), ("u", "cz"), ("sx", "cx"), ("u", "rzz"), ("u", "sqrt_iswap")):
        place = device(4, line(4), one, two)
        symbolic = compile_pair(program, place)
        halves = MeasuredCircuit((program.bind(x), program.bind(y).inverse()), tuple(range(program.n_qubits)))
        bound = compile_circuit(halves, place, layout=symbolic.qubits)
        assert symbolic.n_two_qubit == bound.n_two_qubit
        # An RZZ may turn one pulse into none where a run becomes diagonal by chance.
        assert abs(symbolic.n_pulses - bound.n_pulses) <= 0.1 * bound.n_pulses


def test_swaps_of_the_circuit_count_for_the_layout() -> None:
    # After the SWAP it is qubit 2 that meets qubit 1; the layout must connect these, not 0 and 1.
    program = Program(3, 1, (Gate("swap", (0, 2)), Gate("cx", (0, 1)), Gate("ry", (1,), (Linear(1.0, 0),))))
    apart = device(4, ((0, 1), (2, 3)))
    for native in (compile_pair(program, apart), compile_pair(program, apart, layout=(3, 0, 1))):
        assert native.n_two_qubit == 2
        assert abs(gram(lower(native), [[0.3]], [[1.1]])[0, 0] - math.cos(0.4) ** 2) < 0.05
    halves = MeasuredCircuit((Program(3, 0, program.gates[:2]), Program(3, 0, (Gate("cx", (0, 1)),))), (0, 1, 2))
    assert compile_circuit(halves, apart).n_two_qubit == 2
    with pytest.raises(fk.InputError, match="hang together"):
        compile_pair(program, apart, layout=(0, 1, 2))


def test_nothing_crosses_a_barrier() -> None:
    half = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    native = compile_circuit(MeasuredCircuit((half, half.inverse()), (0, 1)), device(2, line(2)), layout=(0, 1))
    assert [sum(part.pulses) for part in native.parts] == [4, 4]


def test_cancelling_gates_leave_nothing() -> None:
    half = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1)), Gate("cx", (0, 1)), Gate("h", (0,))))
    native = compile_circuit(MeasuredCircuit((half,), (0, 1)), device(2, line(2)), layout=(0, 1))
    assert native.parts[0].program.gates == ()


def test_bad_input_is_refused() -> None:
    program = fk.IQP(3).program()
    with pytest.raises(fk.InputError, match="has 2 qubits"):
        compile_pair(program, device(2, line(2)))
    for layout in ((0, 1), (0, 1, 1), (0, 1, 9), (0, 1, 4)):
        with pytest.raises(fk.InputError, match="layout"):
            compile_pair(program, device(5, line(5)), layout=layout)
    with pytest.raises(fk.InputError, match="compiler"):
        compile_pair(program, device(5, line(5)), compiler="magic")


def test_numbers_of_angles() -> None:
    assert value_of((Linear(2.0, -1, 3.0), Linear(0.0, 4, 2.0))) == 6.0
    assert value_of((Linear(2.0, 0, 3.0),)) is None


def test_layouts_in_pieces_serve_circuits_in_pieces() -> None:
    gates = tuple(Gate(name, pair) for pair in ((0, 1), (2, 3)) for name in ("cx", "cz"))
    circuit = MeasuredCircuit((Program(4, 0, gates),), (0, 1, 2, 3))
    native = compile_circuit(circuit, device(5, line(5)), layout=(0, 1, 3, 4))
    assert native.n_two_qubit == 4
    with pytest.raises(fk.InputError, match="hang together"):
        compile_circuit(circuit, device(5, line(5)), layout=(0, 3, 1, 4))
