# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Which qubits of a device a circuit gets: the ones with the least expected infidelity, by the profile's calibration data."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from flashket.errors import InputError, explanation
from flashket.qpu.layout_cost import layout_cost
from flashket.qpu.layout_search import best_layout, interaction_groups, qubit_groups, random_line
from flashket.qpu.profile import DeviceProfile


def choose_layout(
    profile: DeviceProfile,
    n_qubits: int,
    interactions: Iterable[tuple[int, int]],
    *,
    pulses: Sequence[float] | None = None,
    measured: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Return the device's qubits for a circuit, with about the least expected infidelity.

    Parameters
    ----------
    profile : DeviceProfile
        The device.
    n_qubits : int
        Qubits of the circuit.
    interactions : iterable of (int, int)
        The circuit's two-qubit gates in order, as pairs of its qubits; a pair counts as often as it is there.
    pulses : sequence of float, (n_qubits,), optional
        One-qubit pulses of each qubit; by default one gate before, between and after its two-qubit gates.
    measured : sequence of int, optional
        The circuit's qubits that are measured; all by default.

    Returns
    -------
    tuple of int, (n_qubits,)
        The device's qubit of each of the circuit's.

    Raises
    ------
    InputError
        If the device has not enough good qubits that hang together, or an argument is wrong.

    Notes
    -----
    The cost is in :mod:`flashket.qpu.layout_cost`. Circuits whose interactions form a line or a ring are laid on simple paths or cycles of
    the coupling graph: a beam search that keeps the best states for every end qubit, which is exact for short lines and small devices.
    Where lines are so long that the beam only meets dead ends, the best of many random ones is taken. Other circuits, and lines that the
    device has not, grow connected subgraphs with a beam, then a local search moves and exchanges qubits. Faulty qubits and gates are never
    used. Takes 0.02 to 1 s of CPU time for 10 to 50 qubits on devices of 156; answers are kept for circuits of the same form.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> profile = load_profile("ibm_torino")
    >>> line = choose_layout(profile, 4, [(0, 1), (2, 3), (1, 2)])
    >>> all(profile.has_edge(a, b) for a, b in zip(line, line[1:]))
    True
    """
    pairs = _check_interactions(n_qubits, interactions)
    _check_room(profile, n_qubits, pairs)
    if pulses is not None and (len(pulses) != n_qubits or not all(math.isfinite(count) and count >= 0 for count in pulses)):
        raise InputError(explanation("layout", f"pulses must be {n_qubits} counts", pulses))
    if measured is not None and not all(0 <= qubit < n_qubits for qubit in measured):
        raise InputError(explanation("layout", f"measured must be qubits in 0..{n_qubits - 1}", measured))
    return _chosen(
        profile, n_qubits, tuple(pairs), None if pulses is None else tuple(pulses), None if measured is None else tuple(measured)
    )


@lru_cache(maxsize=64)
def _chosen(
    profile: DeviceProfile,
    n_qubits: int,
    pairs: tuple[tuple[int, int], ...],
    pulses: tuple[float, ...] | None,
    measured: tuple[int, ...] | None,
) -> tuple[int, ...]:
    return best_layout(profile, layout_cost(profile, n_qubits, pairs, pulses, measured))


def expected_infidelity(
    profile: DeviceProfile,
    layout: Sequence[int],
    interactions: Iterable[tuple[int, int]],
    *,
    pulses: Sequence[float] | None = None,
    measured: Sequence[int] | None = None,
) -> float:
    """Return one minus the product of fidelities that :func:`choose_layout` minimises, for a given layout.

    A figure to compare layouts by; the noise models say what a circuit's result will be.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> profile = load_profile("ibm_torino")
    >>> good, bad = (expected_infidelity(profile, layout, [(0, 1)]) for layout in (choose_layout(profile, 2, [(0, 1)]), (0, 1)))
    >>> good < bad
    True
    """
    pairs = _check_interactions(len(layout), interactions)
    checked = check_layout(profile, layout, len(layout), pairs)
    return -math.expm1(-layout_cost(profile, len(checked), pairs, pulses, measured).of(checked))


def check_layout(
    profile: DeviceProfile, layout: Sequence[int], n_qubits: int, interactions: Iterable[tuple[int, int]] | None = None
) -> tuple[int, ...]:
    """Return a user's layout as a tuple, or refuse it.

    Parameters
    ----------
    profile : DeviceProfile
        The device.
    layout : sequence of int
        The device's qubit of each of the circuit's.
    n_qubits : int
        Qubits of the circuit.
    interactions : iterable of (int, int), optional
        The circuit's pairs: those must be able to meet inside the layout. Without them the whole layout must hang together.

    Raises
    ------
    InputError
        If it has the wrong length, qubits twice, outside the device or out of order, or is disconnected.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> check_layout(load_profile("ibm_torino"), [3, 4, 5], 3)
    (3, 4, 5)
    """
    chosen = tuple(layout)
    if len(chosen) != n_qubits:
        raise InputError(explanation("layout", f"a layout of {n_qubits} qubits was wanted", f"{len(chosen)} qubits"))
    for qubit in chosen:
        if isinstance(qubit, bool) or not isinstance(qubit, (int, np.integer)) or not 0 <= qubit < profile.n_qubits:
            raise InputError(explanation("layout", f"qubits of {profile.name} are 0..{profile.n_qubits - 1}", repr(qubit)))
    if len(set(chosen)) != n_qubits:
        twice = [qubit for qubit, count in Counter(chosen).items() if count > 1]
        raise InputError(explanation("layout", "each qubit may be used once", f"{twice} more than once"))
    faulty = sorted(profile.faulty_qubits.intersection(chosen))
    if faulty:
        do = "choose others; profile.good_qubits lists them"
        raise InputError(explanation("layout", f"qubits of {profile.name} that work were wanted", f"{faulty}, out of order", do))
    groups = [list(range(n_qubits))] if interactions is None else interaction_groups(n_qubits, _check_interactions(n_qubits, interactions))
    for group in groups:
        if not profile.is_connected([chosen[qubit] for qubit in group]):
            got = f"a disconnected layout {tuple(chosen[qubit] for qubit in group)}"
            do = f"choose neighbours on {profile.name}, or leave layout out"
            raise InputError(explanation("layout", "qubits that interact must hang together", got, do))
    return tuple(int(qubit) for qubit in chosen)


def line_interactions(n_qubits: int) -> list[tuple[int, int]]:
    """Return the pairs of U(x) followed by its inverse, for a one-repetition map on a line: two gates a pair in U, even pairs first.

    Examples
    --------
    >>> line_interactions(3)
    [(0, 1), (0, 1), (1, 2), (1, 2), (1, 2), (1, 2), (0, 1), (0, 1)]
    """
    half = [(q, q + 1) for first in (0, 1) for q in range(first, n_qubits - 1, 2) for _ in range(2)]
    return half + half[::-1]


def line_layout(profile: DeviceProfile, n_qubits: int) -> tuple[int, ...]:
    """Return the best line of qubits for a kernel entry of a one-repetition map on a line; see :func:`choose_layout`.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> len(line_layout(load_profile("ibm_boston"), 10))
    10
    """
    return choose_layout(profile, n_qubits, line_interactions(n_qubits))


def random_line_layouts(profile: DeviceProfile, n_qubits: int, count: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return simple paths of good qubits, drawn at random: what a run whose layout is not known may have used.

    Each starts at a random qubit and goes to a random free neighbour, back where it is stuck; not uniform over all paths.

    Parameters
    ----------
    profile : DeviceProfile
        The device.
    n_qubits : int
        Length of the lines.
    count : int
        How many; they may repeat.
    seed : int
        The same seed gives the same lines on every machine and version of Python.

    Raises
    ------
    InputError
        If the device has no such line, or none was found.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> lines = random_line_layouts(load_profile("ibm_boston"), 5, 3, seed=0)
    >>> len(lines), len(lines[0])
    (3, 5)
    """
    _check_room(profile, n_qubits, [(q, q + 1) for q in range(n_qubits - 1)])
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError(explanation("layout", "count must be a positive integer", count))
    # random() alone is promised to stay the same between versions of Python, and between platforms.
    draw = random.Random(seed).random
    lines = []
    for _ in range(count):
        line = random_line(profile, n_qubits, draw, 1000)
        if line is None:
            wanted = f"a line of {n_qubits} good qubits on {profile.name} was wanted"
            raise InputError(explanation("layout", wanted, "none found", "use fewer qubits"))
        lines.append(line)
    return tuple(lines)


def _check_interactions(n_qubits: int, interactions: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    if isinstance(n_qubits, bool) or not isinstance(n_qubits, int) or n_qubits < 1:
        raise InputError(explanation("layout", "n_qubits must be a positive integer", n_qubits))
    pairs = []
    for pair in map(tuple, interactions):
        are_qubits = len(pair) == 2 and all(isinstance(qubit, (int, np.integer)) and 0 <= qubit < n_qubits for qubit in pair)
        if not are_qubits or pair[0] == pair[1]:
            raise InputError(explanation("layout", f"interactions must be pairs of different qubits in 0..{n_qubits - 1}", pair))
        pairs.append((int(pair[0]), int(pair[1])))
    return pairs


def _check_room(profile: DeviceProfile, n_qubits: int, pairs: list[tuple[int, int]]) -> None:
    """Refuse circuits that the good qubits of the device have no room for."""
    if isinstance(n_qubits, bool) or not isinstance(n_qubits, int) or n_qubits < 1:
        raise InputError(explanation("layout", "n_qubits must be a positive integer", n_qubits))
    n_good = len(profile.good_qubits)
    if n_qubits > n_good:
        wanted = f"at most {n_good} qubits fit on {profile.name}, which has {profile.n_qubits}, {profile.n_qubits - n_good} out of order"
        raise InputError(explanation("layout", wanted, n_qubits, "use fewer qubits or another device"))
    if profile.edges is None:
        return
    largest = len(qubit_groups(profile)[0])
    needed = len(interaction_groups(n_qubits, pairs)[0])
    if needed > largest:
        wanted = f"{needed} qubits that interact must hang together, and at most {largest} good qubits of {profile.name} do"
        raise InputError(explanation("layout", wanted, "a disconnected layout", "use fewer qubits or another device"))
