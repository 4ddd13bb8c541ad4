# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the test run; what tests import is in contract.py."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import flashket as fk

sys.path.insert(0, str(Path(__file__).parent))

# The device tests need no hypothesis; the others fail at their own import without it.
if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings
    from hypothesis.configuration import set_hypothesis_home_dir

    # The same examples everywhere, and nothing left behind in the folder the tests run from.
    set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "flashket-hypothesis")
    settings.register_profile("flashket", database=None, deadline=None, derandomize=True, max_examples=60)
    settings.register_profile("full", database=None, deadline=None, max_examples=1000)
    settings.load_profile("flashket")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line("markers", "measured: asserts times or peak memory, which sanitizers and heavy load change")


@pytest.fixture
def restore_threads() -> Iterator[None]:
    """Put the number of threads back."""
    before = fk.get_num_threads()
    yield
    fk.set_num_threads(before)
