# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Noise models: which device, and how its noise is simulated. What ``noise=`` of :func:`flashket.gram` and its siblings takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from flashket import diagnostics
from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.feature_maps._base import positive_int
from flashket.feature_maps.amplitude import Amplitude
from flashket.kernels import Kernel, Projected
from flashket.noise import bloch, effective, exact, trajectories
from flashket.noise.effective import LARGEST_EXACT, EffectiveNoise, device_of, example_circuits, has_symbolic_circuit
from flashket.noise.exact import MOST_QUBITS
from flashket.noise.lower import lower
from flashket.qpu.compile import compile_circuit, compile_pair, compile_program
from flashket.qpu.estimators.local import turned
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names

if TYPE_CHECKING:
    from flashket.noise.program import NoisyCircuit
    from flashket.qpu.circuit import MeasuredCircuit
    from flashket.qpu.native import NativeCircuit

METHODS = ("exact", "trajectories", "effective")
_COMPILERS = ("auto", "qiskit")


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """The noise of a device, for ``noise=``. Made by :meth:`from_profile`; immutable, hashable, picklable.

    Parameters
    ----------
    profile : DeviceProfile
        The device.
    method : str, optional
        "exact", "trajectories", "effective", or None: what suits the call.
    layout : tuple of int, optional
        Physical qubits to use; None chooses them by their errors.
    compiler : str
        "auto" or "qiskit".
    trajectories : int
        Of one Gram matrix.
    idle : bool
        Whether qubits decay while they wait.

    Examples
    --------
    >>> import flashket as fk
    >>> kernel, model = fk.Fidelity(fk.ZZ(2)), fk.NoiseModel.from_profile("ibm_torino")
    >>> K = fk.gram([[0.1, 0.2], [1.0, 0.5]], kernel=kernel, noise=model, shots=1000, seed=0)
    >>> bool(0.8 < K[0, 0] < 1), model.report(kernel).method
    (True, 'exact')
    """

    profile: DeviceProfile
    method: str | None = None
    layout: tuple[int, ...] | None = None
    compiler: str = "auto"
    trajectories: int = 256
    idle: bool = True

    @classmethod
    def from_profile(
        cls,
        name: str | os.PathLike[str] | DeviceProfile,
        method: str | None = None,
        *,
        layout: Any = None,
        compiler: str = "auto",
        trajectories: int = 256,
        idle: bool = True,
    ) -> NoiseModel:
        """Return the noise model of a device.

        Parameters
        ----------
        name : str, path or DeviceProfile
            A name from :func:`flashket.qpu.profile_names`, a JSON file with the fields of a profile, or a profile.
        method : str, optional
            "exact": density matrices on the used qubits, up to 12 of them. "trajectories": random Pauli errors and decays averaged over
            many runs, for more. "effective": ``p -> scale p + offset``, see :mod:`flashket.noise.effective`. None: Gram matrices
            of circuits with symbolic angles take "exact" up to 8 qubits and "trajectories" above, everything else "effective".
        layout : sequence of int, optional
            Physical qubits to use, one for each qubit of the circuit; None chooses them by their errors.
        compiler : str
            "auto" (FlashKet's own) or "qiskit" (its preset pass manager; needs the extra ``ibm``).
        trajectories : int
            Runs of every row that a Gram matrix is averaged over; its standard error falls with their square root.
        idle : bool
            Whether qubits decay while they wait for others (T1, T2).

        Returns
        -------
        NoiseModel

        Raises
        ------
        InputError
            For an unknown device, method or compiler, a damaged profile, and a layout that is not distinct qubits of the device.

        Examples
        --------
        >>> import flashket as fk
        >>> model = fk.NoiseModel.from_profile("ibm_torino", method="effective")
        >>> model
        NoiseModel.from_profile('ibm_torino', method='effective')
        >>> K = fk.gram([[0.1, 0.2], [1.0, 0.5]], kernel=fk.Fidelity(fk.Angle(2)), noise=model)
        >>> bool(0.9 < K[0, 0] < 1)
        True
        """
        place = "NoiseModel"
        if isinstance(name, DeviceProfile):
            profile = name
        elif isinstance(name, (str, os.PathLike)):
            profile = load_profile(os.fspath(name))
        else:
            raise InputError(explanation(place, "a device profile's name or file was wanted", repr(name), "e.g. 'ibm_torino'"))
        if method is not None and method not in METHODS:
            do = "choose one, or None for what suits the call"
            raise InputError(explanation(place, f"method must be one of {', '.join(METHODS)}", repr(method), do))
        if compiler not in _COMPILERS:
            raise InputError(explanation(place, f"compiler must be one of {', '.join(_COMPILERS)}", repr(compiler), "choose one"))
        if not isinstance(idle, (bool, np.bool_)):
            raise InputError(explanation(place, "idle must be True or False", repr(idle), "True lets waiting qubits decay"))
        qubits = None if layout is None else _checked_layout(layout, profile)
        runs = positive_int(trajectories, place, "trajectories", "256 is the default")
        if runs < 2:
            raise InputError(explanation(place, "trajectories must be at least 2", runs, "their spread tells the standard error"))
        return cls(profile, method, qubits, compiler, runs, bool(idle))

    @cached_property
    def _key(self) -> str:
        # Unknown calibration values are NaN, which differ from themselves; their text does not.
        return repr((self.profile, self.method, self.layout, self.compiler, self.trajectories, self.idle))

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, NoiseModel) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        options = {"method": None, "layout": None, "compiler": "auto", "trajectories": 256, "idle": True}
        chosen = "".join(f", {name}={getattr(self, name)!r}" for name, usual in options.items() if getattr(self, name) != usual)
        return f"NoiseModel.from_profile({self.profile.name!r}{chosen})"

    def resolve(self, kernel: Kernel, op: str, place: str) -> str:
        """Return the method that ``op`` ("gram" | "attention") of this kernel takes.

        Raises
        ------
        InputError
            If the model names a method that cannot do it.
        """
        if isinstance(kernel, Projected):
            return self._resolve_projected(kernel, op, place)
        check_kernel(kernel, place)
        if self.method is None:
            if op == "attention" or not has_symbolic_circuit(kernel):
                return "effective"
            return "exact" if len(self.circuit(kernel).start) <= LARGEST_EXACT else "trajectories"
        if self.method == "effective":
            return self.method
        if op == "attention":
            do = 'use method="effective", fitted to the exact simulation'
            raise InputError(explanation(place, "a score of attention takes the effective model", f"method={self.method!r}", do))
        if not has_symbolic_circuit(kernel):
            wanted = f'method="{self.method}" needs one circuit with symbolic angles for all pairs'
            do = 'its circuits differ from pair to pair; use method="effective"'
            raise InputError(explanation(place, wanted, repr(kernel), do))
        n_qubits = len(self.circuit(kernel).start)
        if self.method == "exact" and n_qubits > MOST_QUBITS:
            do = 'use method="trajectories"'
            raise InputError(explanation(place, f"exact density matrices go up to {MOST_QUBITS} qubits", n_qubits, do))
        return self.method

    def _resolve_projected(self, kernel: Projected, op: str, place: str) -> str:
        if op != "gram":
            do = "fk.gram and fk.gram_matvec take noise for it"
            raise InputError(
                explanation(place, "a noisy score must be the probability of one outcome", f"{kernel!r}: rows are measured", do)
            )
        if isinstance(kernel.feature_map, Amplitude):
            do = f'its circuits differ from row to row; use fk.qpu.gram(..., backend="sim:{self.profile.name}")'
            raise InputError(explanation(place, "noise of a projected kernel needs one circuit with symbolic angles", repr(kernel), do))
        if self.method == "effective":
            do = "leave method out"
            raise InputError(explanation(place, "a projected kernel is no probability, which the effective model maps", repr(kernel), do))
        n_qubits = len(self.row_circuits(kernel)[0].start)
        method = self.method or ("exact" if n_qubits <= LARGEST_EXACT else "trajectories")
        limit, do = (MOST_QUBITS, 'use method="trajectories"') if method == "exact" else (trajectories.MOST_QUBITS, "use fewer features")
        if n_qubits > limit:
            raise InputError(explanation(place, f"the {method} simulation goes up to {limit} qubits", n_qubits, do))
        return method

    def row_circuits(self, kernel: Projected) -> tuple[NoisyCircuit, ...]:
        """Return the circuits that measure X, Y and Z of every qubit of a row, in the device's gates with symbolic angles and noise."""
        return _lowered_rows(self, kernel.feature_map)

    def projected(self, kernel: Projected, method: str, x: Array, y: Array | None, *, shots: int, seed: int) -> tuple[Array, float]:
        """Return the noisy projected kernel (n, m) by "exact" or "trajectories", and the largest standard error that trajectories leave.

        Parameters as of :meth:`probabilities`; ``shots`` of each of a row's three circuits, 0 for expected values.
        """
        runs = 0 if method == "exact" else self.trajectories
        return bloch.gram(self.row_circuits(kernel), kernel.gamma, x, y, shots=shots, runs=runs, seed=seed)

    def effective(self, kernel: Kernel) -> EffectiveNoise:
        """Return the affine map that the device makes of a kernel's probability, with its error.

        Examples
        --------
        >>> import flashket as fk
        >>> found = fk.NoiseModel.from_profile("ibm_torino").effective(fk.Fidelity(fk.Angle(4)))
        >>> found.is_fitted, found.error_max < 0.01
        (True, True)
        """
        check_kernel(kernel, "NoiseModel")
        return effective.effective_noise(kernel, self)

    def circuit(self, kernel: Kernel) -> NoisyCircuit:
        """Return the compute-uncompute circuit of a map with symbolic angles in the device's gates, with its noise."""
        return _lowered_pair(self, kernel.feature_map)  # type: ignore[attr-defined]  # state kernels have one

    def native(self, kernel: Kernel) -> NativeCircuit:
        """Return the circuit of one entry in the device's gates: with symbolic angles, or else of two arbitrary rows.

        Examples
        --------
        >>> import flashket as fk
        >>> native = fk.NoiseModel.from_profile("ibm_torino").native(fk.Fidelity(fk.IQP(4)))
        >>> len(native.qubits), native.n_two_qubit >= 24  # two for each pair in each half, and routing
        (4, True)
        """
        check_kernel(kernel, "NoiseModel")
        if has_symbolic_circuit(kernel):
            return _compiled_pair(self, kernel.feature_map)  # type: ignore[attr-defined]  # state kernels have one
        return compile_circuit(example_circuits(kernel, 1, 0)[0], self.profile, layout=self.layout, compiler=self.compiler)

    def bound_circuit(self, circuit: MeasuredCircuit) -> NoisyCircuit:
        """Return a circuit with numbers for angles in the device's gates, with its noise."""
        return lower(compile_circuit(circuit, self.profile, layout=self.layout, compiler=self.compiler), idle=self.idle)

    def __getstate__(self) -> dict[str, Any]:
        names = ("profile", "method", "layout", "compiler", "trajectories", "idle")
        return {name: getattr(self, name) for name in names}

    def report(self, kernel: Kernel, op: str = "gram", place: str = "NoiseModel") -> diagnostics.NoiseReport:
        """Return what a call with this kernel will do with the noise; see :class:`flashket.diagnostics.NoiseReport`."""
        method, device = self.resolve(kernel, op, place), device_of(self.profile)
        if method != "effective":
            circuit = self.row_circuits(kernel)[0] if isinstance(kernel, Projected) else self.circuit(kernel)
            return diagnostics.NoiseReport(method, device, len(circuit.start), self.trajectories * (method != "exact"))
        found = self.effective(kernel)
        return diagnostics.NoiseReport(
            method,
            device,
            found.n_qubits,
            scale=found.scale,
            offset=found.offset,
            is_fitted=found.is_fitted,
            error_max=found.error_max,
            error_rms=found.error_rms,
        )

    def probabilities(self, kernel: Kernel, method: str, x: Array, y: Array | None, seed: int) -> tuple[Array, float]:
        """Return the noisy probability (n, m) of every pair, by "exact" or "trajectories", and its largest standard error.

        Parameters
        ----------
        kernel : Kernel
            With a symbolic circuit; its power is not applied.
        method : str
            From :meth:`resolve`.
        x, y : numpy.ndarray, (n, n_features) and (m, n_features), float64
            y may be None: x. Entry (i, j) is the circuit that prepares x_i and undoes y_j.
        seed : int
            Of the trajectories.
        """
        noisy = self.circuit(kernel)
        if method == "exact":
            return exact.gram(noisy, x, y), 0.0
        values, errors = trajectories.gram(noisy, x, y, trajectories=self.trajectories, seed=seed)
        return values, float(np.max(errors, initial=0.0))


@lru_cache(maxsize=64)
def _compiled_pair(model: NoiseModel, feature_map: FeatureMap) -> NativeCircuit:
    return compile_pair(feature_map._program, model.profile, layout=model.layout, compiler=model.compiler)


@lru_cache(maxsize=64)
def _lowered_pair(model: NoiseModel, feature_map: FeatureMap) -> NoisyCircuit:
    return lower(_compiled_pair(model, feature_map), idle=model.idle)


@lru_cache(maxsize=64)
def _lowered_rows(model: NoiseModel, feature_map: FeatureMap) -> tuple[NoisyCircuit, ...]:
    options: dict[str, Any] = {"layout": model.layout, "compiler": model.compiler}
    return tuple(lower(compile_program(each, model.profile, **options), idle=model.idle) for each in turned(feature_map._program))


@lru_cache(maxsize=64)
def _bundled(name: str) -> NoiseModel:
    return NoiseModel.from_profile(name)


def check_kernel(kernel: Kernel, place: str) -> None:
    """Raise InputError for a kernel that has no circuit whose outcome is its value."""
    if kernel.is_control:
        do = "a classical control has no noise; pass noise=None"
        raise InputError(explanation(place, "noise needs a quantum kernel", repr(kernel), do))
    if not kernel.can_sample:
        do = "its rows are measured, not its pairs; pass noise=None"
        raise InputError(explanation(place, "noise needs values that are the probability of one outcome", repr(kernel), do))


def as_model(noise: Any, place: str) -> NoiseModel:
    """Return what ``noise=`` names as a NoiseModel.

    Parameters
    ----------
    noise : str, path, DeviceProfile or NoiseModel
        As :meth:`NoiseModel.from_profile` takes it.
    place : str
        The function to name in errors.

    Examples
    --------
    >>> as_model("ibm_torino", "gram")
    NoiseModel.from_profile('ibm_torino')
    """
    if isinstance(noise, NoiseModel):
        return noise
    if isinstance(noise, str) and noise in profile_names():
        return _bundled(noise)  # made once: attention asks for it again and again
    if isinstance(noise, (str, os.PathLike, DeviceProfile)):
        return NoiseModel.from_profile(noise)
    do = "e.g. noise='ibm_torino'"
    raise InputError(explanation(place, "noise must be a profile's name, its file, or an fk.NoiseModel", repr(noise), do))


def _checked_layout(layout: Any, profile: DeviceProfile) -> tuple[int, ...]:
    try:
        qubits = tuple(int(qubit) for qubit in layout)
        is_whole = all(qubit == given for qubit, given in zip(qubits, layout, strict=True))
    except (TypeError, ValueError):
        qubits, is_whole = (), False
    if not is_whole or not qubits or len(set(qubits)) != len(qubits) or not all(0 <= qubit < profile.n_qubits for qubit in qubits):
        wanted = f"layout must be distinct qubits in 0..{profile.n_qubits - 1} of {profile.name}"
        raise InputError(explanation("NoiseModel", wanted, repr(layout), "layout=None chooses them"))
    return qubits
