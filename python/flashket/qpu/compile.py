# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""From circuits to a device's own gates, on chosen qubits.

Steps: a layout (which physical qubit each qubit gets), SWAPs where two-qubit gates are not on edges (``routing``), each two-qubit gate
written in the device's one, each run of one-qubit gates between them in as few pulses as its angles allow (``runs``). Nothing crosses a
barrier.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from flashket.errors import InputError, explanation
from flashket.program import Program
from flashket.qpu.basis import Writer
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.interactions import Item, interactions, inverted
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
    >>> from flashket.qpu import load_profile
    >>> bell = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    >>> native = compile_circuit(MeasuredCircuit((bell,), (0, 1)), load_profile("ibm_torino"))
    >>> native.n_two_qubit, native.n_pulses
    (1, 3)
    """
    place = "compile_circuit"
    _check_compiler(place, compiler)
    parts = [interactions(part) for part in circuit.parts]
    qubits = _layout(place, [item for part in parts for item in part], circuit.n_qubits, profile, layout)
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
    return NativeCircuit(profile, qubits, written, tuple(starts[-1][q] for q in circuit.measured))


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
    them, the first and the last, carry the cost of the two pulses that a compiler of numbers would need.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import load_profile
    >>> native = compile_pair(fk.IQP(4).program(), load_profile("ibm_torino"))
    >>> [part.program.n_features for part in native.parts], native.n_two_qubit
    ([4, 4], 36)
    """
    place = "compile_pair"
    _check_compiler(place, compiler)
    items = interactions(program)
    qubits = _layout(place, items, program.n_qubits, profile, layout)
    way, _ = route(items, range(program.n_qubits), _neighbours(qubits, profile))
    native = NativeCircuit(profile, qubits, (), ())
    parts = tuple(Writer(native, program.n_features).write(half) for half in (way, inverted(way)))
    return NativeCircuit(profile, qubits, parts, tuple(range(program.n_qubits)))


def _check_compiler(place: str, compiler: str) -> None:
    if compiler not in ("auto", "qiskit"):
        raise InputError(explanation(place, 'compiler must be "auto" or "qiskit"', repr(compiler), "leave it out"))


def _shape(items: Sequence[Item]) -> list[tuple[str, tuple[int, ...]]]:
    """Return what routing looks at."""
    same = {"sdg": "s", "tdg": "t"}
    return [(same.get(item.name, item.name), item.qubits) for item in items]


def _pairs(items: Sequence[Item]) -> list[tuple[int, int]]:
    """Return the pairs of qubits that two-qubit gates join, each once."""
    found = {(min(item.qubits), max(item.qubits)) for item in items if item.name in ("cz", "rzz")}
    return sorted(found)


def _layout(place: str, items: Sequence[Item], n: int, profile: DeviceProfile, layout: Sequence[int] | None) -> tuple[int, ...]:
    if n > profile.n_qubits:
        do = "choose a larger device or fewer features"
        raise InputError(explanation(place, f"{profile.name} has {profile.n_qubits} qubits", f"a circuit of {n}", do))
    if layout is None:
        return choose(profile, n, _pairs(items))
    try:
        qubits = tuple(map(operator.index, layout))
    except TypeError:
        qubits = ()
    if len(qubits) != n or len(set(qubits)) != n or not all(0 <= q < profile.n_qubits for q in qubits):
        wanted = f"layout must be {n} different qubits in 0..{profile.n_qubits - 1}"
        raise InputError(explanation(place, wanted, layout, "give each qubit of the circuit its physical one"))
    return qubits


def choose(profile: DeviceProfile, n: int, pairs: list[tuple[int, int]]) -> tuple[int, ...]:
    """Return a line of qubits of small error, the first found from each start."""
    if profile.edges is None or n == 1 or not pairs:
        return tuple(range(n))
    errors = {pair: error for (a, b), error in zip(profile.edges, profile.error_2q, strict=True) for pair in ((a, b), (b, a))}
    near: dict[int, list[int]] = {}
    for a, b in errors:
        near.setdefault(a, []).append(b)

    def cost(line: list[int]) -> float:
        gates = sum(errors[pair] for pair in zip(line, line[1:], strict=False))
        return gates + sum(profile.readout_p10[q] + profile.readout_p01[q] for q in line) / 2

    best: list[int] | None = None
    for start in near:
        line, budget = [start], 2000
        choices = [sorted(near[start], key=lambda q: errors[start, q])]
        while len(line) < n and choices and budget:
            budget -= 1
            if not choices[-1]:
                choices.pop()
                line.pop()
                continue
            q = choices[-1].pop(0)
            if q not in line:
                line.append(q)
                choices.append(sorted(near[q], key=lambda other, q=q: errors[q, other]))  # type: ignore[misc]
        if len(line) == n and (best is None or cost(line) < cost(best)):
            best = line
    if best is None:
        raise InputError(explanation("layout", f"{profile.name} has no line of {n} qubits", None, "name the qubits: layout=(...)"))
    order = _line_order(n, pairs)
    qubits = [0] * n
    for place, q in enumerate(order):
        qubits[q] = best[place]
    return tuple(qubits)


def _line_order(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Return the qubits along the lines that the pairs make, or in their order if the pairs make no lines."""
    near: dict[int, list[int]] = {q: [] for q in range(n)}
    for a, b in pairs:
        near[a].append(b)
        near[b].append(a)
    order: list[int] = []
    for q in sorted(range(n), key=lambda q: len(near[q]) > 1):
        if q in order:
            continue
        last, here = -1, q
        while here >= 0 and here not in order:
            order.append(here)
            onward = [other for other in near[here] if other != last and other not in order]
            last, here = here, onward[0] if onward else -1
    return order if all(len(others) <= 2 for others in near.values()) else list(range(n))


def _neighbours(qubits: tuple[int, ...], profile: DeviceProfile) -> list[frozenset[int]] | None:
    if profile.edges is None:
        return None
    wires = {qubit: wire for wire, qubit in enumerate(qubits)}
    near: list[set[int]] = [set() for _ in qubits]
    for a, b in profile.edges:
        if a in wires and b in wires:
            near[wires[a]].add(wires[b])
            near[wires[b]].add(wires[a])
    return list(map(frozenset, near))
