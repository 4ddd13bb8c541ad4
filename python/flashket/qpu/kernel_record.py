# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Kernels and mitigation as plain data, so that another process can read a job's counts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flashket.errors import JobError, explanation
from flashket.feature_maps import discovered
from flashket.feature_maps.circuit import Circuit
from flashket.kernels import Fidelity, HadamardTest, Kernel, Projected
from flashket.program import Gate, Linear, Program
from flashket.qpu.mitigation import Mitigation, ReadoutMitigation, ZeroNoise

_KERNELS: dict[str, type[Fidelity] | type[HadamardTest] | type[Projected]] = {
    "fidelity": Fidelity,
    "hadamard": HadamardTest,
    "projected": Projected,
}


def write_kernel(kernel: Kernel) -> dict[str, Any]:
    """Return a kernel as JSON: its name and options, and those of its feature map.

    Examples
    --------
    >>> import flashket as fk
    >>> write_kernel(fk.Fidelity(fk.Angle(2)))["map"]
    {'name': 'angle', 'n_features': 2, 'rotation': 'ry', 'bandwidth': 1.0}
    """
    options = kernel.get_params(deep=False)
    feature_map = options.pop("feature_map", None)
    if feature_map is None:
        return {"name": kernel.spec_name, **options}
    if isinstance(feature_map, Circuit):
        described: dict[str, Any] = {"program": _write_program(feature_map.program())}
    else:
        described = feature_map.get_params()
    name = feature_map.spec_name if discovered().get(feature_map.spec_name) is type(feature_map) else repr(feature_map)
    return {"name": kernel.spec_name, **options, "map": {"name": name, **described}}


def read_kernel(record: dict[str, Any]) -> Kernel:
    """Return what :func:`write_kernel` wrote.

    Raises
    ------
    JobError
        For a feature map that is not FlashKet's own.

    Examples
    --------
    >>> import flashket as fk
    >>> read_kernel(write_kernel(fk.Projected(fk.ZZ(3, entanglement=[(0, 2)]), gamma=0.5)))
    Projected(ZZ(3, entanglement=((0, 2),)), gamma=0.5)
    """
    options = dict(record)
    described = dict(options.pop("map", {}))
    name = described.pop("name", "")
    if options.get("name") not in _KERNELS or name not in discovered():
        do = "call fk.gram again with it: the counts are in the journal"
        raise JobError(explanation("journal", "a kernel of FlashKet's own was wanted", name or options.get("name"), do))
    kernel = _KERNELS[options.pop("name")]
    if name == Circuit.spec_name:
        return kernel(Circuit(_read_program(described["program"])), **options)
    return kernel(discovered()[name](**described), **options)


def write_mitigation(mitigation: Mitigation | None) -> dict[str, Any] | None:
    """Return mitigation's settings as JSON.

    Examples
    --------
    >>> write_mitigation(Mitigation(psd="clip"))
    {'readout': None, 'zero_noise': None, 'rescale': None, 'psd': 'clip'}
    """
    return None if mitigation is None else asdict(mitigation)


def read_mitigation(record: dict[str, Any] | None) -> Mitigation | None:
    """Return what :func:`write_mitigation` wrote.

    Examples
    --------
    >>> read_mitigation(write_mitigation(Mitigation(zero_noise=ZeroNoise()))) == Mitigation(zero_noise=ZeroNoise())
    True
    """
    if record is None:
        return None
    readout = record["readout"] and ReadoutMitigation(**record["readout"])
    zero_noise = record["zero_noise"] and ZeroNoise(**record["zero_noise"])
    return Mitigation(readout, zero_noise, record["rescale"], record["psd"])


def _write_program(program: Program) -> dict[str, Any]:
    gates = [[gate.name, list(gate.qubits), [list(factor) for factor in gate.angle]] for gate in program.gates]
    return {"n_qubits": program.n_qubits, "n_features": program.n_features, "gates": gates}


def _read_program(record: dict[str, Any]) -> Program:
    gates = (Gate(name, tuple(qubits), tuple(Linear(*factor) for factor in angle)) for name, qubits, angle in record["gates"])
    return Program(record["n_qubits"], record["n_features"], tuple(gates))
