# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""flashket qpu and flashket estimate: output, files and exit codes."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import flashket as fk
from fake_device import running
from flashket import cli
from flashket.qpu import kernel_jobs

adapters = importlib.import_module("flashket.qpu.adapters")  # flashket.qpu.adapters, the function, lists them

FAKE = ("--kernel", "angle:3", "--backend", "fake:qpu", "--shots", "10", "--max-spend", 9)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with running(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def provider(started, monkeypatch):
    started.reset()
    known = adapters.open_adapter
    monkeypatch.setattr(adapters, "open_adapter", lambda name: started.device() if name == "fake:qpu" else known(name))
    return started


@pytest.fixture
def points(tmp_path, monkeypatch):
    monkeypatch.setenv("FLASHKET_JOURNAL", str(tmp_path / "journal" / "jobs.db"))
    path = tmp_path / "points.npy"
    np.save(path, np.random.default_rng(0).uniform(-1, 1, (4, 3)))
    return path


def run(capsys, *arguments, code=0):
    """Run a command; return its output."""
    got = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert got == code, captured.err
    if code:
        assert captured.err.startswith("flashket: ") and captured.err.count("\n") == 1
    return captured.out + captured.err


def test_a_simulated_job_from_submit_to_fetch(points, tmp_path, capsys):
    command = ["qpu", "submit", points, "--kernel", "zz:3,reps=1", "--backend", "sim:ideal", "--shots", "500", "--seed", "2"]
    out = run(capsys, *command)
    assert "sim:ideal: 6 circuits, 3,000 executions" in out and "Job 1: done" in out
    assert "Job 1: done" in run(capsys, *command)  # the same job, not another
    assert "Job 2: done" in run(capsys, *command, "--reuse", "never")
    result, errors = tmp_path / "k.npy", tmp_path / "e.npy"
    assert "simulated by sim:ideal" in run(capsys, "qpu", "fetch", 1, result, "--errors", errors)
    kernel = fk.Fidelity(fk.ZZ(3, reps=1))
    found = kernel_jobs.gram(np.load(points), kernel=kernel, backend="sim:ideal", shots=500, seed=2, reuse="never")
    assert np.array_equal(np.load(result), found.values) and np.array_equal(np.load(errors), found.standard_errors)
    listed = run(capsys, "qpu", "status")
    assert "1 done, taken" in listed and listed.count("sim:ideal") == 3
    assert "local-" in run(capsys, "qpu", "status", 1, "--offline")


def test_mitigation(points, tmp_path, capsys):
    command = ["qpu", "submit", points, "--kernel", "angle:3", "--backend", "sim:ibm_torino", "--shots", "200"]
    assert "12 circuits" in run(capsys, *command, "--mitigate", "readout", "--mitigate", "average", "--mitigate", "nearest")
    out = run(capsys, "qpu", "fetch", 1, tmp_path / "k.npy")
    assert "readout: 2 more circuits" in out and "rescale: 4 more circuits" in out and "psd: 0 more circuits" in out
    assert "one step of a kind" in run(capsys, *command, "--mitigate", "clip", "--mitigate", "shift", code=2)


def test_a_remote_job_needs_money(points, tmp_path, provider, capsys):
    command = ["qpu", "submit", points, "--kernel", "angle:3", "--backend", "fake:qpu", "--shots", "100"]
    out = run(capsys, *command, code=2)
    assert (
        "6 circuits, 600 executions, 0.6 QPU seconds (modelled), 6.00 USD (at most 6.60)" in out
        and "--max-spend 6.60 --max-seconds 0.6" in out
    )
    run(capsys, *command, "--max-spend", "6.59", code=2)
    run(capsys, *command, "--max-spend", "6.60", "--max-seconds", "0.5", code=2)
    run(capsys, *command, "--max-seconds", "10", code=2)
    assert provider.ledger == []
    out = run(capsys, *command, "--max-spend", "6.60")
    assert "Job 1: submitted" in out and len(provider.ledger) == 3
    out = run(capsys, "qpu", "status", 1)
    assert "3 submitted" in out and "fake-3" in out and "2.20 estimated" in out
    assert "counted by fake:qpu" in run(capsys, "qpu", "fetch", 1, tmp_path / "k.npy")
    assert np.load(tmp_path / "k.npy").shape == (4, 4)
    out = run(capsys, "qpu", "status", 1)
    assert "6.00" in out and "estimated" not in out


def test_a_free_plan_is_limited_by_its_seconds(points, provider, capsys, monkeypatch):
    monkeypatch.setattr(adapters, "open_adapter", lambda name: provider.device(usd=0.0))
    command = ["qpu", "submit", points, "--kernel", "angle:3", "--backend", "fake:qpu", "--shots", "100"]
    assert "--max-seconds 0.6" in run(capsys, *command, "--max-spend", "5", code=2)
    assert "Job 1: submitted" in run(capsys, *command, "--max-seconds", "0.6")
    monkeypatch.setattr(adapters, "open_adapter", lambda name: provider.device(usd=None))
    assert "--allow-unknown" in run(capsys, *command, "--max-spend", "5", "--max-seconds", "1", "--seed", 1, code=2)
    assert "price in USD not known" in run(capsys, *command, "--allow-unknown", "--max-seconds", "1", "--seed", 1)


def test_a_job_that_is_not_ready_or_was_cancelled(points, tmp_path, provider, capsys):
    provider.faults(*[("submit", "slow")] * 3)
    run(
        capsys,
        "qpu",
        "submit",
        points,
        "--kernel",
        "angle:3",
        "--backend",
        "fake:qpu",
        "--shots",
        "10",
        "--max-spend",
        9,
        "--max-seconds",
        9,
    )
    assert "is not ready: fetch the job later" in run(capsys, "qpu", "fetch", 1, tmp_path / "k.npy", "--timeout", "0", code=1)
    assert not (tmp_path / "k.npy").exists()
    assert "Job 1: 3 cancelled" in run(capsys, "qpu", "cancel", 1)
    assert "was cancelled: submit the job again" in run(capsys, "qpu", "fetch", 1, tmp_path / "k.npy", code=1)


def test_ctrl_c_leaves_a_saved_job(points, provider, capsys, monkeypatch):
    monkeypatch.setattr(type(provider.device()), "submit", lambda self, batch, token: (_ for _ in ()).throw(KeyboardInterrupt))
    command = [
        "qpu",
        "submit",
        points,
        "--kernel",
        "angle:3",
        "--backend",
        "fake:qpu",
        "--shots",
        "10",
        "--max-spend",
        9,
        "--max-seconds",
        9,
    ]
    assert "what was sent is in the journal" in run(capsys, *command, code=4)
    monkeypatch.undo()


def test_wrong_usage(points, tmp_path, capsys):
    submit = ["qpu", "submit", points, "--kernel", "angle:3", "--shots", "10"]
    assert "a QPU backend's name was wanted" in run(capsys, *submit, "--backend", "abacus", code=2)
    assert "at most" not in run(capsys, *submit[:-1], "0", "--backend", "sim:ideal", code=2)
    assert "must be a .npy file" in run(
        capsys, "qpu", "submit", tmp_path / "no.npy", "--kernel", "angle:3", "--shots", 9, "--backend", "sim:ideal", code=2
    )
    assert "got 99, which is not in" in run(capsys, "qpu", "fetch", 99, tmp_path / "k.npy", code=1)
    for arguments in (["qpu"], ["qpu", "dance"], ["qpu", "fetch", "1"], ["estimate", "--kernel", "angle:3"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        assert stopped.value.code == 2
    capsys.readouterr()


def test_a_missing_package_is_exit_code_3(points, capsys):
    absent = next((row for row in adapters.list_adapters(credentials=False) if not row.available and row.pattern == "aer:ideal"), None)
    if absent is None:
        assert "Job" in run(capsys, "qpu", "submit", points, "--kernel", "angle:3", "--shots", "10", "--backend", "aer:ideal")
    else:
        out = run(capsys, "qpu", "submit", points, "--kernel", "angle:3", "--shots", "10", "--backend", "aer:ideal", code=3)
        assert "flashket[ibm]" in out


def test_plans(points, capsys, monkeypatch):
    command = ["estimate", "--kernel", "angle:3", "--n", 20, "--shots", 1000, "--qpu", "ibm_torino"]
    assert "ibm_payg" in run(capsys, *command) and "ibm_open" in run(capsys, *command, "--plan", "open")
    assert "a plan must be one of open, pay-as-you-go, flex, premium" in run(capsys, *command, "--plan", "cheap", code=2)
    submit = ["qpu", "submit", points, "--kernel", "angle:3", "--shots", "10"]
    refused = run(capsys, *submit, "--backend", "sim:ibm_torino", "--plan", "flex", code=2)
    assert "--plan must be one of IBM's (open, pay-as-you-go, flex, premium), for a device of IBM's" in refused
    assert "a plan must be one of" in run(capsys, *submit, "--backend", "ibm:ibm_torino", "--plan", "cheap", code=2)
    assert "--plan must be one of IBM's" in run(capsys, *submit, "--backend", "ibm:ibm_torino", "--plan", "iqm_resonance", code=2)


def test_submit_prices_by_the_plan(points, capsys):
    pytest.importorskip("qiskit_ibm_runtime", reason="no qiskit-ibm-runtime")
    submit = ["qpu", "submit", points, "--kernel", "angle:3", "--shots", "10", "--backend", "ibm:ibm_torino"]
    assert "USD (at most 6.40) by ibm_payg" in run(capsys, *submit, code=2)  # 2 s a job and 60 executions: 2.02 s, at worst 4 s
    assert "USD (at most 4.80) by ibm_flex" in run(capsys, *submit, "--plan", "flex", code=2)
    free = run(capsys, *submit, "--plan", "open", code=2)
    assert "0.00 USD (at most 0.00) by ibm_open" in free and "--max-seconds" in free  # a free plan is limited by its seconds


def test_list_profiles_and_estimate(capsys):
    assert "sim:ideal" in run(capsys, "qpu", "list")
    assert "ibm_torino" in run(capsys, "qpu", "profiles")
    out = run(capsys, "estimate", "--kernel", "zz:6,reps=1,entanglement=linear", "--n", "20", "--shots", "1000", "--qpu", "ibm_torino")
    assert "ibm_torino" in out and "190 circuits" in out


def test_an_empty_journal(points, capsys):
    assert "no jobs in" in run(capsys, "qpu", "status")


def test_a_matrix_counts_as_taken_when_it_is_in_a_file(points, tmp_path, capsys):
    command = ["qpu", "submit", points, "--kernel", "angle:3", "--backend", "sim:ideal", "--shots", "10", "--seed", "2"]
    run(capsys, *command)
    run(capsys, "qpu", "fetch", 1, tmp_path / "missing" / "k.npy", code=2)
    assert "taken" not in run(capsys, "qpu", "status")
    assert "Job 1: done" in run(capsys, *command)
    run(capsys, "qpu", "fetch", 1, tmp_path / "k.npy")
    assert "taken" in run(capsys, "qpu", "status")


def test_nothing_to_measure(points, tmp_path, capsys):
    for rows, said in ((1, "is [[1.0]]"), (0, "is empty")):
        path = tmp_path / f"{rows}.npy"
        np.save(path, np.zeros((rows, 3)))
        assert said in run(capsys, "qpu", "submit", path, "--kernel", "angle:3", "--backend", "sim:ideal", "--shots", "10")


def test_a_user_without_a_home(points, monkeypatch, capsys):
    monkeypatch.setenv("FLASHKET_JOURNAL", "~nobody-of-this-name/jobs.db")
    assert "set FLASHKET_JOURNAL" in run(capsys, "qpu", "status", code=1)


def test_numbers_beyond_any_device(capsys):
    for n, shots in (("4", "1" + 400 * "0"), ("1" + 400 * "0", "4")):
        assert "at most 2,147,483,647" in run(capsys, "estimate", "--kernel", "angle:3", "--n", n, "--shots", shots, code=2)
