# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Noise channels as Pauli transfer matrices, and the two that a device's calibration data names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flashket.errors import InputError, explanation

Matrix = npt.NDArray[np.float64]

PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], np.complex128)
"""I, X, Y, Z."""

_SIGNS = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], np.float64)
"""+1 where two of I, X, Y, Z commute, -1 elsewhere."""

_LARGEST_SHARE = {1: 4 / 3, 2: 16 / 15}
"""Of a depolarising channel of so many qubits: 4^n / (4^n - 1), where only errors are left."""


def depolarizing(p: float) -> Matrix:
    r"""Return the one-qubit channel that replaces the state by the mixed one with probability p.

    .. math:: E(\rho) = (1 - p) \rho + p\, I / 2,\qquad R = \mathrm{diag}(1, 1-p, 1-p, 1-p)

    Parameters
    ----------
    p : float
        0 to 4/3; beyond 1 the channel is more than fully mixing, but still completely positive.

    Returns
    -------
    numpy.ndarray, (4, 4)
        The Pauli transfer matrix R[a, b] = Tr(P_a E(P_b)) / 2.

    Raises
    ------
    InputError
        For p out of range.

    Examples
    --------
    >>> np.diag(depolarizing(0.25))
    array([1.  , 0.75, 0.75, 0.75])
    """
    _check("depolarizing", "p", p, _LARGEST_SHARE[1])
    return np.diag([1.0, 1 - p, 1 - p, 1 - p])


def pair_depolarizing(p: float) -> Matrix:
    r"""Return the two-qubit depolarising channel as the diagonal of its Pauli transfer matrix.

    .. math:: E(\rho) = (1 - p) \rho + p\, I / 4,\qquad r = (1, 1-p, \dots, 1-p)

    Parameters
    ----------
    p : float
        0 to 16/15.

    Returns
    -------
    numpy.ndarray, (16,)
        Entry d_q0 + 4 d_q1 is the factor of the string P_d1 P_d0, digits 0..3 for I, X, Y, Z.

    Raises
    ------
    InputError
        For p out of range.

    Examples
    --------
    >>> pair_depolarizing(0.5)[:3]
    array([1. , 0.5, 0.5])
    """
    _check("pair_depolarizing", "p", p, _LARGEST_SHARE[2])
    return np.concatenate([[1.0], np.full(15, 1.0 - p)])


def amplitude_damping(gamma: float) -> Matrix:
    r"""Return the channel in which \|1> falls to \|0> with probability gamma.

    .. math:: x \to \sqrt{1-\gamma}\,x,\quad y \to \sqrt{1-\gamma}\,y,\quad z \to \gamma + (1-\gamma) z

    Parameters
    ----------
    gamma : float
        0 to 1.

    Returns
    -------
    numpy.ndarray, (4, 4)
        The Pauli transfer matrix.

    Raises
    ------
    InputError
        For gamma out of range.

    Examples
    --------
    >>> amplitude_damping(1.0)[3]
    array([1., 0., 0., 0.])
    """
    _check("amplitude_damping", "gamma", gamma, 1.0)
    return _relaxed(1 - gamma, math.sqrt(1 - gamma))


def phase_damping(gamma: float) -> Matrix:
    r"""Return the channel that shrinks coherences, with the Kraus operators diag(1, sqrt(1-gamma)) and diag(0, sqrt(gamma)).

    .. math:: x \to \sqrt{1-\gamma}\,x,\quad y \to \sqrt{1-\gamma}\,y,\quad z \to z

    Parameters
    ----------
    gamma : float
        0 to 1.

    Returns
    -------
    numpy.ndarray, (4, 4)
        The Pauli transfer matrix.

    Raises
    ------
    InputError
        For gamma out of range.

    Examples
    --------
    >>> np.diag(phase_damping(0.75))
    array([1. , 0.5, 0.5, 1. ])
    """
    _check("phase_damping", "gamma", gamma, 1.0)
    return _relaxed(1.0, math.sqrt(1 - gamma))


def pauli_channel(probabilities: Sequence[float]) -> Matrix:
    r"""Return the channel that applies a random Pauli matrix.

    .. math:: E(\rho) = \sum_k p_k P_k \rho P_k,\qquad R_{aa} = \sum_k \pm p_k\ \text{(+ where P_a and P_k commute)}

    Parameters
    ----------
    probabilities : sequence of float, (3,) or (15,)
        Of X, Y, Z; or of the two-qubit strings with index d_q0 + 4 d_q1 = 1..15. The rest is the identity's.

    Returns
    -------
    numpy.ndarray, (4, 4) or (16,)
        The Pauli transfer matrix; of two qubits its diagonal.

    Raises
    ------
    InputError
        For another length, negative numbers, or a sum above 1.

    Examples
    --------
    >>> np.diag(pauli_channel([0.0, 0.0, 0.25]))  # phase flips
    array([1. , 0.5, 0.5, 1. ])
    """
    given = np.asarray(probabilities, np.float64)
    if given.shape not in ((3,), (15,)) or not (given >= 0).all() or not given.sum() <= 1 + 1e-12:
        do = "e.g. [0.0, 0.0, 0.01]"
        raise InputError(explanation("pauli_channel", "probabilities must be (3,) or (15,), none negative, at most 1 in sum", given, do))
    every = np.concatenate([[1 - given.sum()], given])
    return np.diag(_SIGNS @ every) if len(every) == 4 else np.asarray(np.kron(_SIGNS, _SIGNS) @ every)


def thermal_relaxation(t1: float, t2: float, duration: float) -> Matrix:
    r"""Return what a qubit at zero temperature does while it waits.

    .. math:: x \to e^{-t/T_2} x,\quad y \to e^{-t/T_2} y,\quad z \to 1 - (1 - z)\, e^{-t/T_1}

    Parameters
    ----------
    t1, t2 : float
        Relaxation times in seconds. NaN or infinity: no relaxation of that kind; with T1 alone known, T2 = 2 T1, and a T2 above 2 T1,
        which no qubit has, counts as 2 T1. Qiskit Aer's device model does the same.
    duration : float
        Seconds; NaN (not known) counts as 0.

    Returns
    -------
    numpy.ndarray, (4, 4)
        The Pauli transfer matrix.

    Raises
    ------
    InputError
        For times that are not positive, or a negative duration.

    Examples
    --------
    >>> thermal_relaxation(100e-6, 100e-6, 0.0)[3]
    array([0., 0., 0., 1.])
    """
    if t1 <= 0 or t2 <= 0 or duration < 0:
        do = "give seconds"
        raise InputError(explanation("thermal_relaxation", "T1 and T2 must be positive, duration not negative", (t1, t2, duration), do))
    first = math.inf if math.isnan(t1) else t1
    second = 2 * first if math.isnan(t2) else min(t2, 2 * first)
    waited = 0.0 if math.isnan(duration) else duration
    return _relaxed(math.exp(-waited / first), math.exp(-waited / second))


def process_fidelity(ptm: Matrix) -> float:
    r"""Return Tr(R) / 4, the channel's entanglement fidelity with the identity; the average gate fidelity is (2 F + 1) / 3.

    Parameters
    ----------
    ptm : numpy.ndarray, (4, 4)
        A one-qubit channel.

    Examples
    --------
    >>> process_fidelity(depolarizing(1.0))
    0.25
    """
    return float(np.trace(ptm)) / 4


def remaining_depolarizing(error: float, relaxations: Sequence[Matrix]) -> float:
    r"""Return the depolarising probability that brings a gate of known relaxation to its reported error.

    With d = 2^n, F the average gate fidelity of the relaxation alone and r the reported infidelity:

    .. math:: p = \frac{d\,(F - (1 - r))}{d F - 1},\qquad F = \frac{d \prod_q F_q + 1}{d + 1}

    Parameters
    ----------
    error : float
        The gate's average infidelity, as randomised benchmarking reports it; NaN (not known) counts as 0. Cut at d / (d + 1).
    relaxations : sequence of numpy.ndarray, (1 or 2, 4, 4)
        Of the gate's qubits.

    Returns
    -------
    float
        0 where relaxation alone explains the error or more.

    Notes
    -----
    The definition is that of Qiskit Aer's device model (``NoiseModel.from_backend``), where the gate is followed by this depolarising
    channel and then by the relaxation.

    Examples
    --------
    >>> round(remaining_depolarizing(0.003, [np.eye(4)]), 9)  # without relaxation: error d / (d - 1)
    0.006
    """
    n = len(relaxations)
    d = 2**n
    fidelity = (d * math.prod(map(process_fidelity, relaxations)) + 1) / (d + 1)
    if math.isnan(error) or error <= 1 - fidelity:
        return 0.0
    return float(min(d * (min(error, d / (d + 1)) - (1 - fidelity)) / (d * fidelity - 1), _LARGEST_SHARE[n]))


def choi(ptm: Matrix) -> npt.NDArray[np.complex128]:
    r"""Return the Choi matrix of a one-qubit channel, sum_ij \|i><j\| (x) E(\|i><j\|).

    Parameters
    ----------
    ptm : numpy.ndarray, (4, 4)
        Its Pauli transfer matrix.

    Returns
    -------
    numpy.ndarray of complex128, (4, 4)
        Index 2 i + k: input i, output k.

    Examples
    --------
    >>> choi(np.eye(4)).real
    array([[1., 0., 0., 1.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.],
           [1., 0., 0., 1.]])
    """
    # |i><j| = 1/2 sum_b conj(P_b[i, j]) P_b, so E(|i><j|) = 1/2 sum_ab R[a, b] conj(P_b[i, j]) P_a.
    return np.asarray(np.einsum("ab,bij,akl->ikjl", ptm, PAULIS.conj(), PAULIS).reshape(4, 4) / 2, np.complex128)


def kraus(ptm: Matrix) -> npt.NDArray[np.complex128]:
    r"""Return the channel's canonical Kraus operators, which are orthogonal to each other.

    .. math:: E(\rho) = \sum_k K_k \rho K_k^\dagger,\qquad \mathrm{Tr}(K_j^\dagger K_k) = 0\ (j \ne k)

    Parameters
    ----------
    ptm : numpy.ndarray, (4, 4)
        A completely positive, trace-preserving one-qubit channel.

    Returns
    -------
    numpy.ndarray of complex128, (1..4, 2, 2)
        The largest first.

    Raises
    ------
    InputError
        If the channel is not completely positive or not trace preserving.

    Examples
    --------
    >>> abs(kraus(amplitude_damping(0.36))).round(3)
    array([[[1. , 0. ],
            [0. , 0.8]],
    <BLANKLINE>
           [[0. , 0.6],
            [0. , 0. ]]])
    """
    if not is_cptp(ptm):
        do = "build it from the functions of flashket.noise.channels"
        raise InputError(explanation("kraus", "the channel must be completely positive and trace preserving", None, do))
    weights, vectors = np.linalg.eigh(choi(ptm))
    kept = [(weight, vectors[:, k]) for k, weight in enumerate(weights) if weight > 1e-14]
    # Column 2 i + k of the Choi matrix holds <k|K|i>.
    return np.array([math.sqrt(weight) * vector.reshape(2, 2).T for weight, vector in reversed(kept)])


def is_cptp(channel: Matrix, tolerance: float = 1e-12) -> bool:
    """Return whether a channel is completely positive and trace preserving.

    Parameters
    ----------
    channel : numpy.ndarray, (4, 4) or (16,)
        A one-qubit Pauli transfer matrix, or the diagonal of a two-qubit one.
    tolerance : float
        Allowed error, absolute.

    Examples
    --------
    >>> is_cptp(depolarizing(0.1)), is_cptp(np.diag([1.0, 1.0, -1.0, 1.0]))  # the second is a transposition
    (True, False)
    """
    if channel.shape == (16,):
        # Back to probabilities: the signs' square is 16 times the identity.
        probabilities = np.kron(_SIGNS, _SIGNS) @ channel / 16
        return bool(abs(channel[0] - 1) <= tolerance and (probabilities >= -tolerance).all())
    if channel.shape != (4, 4) or not np.isfinite(channel).all():
        return False
    keeps_trace = np.allclose(channel[0], [1, 0, 0, 0], rtol=0, atol=tolerance)
    return bool(keeps_trace and np.linalg.eigvalsh(choi(channel))[0] >= -tolerance)


def _relaxed(population: float, coherence: float) -> Matrix:
    """Return the channel that shrinks z - 1 by ``population`` and x, y by ``coherence``."""
    ptm = np.diag([1.0, coherence, coherence, population])
    ptm[3, 0] = 1 - population
    return ptm


def _check(place: str, name: str, value: float, largest: float) -> None:
    if not 0 <= value <= largest:
        raise InputError(explanation(place, f"{name} must be in [0, {largest:.4g}]", value, "give a probability"))
