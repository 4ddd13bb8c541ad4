# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What ``flashket doctor`` says: facts about the machine, and checks that pass or fail."""

from __future__ import annotations

from collections.abc import Callable

from flashket.errors import FlashKetError


def report() -> tuple[list[str], bool]:
    """Return the lines to print and whether every check passed.

    Notes
    -----
    Takes about a second: it reads every bundled checkpoint and text, and compares one small Gram matrix with its definition.

    Examples
    --------
    >>> lines, is_sound = report()
    >>> is_sound
    True
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("versions", _versions),
        ("core", _core),
        ("kernel", _kernel),
        ("memory", _memory),
        *((f"model {name}", lambda name=name: _model(name)) for name in _models()),
        *((f"text {name}", lambda name=name: _text(name)) for name in ("flashket", "stdlib")),
    ]
    lines, is_sound = [], True
    for title, check in checks:
        try:
            lines.append(f"ok    {title:16} {check()}")
        except (FlashKetError, ImportError, OSError) as error:
            is_sound = False
            lines.append(f"FAIL  {title:16} {' '.join(str(error).split())}")
    lines += _backends()
    return lines, is_sound


def _models() -> tuple[str, ...]:
    from flashket.llm.checkpoint import BUNDLED

    return BUNDLED


def _versions() -> str:
    from flashket.benchmark.environment import cpu_name, versions

    return ", ".join(f"{name} {version}" for name, version in versions().items()) + f"; {cpu_name()}"


def _core() -> str:
    import flashket as fk
    from flashket import _core

    built = ", ".join(f"{name} {value}" for name, value in sorted(_core.build_info().items()))
    return f"ISA {fk.isa()} of {', '.join(_core.available_isas())}; {fk.get_num_threads()} threads; built with {built}"


def _kernel() -> str:
    import numpy as np

    from flashket.errors import FlashKetError
    from flashket.feature_maps.angle import Angle
    from flashket.gram import gram
    from flashket.kernels import Fidelity

    x = np.random.default_rng(0).uniform(-3, 3, (64, 8))
    error = float(np.abs(gram(x, kernel=Fidelity(Angle(8))) - (np.cos((x[:, None] - x) / 2) ** 2).prod(-1)).max())
    if not error <= 1e-12:
        raise FlashKetError(f"Angle(8) differs from its definition by {error:.1e}; install flashket again or set FLASHKET_ISA=baseline")
    return f"Angle(8) on 64 points: largest error {error:.1e}"


def _memory() -> str:
    from flashket.memory import available_bytes, format_bytes

    available = available_bytes()
    return "the system does not say" if available is None else f"{format_bytes(available)} available"


def _model(name: str) -> str:
    from flashket.llm.model import load

    model = load(name)
    return f"{model.n_parameters:,} parameters, {model.kernel!r}, SHA-256 {model.sha256[:16]}"


def _text(name: str) -> str:
    from flashket.benchmark.texts import load_text
    from flashket.llm.data import text_hash

    text = load_text(name)
    return f"{len(text):,} bytes, SHA-256 {text_hash(text)[:16]}"


def _backends() -> list[str]:
    from flashket.backends._registry import backends
    from flashket.backends.cuda import CUDA

    lines = []
    for each in backends():
        reason = CUDA.properties()["name"] if each is CUDA and each.available and not each.reason else each.reason
        lines.append(f"{'ok   ' if each.available else 'none '} backend {each.name}" + (f": {reason}" if reason else ""))
    return lines
