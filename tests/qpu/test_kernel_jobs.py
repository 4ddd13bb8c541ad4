# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gram matrices over QPU backends: fk.gram, what resumes, what other processes read, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import flashket as fk
from contract import feature_maps
from fake_device import QUICK, expected, running
from flashket.qpu import budget, kernel_jobs
from flashket.qpu.adapters._base import Batch
from flashket.qpu.allocate import allocate
from flashket.qpu.estimators import ComputeUncompute
from flashket.qpu.journal import Journal
from flashket.qpu.kernel_record import read_kernel, write_kernel
from flashket.qpu.mitigation import Mitigation, ReadoutMitigation, ZeroNoise

ROWS = np.random.default_rng(3).uniform(-1, 1, (4, 3))
KERNEL = fk.Fidelity(fk.ZZ(3, reps=1))
SHOTS = 100


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with running(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def provider(started):
    started.reset()
    return started


@pytest.fixture(autouse=True)
def journal(tmp_path, monkeypatch):
    path = tmp_path / "journal.db"
    monkeypatch.setenv("FLASHKET_JOURNAL", str(path))
    return path


@pytest.fixture
def spend():
    with budget(usd=100, qpu_seconds=100) as allowed:
        yield allowed


@pytest.mark.parametrize("kernel", [KERNEL, fk.HadamardTest(fk.Angle(3), power=2), fk.Projected(fk.IQP(3), gamma=0.5)])
def test_a_simulator_estimates_the_exact_matrix(kernel):
    for other in (None, ROWS[:2] + 0.1):
        found = kernel_jobs.gram(ROWS, other, kernel=kernel, backend="sim:ideal", shots=4000, seed=5)
        exact = fk.gram(ROWS, other, kernel=kernel)
        assert found.values.shape == exact.shape and found.values.dtype == np.float64
        measured = found.standard_errors > 0
        assert measured.any() and np.array_equal(found.values[~measured], exact[~measured])
        assert (np.abs(found.values - exact)[measured] < 6 * found.standard_errors[measured]).all()
        assert np.array_equal(fk.gram(ROWS, other, kernel=kernel, backend="sim:ideal", shots=4000, seed=5), found.values)


def test_mitigation_runs_and_is_read_from_the_journal(journal):
    """The noise of a device is mostly taken out, by more circuits, which the journal's job has too."""
    mitigation = fk.qpu.Mitigation(readout=fk.qpu.ReadoutMitigation(method="tensored"), rescale="split", psd="clip")
    options = {"kernel": KERNEL, "backend": "sim:ibm_torino", "shots": 20000, "seed": 9}
    found = kernel_jobs.gram(ROWS, mitigation=mitigation, **options)
    assert found.n_circuits == 6 + 4 + 2 and [step.name for step in found.steps] == ["readout", "rescale", "psd"]
    raw, exact = kernel_jobs.gram(ROWS, **options), fk.gram(ROWS, kernel=KERNEL)
    assert np.abs(found.values - exact).mean() < 0.5 * np.abs(raw.values - exact).mean()
    read = kernel_jobs.open_gram(1, journal=journal).result()
    assert np.array_equal(read.values, found.values) and read.steps == found.steps


def test_random_measurements_are_the_same_when_read_again(provider, journal, spend):
    device = provider.device()
    options = {"kernel": fk.Fidelity(fk.Angle(3)), "estimator": "randomised_measurement", "options": {"n_unitaries": 4}}
    plan = kernel_jobs.plan_gram(ROWS, backend=device, shots=20, **options)
    job = plan.submit(journal=Journal(journal), retry=QUICK).job
    found = kernel_jobs.open_gram(job.id, device=device, journal=journal)
    assert found.measurements.circuits == plan.measurements.circuits
    assert np.array_equal(found.result().values, plan.measurements.estimate(expected(plan.batch)).values)


def test_dtype_and_out():
    options = {"kernel": KERNEL, "backend": "sim:ideal", "shots": SHOTS, "seed": 1}
    plain = fk.gram(ROWS, **options)
    out = np.empty((4, 4), np.float32)
    assert fk.gram(ROWS, out=out, dtype=np.float32, **options) is out
    assert np.array_equal(out, plain.astype(np.float32)) and np.array_equal(plain, plain.T)
    with pytest.raises(fk.InputError, match="out"):
        fk.gram(ROWS, out=np.empty((3, 3)), **options)


def test_one_row_needs_no_job(provider):
    assert fk.gram(ROWS[:1], kernel=KERNEL, backend=provider.device(), shots=SHOTS).tolist() == [[1.0]]
    assert provider.ledger == []


def test_simulators_leave_no_file_unless_asked(journal, monkeypatch, tmp_path):
    monkeypatch.delenv("FLASHKET_JOURNAL")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    fk.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=SHOTS)
    assert not journal.exists() and not (tmp_path / "data").exists()
    kernel_jobs.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=SHOTS, journal=journal)
    assert [record.is_remote for record in Journal(journal).records()] == [False]


def test_a_simulator_that_was_killed_runs_again(journal):
    options = {"kernel": KERNEL, "shots": SHOTS, "seed": 6}
    first = kernel_jobs.plan_gram(ROWS, backend="sim:ideal", **options).submit(journal=Journal(journal))
    del first  # and with it the counts, which were in its process only
    found = kernel_jobs.gram(ROWS, backend="sim:ideal", **options)
    assert [part.state for part in Journal(journal).parts(1)] == ["done"] and len(Journal(journal).records()) == 1
    assert np.array_equal(found.values, kernel_jobs.gram(ROWS, backend="sim:ideal", reuse="never", **options).values)


def test_fresh_seeds_differ_and_given_ones_do_not():
    draws = [fk.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=SHOTS, seed=seed) for seed in (None, None, 3, 3)]
    assert not np.array_equal(draws[0], draws[1]) and np.array_equal(draws[2], draws[3])


def test_money_is_asked_for(provider):
    with pytest.raises(fk.BudgetExceeded, match=r"fake:qpu may cost up to 6\.60 USD"):
        fk.gram(ROWS, kernel=KERNEL, backend=provider.device(), shots=SHOTS)
    assert provider.ledger == []


def test_an_unfinished_matrix_goes_on_with_the_same_random_choices(provider, journal, spend):
    device = provider.device()
    book = Journal(journal)
    plan = kernel_jobs.plan_gram(ROWS, kernel=KERNEL, backend=device, shots=SHOTS, journal=book)
    sent = plan.submit(journal=book, retry=QUICK)  # its caller is gone before the result
    again = kernel_jobs.plan_gram(ROWS, kernel=KERNEL, backend=device, shots=SHOTS, journal=book)
    assert again.extra == plan.extra and again.batch.seed == plan.batch.seed
    values = fk.gram(ROWS, kernel=KERNEL, backend=device, shots=SHOTS)
    assert len(provider.ledger) == 3 and len(book.records()) == 1
    assert np.array_equal(values, plan.measurements.estimate(expected(plan.batch)).values)
    assert np.array_equal(sent.result().values, values)
    fk.gram(ROWS, kernel=KERNEL, backend=device, shots=SHOTS)  # a finished one is measured anew ...
    assert len(provider.ledger) == 6
    free = kernel_jobs.gram(ROWS, kernel=KERNEL, backend=device, shots=SHOTS, reuse="any")  # ... unless it is asked for
    assert len(provider.ledger) == 6 and free.values.shape == (4, 4)


def test_other_data_kernels_and_shots_are_other_jobs(provider, journal, spend):
    book, device = Journal(journal), provider.device()
    changes = [
        {},
        {"shots": 50},
        {"seed": 1},
        {"kernel": fk.Fidelity(fk.ZZ(3, reps=2))},
        {"kernel": fk.Fidelity(fk.ZZ(3, reps=1), power=2)},
    ]
    for change in changes:
        kernel_jobs.plan_gram(ROWS, **{"kernel": KERNEL, "backend": device, "shots": SHOTS, **change}).submit(journal=book, retry=QUICK)
    kernel_jobs.plan_gram(ROWS + 1e-9, kernel=KERNEL, backend=device, shots=SHOTS).submit(journal=book, retry=QUICK)
    kernel_jobs.plan_gram(ROWS, ROWS, kernel=KERNEL, backend=device, shots=SHOTS).submit(journal=book, retry=QUICK)
    assert len({record.digest for record in book.records()}) == len(changes) + 2


def test_another_process_reads_the_matrix_from_the_journal(provider, journal, spend):
    kernel = fk.Projected(fk.Circuit(fk.ZZ(3, reps=1).program()), gamma=0.7)
    plan = kernel_jobs.plan_gram(ROWS, ROWS[:2], kernel=kernel, backend=provider.device(), shots=SHOTS)
    job = plan.submit(journal=Journal(journal), retry=QUICK).job
    found = kernel_jobs.open_gram(job.id, device=provider.device(), journal=journal).result()
    assert np.array_equal(found.values, plan.measurements.estimate(expected(plan.batch)).values)


@pytest.mark.parametrize("feature_map", feature_maps(3), ids=repr)
def test_kernels_survive_as_json(feature_map):
    for kernel in (fk.Fidelity(feature_map, power=2), fk.HadamardTest(feature_map), fk.Projected(feature_map, gamma=0.25)):
        record = json.loads(json.dumps(write_kernel(kernel)))
        assert read_kernel(record) == kernel and write_kernel(read_kernel(record)) == write_kernel(kernel)


def test_a_job_that_is_no_matrix(provider, journal, spend):
    from fake_device import batch_of

    job = fk.qpu.submit(batch_of(1), provider.device(), retry=QUICK)
    with pytest.raises(fk.JobError, match="job 1 must be of a Gram matrix"):
        kernel_jobs.open_gram(job.id, device=provider.device(), journal=journal)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"shots": None}, "shots must be given on a QPU"),
        ({"shots": 0}, "shots must be an integer in 1"),
        ({"shots": 1.5}, "shots must be an integer"),
        ({"seed": -1}, "seed must be an integer"),
        ({"log": True}, "log must be left out on a QPU"),
        ({"noise": "ibm_torino"}, "noise must be left out on a QPU"),
        ({"workers": 1}, "workers must be left out"),
        ({"backend": "sim:nothing"}, "nothing"),
        ({"backend": "nobody:device"}, "a QPU backend's name was wanted"),
        ({"backend": 7}, "a Qiskit BackendV2"),
        ({"backend": "sim:ibm_torino", "kernel": fk.Fidelity(fk.Angle(3)), "shots": 2**31}, "shots must be an integer in 1"),
        ({"X": ROWS[:, :2]}, r"X must be \(n_samples, 3\)"),
        ({"X": [[np.nan, 0, 0]]}, "NaN"),
    ],
)
def test_bad_input(change, text):
    given = {"X": ROWS, "kernel": KERNEL, "backend": "sim:ideal", "shots": SHOTS, **change}
    with pytest.raises(fk.InputError, match=text):
        fk.gram(given.pop("X"), **given)


def test_what_a_qpu_cannot_do_says_what_to_do():
    q = np.zeros((1, 1, 1, 3))
    with pytest.raises(fk.BackendUnavailable, match=r"\[attention\] backend 'sim:ideal' cannot run this: .*noise=PROFILE"):
        fk.attention(q, q, q, kernel=KERNEL, backend="sim:ideal")
    with pytest.raises(fk.BackendUnavailable, match="never a state"):
        fk.states(ROWS, feature_map=fk.ZZ(3), backend="sim:ideal")
    with pytest.raises(fk.BackendUnavailable, match="flashket estimate"):
        fk.explain(KERNEL, n=3, backend="sim:ideal")
    with pytest.raises(fk.BackendUnavailable, match="multiply with the matrix"):
        fk.gram_matvec(ROWS, np.ones((4, 1)), kernel=KERNEL, backend="sim:ideal")


def test_the_environment_can_name_a_qpu(monkeypatch):
    monkeypatch.setenv("FLASHKET_BACKEND", "sim:ideal")
    with pytest.raises(fk.InputError, match="shots must be given on a QPU"):
        fk.gram(ROWS, kernel=KERNEL)
    assert fk.gram(ROWS, kernel=KERNEL, backend="cpu").shape == (4, 4)


def test_qpus_are_listed_and_auto_never_takes_one():
    listed = {backend.name: backend for backend in fk.backends() if ":" in backend.name}
    assert listed["sim:ideal"].available and {"aer:<profile>", "ibm:<device>", "pennylane:<device>"} <= set(listed)
    assert all(backend.reason for backend in listed.values() if not backend.available)
    assert listed["sim:ideal"].capabilities(KERNEL, np.dtype(np.float64), "gram")
    assert not listed["sim:ideal"].capabilities(KERNEL, np.dtype(np.float64), "attention")
    assert ":" not in fk.explain(KERNEL, n=10).backend


def test_options_are_plain_data():
    options = {"kernel": fk.Fidelity(fk.Angle(3)), "backend": "sim:ideal", "shots": 20, "estimator": "randomised_measurement"}
    plan = kernel_jobs.plan_gram(ROWS, options={"n_unitaries": np.int64(4)}, **options)
    assert plan.spec["options"] == {"n_unitaries": 4}
    with pytest.raises(fk.InputError):
        kernel_jobs.plan_gram(ROWS, options={"n_unitaries": object()}, **options)


def test_the_batch_is_what_the_estimator_asks(provider):
    plan = kernel_jobs.plan_gram(ROWS, kernel=KERNEL, backend=provider.device(), shots=SHOTS, seed=4)
    assert isinstance(plan.batch, Batch) and len(plan.batch.circuits) == 6 and plan.batch.seed == 4
    assert plan.cost().executions == 6 * SHOTS and provider.ledger == []


PILOT = fk.gram(ROWS, kernel=KERNEL)
WORK = ComputeUncompute(KERNEL).measurements(ROWS)
SKIPPING = allocate(WORK, PILOT, target_error=0.02, noise_floor=float(np.sort(PILOT[np.triu_indices(4, 1)])[1]))


def test_allocated_shots_are_what_is_run_and_estimated():
    assert [count == 0 for count in SKIPPING.shots].count(True) == 2
    plan = kernel_jobs.plan_gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=SKIPPING, seed=1)
    assert plan.batch is not None
    assert plan.batch.shots == tuple(filter(None, SKIPPING.shots))
    assert plan.cost().executions == SKIPPING.total
    found = kernel_jobs.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=SKIPPING, seed=1)
    assert found.n_shots == SKIPPING.total
    upper = np.triu_indices(4, 1)
    skipped = np.array(SKIPPING.shots) == 0
    assert (found.values[upper][skipped] == 0).all()
    assert (np.abs(found.values - PILOT)[upper][skipped] <= found.standard_errors[upper][skipped] + 1e-12).all()
    assert np.abs(found.values - PILOT)[upper][~skipped].max() < 0.1
    np.testing.assert_array_equal(found.values, found.values.T)
    np.testing.assert_array_equal(np.diag(found.values), 1.0)


@pytest.mark.parametrize("mitigation", [
    Mitigation(readout=ReadoutMitigation()), Mitigation(rescale="split"), Mitigation(psd="clip"),
    Mitigation(zero_noise=ZeroNoise(factory="linear", engine="own")),
    Mitigation(zero_noise=ZeroNoise(factory="exponential")),
    Mitigation(readout=ReadoutMitigation(), zero_noise=ZeroNoise(engine="own"), rescale="average", psd="nearest"),
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("is_symmetric", [True, False])
def test_allocated_shots_with_mitigation(mitigation, is_symmetric):
    """What is measured is mitigated, what is skipped is 0, and what serves many entries has the most shots."""
    if mitigation.psd and not is_symmetric:
        mitigation = replace(mitigation, psd=None)
    y = None if is_symmetric else ROWS[:2] + 0.1
    exact = fk.gram(ROWS, y, kernel=KERNEL)
    work = ComputeUncompute(KERNEL).measurements(ROWS, y)
    index = ([i for i, _ in work.pairs], [j for _, j in work.pairs])
    plan = allocate(work, exact, target_error=0.004, noise_floor=float(np.sort(exact[index])[1]))
    options = {"kernel": KERNEL, "backend": "sim:ibm_torino", "seed": 1, "mitigation": mitigation}
    made = kernel_jobs.plan_gram(ROWS, y, shots=plan, **options)
    n_scales = 3 if mitigation.zero_noise else 1
    n_own = (4 if is_symmetric else 6) if mitigation.rescale else 0
    n_calibration = 2 if mitigation.readout else 0
    assert made.batch is not None
    assert len(made.batch.circuits) == n_scales * (len(work.pairs) - 2 + n_own) + n_calibration
    assert sum(made.batch.shots) == n_scales * (plan.total + n_own * max(plan.shots)) + n_calibration * max(plan.shots)
    found = kernel_jobs.gram(ROWS, y, shots=plan, **options)
    whole = kernel_jobs.gram(ROWS, y, shots=40_000, **options)
    skipped = np.array(plan.shots) == 0
    if mitigation.psd is None:
        assert (found.values[index][skipped] == 0).all()
        assert (np.abs(found.values - exact)[index][skipped] <= found.standard_errors[index][skipped] + 1e-12).all()
    assert np.isfinite(found.values).all()
    assert np.isfinite(found.standard_errors).all()
    close = 6 * np.hypot(found.standard_errors, whole.standard_errors)[index] + (0.05 if mitigation.psd else 1e-9)
    assert (np.abs(found.values - whole.values)[index][~skipped] <= close[~skipped]).all()
    assert all(np.isfinite([step.mean_change, step.largest_change]).all() for step in found.steps)


def test_allocated_shots_are_read_from_the_journal(provider, journal, spend):
    device = provider.device()
    plan = kernel_jobs.plan_gram(ROWS, kernel=KERNEL, backend=device, shots=SKIPPING, mitigation=Mitigation(psd="clip"))
    job = plan.submit(retry=QUICK)
    assert job.job is not None
    found = job.collect()
    again = kernel_jobs.open_gram(job.job.id, device=device).collect()
    np.testing.assert_array_equal(again.values, found.values)
    np.testing.assert_array_equal(again.standard_errors, found.standard_errors)


def test_allocations_that_do_not_fit():
    short = replace(SKIPPING, shots=(3,), standard_errors=np.zeros(1), values=np.zeros(1))
    with pytest.raises(fk.InputError, match=r"shots of 6 pairs were wanted, got 1"):
        kernel_jobs.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=short)
    with pytest.raises(fk.InputError, match=r"shots of 10 pairs were wanted, got 6: allocate for these rows, and leave diagonal out"):
        kernel_jobs.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=SKIPPING, diagonal=True)
    for estimator in ("randomised_measurement",):
        for mitigation in (None, Mitigation(psd="clip")):
            with pytest.raises(fk.InputError, match="one circuit for each pair was wanted, got randomised_measurement"):
                options = {"estimator": estimator, "mitigation": mitigation, "options": {"n_unitaries": 2}}
                kernel_jobs.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=SKIPPING, **options)
    for wrong in (-1, 2**31, 1.5, True):
        with pytest.raises(fk.InputError, match="shots must be integers"):
            kernel_jobs.gram(ROWS, kernel=KERNEL, backend="sim:ideal", shots=replace(SKIPPING, shots=(wrong, 1, 1, 1, 1, 1)))
