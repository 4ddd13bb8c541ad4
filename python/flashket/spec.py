# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The command line's words for kernels: ``[SIMILARITY:]MAP:N[,key=value...]``, ``[SIMILARITY:]circuit:FILE`` or ``CONTROL:N``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from flashket import kernels
from flashket.controls import ScaledDot, Uniform
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap, discovered
from flashket.feature_maps.circuit import Circuit
from flashket.kernels import Fidelity, Kernel
from flashket.program import Program

# Not issubclass: Python 3.10 calls tuple[int] a type and then refuses to ask it.
_KERNELS: list[Any] = [value for value in vars(kernels).values() if isinstance(value, type) and Kernel in value.__mro__]
_SIMILARITIES: dict[str, Any] = {kernel.spec_name: kernel for kernel in _KERNELS if kernel.spec_name}
"""Every kernel of a feature map that has a name here; its own options (power, gamma) are its fields beside the map."""

_CONTROLS: dict[str, type[ScaledDot] | type[Uniform]] = {control.spec_name: control for control in (ScaledDot, Uniform)}


def parse_spec(text: str) -> Kernel:
    """Return the kernel that a SPEC names.

    Parameters
    ----------
    text : str
        ``[SIMILARITY:]MAP:N[,key=value...]`` with a kernel's and a feature map's ``spec_name`` and their options, a file of OpenQASM
        ``[SIMILARITY:]circuit:FILE[,key=value...]`` (its name without commas), or a control ``softmax:N``, ``uniform:N``. Options that the
        kernel has (``power``) go to it; fidelity is the default.

    Returns
    -------
    Kernel

    Raises
    ------
    InputError
        For an unknown word, listing what exists, for a bad value, and for a file that cannot be read or is no OpenQASM.
    BackendUnavailable
        For a file when the parser is absent: ``pip install 'flashket[qasm]'``.

    Examples
    --------
    >>> parse_spec("angle:8")
    Fidelity(Angle(8))
    >>> parse_spec("hadamard:zz:6,reps=1,entanglement=linear,power=2")
    HadamardTest(ZZ(6, reps=1, entanglement='linear'), power=2)
    """
    words, options = _split(text)
    kernel = _SIMILARITIES[words.pop(0)] if len(words) > 1 and words[0] in _SIMILARITIES else None
    name, *sizes = words
    if name in _CONTROLS and len(sizes) == 1:
        if kernel is not None or options:
            raise InputError(explanation("spec", f"{name} takes nothing but its size", repr(text), f"write {name}:{sizes[0]}"))
        return _CONTROLS[name](_number(text, "N", sizes[0], int))
    if name not in discovered() or (len(sizes) > 1 and name != Circuit.spec_name):
        raise _unknown(text)
    kernel = Fidelity if kernel is None else kernel
    own = {field.name: field.default for field in fields(kernel) if field.name != "feature_map"}
    kernel_options = _converted(text, name, own, {key: value for key, value in options.items() if key in own}, own)
    map_options = {key: value for key, value in options.items() if key not in own}
    found: Kernel = kernel(_feature_map(text, name, ":".join(sizes), map_options, own), **kernel_options)
    return found


def _feature_map(text: str, name: str, size: str, options: dict[str, str], own: dict[str, Any]) -> FeatureMap:
    """Return the map of a name, its size (a file for circuits) and its options; ``own`` are the kernel's, for the error."""
    if name == Circuit.spec_name:
        _converted(text, name, {}, options, own)
        return Circuit(Program.from_qasm(_file_text(size)))
    map_class = discovered()[name]
    known = {field.name: field.default for field in fields(map_class) if field.name != "n_features"}
    return map_class(_number(text, "N", size, int), **_converted(text, name, known, options, own))


def _file_text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        do = "write circuit:FILE with the file's name"
        raise InputError(explanation("spec", "FILE must be a readable OpenQASM file", f"{name!r} ({reason})", do)) from None


def _split(text: str) -> tuple[list[str], dict[str, str]]:
    if not isinstance(text, str):
        raise InputError(explanation("spec", "a kernel spec must be text", repr(text), "e.g. angle:8"))
    head, *tail = text.strip().split(",")
    options: dict[str, str] = {}
    for item in tail:
        key, equals, value = item.partition("=")
        if not equals or not key.strip() or key.strip() in options:
            raise InputError(explanation("spec", "options must be key=value, each once", repr(item), f"in {text!r}"))
        options[key.strip()] = value.strip()
    return [word.strip() for word in head.split(":")], options


def _converted(text: str, name: str, known: dict[str, Any], options: dict[str, str], own: dict[str, Any]) -> dict[str, Any]:
    """Convert options by the type of their defaults."""
    converted: dict[str, Any] = {}
    for key, value in options.items():
        if key not in known:
            raise InputError(explanation("spec", "options must exist", repr(key), f"{name} has {', '.join([*known, *own])}"))
        kind = type(known[key])
        converted[key] = value if kind is str else _number(text, key, value, kind)
    return converted


def _number(text: str, name: str, value: str, kind: type) -> Any:
    try:
        return {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
    except (KeyError, TypeError, ValueError):
        wanted = {int: "an integer", bool: "true or false"}.get(kind, "a number")
        raise InputError(explanation("spec", f"{name} must be {wanted}", repr(value), f"in {text!r}, e.g. angle:8")) from None


def _unknown(text: str) -> InputError:
    similarities = "|".join(f"{name}:" for name in _SIMILARITIES)
    do = f"maps are {', '.join(discovered())}; controls are {', '.join(_CONTROLS)}"
    wanted = f"a kernel must be [{similarities}]MAP:N[,key=value...], circuit:FILE or CONTROL:N"
    return InputError(explanation("spec", wanted, repr(text), do))
