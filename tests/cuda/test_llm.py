# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The language models keep to one array namespace: on a device nothing may mix with NumPy's arrays unnoticed."""

from __future__ import annotations

import types

import numpy as np
import pytest

import flashket as fk
from flashket import llm
from flashket.benchmark import metrics
from flashket.llm import model as runtime
from flashket.llm.checkpoint import bundled_path, read_checkpoint

pytest.importorskip("safetensors", reason="the weights are in its files")


class Strict(np.ndarray):
    """An array that behaves like CuPy's: it does not mix with NumPy's, and does not turn into one unasked."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        outputs = options.pop("out", ())
        given = (*inputs, *outputs)
        if any(type(value) is np.ndarray and value.ndim for value in given):
            raise TypeError(f"{ufunc.__name__} of a device array and one of NumPy's")
        if outputs:
            options["out"] = tuple(plain(value) for value in outputs)
        result = getattr(ufunc, method)(*(plain(value) for value in inputs), **options)
        return outputs[0] if outputs else strict(result)

    def __array_function__(self, function, types_, arguments, options):
        raise TypeError(f"numpy.{function.__name__} of a device array")

    def __array__(self, *arguments, **options):
        raise TypeError("a device array does not turn into one of NumPy's unasked")


def plain(value):
    return value.view(np.ndarray) if isinstance(value, np.ndarray) else value


def strict(value):
    return value.view(Strict) if isinstance(value, np.ndarray) else np.asarray(value).view(Strict)


def namespace():
    """Return NumPy as a namespace of strict arrays, with CuPy's way to the host."""

    def wrap(function):
        def call(*arguments, **options):
            opened = [[plain(each) for each in value] if isinstance(value, (list, tuple)) else plain(value) for value in arguments]
            return strict(function(*opened, **{name: plain(value) for name, value in options.items()}))

        return call

    names = ("asarray", "empty", "zeros", "empty_like", "concatenate", "sqrt", "maximum", "arange", "cos", "sin")
    xp = types.SimpleNamespace(**{name: wrap(getattr(np, name)) for name in names}, float32=np.float32, asnumpy=plain)
    xp.maximum = np.maximum
    xp.get_default_memory_pool = lambda: types.SimpleNamespace(free_all_blocks=lambda: None, total_bytes=lambda: 7)
    return xp


@pytest.fixture
def strict_attention(monkeypatch):
    """Attention that takes and gives strict arrays, as it takes and gives CuPy's."""

    def call(q, k, v, **options):
        if not isinstance(q, Strict):
            return fk.attention(q, k, v, **options)
        assert isinstance(k, Strict) and isinstance(v, Strict)
        return strict(fk.attention(plain(q), plain(k), plain(v), **options))

    monkeypatch.setattr(runtime, "attention", call)


@pytest.mark.parametrize("name", llm.BUNDLED)
def test_one_namespace(strict_attention, name):
    expected_model = llm.load(name)
    model = llm.Model(read_checkpoint(bundled_path(name), is_bundled=True), name=name, xp=namespace())
    text = b"def fib(n):\n    return"
    got = model.logits(text)
    assert isinstance(got, Strict)
    np.testing.assert_array_equal(model.to_host(got), expected_model.logits(text))
    assert model.generate(text, max_new_bytes=4) == expected_model.generate(text, max_new_bytes=4)
    long = bytes(range(32, 127)) * 12
    got, expected = (metrics.quality(each, long, windows=1, shots=None, seed=0, progress=lambda: None) for each in (model, expected_model))
    assert got == expected
    memory = metrics.PeakMemory(model.xp).read()
    assert memory["device_peak_bytes"] == 7


def test_device_names():
    assert runtime.array_module("cpu") is np
    with pytest.raises(fk.InputError, match='device must be "cpu" or "cuda", got \'tpu\''):
        llm.load("softmax", device="tpu")


@pytest.mark.parametrize("name", llm.BUNDLED)
def test_on_the_gpu(device, name):
    if device.is_emulated:
        with pytest.raises(fk.BackendUnavailable, match="emulated"):
            llm.load(name, device="cuda")
        return
    pytest.importorskip("cupy")
    text = b"def fib(n):\n    return"
    model = llm.load(name, device="cuda")
    np.testing.assert_allclose(model.to_host(model.logits(text)), llm.load(name).logits(text), atol=2e-3)
