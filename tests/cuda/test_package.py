# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The package flashket_cuda without GPU, driver or module: it imports, and the backend says what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from contract import kernels, run_python
from flashket import planner
from flashket.backends.cuda import CUDA
from flashket.controls import ScaledDot, Uniform

PACKAGE = Path(__file__).parents[2] / "cuda" / "flashket_cuda" / "__init__.py"

REASON = "import flashket as fk; print(next(b for b in fk.backends() if b.name == 'cuda').reason)"


def with_package(folder, text=None):
    """Return the environment of a process that finds a flashket_cuda of ours, without compiled module, and no emulator."""
    package = folder / "flashket_cuda"
    package.mkdir()
    if text is None:
        shutil.copy(PACKAGE, package)
    else:
        (package / "__init__.py").write_text(text)
    return {
        "PYTHONPATH": os.pathsep.join((str(folder), str(Path(fk.__file__).parents[1]))),
        "FLASHKET_CUDA_EMULATOR": "",
        "FLASHKET_BACKEND": "",
    }


def test_without_its_module(tmp_path):
    done = run_python(f"import flashket_cuda as c; print(c.core, c.reason); {REASON}", **with_package(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "None _cuda: " in done.stdout
    assert "flashket_cuda has no module that loads (_cuda: " in done.stdout and "pip install" in done.stdout


def test_of_another_version(tmp_path):
    environment = with_package(tmp_path, 'class core: is_emulated = False\nreason, __version__ = "", "0.0.1"\n')
    done = run_python(REASON, **environment)
    assert done.stdout.startswith("flashket_cuda 0.0.1 does not fit flashket "), done.stdout + done.stderr


def test_without_a_gpu(tmp_path):
    text = f'''
class core:
    is_emulated = False
    device_count = staticmethod(lambda: 0)
    device_reason = staticmethod(lambda: "the driver is older than CUDA 13.0")
reason, __version__ = "", "{fk.__version__}"
'''
    environment = with_package(tmp_path, text)
    done = run_python(REASON, **environment)
    assert "flashket_cuda finds no GPU: the driver is older than CUDA 13.0" in done.stdout, done.stdout + done.stderr
    done = run_python("import sys; from flashket.cli import main; sys.exit(main(['bench', '--device', 'cuda']))", **environment)
    assert done.returncode == 3 and "the driver is older" in done.stderr
    done = run_python("import flashket as fk; fk.gram([[0.0]], kernel=fk.Fidelity(fk.Angle(1)), backend='cuda')", **environment)
    assert "BackendUnavailable: [gram] backend 'cuda' cannot run this: flashket_cuda finds no GPU" in done.stderr


@pytest.mark.measured
def test_import_is_light(tmp_path):
    """Less than 100 ms more than the interpreter alone, the best of five."""
    code = "import time; t = time.perf_counter(); import flashket_cuda; print(time.perf_counter() - t)"
    times = [float(run_python(code).stdout or "inf") for _ in range(5)] if CUDA.available else []
    times += [float(run_python(code, **with_package(tmp_path)).stdout)]
    assert min(times) < 0.1, times


def test_flashket_loads_it_on_demand_only():
    code = "import sys, flashket as fk; fk.gram; assert not {'flashket_cuda', 'torch', 'cupy', 'jax'} & set(sys.modules)"
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_the_emulated_device_says_so(device):
    listed = {backend.name: backend for backend in fk.backends()}
    assert listed["cuda"].available
    assert ("emulated" in listed["cuda"].reason) == device.is_emulated
    if not device.is_emulated:
        assert listed["cuda"].reason == ""
        return
    kernel = fk.Fidelity(fk.IQP(8))
    plan = fk.explain(kernel, n=50_000)
    assert plan.backend == "cpu" and "emulated" in dict(plan.refused)["cuda"], "auto never takes it"
    assert fk.explain(kernel, n=10, backend="cuda").backend == "cuda"
    import torch

    x = torch.zeros(2, 8)
    assert fk.gram(x, kernel=kernel).shape == (2, 2) and isinstance(fk.gram(x, kernel=kernel), np.ndarray)
    code = "import sys; from flashket.cli import main; sys.exit(main(['bench', '--device', 'cuda']))"
    done = run_python(code)
    assert done.returncode == 3 and "emulated" in done.stderr


def test_every_kernel_has_device_code(device):
    missing = {}
    for op in ("gram", "gram_matvec", "attention", "states"):
        for kernel in (*kernels(1), *kernels(3), *kernels(6), ScaledDot(3), Uniform(3)):
            if op == "states" and kernel.is_control:
                continue
            answer = CUDA.capabilities(kernel, np.dtype(np.float32), op)
            if not answer:
                missing[f"{op} {kernel!r}"] = answer.reason
    assert not missing


def test_properties(device):
    properties = CUDA.properties()
    assert properties["name"] and properties["total_memory"] >= properties["free_memory"] > 0
    assert properties["emulated"] == device.is_emulated


@pytest.mark.parametrize(
    ("kernel", "n", "goes"),
    [(fk.Fidelity(fk.Angle(8)), 100_000, False), (fk.Fidelity(fk.IQP(8)), 300, False), (fk.Fidelity(fk.IQP(8)), 10_000, True)],
    ids=repr,
)
def test_what_auto_sends(kernel, n, goes):
    reason = planner.not_worth_sending(kernel, "gram", n, n, np.dtype(np.float32))
    assert (reason == "") == goes
    if not goes:
        assert reason.startswith("host arrays stay: ")
