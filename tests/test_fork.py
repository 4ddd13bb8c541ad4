# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A child made by fork has none of its parent's threads and must start its own."""

from __future__ import annotations

import sys

import pytest

from contract import run_python

_SETUP = """
import os, warnings, numpy as np, flashket as fk
warnings.simplefilter("ignore", DeprecationWarning)  # CPython 3.12 warns that the parent has threads: that is what is tested
fk.set_num_threads(2)
x = np.random.default_rng(0).uniform(-2, 2, (500, 4))
kernel = fk.Fidelity(fk.Angle(4))
expected = fk.gram(x, kernel=kernel)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_child_computes_with_threads_of_its_own():
    code = """
pid = os.fork()
if pid == 0:
    ok = fk.get_num_threads() == 2 and (fk.gram(x, kernel=kernel) == expected).all()
    inner = os.fork()
    if inner == 0:
        os._exit(0 if (fk.gram(x, kernel=kernel) == expected).all() else 1)
    os._exit(0 if ok and os.waitpid(inner, 0)[1] == 0 else 1)
assert os.waitpid(pid, 0)[1] == 0
assert (fk.gram(x, kernel=kernel) == expected).all()
"""
    result = run_python(_SETUP + code, timeout=60)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_fork_while_another_thread_computes():
    code = """
import threading
stop = threading.Event()
def work():
    while not stop.is_set():
        fk.gram(x, kernel=kernel)
worker = threading.Thread(target=work)
worker.start()
for _ in range(10):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if (fk.gram(x, kernel=kernel) == expected).all() else 1)
    assert os.waitpid(pid, 0)[1] == 0
stop.set(); worker.join()
"""
    result = run_python(_SETUP + code, timeout=60)
    assert result.returncode == 0, result.stderr


def test_threads_may_call_at_once_and_resize():
    code = """
import threading
wrong = []
def work():
    for _ in range(30):
        if not (fk.gram(x, kernel=kernel) == expected).all():
            wrong.append(1)
def resize():
    for n in range(90):
        fk.set_num_threads(1 + n % 4)
threads = [threading.Thread(target=work) for _ in range(3)] + [threading.Thread(target=resize)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not wrong
"""
    result = run_python(_SETUP + code, timeout=60)
    assert result.returncode == 0, result.stderr
