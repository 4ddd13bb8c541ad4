# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The two held-out texts of a run, both as bytes.

"flashket" is ours: the project's sources and documents, frozen once into ``flashket.txt`` so that it is the same for everybody;
SHA256SUMS beside it is checked. "stdlib" is the source of modules that no bundled model was trained on, as the running Python
has them; it varies with the Python version, so its hash goes into every result.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from flashket.errors import InputError
from flashket.llm import data

TEXTS = ("flashket", "stdlib")
FROZEN = Path(__file__).parent / "flashket.txt"


def load_text(name: str) -> bytes:
    """Return one of :data:`TEXTS`.

    Raises
    ------
    InputError
        Unknown name, a frozen text that differs from its SHA-256, or a Python without the source of its library.

    Examples
    --------
    >>> len(load_text("flashket")) <= 200_000
    True
    """
    if name == "stdlib":
        text = data.join(data.held_out_modules())
        if not text:
            raise InputError(f"[bench] text stdlib: {data.standard_library()} holds no held-out modules; use a Python with sources")
        return text
    if name != "flashket":
        raise InputError(f"[bench] text must be one of {', '.join(TEXTS)}, got {name!r}")
    from flashket.llm.checkpoint import read_sums

    try:
        text = FROZEN.read_bytes()
    except OSError as error:
        raise InputError(f"[bench] text {FROZEN}: {error.strerror}; install flashket again") from error
    if hashlib.sha256(text).hexdigest() != read_sums(FROZEN.parent).get(FROZEN.name):
        raise InputError(f"[bench] text {FROZEN} differs from its SHA256SUMS; install flashket again")
    return text
