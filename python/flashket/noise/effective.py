# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The effective model of a device's noise: an affine map of kernel values, cheap enough for every score of attention.

``p -> scale p + offset``. A first guess follows from calibration alone, see :func:`from_fidelities`; where the circuit is small enough
for an exact simulation, the two numbers are fitted to it, see :func:`effective_noise`, and the error that is left is reported.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from flashket.arrays import Array
from flashket.feature_maps.amplitude import Amplitude
from flashket.kernels import Fidelity, HadamardTest, Kernel
from flashket.noise import exact
from flashket.noise.line import zero_probability
from flashket.noise.program import CHANNEL, NoisyCircuit
from flashket.qpu.estimators import ComputeUncompute, Hadamard
from flashket.qpu.profile import DeviceProfile

if TYPE_CHECKING:
    from flashket.noise.model import NoiseModel
    from flashket.qpu.circuit import MeasuredCircuit

LARGEST_EXACT = 8
"""Qubits up to which density matrices are simulated exactly; beyond, trajectories."""

LARGEST_BOUND = 10
"""The same for circuits that are compiled for each pair, as a Hadamard test's: fidelities alone say less of them, and they are few."""

LONGEST_LINE, _GATES_OF_PAIR = 40, 2
"""Qubits up to which circuits on a line are simulated exactly, as matrix products, to fit their effective model, and the most two-qubit
gates that each half may have on a pair: every further one multiplies the bond dimension by up to 4."""

_SMALLEST_BANDWIDTH = 1e-30
"""Rows that would fill the range of angles of a smaller one are not made: they are too large to be taken."""

_PAIRS, _BOUND_PAIRS, _LINE_PAIRS = 32, 16, 10
"""Pairs of rows that a symbolic circuit is fitted to; one where every pair must be compiled on its own; and one on a line."""


@dataclass(frozen=True)
class EffectiveNoise:
    """What a device makes of a kernel's probability: ``p -> scale p + offset``.

    Parameters
    ----------
    scale, offset : float
        The map.
    fidelity : float
        Product of the process fidelities of everything before the measurement, from calibration.
    n_qubits : int
        Qubits of the compiled circuit, those that routing passes included.
    is_fitted : bool
        Whether scale and offset were fitted to an exact simulation; otherwise they are :func:`from_fidelities`.
    error_max, error_rms : float
        Largest and root-mean-square difference to the exact simulation on pairs of rows that were not fitted; NaN without one.
    unfitted_error_rms : float
        The same of :func:`from_fidelities`, to say how far fidelities alone can be trusted; NaN without an exact simulation.
    """

    scale: float
    offset: float
    fidelity: float
    n_qubits: int
    is_fitted: bool = False
    error_max: float = math.nan
    error_rms: float = math.nan
    unfitted_error_rms: float = math.nan

    def __str__(self) -> str:
        line = f"p -> {self.scale:.4f} p + {self.offset:.4f}, process fidelity {self.fidelity:.3f} on {self.n_qubits} qubits"
        if self.is_fitted:
            return f"{line}, fitted to the exact simulation: largest error seen {self.error_max:.4f}, RMS {self.error_rms:.4f}"
        reach = f"up to {LARGEST_EXACT} qubits, {LARGEST_BOUND} of a Hadamard test, {LONGEST_LINE} on a line"
        return f"{line}, not fitted: it has no exact simulation ({reach})"


def process_fidelity(noisy: NoisyCircuit) -> float:
    """Return the product of the process fidelities of a circuit's channels and of its preparation.

    A channel with Pauli transfer matrix R keeps the state with probability ``F = Tr R / 4`` (one qubit; of a Pauli channel on two, the
    sum of its diagonal / 16) once it is twirled. A depolarising gate of average infidelity e has ``1 - F = (d + 1) e / d``; relaxation
    during t has ``F = (1 + exp(-t / T1) + 2 exp(-t / T2)) / 4``.

    Parameters
    ----------
    noisy : NoisyCircuit
        From ``flashket.noise.lower``.

    Notes
    -----
    Reference: M. Horodecki, P. Horodecki, R. Horodecki, PRA 60, 1888 (1999); M. A. Nielsen, Phys. Lett. A 303, 249 (2002).
    """
    fidelity = float(np.prod((1 + noisy.start[:, 3]) / 2))
    for part in noisy.parts:
        one = np.trace(part.channels, axis1=1, axis2=2) / 4 if len(part.channels) else np.ones(0)
        two = part.pair_channels.mean(axis=1) if len(part.pair_channels) else np.ones(0)
        for kind, index, *_ in part.operations:
            if kind:
                fidelity *= float(one[index] if kind == CHANNEL else two[index])
    return fidelity


def from_fidelities(noisy: NoisyCircuit) -> tuple[float, float]:
    """Return (scale, offset) that calibration alone gives for the probability of reading zeros on all m measured qubits.

    With probability f, the process fidelity, nothing happened, and otherwise outcomes are uniform: ``p -> f p + (1 - f) / 2^m``.
    Readout then keeps a true outcome of zeros with ``A = prod (1 - p10)``, reads a uniform one so with ``U = prod (1 - p10 + p01) / 2^m``,
    and any other one with the mean of the rest, ``L = (2^m U - A) / (2^m - 1)``: ``scale = f (A - L)``, ``offset = f L + (1 - f) U``.

    Parameters
    ----------
    noisy : NoisyCircuit
        From ``flashket.noise.lower``.

    Notes
    -----
    Reference: J. Vovrosh et al., "Simple mitigation of global depolarizing errors in quantum simulations", PRE 104, 035309 (2021).

    Examples
    --------
    >>> quiet = NoisyCircuit((), np.array([[1.0, 0.0, 0.0, 1.0]]), np.array([[0.01, 0.03]]), (0,))
    >>> scale, offset = from_fidelities(quiet)
    >>> round(scale, 6), round(offset, 6)  # reads 0 as 0 with 0.99, and 1 as 0 with 0.03
    (0.96, 0.03)
    """
    fidelity, m = process_fidelity(noisy), len(noisy.readout)
    p10, p01 = noisy.readout[:, 0], noisy.readout[:, 1]
    zeros = float(np.prod(1 - p10))
    uniform = float(np.prod((1 - p10 + p01) / 2))
    share = 0.5**m
    others = (uniform - zeros * share) / (1 - share)
    return fidelity * (zeros - others), fidelity * others + (1 - fidelity) * uniform


def fit(ideal: Array, noisy: Array) -> tuple[float, float]:
    """Return (scale, offset) of the least squares ``noisy = scale ideal + offset`` with 0 < scale <= 1 and 0 <= offset <= 1.

    Examples
    --------
    >>> p = np.linspace(0, 1, 5)
    >>> scale, offset = fit(p, 0.8 * p + 0.1)
    >>> round(scale, 6), round(offset, 6)
    (0.8, 0.1)
    """
    x, y = np.ravel(ideal), np.ravel(noisy)
    spread = float(np.mean((x - x.mean()) ** 2))
    # Rows that all look alike say nothing about the slope.
    slope = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread if spread > 1e-12 else 1.0
    scale = min(max(slope, 1e-12), 1.0)
    offset = float(y.mean() - scale * x.mean())
    if offset < 0:
        offset = 0.0
        scale = min(max(float(x @ y) / max(float(x @ x), 1e-300), 1e-12), 1.0)
    return scale, min(offset, 1.0)


@lru_cache(maxsize=256)
def effective_noise(kernel: Kernel, model: NoiseModel) -> EffectiveNoise:
    """Return the effective model of a kernel's circuit on the model's device.

    Parameters
    ----------
    kernel : Fidelity or HadamardTest
        Its compute-uncompute circuit or Hadamard test is compiled for the device; its power does not matter here.
    model : NoiseModel
        Device, layout and compiler.

    Notes
    -----
    Up to 8 compiled qubits (10 where every pair is compiled, as in a Hadamard test), and 40 where each half joins neighbours on a line at
    most twice, the map is fitted, by least squares, to the exact simulation of pairs of random rows from near to far, and its error is
    taken on other such pairs. That error is of the map, not of the calibration data. Beyond, :func:`from_fidelities` is used as it is:
    pessimistic for Hadamard tests, where most errors on data qubits do no harm. On ibm_torino it gives Angle(11), 12 qubits, a scale of
    0.52 where exact simulation has 0.77. The circuit of a kernel whose encoding is not one gate
    list with symbolic angles (Amplitude, and every Hadamard test) is compiled for each pair; other rows may cost a few gates more or
    less. Results are cached.
    """
    assert isinstance(kernel, (Fidelity, HadamardTest))
    plain = type(kernel)(kernel.feature_map)
    if plain != kernel:
        return effective_noise(plain, model)
    probabilities, noisy = _simulation(plain, model)
    guess = from_fidelities(noisy)
    n_qubits, fidelity = len(noisy.start), process_fidelity(noisy)
    if probabilities is None:
        return EffectiveNoise(*guess, fidelity, n_qubits)
    fitted = fit(*probabilities(0))
    ideal, seen = probabilities(1)
    errors, guess_errors = (np.clip(scale * ideal + offset, 0, 1) - seen for scale, offset in (fitted, guess))
    rms = [float(np.sqrt(np.mean(each**2))) for each in (errors, guess_errors)]
    return EffectiveNoise(*fitted, fidelity, n_qubits, True, float(np.abs(errors).max()), *rms)


_Probabilities = Callable[[int], tuple[Array, Array]]
"""Ideal and noisy probabilities of random pairs of rows, for a seed."""


def _simulation(kernel: Kernel, model: NoiseModel) -> tuple[_Probabilities | None, NoisyCircuit]:
    """Return the exact simulation of random pairs, None where it is too large, and one noisy circuit of the kernel."""
    if has_symbolic_circuit(kernel):
        noisy = model.circuit(kernel)

        def from_halves(seed: int) -> tuple[Array, Array]:
            x, y = random_pairs(kernel, _PAIRS, seed)
            # Beside each row's neighbour also the next row's, which is a stranger.
            ideal, seen = kernel(x, y), exact.gram(noisy, x, y)
            return tuple(np.concatenate([np.diagonal(each), np.diagonal(each, 1)]) for each in (ideal, seen))  # type: ignore[return-value]

        def along_the_line(seed: int) -> tuple[Array, Array]:
            x, y = random_pairs(kernel, _LINE_PAIRS, seed)
            seen = [zero_probability(noisy, left, right) for left, right in zip(x, y, strict=True)]
            return np.diagonal(kernel(x, y)).copy(), np.array(seen)

        if len(noisy.start) <= LARGEST_EXACT:
            return from_halves, noisy
        return along_the_line if _is_simple_line(noisy) else None, noisy

    first = model.bound_circuit(example_circuits(kernel, 1, 0)[0])

    def one_by_one(seed: int) -> tuple[Array, Array]:
        x, y = random_pairs(kernel, _BOUND_PAIRS, seed)
        seen = exact.many_probabilities([model.bound_circuit(circuit) for circuit in example_circuits(kernel, _BOUND_PAIRS, seed)])
        return np.diagonal(kernel(x, y)).copy(), np.array([each[0] for each in seen])

    return one_by_one if len(first.start) <= LARGEST_BOUND else None, first


def _is_simple_line(noisy: NoisyCircuit) -> bool:
    """Say whether two-qubit gates join neighbours alone, few times each."""
    if len(noisy.start) > LONGEST_LINE:
        return False
    for part in noisy.parts:
        pairs = [gate.qubits for gate in part.program.gates if len(gate.qubits) == 2]
        if any(abs(a - b) != 1 for a, b in pairs) or max(Counter(map(frozenset, pairs)).values(), default=0) > _GATES_OF_PAIR:
            return False
    return True


def has_symbolic_circuit(kernel: Kernel) -> bool:
    """Say whether one gate list with symbolic angles measures every pair: compute-uncompute of a map that is a program."""
    return isinstance(kernel, Fidelity) and not isinstance(kernel.feature_map, Amplitude)


def example_circuits(kernel: Kernel, n: int, seed: int) -> list[MeasuredCircuit]:
    """Return the circuits of n pairs of random rows, which read all zeros with the kernel's probability (power 1)."""
    estimator = ComputeUncompute(kernel) if isinstance(kernel, Fidelity) else Hadamard(kernel)
    x, y = random_pairs(kernel, n, seed)
    return [estimator.measurements(x[i : i + 1], y[i : i + 1]).circuits[0] for i in range(n)]


def random_pairs(kernel: Kernel, n: int, seed: int) -> tuple[Array, Array]:
    """Return n rows (n, n_features) anywhere, and a partner of each, from near to far: their kernel values fill 0..1.

    Examples
    --------
    >>> import flashket as fk
    >>> x, y = random_pairs(fk.Fidelity(fk.Angle(2)), 8, 0)
    >>> x.shape == y.shape == (8, 2)
    True
    """
    assert isinstance(kernel, (Fidelity, HadamardTest))
    rng, far = np.random.default_rng(seed), np.linspace(0.03, 1, n)[:, None]  # equal rows would leave gates out
    if isinstance(kernel.feature_map, Amplitude):
        x, other = rng.standard_normal((2, n, kernel.n_features))
        return x, np.asarray(np.cos(np.pi * far) * x + np.sin(np.pi * far) * other)
    bandwidth = abs(float(getattr(kernel.feature_map, "bandwidth", 1.0)))
    # Of a bandwidth that leaves no angle to speak of all rows are alike.
    turn = np.pi / max(bandwidth, _SMALLEST_BANDWIDTH)
    x = rng.uniform(-turn, turn, (n, kernel.n_features))
    return x, np.asarray(x + turn * far**2 * rng.standard_normal(x.shape))


def device_of(profile: DeviceProfile) -> str:
    """Return a profile in words: name, processor and the date of its data.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> device_of(load_profile("ibm_torino"))
    'ibm_torino (Heron r1, 2025-02-26)'
    """
    return f"{profile.name} ({profile.processor}, {profile.snapshot or 'undated'})"
