# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""From circuits to a device's own gates, on chosen qubits.

Steps: a layout (which physical qubit each qubit gets), SWAPs where two-qubit gates are not on edges (``routing``), each two-qubit gate
written in the device's one, each run of one-qubit gates between them in as few pulses as its angles allow (``runs``). Nothing crosses a
barrier.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from flashket.errors import InputError, explanation
from flashket.program import Program
from flashket.qpu.basis import Writer
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.interactions import Item, interactions, inverted, without_swaps
from flashket.qpu.layout import check_layout, choose_layout
from flashket.qpu.native import NativeCircuit
from flashket.qpu.profile import DeviceProfile
from flashket.qpu.routing import route


def compile_circuit(
    circuit: MeasuredCircuit, profile: DeviceProfile, *, layout: Sequence[int] | None = None, compiler: str = "auto"
) -> NativeCircuit:
    """Return a circuit in a device's gates.

    Parameters
    ----------
    circuit : MeasuredCircuit
        Parts without features.
    profile : DeviceProfile
        The device.
    layout : sequence of int, (n_qubits,), optional
        The physical qubit of each qubit. By default qubits of small error for the circuit's two-qubit gates.
    compiler : str
        "auto" (FlashKet's own) or "qiskit" (its preset pass manager, level 3; needs ``pip install 'flashket[ibm]'``).

    Returns
    -------
    NativeCircuit
        Its parts do the same as the circuit's, up to global phase and to where qubits end, which ``measured`` follows.

    Raises
    ------
    InputError
        If the circuit does not fit the device, or for a layout that is none.
    BackendUnavailable
        For "qiskit" where it is not installed.

    Notes
    -----
    A part that is the inverse of the one before it, but for angles, takes that one's way back, so that a compute-uncompute circuit ends
    where it starts.

    Examples
    --------
    >>> from flashket.program import Gate
    >>> from flashket.qpu import load_profile
    >>> bell = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    >>> native = compile_circuit(MeasuredCircuit((bell,), (0, 1)), load_profile("ibm_torino"))
    >>> native.n_two_qubit, native.n_pulses
    (1, 3)
    """
    place = "compile_circuit"
    if _is_qiskit(place, compiler):
        return _by_qiskit(place, circuit.parts, circuit.measured, profile, layout)
    parts, names = list[list[Item]](), list(range(circuit.n_qubits))
    for program in circuit.parts:
        items, names = without_swaps(interactions(program), names)
        parts.append(items)
    measured = tuple(names[q] for q in circuit.measured)
    qubits = _layout(place, parts, circuit.n_qubits, profile, layout, measured)
    neighbours = _neighbours(qubits, profile)
    starts = [list(range(circuit.n_qubits))]
    routed: list[list[Item]] = []
    for index, part in enumerate(parts):
        if index and _shape(inverted(part)) == _shape(parts[index - 1]):
            way, end = route(inverted(part), starts[-2], neighbours)
            assert end == starts[-1]  # equal shapes are routed alike
            routed.append(inverted(way))
            starts.append(starts[-2])
        else:
            way, end = route(part, starts[-1], neighbours)
            routed.append(way)
            starts.append(end)
    native = NativeCircuit(profile, qubits, (), ())
    written = tuple(Writer(native, 0).write(items) for items in routed)
    return NativeCircuit(profile, qubits, written, tuple(starts[-1][q] for q in measured))


def compile_pair(program: Program, profile: DeviceProfile, *, layout: Sequence[int] | None = None, compiler: str = "auto") -> NativeCircuit:
    """Return U(x) and U(y)^dagger of a feature map in a device's gates, with features for angles, all qubits measured.

    Parameters
    ----------
    program : Program
        U, which may have features.
    profile : DeviceProfile
        The device.
    layout : sequence of int, (n_qubits,), optional
        The physical qubit of each qubit. By default qubits of small error for the circuit's two-qubit gates.
    compiler : str
        "auto" (FlashKet's own) or "qiskit" (its preset pass manager, level 3; needs ``pip install 'flashket[ibm]'``).

    Returns
    -------
    NativeCircuit
        Of two parts. The second takes the first's way back, so bit j is qubit j, on ``layout[j]``.

    Raises
    ------
    InputError
        If the circuit does not fit the device, or for a layout that is none.
    BackendUnavailable
        For "qiskit" where it is not installed.

    Notes
    -----
    One compilation serves every row: pulses are counted for generic angles. Where merged angles would be no product of two linear
    factors (a run with more than one symbolic rotation between turns that do not commute with them), the gates stay as they are and two of
    them, the first and the last, carry the cost of the two pulses that a compiler of numbers would need. In square roots of iSWAP an RZZ
    of a symbolic angle keeps its gate too, at the cost of its two roots and the pulse between them, as the angle between the roots is no
    product of linear factors. Depolarising commutes with it, relaxation between the roots does not: on google_weber and google_rainbow
    entries of ZZ and IQP maps of 2 and 4 qubits differ from those of circuits compiled with numbers by 0.001 on average, at most 0.013.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import load_profile
    >>> native = compile_pair(fk.IQP(4).program(), load_profile("ibm_torino"))
    >>> [part.program.n_features for part in native.parts], native.n_two_qubit
    ([4, 4], 34)
    """
    place = "compile_pair"
    if _is_qiskit(place, compiler):
        return _by_qiskit(place, (program, program.inverse()), tuple(range(program.n_qubits)), profile, layout)
    items, _ = without_swaps(interactions(program), list(range(program.n_qubits)))
    qubits = _layout(place, (items, inverted(items)), program.n_qubits, profile, layout, tuple(range(program.n_qubits)))
    way, _ = route(items, range(program.n_qubits), _neighbours(qubits, profile))
    native = NativeCircuit(profile, qubits, (), ())
    parts = tuple(Writer(native, program.n_features).write(half) for half in (way, inverted(way)))
    return NativeCircuit(profile, qubits, parts, tuple(range(program.n_qubits)))


def compile_program(
    program: Program, profile: DeviceProfile, *, layout: Sequence[int] | None = None, compiler: str = "auto"
) -> NativeCircuit:
    """Return one program in a device's gates, with features for angles, all qubits measured: what :func:`compile_pair` does of one half.

    Parameters, errors and notes as there.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import load_profile
    >>> native = compile_program(fk.IQP(4).program(), load_profile("ibm_torino"))
    >>> len(native.parts), native.n_two_qubit
    (1, 17)
    """
    place = "compile_program"
    if _is_qiskit(place, compiler):
        return _by_qiskit(place, (program,), tuple(range(program.n_qubits)), profile, layout)
    items, names = without_swaps(interactions(program), list(range(program.n_qubits)))
    qubits = _layout(place, (items,), program.n_qubits, profile, layout, tuple(names))
    way, end = route(items, range(program.n_qubits), _neighbours(qubits, profile))
    native = NativeCircuit(profile, qubits, (), ())
    return NativeCircuit(profile, qubits, (Writer(native, program.n_features).write(way),), tuple(end[name] for name in names))


def _is_qiskit(place: str, compiler: str) -> bool:
    if compiler not in ("auto", "qiskit"):
        raise InputError(explanation(place, 'compiler must be "auto" or "qiskit"', repr(compiler), "leave it out"))
    return compiler == "qiskit"


def _by_qiskit(
    place: str, parts: tuple[Program, ...], measured: tuple[int, ...], profile: DeviceProfile, layout: Sequence[int] | None
) -> NativeCircuit:
    from flashket.qpu.transpile import transpile_parts

    _check_room(place, parts[0].n_qubits, profile)
    return transpile_parts(place, parts, measured, profile, None if layout is None else check_layout(profile, layout, parts[0].n_qubits))


def _check_room(place: str, n: int, profile: DeviceProfile) -> None:
    if n > profile.n_qubits:
        do = "choose a larger device or fewer features"
        raise InputError(explanation(place, f"{profile.name} has {profile.n_qubits} qubits", f"a circuit of {n}", do))


def _shape(items: Sequence[Item]) -> list[tuple[str, tuple[int, ...]]]:
    """Return what routing looks at."""
    same = {"sdg": "s", "tdg": "t"}
    return [(same.get(item.name, item.name), item.qubits) for item in items]


def _layout(
    place: str, parts: Sequence[Sequence[Item]], n: int, profile: DeviceProfile, layout: Sequence[int] | None, measured: tuple[int, ...]
) -> tuple[int, ...]:
    _check_room(place, n, profile)
    counts = {"cz": 1, "rzz": 1 if profile.two_qubit_gate == "rzz" else 2}
    joined = tuple(item.qubits for part in parts for item in part for _ in range(counts.get(item.name, 0)))
    if layout is not None:
        try:
            return check_layout(profile, layout, n)
        except InputError:
            return check_layout(profile, layout, n, [(a, b) for a, b in joined])
    return _chosen(profile, n, joined, measured)


@lru_cache(maxsize=256)
def _chosen(profile: DeviceProfile, n: int, joined: tuple[tuple[int, ...], ...], measured: tuple[int, ...]) -> tuple[int, ...]:
    """Return a layout of small error; circuits of one structure share it."""
    pairs = [(a, b) for a, b in joined]
    if profile.edges is not None and len(set(map(frozenset, joined))) > n:
        # Where most pairs meet, they do along a line (see routing): each edge takes its share of three gates a pair.
        along = [(q, q + 1) for q in range(n - 1)]
        try:
            return choose_layout(profile, n, along * max(1, round(1.5 * len(pairs) / 2 / len(along))), measured=measured)
        except InputError:
            pass  # no such line: any qubits that hang together will do
    return choose_layout(profile, n, pairs, measured=measured)


def _neighbours(qubits: tuple[int, ...], profile: DeviceProfile) -> list[frozenset[int]] | None:
    """Return the wires that share a working two-qubit gate with each wire, None where all do."""
    if profile.edges is None:
        return None
    wires = {qubit: wire for wire, qubit in enumerate(qubits)}
    return [frozenset(wires[other] for other in profile.neighbours[qubit] if other in wires) for qubit in qubits]
