# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark: figures against known values, a store that survives faults, and runs that survive being killed."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flashket import llm
from flashket.benchmark import metrics, runner, statistics, terminal, texts
from flashket.benchmark.environment import cpu_name, environment, load_average
from flashket.benchmark.store import Store, config_hash
from flashket.benchmark.suite import SUITES, Latency, load_suite
from flashket.errors import InputError

DATA = Path(__file__).parent / "data"


def suite_text(windows=3, extra="", shots=50, texts='["flashket", "stdlib"]'):
    return f"""
schema = 1
name = "tiny"
seed = 5
windows = {windows}
texts = {texts}
[latency]
prompt_bytes = 8
repeats = 2
output_bytes = 4
[[rows]]
name = "softmax (control)"
model = "{DATA}/llm_softmax.safetensors"
[[rows]]
name = "uniform (control)"
model = "{DATA}/llm_softmax.safetensors"
attention = "uniform"
[[rows]]
name = "angle, exact"
model = "{DATA}/llm_angle.safetensors"
[[rows]]
name = "angle, {shots} shots"
model = "{DATA}/llm_angle.safetensors"
shots = {shots}
{extra}"""


@pytest.fixture
def suite_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(suite_text())
    return path


class Silent:
    """A display that remembers its notes and can interrupt after some cells."""

    def __init__(self, stop_after=None):
        self.notes, self.finished, self.stop_after = [], [], stop_after

    def note(self, text):
        self.notes.append(text)

    def begin(self, cells, n_done):
        self.n_done = n_done

    def step(self, cell):
        if self.stop_after is not None and len(self.finished) >= self.stop_after:
            raise KeyboardInterrupt

    def finish(self, cell, row):
        self.finished.append(cell)

    def end(self):
        self.ended = True


def run(path, folder, display=None, **options):
    return runner.run(runner.Request(suite=str(path), out=folder, **options), display or Silent())


# Statistics


def test_interval_matches_the_normal_law():
    values = np.random.default_rng(3).normal(2.0, 0.5, 400)
    estimate = statistics.mean_interval(values)
    half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert estimate.mean == pytest.approx(values.mean(), abs=1e-12)
    assert estimate.high - estimate.mean == pytest.approx(half, rel=0.1)
    assert estimate.mean - estimate.low == pytest.approx(half, rel=0.1)
    assert estimate == statistics.mean_interval(values)


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(8)
    hits = [(e := statistics.mean_interval(rng.normal(1.0, 1.0, 40))).low <= 1.0 <= e.high for _ in range(200)]
    assert 0.88 <= np.mean(hits) <= 0.99


def test_pairing_removes_what_windows_share():
    rng = np.random.default_rng(4)
    control = rng.normal(2.0, 1.0, 50)
    values = control + 0.01 + rng.normal(0, 0.001, 50)
    paired = statistics.paired_difference(list(values), list(control))
    assert paired.low > 0.009 and paired.high < 0.011
    alone = statistics.mean_interval(values)
    assert alone.high - alone.low > 0.3


# Metrics


def test_windows_are_even_and_their_scored_halves_apart():
    starts = metrics.window_starts(10_000, context=64, windows=20)
    assert starts[0] == 0 and starts[-1] == 10_000 - 65 and len(starts) == 20
    assert max(np.diff(starts)) - min(np.diff(starts)) <= 1
    crowded = metrics.window_starts(300, context=64, windows=1000)
    assert min(np.diff(crowded)) >= 32
    with pytest.raises(InputError, match="at least 65 bytes"):
        metrics.window_starts(64, context=64, windows=3)


def test_bits_per_byte_of_known_distributions():
    logits = np.log(np.full((4, 256), 1e-3))
    logits[:, 7] = np.log(0.745)
    assert metrics.bits_of_window(logits, np.full(4, 7)) == pytest.approx(-math.log2(0.745), rel=1e-12)
    assert metrics.bits_of_window(logits + 1000.0, np.full(4, 8)) == pytest.approx(-math.log2(1e-3), rel=1e-9)


def test_quality_scores_the_second_half_of_each_window():
    model = llm.load(DATA / "llm_softmax.safetensors")
    text = texts.load_text("flashket")
    figures = metrics.quality(model, text, windows=3, shots=None, seed=0, progress=lambda: None)
    start = figures["samples"]["window_start"][1]
    bits = 0.0
    for position in range(start + 17, start + 33):
        logits = model.logits(text[start:position])[-1].astype(float)
        bits -= (logits[text[position]] - np.logaddexp.reduce(logits)) / math.log(2)
    assert figures["samples"]["bits_per_byte"][1] == pytest.approx(bits / 16, rel=1e-4)
    result = figures["result"]
    assert result["perplexity_per_byte"] == pytest.approx(2 ** np.mean(figures["samples"]["bits_per_byte"]))
    assert result["scored_bytes"] == 48
    low, high = result["bits_per_byte_ci95"]
    assert low <= result["bits_per_byte"] <= high


def test_sampled_quality_repeats_with_its_seed_and_counts_zero_rows():
    model = llm.load(DATA / "llm_amplitude_sum.safetensors")
    text = texts.load_text("flashket")
    first, again, other = (metrics.quality(model, text, windows=3, shots=1, seed=seed, progress=lambda: None) for seed in (1, 1, 99))
    assert first == again
    assert first["samples"] != other["samples"]
    assert first["result"]["zero_rows"] > 0


def test_latency_keeps_every_sample_and_the_first_byte_apart():
    model = llm.load(DATA / "llm_angle.safetensors")
    settings = Latency(prompt_bytes=8, repeats=3, output_bytes=5)
    steps = []
    figures = metrics.latency(model, b"def fib(n):", settings, shots=None, seed=0, progress=lambda: steps.append(1))
    assert len(steps) == 4
    samples, result = figures["samples"], figures["result"]
    assert len(samples["ttft_seconds"]) == 3 and [len(taken) for taken in samples["seconds_per_byte"]] == [5, 5, 5]
    each = np.concatenate(samples["seconds_per_byte"])
    assert result["seconds_per_byte_p50"] == np.quantile(each, 0.5) <= result["seconds_per_byte_p90"]
    assert result["decode_bytes_per_second"] == pytest.approx(15 / each.sum())
    assert result["prefill_bytes_per_second"] == pytest.approx(8 / np.median(samples["ttft_seconds"]))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="VmHWM is Linux's")
def test_peak_memory_forgets_older_peaks():
    big = np.ones(30_000_000)
    del big
    peak = metrics.PeakMemory()
    before = peak.read()
    if not before["peak_method"].startswith("VmHWM"):
        assert before["peak_bytes"] > 0
        return
    held = np.ones(5_000_000)
    after = peak.read()
    assert 35e6 < after["peak_bytes"] - before["peak_bytes"] < 100e6, held.size


def test_compressors_know_a_repetition():
    result = metrics.compressors(b"abcdefgh" * 1000)["result"]
    assert result["zlib_9"] < 0.1 and result["xz"] < 0.2


# Texts and suites


def test_the_frozen_text_is_checked(tmp_path, monkeypatch):
    text = texts.load_text("flashket")
    assert 32_000 <= len(text) <= 200_000
    copy = tmp_path / "flashket.txt"
    copy.write_bytes(text[:-1])
    (tmp_path / "SHA256SUMS").write_text((texts.FROZEN.parent / "SHA256SUMS").read_text())
    monkeypatch.setattr(texts, "FROZEN", copy)
    with pytest.raises(InputError, match="differs from its SHA256SUMS"):
        texts.load_text("flashket")
    (tmp_path / "SHA256SUMS").write_text("nonsense\n")
    with pytest.raises(InputError, match="digest  name"):
        texts.load_text("flashket")
    copy.unlink()
    with pytest.raises(InputError, match="install flashket again"):
        texts.load_text("flashket")


def test_quick_and_full_have_the_default_suites_rows():
    default = load_suite("default")
    assert len(default.rows) == 10 and set(default.texts) == set(texts.TEXTS)
    for name in SUITES:
        assert load_suite(name).rows == default.rows
    assert load_suite("quick").windows < default.windows < load_suite("full").windows


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("schema = 1", "schema = 2", "schema must be 1"),
        ("windows = 3", "windows = 1", "windows must be an integer"),
        ("windows = 3", "windows = true", "windows must be an integer"),
        ("seed = 5", "sede = 5", "must have"),
        ('"stdlib"]', '"flashket"]', "texts must be"),
        ('"stdlib"]', '"web"]', "texts must be"),
        ("shots = 50", "shots = 0", "shots must be"),
        ('attention = "uniform"', 'attention = "none"', "attention must be"),
        ('name = "angle, exact"', 'name = "softmax (control)"', "same name"),
        ("repeats = 2", "", "latency must have"),
        ("schema = 1", "schema = ", "not TOML"),
    ],
)
def test_bad_suites_are_refused(tmp_path, old, new, reason):
    path = tmp_path / "bad.toml"
    assert old in suite_text()
    path.write_text(suite_text().replace(old, new))
    with pytest.raises(InputError, match=rf"bad\.toml: .*{reason}"):
        load_suite(str(path))


def test_missing_and_binary_suites_are_refused(tmp_path):
    with pytest.raises(InputError, match="suite must be quick, default, full or a TOML file"):
        load_suite("big")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.toml"):
        load_suite(str(tmp_path / "binary.toml"))


# Store


def row(number, **more):
    cell = {"metric": "quality", "n": number}
    return {"config_hash": config_hash(cell), "kind": "measured", "cell": cell, "result": {}, "samples": {}, **more}


def filled(path, n=3):
    store = Store(path)
    for number in range(n):
        store.append(row(number))
    return store


def test_rows_come_back_in_order(tmp_path):
    store = filled(tmp_path / "results.jsonl")
    again = Store(store.path)
    assert list(again.rows.values()) == list(store.rows.values())
    assert again.cut_line is None
    with pytest.raises(InputError, match="already"):
        again.append(row(1))


@pytest.mark.parametrize("n_lost", [1, 2, 40, 10_000])
def test_a_cut_last_line_is_skipped_named_and_left(tmp_path, n_lost):
    path = filled(tmp_path / "results.jsonl").path
    lines = path.read_bytes().splitlines(keepends=True)
    kept = lines[2][: max(5, len(lines[2]) - n_lost)]
    path.write_bytes(b"".join(lines[:2]) + kept)
    store = Store(path)
    is_whole = n_lost == 1  # only the newline is missing
    assert len(store.rows) == (3 if is_whole else 2)
    assert store.cut_line == (None if is_whole else 3)
    store.append(row(7))
    assert path.read_bytes().startswith(b"".join(lines[:2]) + kept + b"\n")
    again = Store(path)
    assert again.cut_line is None and len(again.rows) == (4 if is_whole else 3)
    again.append(row(8))
    assert len(Store(path).rows) == (5 if is_whole else 4)


def test_a_run_cut_again_in_the_same_place_goes_on(tmp_path):
    path = filled(tmp_path / "results.jsonl").path
    path.write_bytes(path.read_bytes() + b'{"a\n{"b\n{"')
    assert Store(path).cut_lines == [4, 5, 6]
    Store(path).append(row(8))
    assert Store(path).cut_lines == [] and len(Store(path).rows) == 4
    path.write_bytes(path.read_bytes().replace(b"[4, 5, 6]", b"[4, 6]"))
    with pytest.raises(InputError, match=r"line 5: it is not a whole JSON object"):
        Store(path)


def test_zeros_at_the_end_count_as_cut(tmp_path):
    """A crash of the machine can leave a file longer than what was written."""
    path = filled(tmp_path / "results.jsonl").path
    path.write_bytes(path.read_bytes() + bytes(100))
    assert Store(path).cut_line == 4


@pytest.mark.parametrize("damage", [b"{broken", b"", b"[1]", b"\xff\xfe"])
def test_a_damaged_middle_line_is_refused_with_its_number(tmp_path, damage):
    path = filled(tmp_path / "results.jsonl").path
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], damage, lines[2]]) + b"\n")
    with pytest.raises(InputError, match=r"results\.jsonl, line 2: it is not a whole JSON object"):
        Store(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": 99}, "schema_version must be 1"),
        ({"kind": "guessed"}, "kind must be one of"),
        ({"cell": 3}, "cell must be dict"),
        ({"cell": {"metric": "quality", "n": 9}}, "config_hash must be its cell's"),
    ],
)
def test_rows_of_another_form_are_refused(tmp_path, change, reason):
    path = filled(tmp_path / "results.jsonl").path
    lines = path.read_text().splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), **change})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=f"line 3: its {reason}"):
        Store(path)
    with pytest.raises(InputError, match="row refused"):
        Store(tmp_path / "other.jsonl").append({**row(0), "kind": "guessed"})


def test_rows_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match="NaN or infinity"):
        Store(tmp_path / "results.jsonl").append({**row(0), "result": {"bits_per_byte": math.nan}})


def test_a_full_disk_is_an_error_and_its_half_row_a_cut_line(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a device that is always full (Linux)")
    path = tmp_path / "results.jsonl"
    path.symlink_to("/dev/full")
    store = Store(tmp_path / "absent.jsonl")
    store.path = path
    with pytest.raises(OSError, match="No space left"):
        store.append(row(0))
    assert store.rows == {}


def test_a_hash_that_occurs_twice_is_refused(tmp_path):
    path = filled(tmp_path / "results.jsonl").path
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(InputError, match=r"line 4: .* occurs twice"):
        Store(path)


# Runs


def test_a_run_has_everything_it_promises(suite_file, tmp_path):
    outcome = run(suite_file, tmp_path / "run")
    assert not outcome.interrupted
    folder = outcome.folder
    assert (folder / "suite.toml").read_text() == suite_file.read_text()
    stored = json.loads((folder / "environment.json").read_text())
    assert {"git_commit", "versions", "isa", "cpu", "threads"} <= set(stored)
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    # two compressors, and for each of four rows two texts and one latency
    assert len(rows) == 2 + 4 * 3
    assert len({each["config_hash"] for each in rows}) == len(rows)
    for each in rows:
        assert each["schema_version"] == 1
        assert each["config_hash"] == config_hash(each["cell"])
        assert each["kind"] == ("simulated" if each["cell"]["metric"] == "quality" and each["cell"]["shots"] else "measured")
        assert {"git_commit", "versions", "isa", "cpu", "threads", "load_average", "samples", "cpu_seconds", "wall_seconds"} <= set(each)
        assert len(each["cell"]["text_sha256"]) == 64
        if each["cell"]["metric"] != "compressors":
            assert len(each["cell"]["model_sha256"]) == 64 and each["cell"]["seed"] == 5
        assert all(library["num_threads"] == 1 for library in each["blas"])
    windows = {(each["cell"]["text"], tuple(each["samples"]["window_start"])) for each in rows if each["cell"]["metric"] == "quality"}
    assert len(windows) == 2, "every row must see the same windows"


def test_the_table_holds_every_row_and_its_limits(suite_file, tmp_path, capsys, monkeypatch):
    outcome = run(suite_file, tmp_path / "run")
    terminal.print_table(outcome)
    out = capsys.readouterr().out
    assert out.isascii()
    for word in ("softmax (control)", "angle, 50 shots", "simulated", "zlib -9", "xz", "No QPU ran", "cosine attention", "vs control"):
        assert word in out
    assert max(map(len, out.split("Compressors")[0].splitlines())) <= 160
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, no colours
    terminal.print_table(outcome)
    narrow = capsys.readouterr().out.split("Compressors")[0]
    assert max(map(len, narrow.splitlines())) <= 80 and "TTFT" in narrow


def test_zero_rows_are_added_over_texts():
    rows = [{"cell": {"row": name}, "result": {"zero_rows": n}, "load_average": None} for n, name in ((3, "a"), (4, "a"), (5, "b"))]
    assert terminal._warnings(runner.Outcome(Path("run"), None, rows, False))[0].endswith("uniformly: a 7, b 5.")


def test_interrupted_runs_resume_where_they_stopped(suite_file, tmp_path, capsys):
    first = run(suite_file, tmp_path / "run", Silent(stop_after=4))
    assert first.interrupted and len(first.rows) == 4
    terminal.print_table(first)
    assert "angle, exact" in capsys.readouterr().out
    before = (first.folder / "results.jsonl").read_bytes()
    display = Silent()
    second = runner.run(runner.Request(out=first.folder, resume=True), display)
    assert display.n_done == 4 and len(display.finished) == 10
    assert (first.folder / "results.jsonl").read_bytes().startswith(before)
    whole = {each["config_hash"]: each for each in run(suite_file, tmp_path / "whole").rows}
    assert set(whole) == {each["config_hash"] for each in second.rows}
    for each in second.rows:  # quality does not depend on interruptions
        if each["cell"]["metric"] == "quality":
            assert each["samples"] == whole[each["config_hash"]]["samples"]
    third = Silent()
    runner.run(runner.Request(out=first.folder, resume=True), third)
    assert third.finished == []


def test_hashes_change_with_what_is_measured(suite_file, tmp_path):
    def hashes(text):
        path = tmp_path / "other.toml"
        path.write_text(text)
        suite = load_suite(str(path))
        configs = [cell.config for cell in runner.plan(suite, runner.Request())[1]]
        return {(config["metric"], config.get("row"), config["text"]): config_hash(config) for config in configs}

    base = hashes(suite_text())
    more_windows = hashes(suite_text(windows=4))
    assert all((more_windows[key] == value) == (key[0] != "quality") for key, value in base.items())
    more_repeats = hashes(suite_text().replace("repeats = 2", "repeats = 3"))
    assert all((more_repeats[key] == value) == (key[0] != "latency") for key, value in base.items())
    assert base == hashes(suite_text())


def test_another_run_is_not_resumed(suite_file, tmp_path):
    folder = run(suite_file, tmp_path / "run", Silent(stop_after=4)).folder
    with pytest.raises(InputError, match=r"holds a run; continue it with --resume"):
        run(suite_file, folder)
    other = tmp_path / "other.toml"
    other.write_text(suite_text(windows=4))
    with pytest.raises(InputError, match="another suite"):
        run(other, folder, resume=True)
    with pytest.raises(InputError, match="was made without --kernel"):
        run(suite_file, folder, resume=True, kernels=("angle:8",))
    with pytest.raises(InputError, match="no run that can be resumed"):
        runner.run(runner.Request(out=tmp_path / "nothing", resume=True), Silent())
    results = folder / "results.jsonl"
    results.write_text(results.read_text().replace('"flashket": "', '"flashket": "9.', 1))
    stored = json.loads(results.read_text().splitlines()[0])
    stored["config_hash"] = config_hash(stored["cell"])
    results.write_text(json.dumps(stored) + "\n")
    with pytest.raises(InputError, match=r"another suite, version.*flashket '9\."):
        run(suite_file, folder, resume=True)


def test_resume_alone_takes_the_newest_run(suite_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no run in"):
        runner.run(runner.Request(resume=True), Silent())
    folders = []
    for _ in range(2):
        folders.append(run(suite_file, None, Silent(stop_after=1)).folder)
        time.sleep(0.02)
    assert folders[0] != folders[1]
    assert runner.run(runner.Request(resume=True), Silent()).folder == folders[1]


def test_kernels_select_rows_and_models_add_them(suite_file, tmp_path):
    picked = run(suite_file, tmp_path / "picked", kernels=("angle:8,bandwidth=0.7",))
    assert [each.name for each in picked.suite.rows] == ["softmax (control)", "angle, exact", "angle, 50 shots"]
    with pytest.raises(InputError, match="no row has --kernel zz:4"):
        run(suite_file, tmp_path / "refused", kernels=("zz:4",))
    added = run(suite_file, tmp_path / "added", models=(str(DATA / "llm_amplitude.safetensors"),))
    assert [each.name for each in added.suite.rows] == [
        "softmax (control)",
        "llm_amplitude, uniform",
        "llm_amplitude, exact",
        "llm_amplitude, 50 shots",
    ]
    with pytest.raises(InputError, match="no hub models"):
        run(suite_file, tmp_path / "hub", models=("owner/name",))


def test_shots_of_a_classical_row_are_refused(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(suite_text().replace('attention = "uniform"', "shots = 5"))
    with pytest.raises(InputError, match="quantum kernel"):
        run(path, tmp_path / "run")


def test_environment_says_where_it_ran():
    place = environment()
    assert place["versions"]["numpy"] == np.__version__
    assert place["threads"] >= 1 and place["isa"] and cpu_name()
    assert load_average() is None or len(load_average()) == 3


# Signals, with the real command


def start(path, folder, **environment_changes):
    command = [sys.executable, "-m", "flashket", "bench", "--suite", str(path), "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment_changes})


def wait_for_rows(process, path, n):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= n:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("the run did not get so far")


@pytest.fixture
def long_suite(tmp_path):
    path = tmp_path / "long.toml"
    path.write_text(suite_text(windows=1000, texts='["flashket"]'))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_keep_finished_cells(long_suite, tmp_path, number):
    folder = tmp_path / "run"
    process = start(long_suite, folder)
    wait_for_rows(process, folder / "results.jsonl", 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "Traceback" not in err
    assert f"flashket bench --resume --out {folder}" in err
    assert "softmax (control)" in out
    n_kept = len(Store(folder / "results.jsonl").rows)
    assert n_kept >= 2
    assert Store(folder / "results.jsonl").cut_line is None


def test_a_killed_run_loses_at_most_the_running_cell(long_suite, tmp_path):
    folder = tmp_path / "run"
    process = start(long_suite, folder)
    wait_for_rows(process, folder / "results.jsonl", 2)
    process.kill()
    process.communicate(timeout=60)
    kept = list(Store(folder / "results.jsonl").rows)
    assert len(kept) >= 2
    with (folder / "results.jsonl").open("ab") as file:  # as if it had been writing
        file.write(b'{"schema_version": 1, "conf')
    command = [sys.executable, "-m", "flashket", "bench", "--resume", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"line {len(kept) + 1} was cut" in done.stderr
    store = Store(folder / "results.jsonl")
    assert list(store.rows)[: len(kept)] == kept
    assert len(store.rows) == 1 + 4 * 2


def test_a_second_process_is_refused(long_suite, tmp_path):
    folder = tmp_path / "run"
    process = start(long_suite, folder)
    try:
        wait_for_rows(process, folder / "results.jsonl", 1)
        with pytest.raises(InputError, match="another process"):
            runner.run(runner.Request(out=folder, resume=True), Silent())
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_results_are_the_same_for_any_number_of_threads(suite_file, tmp_path):
    samples = []
    for threads in ("1", "2"):
        folder = tmp_path / threads
        process = start(suite_file, folder, FLASHKET_NUM_THREADS=threads)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        rows = Store(folder / "results.jsonl").rows
        samples.append({key: each["samples"]["bits_per_byte"] for key, each in rows.items() if each["cell"]["metric"] == "quality"})
    assert samples[0] == samples[1]
