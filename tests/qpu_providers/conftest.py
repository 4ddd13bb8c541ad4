# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of adapters with the real packages of providers; each asks for what it needs and is skipped, with the reason, without it."""

from __future__ import annotations

from importlib import metadata

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark; warnings of other people's packages are theirs, those of this one stay errors."""
    config.addinivalue_line("markers", "needs(*packages): distributions without which the test is skipped")
    config.addinivalue_line("filterwarnings", "default")
    config.addinivalue_line("filterwarnings", "error:::flashket")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what has no package here."""
    for mark in item.iter_markers("needs"):
        for package in mark.args:
            try:
                metadata.version(package)
            except metadata.PackageNotFoundError:
                pytest.skip(f"no {package}")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the user's credentials, so that no test can reach a provider or cost anything."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "IBM_", "QISKIT_IBM", "IONQ_", "IQM_", "GOOGLE_", "NEXUS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
