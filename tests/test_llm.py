# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The NumPy runtime: equal to the training code, to itself across prefill and decode, and closed to damaged files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flashket import diagnostics, llm
from flashket.controls import ScaledDot, Uniform
from flashket.errors import InputError
from flashket.feature_maps.amplitude import Amplitude
from flashket.kernels import Fidelity
from flashket.llm import generate
from flashket.llm.checkpoint import bundled_path, parse_config, tensor_shapes
from flashket.llm.config import PRESETS
from flashket.llm.model import KVCache

DATA = Path(__file__).parent / "data"
NAMES = ("softmax", "amplitude", "amplitude_sum", "angle")
KERNEL_NAMES = NAMES[1:]
TEXT = b"def fib(n):\n    return n if n < 2"[:32]
# float32, two layers, random weights of order 1: logits are of order 10
TOLERANCE = 2e-4


@pytest.fixture(scope="module", params=NAMES)
def tiny(request):
    return llm.load(DATA / f"llm_{request.param}.safetensors")


def load(name):
    return llm.load(DATA / f"llm_{name}.safetensors")


def test_logits_equal_the_training_codes(tiny):
    stored = np.load(DATA / "llm_logits.npz")
    wanted = stored[tiny.name.removeprefix("llm_")]
    got = tiny.logits(stored["tokens"])[stored["positions"]]
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() < TOLERANCE * np.abs(wanted).max()


def test_decode_equals_prefill(tiny):
    whole = tiny.logits(TEXT)
    for n_prompt in (1, 2, 5, 31):
        logits, cache = tiny.prefill(TEXT[:n_prompt])
        assert np.allclose(logits, whole[n_prompt - 1], atol=1e-5)
        for position in range(n_prompt, len(TEXT)):
            assert np.allclose(tiny.decode(TEXT[position], cache), whole[position], atol=1e-5)
        assert cache.length == len(TEXT)


def test_batch_rows_are_independent(tiny):
    batch = np.frombuffer(TEXT, np.uint8).reshape(2, 16)
    both = tiny.logits(batch)
    assert both.shape == (2, 16, 256)
    for row in range(2):
        assert np.allclose(both[row], tiny.logits(batch[row]), atol=1e-5)
    logits, cache = tiny.prefill(batch)
    assert logits.shape == (2, 256)
    assert np.allclose(tiny.decode([7, 9], cache)[1], tiny.logits(bytes(batch[1]) + b"\x09")[-1], atol=1e-5)


@pytest.mark.parametrize("name", KERNEL_NAMES)
def test_sampled_decode_equals_sampled_prefill(name):
    """Streams are keyed by absolute positions, so the same draws happen: what differs is rounding, not luck."""
    model = load(name).with_attention(shots=50, seed=3)
    whole = model.logits(TEXT)
    _, cache = model.prefill(TEXT[:9])
    decoded = np.stack([model.decode(byte, cache) for byte in TEXT[9:]])
    # A probability that differs in its last bit may move one draw by one count; that is rare and small.
    agree = np.abs(decoded - whole[9:]).max(axis=1) < 1e-4
    assert agree.mean() > 0.85
    assert np.abs(whole - load(name).logits(TEXT)).max() > 1e-3


def test_shots_converge_and_seeds_differ():
    model = load("angle")
    exact = model.logits(TEXT)
    errors = [np.abs(model.with_attention(shots=shots, seed=1).logits(TEXT) - exact).mean() for shots in (10, 1000, 100_000)]
    assert errors[0] > errors[1] > errors[2]
    first, second = (model.with_attention(shots=10, seed=seed).logits(TEXT) for seed in (1, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, model.with_attention(shots=10, seed=1).logits(TEXT))


def test_noise_reaches_every_score():
    model, text = llm.load("angle"), b"import numpy"
    noisy = model.with_attention(noise="ibm_torino")
    with diagnostics.record() as counts:
        changed = noisy.logits(text)
    assert counts.noise[0].method == "effective" and np.abs(changed - model.logits(text)).max() > 1e-3
    assert "noise=NoiseModel.from_profile('ibm_torino')" in repr(noisy) and noisy.with_attention().noise is None
    with pytest.raises(InputError, match="noise needs a quantum kernel"):
        llm.load("softmax").with_attention(noise="ibm_torino")


def test_zero_rows_are_counted():
    with diagnostics.record() as counts:
        load("amplitude_sum").with_attention(shots=1, seed=0).logits(TEXT)
    assert counts.zero_rows > 0


def test_uniform_attention_is_the_mean(monkeypatch):
    """With uniform weights a layer's attention output is the running mean of its values."""
    model = load("softmax").with_attention(kernel="uniform")
    assert model.kernel == Uniform(4)
    seen = []
    from flashket.llm import model as module

    real = module.attention

    def watched(q, k, v, **options):
        out = real(q, k, v, **options)
        seen.append((np.array(v), out))
        return out

    monkeypatch.setattr(module, "attention", watched)
    model.logits(TEXT)
    assert len(seen) == model.config.n_layers
    for v, out in seen:
        mean = np.cumsum(v, axis=2) / np.arange(1, v.shape[2] + 1)[:, None]
        assert np.allclose(out, mean, atol=1e-5)


def test_variants_leave_the_model_as_it_was():
    model = load("amplitude")
    before = model.logits(TEXT)
    variant = model.with_attention(kernel=Fidelity(Amplitude(4, bias=2.0)), shots=10, seed=4)
    assert variant.shots == 10 and variant.kernel != model.kernel
    assert model.shots is None
    assert np.array_equal(model.logits(TEXT), before)
    assert variant.with_attention(shots=None).shots is None
    assert load("softmax").kernel == ScaledDot(4)


@pytest.mark.parametrize("name", NAMES)
def test_uniform_is_undone_by_the_trained_kernel(name):
    model = load(name)
    back = model.with_attention(kernel="uniform").with_attention(kernel=model.kernel)
    assert back.normalization == model.normalization
    assert np.array_equal(back.logits(TEXT), model.logits(TEXT))


def test_layers_of_different_seeds_do_not_share_a_stream():
    model = load("angle")
    # The words of (2**32 * (i + 1) + s, 0) read like those of (s, i + 1).
    seeds = [seed for high in range(3) for seed in model.with_attention(shots=1, seed=5 + (high << 32))._layer_seeds]
    assert len(set(seeds)) == len(seeds) == 3 * model.config.n_layers


def test_an_interrupted_decode_leaves_the_cache_as_it_was(tiny, monkeypatch):
    from flashket.llm import model as module

    _, cache = tiny.prefill(TEXT[:9])
    expected = tiny.logits(TEXT[:10])[-1]
    real, calls = module.attention, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == tiny.config.n_layers:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "attention", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tiny.decode(TEXT[9], cache)
    assert cache.length == 9
    assert np.allclose(tiny.decode(TEXT[9], cache), expected, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"kernel": "cosine"}, {"shots": 0}, {"shots": -5}, {"shots": 1.5}, {"shots": True}, {"seed": -1}, {"seed": 2**64}],
)
def test_bad_variants_are_refused(options):
    with pytest.raises(InputError, match=r"^\[llm\]"):
        load("angle").with_attention(**options)


@pytest.mark.parametrize("kernel", [None, "uniform"])
def test_classical_scores_have_no_shots(kernel):
    with pytest.raises(InputError, match="quantum kernel"):
        load("softmax").with_attention(kernel=kernel, shots=10)


@pytest.mark.parametrize("tokens", [b"", b"x" * 33, [[[1]]], [1.5], [-1], [256], np.zeros((0, 4), int), "text"])
def test_bad_tokens_are_refused(tokens):
    with pytest.raises(InputError, match=r"^\[llm\] tokens"):
        load("softmax").logits(tokens)


def test_a_full_cache_and_a_wrong_batch_are_refused():
    model = load("softmax")
    _, cache = model.prefill(TEXT)
    with pytest.raises(InputError, match="full"):
        model.decode(1, cache)
    _, cache = model.prefill(TEXT[:4])
    with pytest.raises(InputError, match="cached sequences"):
        model.decode([1, 2], cache)
    assert KVCache(model.config, batch=1, capacity=8).nbytes > 0


def test_generation_is_deterministic_and_typed(tiny):
    text = tiny.generate("def f", max_new_bytes=12)
    assert isinstance(text, str)
    assert text == tiny.generate("def f", max_new_bytes=12)
    assert text == "".join(tiny.stream("def f", max_new_bytes=12))
    raw = tiny.generate(b"def f", max_new_bytes=12)
    assert isinstance(raw, bytes) and raw.decode(errors="replace") == text
    sampled = [tiny.generate(b"def f", max_new_bytes=20, temperature=1.0, top_p=0.9, seed=seed) for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1] != sampled[2]
    assert tiny.generate("x", max_new_bytes=0) == ""


def test_greedy_takes_the_likeliest_byte(tiny):
    history = bytearray(b"def f")
    for byte in tiny.generate(b"def f", max_new_bytes=8):
        assert byte == int(tiny.logits(bytes(history))[-1].argmax())
        history.append(byte)


def test_generation_passes_the_window(tiny):
    """Beyond the window the model reads the last half of it again, so the text depends on nothing older."""
    context = tiny.config.context
    out = tiny.generate(b"a" * 5, max_new_bytes=3 * context, temperature=1.0, seed=5)
    assert len(out) <= 3 * context
    long_prompt = bytes(range(1, 200))
    kept = long_prompt[-(context // 2) :]
    assert tiny.generate(long_prompt, max_new_bytes=4) == tiny.generate(kept, max_new_bytes=4)
    assert isinstance(tiny.generate("", max_new_bytes=3), str)


def test_generation_stops_at_the_end_of_the_document(monkeypatch):
    choices = iter([65, 66, 0, 67])
    monkeypatch.setattr(generate, "choose_byte", lambda logits, **options: next(choices))
    assert load("softmax").generate("x", max_new_bytes=10) == "AB"


def test_top_p_keeps_the_smallest_sufficient_set():
    logits = np.log(np.array([0.1, 0.5, 0.3, 0.1]))
    rng = np.random.default_rng(0)
    drawn = [generate.choose_byte(logits, temperature=1.0, top_p=0.75, rng=rng) for _ in range(2000)]
    assert set(drawn) == {1, 2}
    assert abs(drawn.count(1) / len(drawn) - 0.5 / 0.8) < 0.04
    assert {generate.choose_byte(logits, temperature=1.0, top_p=0.01, rng=rng) for _ in range(50)} == {1}
    assert {generate.choose_byte(logits, temperature=1.0, top_p=1.0, rng=rng) for _ in range(500)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "options",
    [
        {"max_new_bytes": -1},
        {"max_new_bytes": 2.5},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"seed": -1},
    ],
)
def test_bad_generation_options_are_refused(options):
    with pytest.raises(InputError, match=r"^\[generate\]"):
        load("softmax").generate("x", **options)
    with pytest.raises(InputError, match="prompt must be"):
        load("softmax").generate(7)


def damage_cut(raw):
    return raw[: len(raw) // 2]


def damage_header(raw):
    return (2**40).to_bytes(8, "little") + raw[8:]


def damage_empty(raw):
    return b""


def damage_json(raw):
    return raw[:8] + b"x" + raw[9:]


def damage_tail(raw):
    return raw + b"more"


@pytest.mark.parametrize("damage", [damage_cut, damage_header, damage_empty, damage_json, damage_tail])
def test_damaged_files_are_named_and_refused(tmp_path, damage):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(damage((DATA / "llm_softmax.safetensors").read_bytes()))
    with pytest.raises(InputError, match=r"broken\.safetensors: damaged"):
        llm.load(path)


def rewrite(path, *, drop=(), change=None, **config):
    """Write the tiny softmax checkpoint with changes."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(DATA / "llm_softmax.safetensors", framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name not in drop}  # noqa: SIM118  (not a mapping)
        metadata = file.metadata()
    tensors |= change or {}
    metadata["config"] = json.dumps({**json.loads(metadata["config"]), **config})
    save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"drop": ("norm",)}, r"missing: \['norm'\]"),
        ({"change": {"extra": np.zeros(2, np.float16)}}, r"not expected: \['extra'\]"),
        ({"change": {"norm": np.zeros(9, np.float16)}}, r"norm must be \(8,\)"),
        ({"change": {"norm": np.zeros(8, np.int64)}}, "F16 or F32"),
        ({"change": {"norm": np.full(8, np.nan, np.float16)}}, "NaN"),
        ({"attention": "magic"}, "attention must be one of"),
        ({"context": 10**9}, "context must be an integer"),
        ({"n_heads": 0}, "n_heads must be an integer"),
        ({"n_heads": 3}, "multiple"),
        ({"bias": -1.0}, "bias must be a finite number"),
        ({"d_model": "8"}, "d_model must be an integer"),
        ({"surprise": 1}, "configuration must be an object"),
    ],
)
def test_wrong_contents_are_refused(tmp_path, options, reason):
    path = tmp_path / "wrong.safetensors"
    rewrite(path, **options)
    with pytest.raises(InputError, match=rf"wrong\.safetensors: .*{reason}"):
        llm.load(path)


def test_other_files_and_names_are_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    save_file({"a": np.zeros(2, np.float16)}, path)
    with pytest.raises(InputError, match="wanted format flashket-llm-1"):
        llm.load(path)
    with pytest.raises(InputError, match="no such file; bundled models are softmax, amplitude, angle"):
        llm.load("cosine")
    with pytest.raises(InputError, match="no such file"):
        llm.load(tmp_path)
    with pytest.raises(ValueError, match="not JSON"):
        parse_config("{")


def test_float32_checkpoints_are_read(tmp_path):
    path = tmp_path / "wide.safetensors"
    rewrite(path, change={"norm": np.ones(8, np.float32)})
    assert np.array_equal(llm.load(path).logits(TEXT), load("softmax").logits(TEXT))


def test_bundled_models_are_whole_and_of_one_size():
    models = [llm.load(name) for name in llm.BUNDLED]
    counts = [model.n_parameters for model in models]
    assert max(counts) <= 2_000_000
    assert max(counts) - min(counts) < 0.001 * max(counts)
    for name in llm.BUNDLED:
        folder = bundled_path(name).parent
        assert (folder / f"{name}.safetensors").stat().st_size <= 4e6
        assert json.loads((folder / f"{name}.json").read_text())["model"] == name
    assert len(models[0].generate("def fib(n):", max_new_bytes=20)) > 0


def test_an_altered_bundled_model_is_refused(tmp_path, monkeypatch):
    from flashket.llm import model as module

    for name in ("SHA256SUMS", "softmax.safetensors"):
        shutil.copy(module.bundled_path("softmax").parent / name, tmp_path)
    path = tmp_path / "softmax.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    monkeypatch.setattr(module, "bundled_path", lambda name: path)
    with pytest.raises(InputError, match="differs from its SHA256SUMS"):
        llm.load("softmax")


def test_presets_name_every_tensor():
    shapes = tensor_shapes(PRESETS["angle"])
    assert len(shapes) == 3 + 11 * PRESETS["angle"].n_layers


def test_the_package_loads_lazily_and_without_torch():
    code = "import sys, flashket.llm as llm; assert 'flashket.llm.model' not in sys.modules; llm.load; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
