# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: every command, every exit code, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from flashket import cli
from flashket.llm.checkpoint import BUNDLED

DATA = Path(__file__).parent / "data"


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.npy"
    np.save(path, np.random.default_rng(0).uniform(-1, 1, (12, 4)))
    return path


def refused(capsys, arguments, code=2):
    """Run a command that must fail with one line on stderr; return the line."""
    try:
        got = cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's way
        got = stop.code
    captured = capsys.readouterr()
    assert got == code, captured.err
    assert captured.err.count("\n") == 1 and captured.err.startswith("flashket")
    assert "Traceback" not in captured.err
    return captured.err


# gram


@pytest.mark.parametrize("spec", ["angle:4", "hadamard:amplitude:4,bias=1,power=2", "zz:4,reps=1", "softmax:4"])
def test_gram_writes_what_the_function_returns(points, tmp_path, spec, capsys):
    out = tmp_path / "out.npy"
    assert cli.main(["gram", str(points), str(out), "--kernel", spec]) == 0
    assert "12 x 12 float64" in capsys.readouterr().out
    from flashket.spec import parse_spec

    assert np.array_equal(np.load(out), fk.gram(np.load(points), kernel=parse_spec(spec)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npy", "points.npy"]


def test_gram_takes_dtype_log_shots_and_seed(points, tmp_path):
    out, x, kernel = tmp_path / "out.npy", np.load(points), fk.Fidelity(fk.Angle(4))
    command = ["gram", str(points), str(out), "--kernel", "angle:4"]
    assert cli.main([*command, "--dtype", "float32", "--log"]) == 0
    assert np.array_equal(np.load(out), fk.gram(x, kernel=kernel, dtype=np.float32, log=True))
    assert cli.main([*command, "--shots", "100", "--seed", "3"]) == 0
    assert np.array_equal(np.load(out), fk.gram(x, kernel=kernel, shots=100, seed=3))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, ">f8", np.int16, np.bool_])
def test_gram_reads_other_layouts(tmp_path, order, dtype):
    x = np.random.default_rng(1).integers(0, 2, (5, 3)).astype(dtype, order=order)
    path, out = tmp_path / "x.npy", tmp_path / "out.npy"
    np.save(path, x)
    assert cli.main(["gram", str(path), str(out), "--kernel", "angle:3"]) == 0
    assert np.allclose(np.load(out), fk.gram(x.astype(float), kernel=fk.Fidelity(fk.Angle(3))), atol=1e-5)


def test_gram_of_no_rows(tmp_path):
    np.save(tmp_path / "x.npy", np.empty((0, 3)))
    assert cli.main(["gram", str(tmp_path / "x.npy"), str(tmp_path / "out.npy"), "--kernel", "angle:3"]) == 0
    assert np.load(tmp_path / "out.npy").shape == (0, 0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--kernel", "angle:5"], r"must be (n_samples, 5) for Angle(5), got (12, 4)"),
        (["--kernel", "cosine:4"], "cosine:4"),
        (["--kernel", "angle:x"], "angle:x"),
        (["--kernel", "angle:4,reps=2"], "reps"),
        (["--kernel", "angle:4", "--shots", "0"], "shots"),
        (["--kernel", "angle:4", "--shots", "-5"], "shots"),
        (["--kernel", "angle:4", "--shots", "1e3"], "invalid int value"),
        (["--kernel", "angle:4", "--shots", "10", "--log"], "log"),
        (["--kernel", "angle:4", "--seed", "-1", "--shots", "5"], "seed"),
        (["--kernel", "angle:4", "--dtype", "float16"], "invalid choice"),
        (["--kernel", "angle:4", "--scheduler", "tcp://x"], "--scheduler is not in this version"),
        ([], "--kernel"),
    ],
)
def test_gram_refuses_bad_options(points, tmp_path, options, reason, capsys):
    line = refused(capsys, ["gram", points, tmp_path / "out.npy", *options])
    assert reason in line
    assert not (tmp_path / "out.npy").exists()


def test_gram_refuses_bad_data(tmp_path, capsys):
    out = tmp_path / "out.npy"
    for name, values, reason in (
        ("nan", [[1.0, np.nan]], "NaN"),
        ("flat", [1.0, 2.0], "(2,)"),
        ("complex", [[1j, 2.0]], "complex"),
        ("text", [["a", "b"]], "real numbers"),
        ("huge", [[2**60, 1]], "2**53"),
    ):
        path = tmp_path / f"{name}.npy"
        np.save(path, np.array(values))
        assert reason in refused(capsys, ["gram", path, out, "--kernel", "angle:2"])
    np.save(tmp_path / "zero.npy", np.zeros((3, 2)))
    assert "all-zero" in refused(capsys, ["gram", tmp_path / "zero.npy", out, "--kernel", "amplitude:2"])
    assert not out.exists()


def test_gram_refuses_damaged_files(points, tmp_path, capsys):
    raw, out = points.read_bytes(), tmp_path / "out.npy"
    header = np.lib.format.magic(1, 0) + (118).to_bytes(2, "little")
    claims = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 4), }"
    damages = {
        "cut": raw[:-7],
        "longer": raw + b"x",
        "half header": raw[:40],
        "no magic": b"not numpy",
        "empty": b"",
        "a claim of 32 TB": header + claims.ljust(117) + b"\n",
        "future version": b"\x93NUMPY\x09\x00" + raw[8:],
    }
    for name, content in damages.items():
        path = tmp_path / "damaged.npy"
        path.write_bytes(content)
        assert "damaged.npy must be a .npy file" in refused(capsys, ["gram", path, out, "--kernel", "angle:4"]), name
    np.save(tmp_path / "damaged.npy", np.array([[None]]), allow_pickle=True)
    assert "Python objects" in refused(capsys, ["gram", tmp_path / "damaged.npy", out, "--kernel", "angle:1"])
    assert "no such file" in refused(capsys, ["gram", tmp_path / "none.npy", out, "--kernel", "angle:4"])
    assert "no such file" in refused(capsys, ["gram", tmp_path, out, "--kernel", "angle:4"])


def test_gram_leaves_an_old_result_when_it_cannot_write(points, tmp_path, capsys):
    line = refused(capsys, ["gram", points, tmp_path / "none" / "out.npy", "--kernel", "angle:4"])
    assert "No such file or directory" in line
    (tmp_path / "folder").mkdir()
    refused(capsys, ["gram", points, tmp_path / "folder", "--kernel", "angle:4"])
    assert not list(tmp_path.glob("*.tmp"))


# explain and doctor


@pytest.mark.parametrize("op", ["gram", "attention"])
def test_explain_names_the_backend(op, capsys):
    assert cli.main(["explain", "--kernel", "angle:8", "--n", "1000", "--op", op]) == 0
    out = capsys.readouterr().out
    assert "Angle(8)" in out and "cpu" in out


def test_explain_refuses_bad_arguments(capsys):
    assert "[explain]" in refused(capsys, ["explain", "--kernel", "angle:8", "--n", "-1"])
    refused(capsys, ["explain", "--kernel", "angle:8"])
    refused(capsys, ["explain", "--kernel", "nothing", "--n", "4"])


def test_doctor_checks_everything_that_is_shipped(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("versions", "ISA", "threads", "memory", "cuda", *(f"model {name}" for name in BUNDLED), "text flashket", "text stdlib"):
        assert word in out
    assert "FAIL" not in out


def test_doctor_fails_on_a_damaged_text_and_a_missing_backend(capsys, monkeypatch, tmp_path):
    from flashket.benchmark import texts

    absent = [backend.name for backend in fk.backends() if not backend.available]
    assert cli.main(["doctor", "--backend", "cpu"]) == 0
    capsys.readouterr()
    assert absent[0] in refused(capsys, ["doctor", "--backend", absent[0]], code=3)
    refused(capsys, ["doctor", "--backend", "abacus"])
    monkeypatch.setattr(texts, "FROZEN", tmp_path / "flashket.txt")
    assert cli.main(["doctor"]) == 1
    assert "FAIL  text flashket" in capsys.readouterr().out


# bench: the runs themselves are tested in test_benchmark.py


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (["--suite", "huge"], 2, "suite must be quick, default, full"),
        (["--qpu", "ibm_nowhere"], 2, "got 'ibm_nowhere'"),
        (["--max-spend", "-5"], 2, "usd must be a finite number >= 0"),
        (["--scheduler", "tcp://x"], 2, "--scheduler is not in this version"),
        (["--model", "owner/name"], 2, "no hub models"),
        (["--kernel", "cosine:4"], 2, "cosine:4"),
        (["--kernel", "zz:4"], 2, "no row has --kernel zz:4"),
        (["--backend", "abacus"], 2, "abacus"),
        (["--backend", "cuda"], 3, "cuda"),
        (["--device", "cuda"], 3, "cuda"),
        (["--device", "tpu"], 2, "invalid choice"),
        (["--resume"], 2, "no run in"),
        (["--colour"], 2, "unrecognized"),
    ],
)
def test_bench_refuses_what_it_cannot_do(options, code, reason, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert reason in refused(capsys, ["bench", *options], code=code)
    assert not list(tmp_path.glob("flashket-runs/*")), "a refused request left a run behind"


def test_bench_refuses_a_folder_that_is_a_file(capsys, tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    refused(capsys, ["bench", "--out", path])
    refused(capsys, ["bench", "--out", path, "--resume"])


# The program as a whole


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "flashket", *arguments], capture_output=True, text=True, timeout=60, **options)


def test_help_lists_only_what_exists():
    done = command("--help")
    assert done.returncode == 0
    for name in ("bench", "gram", "explain", "estimate", "qpu", "doctor"):
        assert name in done.stdout
        assert command(name, "--help").returncode == 0
    for name in ("economics", "crossover", "compare"):
        assert name not in done.stdout
    for action in ("list", "profiles", "submit", "status", "fetch", "cancel"):
        assert command("qpu", action, "--help").returncode == 0
    assert "--qpu PROFILE" in command("bench", "--help").stdout


@pytest.mark.measured
def test_help_is_fast():
    """In CPU time, so that a busy machine does not fail it: 0.3 s is the promise on a quiet one."""
    best = min(_cpu_seconds("--help") for _ in range(3))
    assert best < 0.45


def _cpu_seconds(*arguments):
    before = os.times()
    command(*arguments)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_help_loads_nothing_heavy():
    code = "import sys; from flashket import cli; cli._parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    for name in ("torch", "rich", "scipy", "flashket.llm.model", "flashket.benchmark.runner", "tomllib", "safetensors"):
        assert name not in loaded


def test_version_and_usage():
    assert command("--version").stdout == f"flashket {fk.__version__}\n"
    for arguments in ((), ("dance",), ("gram",)):
        done = command(*arguments)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1


def test_a_closed_pipe_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "flashket", "explain", "--kernel", "angle:8", "--n", "9"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) in (0, 120)
    assert b"Traceback" not in errors


def test_a_forced_isa_that_does_not_exist_is_one_line():
    done = command("doctor", env={**os.environ, "FLASHKET_ISA": "sse9"})
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr and "sse9" in done.stderr + done.stdout
