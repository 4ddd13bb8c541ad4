# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The public surface: names, import, objects as data, SPEC, backends, plans, memory and counters."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import flashket as fk
from contract import kernels, peak_bytes, run_python
from flashket import diagnostics, memory, planner, program
from flashket.backends.cpu import core
from flashket.controls import ScaledDot, Uniform
from flashket.feature_maps import discovered
from flashket.spec import parse_spec

NAMES = [
    *("Angle", "Amplitude", "IQP", "ZZ", "HardwareEfficient", "Circuit", "Fidelity", "HadamardTest", "Projected", "AttentionState"),
    *("Program", "Gate", "Linear", "states", "mps_states", "MPSStates", "NoiseModel", "gram", "gram_matvec", "nystrom", "attention"),
    *("attention_backward", "explain", "backends", "set_num_threads", "get_num_threads", "isa"),
    *("FlashKetError", "InputError", "BackendUnavailable", "ResourceLimit", "BudgetExceeded", "JobError"),
]


def test_public_names():
    assert sorted(fk.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(fk))
    assert all(callable(getattr(fk, name)) for name in NAMES)
    assert fk.__version__ == core().build_info()["version"]


def test_every_discovered_map_is_reachable():
    assert {"angle", "amplitude", "iqp", "zz", "he", "circuit"} <= set(discovered())
    for feature_map in discovered().values():
        assert getattr(fk, feature_map.__name__) is feature_map
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = fk.Nothing


@pytest.mark.measured
def test_import_is_cheap():
    """Less than 150 ms more than NumPy, and nothing heavy."""
    code = """
import sys, time, numpy
start = time.process_time()
import flashket
print(time.process_time() - start)
heavy = {"torch", "jax", "scipy", "pandas", "matplotlib", "rich", "dask", "qiskit", "pennylane", "cupy", "flashket_cuda", "openqasm3"}
print(*(heavy & {name.split(".")[0] for name in sys.modules}))
"""
    runs = [run_python(code).stdout.splitlines() for _ in range(3)]
    assert min(float(lines[0]) for lines in runs) < 0.150
    assert not runs[0][1:] or runs[0][1] == ""


def test_errors_are_what_callers_catch():
    for error in (fk.InputError, fk.BackendUnavailable, fk.ResourceLimit, fk.BudgetExceeded, fk.JobError):
        assert issubclass(error, fk.FlashKetError)
    assert issubclass(fk.InputError, ValueError) and issubclass(fk.ResourceLimit, MemoryError)
    assert str(pickle.loads(pickle.dumps(fk.InputError("[a] b")))) == "[a] b"


@pytest.mark.parametrize("kernel", [*kernels(3), ScaledDot(3), Uniform(3)], ids=repr)
def test_kernels_are_data(kernel):
    kernel([[0.5, 1.0, 2.0]])
    rebuilt = type(kernel)(**kernel.get_params(deep=False))
    for other in (rebuilt, pickle.loads(pickle.dumps(kernel)), copy.deepcopy(kernel)):
        assert other == kernel and hash(other) == hash(kernel) and repr(other) == repr(kernel)
    # Cloning tools compare parameters by identity after a round trip.
    assert all(rebuilt.get_params(deep=False)[name] is value for name, value in kernel.get_params(deep=False).items())
    with pytest.raises(AttributeError):
        kernel.power = 7
    feature_map = getattr(kernel, "feature_map", None)
    if feature_map is not None:
        assert type(feature_map)(**feature_map.get_params()) == feature_map
        assert kernel.n_features == 3
        if isinstance(feature_map, fk.Circuit):
            assert kernel.get_params()["feature_map__program"] is feature_map.program()
            return
        assert kernel.get_params()["feature_map__n_features"] == 3
        assert eval(repr(kernel), {name: getattr(fk, name) for name in dir(fk)}) == kernel


def test_options_are_keyword_only():
    for make in (
        lambda: fk.Angle(2, "rx"),
        lambda: fk.Amplitude(2, 1.0),
        lambda: fk.IQP(2, 3),
        lambda: fk.ZZ(2, 3),
        lambda: fk.Fidelity(fk.Angle(2), 3),
        lambda: fk.Projected(fk.Angle(2), 3),
    ):
        with pytest.raises(TypeError):
            make()


def test_numbers_of_numpy_become_plain():
    feature_map = fk.ZZ(np.int64(3), reps=np.int32(1), bandwidth=np.float32(0.5), entanglement=np.array([[0, 1]]))
    assert feature_map == fk.ZZ(3, reps=1, bandwidth=0.5, entanglement=[(0, 1)])
    assert [type(value) for value in feature_map.get_params().values()] == [int, int, tuple, float]


def test_programs_are_data():
    circuit = fk.ZZ(3).program()
    assert circuit == fk.ZZ(3).program() and hash(circuit) == hash(fk.ZZ(3).program())
    assert pickle.loads(pickle.dumps(circuit)) == circuit


def test_opcodes_are_the_compiled_modules():
    assert core().opcodes() == program.OPCODES


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("angle:8", fk.Fidelity(fk.Angle(8))),
        ("amplitude:64,bias=4", fk.Fidelity(fk.Amplitude(64, bias=4))),
        ("zz:6,reps=2,entanglement=linear", fk.Fidelity(fk.ZZ(6, entanglement="linear"))),
        ("hadamard:amplitude:64,power=8", fk.HadamardTest(fk.Amplitude(64), power=8)),
        ("fidelity:iqp:4,bandwidth=0.5,power=2", fk.Fidelity(fk.IQP(4, bandwidth=0.5), power=2)),
        ("projected:zz:6,gamma=0.5", fk.Projected(fk.ZZ(6), gamma=0.5)),
        ("projected:amplitude:5,bias=1", fk.Projected(fk.Amplitude(5, bias=1))),
        (" angle:8 , rotation = rx ", fk.Fidelity(fk.Angle(8, rotation="rx"))),
        ("softmax:32", ScaledDot(32)),
        ("uniform:5", Uniform(5)),
    ],
)
def test_spec(text, kernel):
    assert parse_spec(text) == kernel


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"maps are amplitude, angle, .*iqp.*; controls are softmax, uniform"),
        ("angel:8", r"\[spec\] a kernel must be .*got 'angel:8'.*maps are amplitude, angle"),
        ("projective:angle:8", r"\[fidelity:\|hadamard:\|projected:\]MAP:N.*got 'projective:angle:8'"),
        ("projected:angle:8,power=2", r"options must exist, got 'power': angle has rotation, bandwidth, gamma"),
        ("projected:angle:8,gamma=-1", r"\[Projected\] gamma must be positive, got -1.0"),
        ("angle", r"N must be an integer, got ''"),
        ("angle:eight", r"N must be an integer, got 'eight'"),
        ("angle:8:9", r"\[spec\]"),
        ("angle:0", r"\[Angle\] n_features must be a positive integer, got 0"),
        ("angle:8,reps=2", r"options must exist, got 'reps': angle has rotation, bandwidth, power"),
        ("angle:8,bandwidth", r"options must be key=value, each once, got 'bandwidth'"),
        ("angle:8,power=1,power=2", r"each once"),
        ("angle:8,bandwidth=wide", r"bandwidth must be a number, got 'wide'"),
        ("zz:3,reps=1.5", r"reps must be an integer, got '1.5'"),
        ("zz:3,entanglement=star", r"\[ZZ\] entanglement must be"),
        ("angle:3,power=0", r"\[Fidelity\] power must be a positive integer, got 0"),
        ("softmax:3,power=2", r"softmax takes nothing but its size"),
        ("hadamard:softmax:3", r"softmax takes nothing but its size"),
        (7, r"a kernel spec must be text, got 7"),
    ],
)
def test_bad_spec(text, message):
    with pytest.raises(fk.InputError, match=message):
        parse_spec(text)


def test_backends():
    listed = {backend.name: backend for backend in fk.backends() if ":" not in backend.name}  # QPUs: tests/qpu/test_kernel_jobs.py
    assert list(listed) == ["cuda", "custatevec", "cutensornet", "cpu"]
    assert listed["cpu"].available and listed["cpu"].reason == ""
    for name in (name for name, backend in listed.items() if not backend.available):
        assert "flashket_cuda" in listed[name].reason
        assert not listed[name].capabilities(fk.Fidelity(fk.Angle(2)), np.dtype(np.float32), "gram")
        for call in (
            lambda name=name: fk.gram([[0.0]], kernel=fk.Fidelity(fk.Angle(1)), backend=name),
            lambda name=name: fk.attention(*[np.zeros((1, 1, 1, 1))] * 3, kernel=fk.Fidelity(fk.Angle(1)), backend=name),
            lambda name=name: fk.explain(fk.Fidelity(fk.Angle(1)), n=3, backend=name),
        ):
            with pytest.raises(fk.BackendUnavailable, match=rf"backend '{name}' cannot run this: .*flashket_cuda"):
                call()
    with pytest.raises(fk.InputError, match=r"\[gram\] backend must name a backend, got 'tpu': choose auto, cuda.*cpu"):
        fk.gram([[0.0]], kernel=fk.Fidelity(fk.Angle(1)), backend="tpu")


def test_backend_is_forced_by_the_environment(monkeypatch):
    kernel = fk.Fidelity(fk.Angle(1))
    for name in (backend.name for backend in fk.backends() if not backend.available and ":" not in backend.name):
        monkeypatch.setenv("FLASHKET_BACKEND", name)
        with pytest.raises(fk.BackendUnavailable, match=f"'{name}'"):
            fk.gram([[0.0]], kernel=kernel)
        assert fk.gram([[0.0]], kernel=kernel, backend="cpu").shape == (1, 1)
    monkeypatch.setenv("FLASHKET_BACKEND", "abacus")
    with pytest.raises(fk.InputError, match="FLASHKET_BACKEND must name a backend, got 'abacus'"):
        fk.gram([[0.0]], kernel=kernel)
    monkeypatch.setenv("FLASHKET_BACKEND", "cpu")
    assert fk.explain(kernel, n=1).backend == "cpu"


def test_explain():
    plan = fk.explain(fk.Fidelity(fk.IQP(8)), n=100, m=50, backend="cpu")
    assert (plan.op, plan.backend, plan.n, plan.m, plan.limit) == ("gram", "cpu", 100, 50, "")
    assert plan.bytes >= 100 * 50 * 8 + 150 * 2**8 * 16
    assert plan.flops > 100 * 50 * 8 * 2**8
    assert [name for name, _ in plan.refused] == ["cuda", "custatevec", "cutensornet"]
    text = str(plan)
    assert all(word in text for word in ("gram of Fidelity(IQP(8)), 100 x 50", "cpu", "2^8 amplitudes", "refused  cuda"))
    assert "no state" in fk.explain(fk.Fidelity(fk.Angle(8)), n=10, op="attention").path
    for kernel in (*kernels(3), ScaledDot(3), Uniform(3)):
        assert fk.explain(kernel, n=10, op="attention").backend == "cpu"


def test_attention_work_is_that_of_its_pairs():
    kernel = fk.Fidelity(fk.Angle(8))
    for n, m in ((1, 1000), (1000, 1), (300, 500)):
        scores = fk.explain(kernel, n=n, m=m).flops
        assert fk.explain(kernel, n=n, m=m, op="attention").flops - scores == n * m * 2 * 8


def working_bytes(kernel, op, n, m, **how):
    return planner._working_bytes(kernel, op, n, m, np.dtype(np.float32), planner.Work(**how))


def test_memory_counts_what_is_computed_in_double():
    kernel = fk.Fidelity(fk.IQP(8), power=2)
    plain = working_bytes(kernel, "gram", 100, 50)
    assert plain >= (104 + 64) * 2**9 * 4
    assert working_bytes(kernel, "gram", 100, 50, log=True) == 2 * plain
    assert working_bytes(kernel, "gram", 100, 50, shots=9) == 2 * plain
    assert working_bytes(fk.Fidelity(fk.IQP(8)), "gram", 100, 50, shots=9) == plain
    keys = 4 * 1024 * 2**9 * 4
    soft = {"key_sets": 4, "value_width": 16}
    # Exact softmax may compute in float64; a single power is sampled in float32.
    assert 2 * keys < working_bytes(kernel, "attention", 1, 4000, **soft) < 3 * keys
    assert working_bytes(kernel, "attention", 1, 4000, **soft, shots=9) > 2 * keys
    assert keys < working_bytes(fk.Fidelity(fk.IQP(8)), "attention", 1, 4000, **soft, shots=9) < 1.5 * keys


def test_memory_counts_what_every_thread_holds():
    kernel, before = fk.Fidelity(fk.IQP(12)), fk.get_num_threads()
    row = 2**13
    try:
        for normalization, least in (("softmax", 32 * 4), ("sum", 32 * 4 + (32 + 256) * 8)):
            figures = []
            for threads in (1, 3):
                fk.set_num_threads(threads)
                how = {"key_sets": 2, "value_width": 5, "normalization": normalization}
                figures.append(working_bytes(kernel, "attention", 100, 1000, **how))
            assert figures[1] - figures[0] >= 2 * least * row
        fk.set_num_threads(1)
        assert working_bytes(kernel, "gram", 1, 1) >= (8 + 32 + 1) * row * 4
        # One key a set still fills a group of 32.
        few, many = (working_bytes(kernel, "attention", 1, n_sets, key_sets=n_sets, shots=9) for n_sets in (10, 20))
        assert many - few == 10 * 32 * (row + 72) * 4  # long rows are packed a little apart
    finally:
        fk.set_num_threads(before)


_ASKED = """
from flashket import planner
fk.set_num_threads(2)
asked, require = [], planner.require
planner.require = lambda place, what, n_bytes, do: (asked.append(n_bytes), require(place, what, n_bytes, do))
draw = lambda *shape: np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
"""
_STEP = "q, k, v = draw(1, 64, 1, 64), draw(1, 64, 8192, 64), draw(1, 64, 8192, 64)"
PEAKS = [
    ("x, k = draw(5000, 8), fk.Fidelity(fk.Angle(8))", "fk.gram(x, kernel=k)"),
    ("x, y, k = draw(3000, 512), draw(2000, 512), fk.Fidelity(fk.Amplitude(512))", "fk.gram(x, y, kernel=k)"),
    ("x, k = draw(1500, 11), fk.Fidelity(fk.ZZ(11))", "fk.gram(x, kernel=k, log=True)"),
    ("x, a, k = draw(2500, 11), draw(2500, 4), fk.Fidelity(fk.ZZ(11))", "fk.gram_matvec(x, a, kernel=k)"),
    ("x, a, k = draw(4000, 1024), draw(4000, 4), fk.Fidelity(fk.Amplitude(1024))", "fk.gram_matvec(x, a, x, kernel=k)"),
    ("x, k = draw(2, 21), fk.ZZ(21)", "fk.states(x, feature_map=k)"),
    (_STEP, "fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(64)))"),
    (_STEP, "fk.attention(q, k, v, kernel=fk.HadamardTest(fk.Amplitude(64)), shots=10)"),
]


@pytest.mark.measured
@pytest.mark.parametrize("case", PEAKS, ids=lambda case: case[1])
def test_memory_asked_for_is_what_is_used(case):
    """Neither more than a tenth too little nor a half too much, 16 MB aside."""
    used, asked = peak_bytes(_ASKED + case[0], case[1], "print(max(asked, default=0))")
    assert 0.9 * used - 2e6 < asked < 1.5 * used + 16e6, (used, asked)


def test_explain_says_when_keys_are_read_in_place():
    kernel = fk.Fidelity(fk.Amplitude(64))
    step, prefill = (fk.explain(kernel, n=n, m=8192, op="attention") for n in (2, 3))
    assert "read where they are" in step.path and "read where they are" not in prefill.path
    assert step.bytes < 8192 * 64 * 8 < prefill.bytes
    for other in (fk.Fidelity(fk.ZZ(6)), fk.Projected(fk.Angle(6)), fk.Fidelity(fk.Angle(481))):
        assert "read where they are" not in fk.explain(other, n=1, m=8192, op="attention").path


def test_explain_says_what_does_not_fit():
    assert "one state of IQP(60)" in fk.explain(fk.Fidelity(fk.IQP(60)), n=1).limit
    assert "matrix" in fk.explain(fk.Fidelity(fk.Angle(2)), n=10**8).limit
    str(fk.explain(fk.Fidelity(fk.ZZ(5000)), n=10))
    str(fk.explain(fk.Fidelity(fk.Angle(2)), n=2**31 - 1))


@pytest.mark.usefixtures("restore_threads")
def test_threads():
    fk.set_num_threads(np.int64(3))
    assert fk.get_num_threads() == 3
    for bad in (0, -1, 1.5, "2", True, 10**6):
        with pytest.raises(fk.InputError, match=r"\[set_num_threads\] n must be an integer in 1..1024"):
            fk.set_num_threads(bad)
    assert run_python("import flashket as fk; print(fk.get_num_threads())", FLASHKET_NUM_THREADS="7", OMP_NUM_THREADS="3").stdout == "7\n"
    assert run_python("import flashket as fk; print(fk.get_num_threads())", FLASHKET_NUM_THREADS="", OMP_NUM_THREADS="3").stdout == "3\n"


def test_available_memory():
    assert 10**6 < memory.available_bytes() < 10**15


@pytest.mark.parametrize("version", [1, 2])
def test_cgroup_limits(tmp_path, version):
    """The tightest group counts; dropped page cache is free; groups that are not mounted are passed over."""
    membership = tmp_path / "cgroup"
    if version == 2:
        membership.write_text("0::/outer/inner\n")
        outer, names = tmp_path / "outer", ("memory.max", "memory.current", "inactive_file")
    else:
        membership.write_text("3:cpu:/x\n4:memory:/outer/inner\n0::/\n")
        outer, names = tmp_path / "memory" / "outer", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (outer / "inner").mkdir(parents=True)
    for folder, limit, usage in ((outer, "5000", "1000"), (outer / "inner", "max" if version == 2 else str(2**63 - 4096), "900")):
        (folder / names[0]).write_text(limit + "\n")
        (folder / names[1]).write_text(usage + "\n")
        (folder / "memory.stat").write_text(f"anon 5\n{names[2]} 300\n")
    assert memory._cgroup_bytes(membership, tmp_path) == 5000 - 1000 + 300
    assert memory._cgroup_bytes(tmp_path / "none", tmp_path) is None


def test_counters_nest():
    x = np.ones((1, 2, 6, 2))
    options = {"kernel": fk.Fidelity(fk.Angle(2)), "seed": 0}
    mask = np.tri(6, 6, 2, dtype=bool)
    with diagnostics.record() as outer:
        fk.attention(x, x, x, shots=10, causal=True, **options)
        with diagnostics.record() as inner:
            fk.attention(x, x, x, shots=10, causal=True, kv_lens=[4], **options)
            fk.attention(x, x, x, shots=10, causal=True, mask=mask, kv_lens=[4], **options)
            fk.attention(x, x, x, **options)
    fk.attention(x, x, x, shots=10, **options)
    # kv_len 4 of 6 queries: they see 0, 0, 1, 2, 3, 4 keys.
    assert (inner.calls, inner.sampled_scores, inner.shots) == (3, 2 * 10 * 2, 400)
    assert (outer.calls, outer.sampled_scores) == (4, 2 * 21 + 2 * 10 * 2)
