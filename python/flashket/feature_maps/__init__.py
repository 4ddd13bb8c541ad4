# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Feature maps. Every module of this folder without a leading underscore is one; nothing lists them."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from flashket.feature_maps._base import FeatureMap

__all__ = ["FeatureMap", "discovered"]


@cache
def discovered() -> dict[str, type[FeatureMap]]:
    """Return every feature map class by its SPEC name.

    Returns
    -------
    dict
        ``spec_name`` to class, in alphabetical order. Do not change it.

    Examples
    --------
    >>> sorted(discovered())[:2]
    ['amplitude', 'angle']
    """
    found: dict[str, type[FeatureMap]] = {}
    for module_info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        if module_info.name.startswith("_"):
            continue
        module = import_module(f"{__name__}.{module_info.name}")
        for value in vars(module).values():
            # Not issubclass alone: Python 3.10 calls list[int] a type and then refuses to ask it.
            if not isinstance(value, type) or FeatureMap not in value.__mro__ or not issubclass(value, FeatureMap):
                continue
            if not value.spec_name or value.__module__ != module.__name__:
                continue
            if value.spec_name in found:
                other = found[value.spec_name].__qualname__
                raise TypeError(f"{value.__qualname__} and {other} have the same spec_name {value.spec_name!r}")
            found[value.spec_name] = value
    return found
