# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Every instruction set of this machine passes the contract, and the one that is forced is the one that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from contract import run_python
from flashket.runtime import available_isas

TESTS = Path(__file__).parent
OTHERS = [isa for isa in available_isas() if isa != fk.isa()]

_RESULTS = """
import sys, numpy as np, flashket as fk
rng = np.random.default_rng(0)
x = rng.uniform(-2, 2, (300, 5)).astype(np.float32)
results = {}
for feature_map in (fk.Angle(5), fk.Amplitude(5), fk.IQP(5), fk.ZZ(5)):
    name, kernel = type(feature_map).__name__, fk.Fidelity(feature_map)
    results[name] = fk.gram(x, kernel=kernel)
    results[name + " sampled"] = fk.gram(x, x, kernel=kernel, shots=1000, seed=1)
    results[name + " states"] = fk.states(x, feature_map=feature_map)
np.savez(sys.stdout.buffer, isa=fk.isa(), **results)
"""


@pytest.mark.parametrize("isa", available_isas())
def test_forced_isa_runs(isa):
    result = run_python("import flashket as fk; print(fk.isa())", FLASHKET_ISA=isa)
    assert result.stdout.strip() == isa, result.stderr


def test_unknown_isa_is_named():
    result = run_python("import flashket as fk; fk.isa()", FLASHKET_ISA="mmx")
    assert result.returncode == 1
    assert "[isa] FLASHKET_ISA must be one of" in result.stderr and "'mmx'" in result.stderr and "baseline" in result.stderr
    result = run_python("import flashket as fk; fk.gram([[0.0]], kernel=fk.Fidelity(fk.Angle(1)))", FLASHKET_ISA="mmx")
    assert "InputError: [isa] FLASHKET_ISA must be one of" in result.stderr


def test_instruction_sets_draw_the_same_samples(tmp_path):
    """Of equal probabilities exactly the same counts, in every regime of the sampler."""
    code = """
import sys, numpy as np, flashket as fk
x, small = np.tile([[1.0, 0.0]], (9, 1)), np.arange(600.0)
y = np.stack([small, np.where(small < 500, 500 - small, 200 * small)], 1)  # whole numbers: no square or sum rounds
shots = (1, 7, 100, 10**4, 10**6, 2**31 - 1)
drawn = {str(s): fk.gram(x, y, kernel=fk.Fidelity(fk.Amplitude(2)), shots=s, seed=3) for s in shots}
np.savez(sys.stdout.buffer, exact=fk.gram(x, y, kernel=fk.Fidelity(fk.Amplitude(2))), **drawn)
"""
    results = []
    for isa in available_isas():
        path = tmp_path / f"{isa}.npz"
        with path.open("wb") as file:
            subprocess.run([sys.executable, "-c", code], stdout=file, check=True, env={**os.environ, "FLASHKET_ISA": isa}, timeout=120)
        results.append(dict(np.load(path)))
    for other in results[1:]:
        same = other["exact"] == results[0]["exact"]
        assert same.mean() > 0.9
        for name, values in other.items():
            assert (values[same] == results[0][name][same]).all()


def test_instruction_sets_agree(tmp_path):
    """To rounding; of sampled values at least 99.99 % are identical. The vector units that run differ, so bits may."""
    results = {}
    for isa in available_isas():
        path = tmp_path / f"{isa}.npz"
        with path.open("wb") as file:
            subprocess.run([sys.executable, "-c", _RESULTS], stdout=file, check=True, env={**os.environ, "FLASHKET_ISA": isa}, timeout=120)
        results[isa] = dict(np.load(path))
        assert results[isa].pop("isa") == isa
    first = results[available_isas()[0]]
    for other in results.values():
        for name, values in first.items():
            if name.endswith("sampled"):
                assert (np.abs(other[name] - values) < 1e-6).mean() >= 0.9999
            else:
                np.testing.assert_allclose(other[name], values, atol=1e-6)


# Every path with every dtype, on one size each: the files, and which of their tests.
SELECTIONS = {
    "contract": (
        ("gram", "attention", "angle", "amplitude", "states"),
        "33-257 or test_wide or test_log or any_program or test_shapes or many_keys or test_sum_of or relative_error or test_length",
    ),
    "lines": (("line", "mps"), "against or short_lines or many_qubits or constant_rows or symmetric or test_attention-30 or gram or lines"),
    "linear form": (("linear_attention", "attention_state"), "oracle or awkward or concentrated or decoding"),
    "projected, products": (("projected", "gram_matvec"), "every_size or one_component or wide_and_narrow or widths or is_gram_times_a"),
}


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("isa", OTHERS)
def test_contract(isa, selection):
    """The tests again, in a fresh process under another instruction set."""
    names, expression = SELECTIONS[selection]
    files = [str(TESTS / f"test_{name}.py") for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not measured", *files, "-k", expression]
    environment = {**os.environ, "FLASHKET_ISA": isa}
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=TESTS.parent, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
