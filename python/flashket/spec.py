# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The command line's words for kernels: ``[fidelity:|hadamard:|projected:]MAP:N[,key=value...]`` or ``CONTROL:N``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from flashket.controls import ScaledDot, Uniform
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap, discovered
from flashket.kernels import Fidelity, HadamardTest, Kernel, Projected

_SIMILARITIES: dict[str, type[Fidelity] | type[HadamardTest] | type[Projected]] = {
    kernel.spec_name: kernel for kernel in (Fidelity, HadamardTest, Projected)
}
_CONTROLS: dict[str, type[ScaledDot] | type[Uniform]] = {control.spec_name: control for control in (ScaledDot, Uniform)}


def parse_spec(text: str) -> Kernel:
    """Return the kernel that a SPEC names.

    Parameters
    ----------
    text : str
        ``[fidelity:|hadamard:|projected:]MAP:N[,key=value...]`` with a feature map's ``spec_name`` and its options, or a control
        ``softmax:N``, ``uniform:N``. ``power`` and ``gamma`` (projected) go to the kernel; fidelity is the default.

    Returns
    -------
    Kernel

    Raises
    ------
    InputError
        For an unknown word, listing what exists, and for a bad value.

    Examples
    --------
    >>> parse_spec("angle:8")
    Fidelity(Angle(8))
    >>> parse_spec("projected:zz:6,gamma=0.5")
    Projected(ZZ(6), gamma=0.5)
    >>> parse_spec("hadamard:zz:6,reps=1,entanglement=linear,power=2")
    HadamardTest(ZZ(6, reps=1, entanglement='linear'), power=2)
    """
    words, options = _split(text)
    similarity = words.pop(0) if len(words) > 2 and words[0] in _SIMILARITIES else None
    name, size = words if len(words) == 2 else (words[0], "")
    if len(words) > 2 or (name not in discovered() and name not in _CONTROLS):
        raise _unknown(text)
    n_features = _number(text, "N", size, int)
    if name in _CONTROLS:
        if similarity or options:
            raise InputError(explanation("spec", f"{name} takes nothing but its size", repr(text), f"write {name}:{size}"))
        return _CONTROLS[name](n_features)
    kernel_class = _SIMILARITIES[similarity or "fidelity"]
    known = {field.name: type(field.default) for field in fields(kernel_class) if field.name != "feature_map"}
    own = {key: _number(text, key, options.pop(key), kind) for key, kind in known.items() if key in options}
    feature_map = discovered()[name](n_features, **_map_options(text, discovered()[name], options, known))
    return kernel_class(feature_map, **own)


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


def _map_options(text: str, map_class: type[FeatureMap], options: dict[str, str], of_kernel: Iterable[str]) -> dict[str, Any]:
    """Convert options by the type of the map's defaults."""
    known = {field.name: field.default for field in fields(map_class) if field.name != "n_features"}
    converted: dict[str, Any] = {}
    for key, value in options.items():
        if key not in known:
            do = f"{map_class.spec_name} has {', '.join([*known, *of_kernel])}"
            raise InputError(explanation("spec", "options must exist", repr(key), do))
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
    return InputError(explanation("spec", f"a kernel must be [{similarities}]MAP:N[,key=value...] or CONTROL:N", repr(text), do))
