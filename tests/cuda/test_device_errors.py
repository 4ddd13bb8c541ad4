# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What the device backend refuses, with which words, and that the device can be used afterwards."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import flashket as fk
from contract import rows, run_python
from device_contract import host
from flashket import reference
from flashket.arrays import to_array
from flashket.backends.cuda import CUDA
from flashket.device_arrays import check_together, result_array

KERNEL = fk.Fidelity(fk.Angle(3))


@pytest.fixture
def x(device):
    return device.array("torch", rows(6, 3, np.float32))


def refused(message, call, error=fk.InputError):
    with pytest.raises(error, match=message) as caught:
        call()
    assert re.match(r"\[\w+\] ", str(caught.value)), "the text names its place"


def gram(*arrays, **options):
    return fk.gram(*arrays, kernel=KERNEL, backend="cuda", **options)


def test_mixed_memory(device, x):
    on_host = rows(6, 3, np.float32)
    refused(r"X and Y must be in the same memory.*X in torch on device 0 and Y in host memory: move one", lambda: gram(x, on_host))
    refused(r"X in host memory and Y in torch on device 0", lambda: gram(on_host, x))
    refused(r"X and Y must be .*torch.*JAX", lambda: gram(x, device.array("jax", on_host)))
    refused(r"X and A must be", lambda: fk.gram_matvec(x, np.ones(6), kernel=KERNEL, backend="cuda"))
    q = x[None, None]
    refused(r"q and k must be", lambda: fk.attention(q, host(q), host(q), kernel=KERNEL, backend="cuda"))
    refused(r"q and mask must be", lambda: fk.attention(q, q, q, kernel=KERNEL, mask=np.ones((6, 6), bool), backend="cuda"))


def test_two_devices(device, x):
    first = to_array(x, "gram", "X", "cuda")
    second = dataclasses.replace(first, device=1)
    refused(r"X in torch on device 0 and Y in torch on device 1", lambda: check_together([("X", first), ("Y", second)], "gram"))
    refused(
        r"out must be in torch on device 1 like the inputs, got torch on device 0",
        lambda: result_array(x, (6, 3), np.dtype(np.float32), (second,), "gram"),
    )


def test_dtypes(device, x):
    import torch

    for dtype in (torch.int32, torch.bool, torch.complex64, torch.float8_e5m2):
        refused(r"X must hold real numbers \(on a device float16, bfloat16, float32 or float64\)", lambda dtype=dtype: gram(x.to(dtype)))
    refused(r"X must be \(n_samples, 3\)", lambda: gram(x[:, :2]))
    q = x[None, None]
    refused(r"q and k must have one dtype on a device", lambda: fk.attention(q, q.double(), q, kernel=KERNEL, backend="cuda"))
    refused(r"additive masks", lambda: fk.attention(q, q, q, kernel=KERNEL, mask=q[0, 0] @ q[0, 0].T, backend="cuda"))
    mask = torch.ones((1, 1, 5, 6), dtype=torch.bool, device=x.device)
    refused(r"mask must broadcast", lambda: fk.attention(q, q, q, kernel=KERNEL, mask=mask, backend="cuda"))
    refused(r"kv_lens must be integers", lambda: fk.attention(q, q, q, kernel=KERNEL, kv_lens=x[:1, 0], backend="cuda"))
    refused(r"kv_lens must be in 0..6, got 7..7", lambda: fk.attention(q, q, q, kernel=KERNEL, kv_lens=[7], backend="cuda"))


def test_lengths_on_the_device_are_clamped(device, x):
    import torch

    q = x[None, None]
    for length, clamped in ((100, 6), (-3, 0), (4, 4)):
        lengths = torch.tensor([length], device=x.device, dtype=torch.int32)
        got = fk.attention(q, q, q, kernel=KERNEL, kv_lens=lengths, backend="cuda")
        expected = reference.attention(*[host(q)] * 3, KERNEL, kv_lens=[clamped])
        np.testing.assert_allclose(host(got), expected, atol=1e-5)


def test_tensors_that_do_not_say_what_they_mean(device, x):
    import torch

    refused(r"X must not require a gradient.*call .detach\(\)", lambda: gram(x.clone().requires_grad_()))
    refused(r"X must be dense", lambda: gram(x.to_sparse()))
    negated = torch._neg_view(x)
    assert negated.is_neg()
    np.testing.assert_allclose(host(gram(negated, x)), reference.gram(-host(x), host(x), KERNEL), atol=2e-6)
    out = torch._neg_view(torch.zeros(6, 6, device=x.device))
    refused(r"out must be stored as it reads", lambda: gram(x, out=out))


def test_out(device, x):
    import torch

    def empty(*shape, dtype=torch.float32):
        return torch.zeros(*shape, dtype=dtype, device=x.device)

    refused(r"out must have shape \(6, 6\), got \(6, 5\)", lambda: gram(x, out=empty(6, 5)))
    refused(r"out must be float32 like the result, got float64", lambda: gram(x, out=empty(6, 6, dtype=torch.float64)))
    refused(r"out must be in torch on device 0 like the inputs, got ndarray", lambda: gram(x, out=np.zeros((6, 6), np.float32)))
    refused(r"out must have a contiguous last axis", lambda: gram(x, out=empty(6, 6).T))
    refused(r"out must have a contiguous last axis and give every", lambda: gram(x, out=empty(1, 6).expand(6, 6)))
    both = empty(6, 9)
    refused(r"out must not overlap an input", lambda: gram(both[:, :3], out=both[:, 2:8]))
    gram(both[:, :3], out=both[:, 3:])
    refused(r"out must be writable", lambda: gram(host(x), out=np.broadcast_to(np.zeros(6, np.float32), (6, 6))))
    refused(r"out must be contiguous on a device", lambda: fk.gram_matvec(x, x, kernel=KERNEL, backend="cuda", out=empty(6, 4)[:, :3]))
    out = empty(6)
    assert fk.gram_matvec(x, x[:, 0], kernel=KERNEL, backend="cuda", out=out) is out
    np.testing.assert_allclose(host(out), reference.gram(host(x), None, KERNEL) @ host(x)[:, 0], atol=1e-5)


def test_jax_arrays_do_not_change(device):
    x = device.array("jax", rows(6, 3, np.float32))
    refused(r"out must be None for JAX", lambda: gram(x, out=x))


def test_states_that_are_made_on_the_host(device):
    """Matrix product states of device arrays: the rows are copied to the host, the overlaps come back where the rows are."""
    mps = fk.Fidelity(fk.ZZ(20, reps=2, entanglement="linear"))
    wide = device.array("torch", rows(2, 20, np.float64))
    got = fk.gram(wide, kernel=mps, backend="cuda")
    assert type(got) is type(wide)
    np.testing.assert_allclose(host(got), fk.gram(host(wide), kernel=mps, backend="cpu"), atol=1e-12)
    answer = CUDA.capabilities(fk.Fidelity(fk.ZZ(60, reps=6, entanglement="linear")), np.dtype(np.float64), "gram")
    assert bool(answer) == (CUDA.module().max_mps_bond >= 64) and ("bonds of 64" in answer.reason) != bool(answer)


def test_a_result_that_no_device_holds(device, x):
    many = x[:1].expand(20_000_000, 3)
    refused(
        r"a result of shape \(20000000, 20000000\) and float32 needs 1.6 PB on device 0, got .* free", lambda: gram(many), fk.ResourceLimit
    )
    assert tuple(gram(x).shape) == (6, 6)


def test_out_of_memory(device):
    if not device.is_emulated:
        pytest.skip("no GPU memory to spare")
    code = """
import numpy as np, flashket as fk
x = np.ones((3000, 3), np.float32)
try:
    fk.gram(x, kernel=fk.Fidelity(fk.Angle(3)), backend="cuda")
except fk.ResourceLimit as error:
    print(error)
print(fk.gram(x[:2], kernel=fk.Fidelity(fk.Angle(3)), backend="cuda").round(3))
"""
    done = run_python(code, FLASHKET_EMULATOR_MEMORY="1000000")
    assert done.returncode == 0, done.stderr
    assert re.match(r"\[gram\] the device must hold .* bytes\), got \d+(\.\d+)? kB free: pass fewer rows", done.stdout), done.stdout
    assert done.stdout.endswith("[[1. 1.]\n [1. 1.]]\n"), "the device is used on"


def test_workspaces_come_from_the_caller(device, x):
    """The allocator is called in pairs, its errors reach the caller, and 0 means that there is no memory."""
    if not device.is_emulated:
        pytest.skip("no GPU memory that Python could hand out")
    held, log = {}, []

    def allocate(n_bytes, stream):
        memory = np.zeros(n_bytes + 256, np.uint8)
        address = memory.ctypes.data + -memory.ctypes.data % 256
        held[address] = memory
        log.append(n_bytes)
        return address

    def release(address, n_bytes, stream):
        log.append(-n_bytes)
        held.pop(address)

    def run(pair):
        out = np.zeros((6, 6), np.float32)
        CUDA._run("gram", "gram", KERNEL._lower(), host(x), None, out, False, 0, 0, "auto", (0, 0, pair, False))
        return out

    np.testing.assert_allclose(run((allocate, release)), reference.gram(host(x), None, KERNEL), atol=2e-6)
    assert log and sum(log) == 0 and not held
    refused(r"the device must hold", lambda: run((lambda n_bytes, stream: 0, release)), fk.ResourceLimit)

    def broken(n_bytes, stream):
        raise KeyError("no pool")

    with pytest.raises(KeyError, match="no pool"):
        run((broken, release))
    assert run(None).shape == (6, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32), (0, 0, None, True)), r"rows must be \(n, n_features\)"),
        ((np.zeros((2, 3), np.int32), np.zeros((2, 2), np.float32), (0, 0, None, True)), "float16, bfloat16, float32 or float64"),
        ((np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), (0, 0, None, True)), r"out must be \(n, m\)"),
        ((np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float16), (0, 0, None, True)), "out must be float32 or float64"),
        ((np.zeros((2, 6), np.float32)[:, ::2], np.zeros((2, 2), np.float32), (0, 0, None, True)), "C-contiguous"),
        ((np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32), (99, 0, None, True)), "there is no device 99"),
        ((np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32), (0, 0)), "place must be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_module_checks_again(device, arguments, message):
    x, out, place = arguments
    with pytest.raises(ValueError, match=message):
        CUDA.module().gram(KERNEL._lower(), x, None, out, False, 0, 0, "auto", place)


def test_device_memory_is_aligned(device):
    """A view of bytes whose elements lie between the words: the GPU would fault, and the process with it."""
    if not device.is_emulated:
        pytest.skip("no library makes such an array by itself")
    x = np.zeros(25, np.uint8)[1:].view(np.float32).reshape(2, 3)
    with pytest.raises(ValueError, match="aligned to their elements"):
        CUDA.module().gram(KERNEL._lower(), x, None, np.zeros((2, 2), np.float32), False, 0, 0, "auto", (0, 0, None, False))


def test_what_the_module_cannot_encode_is_told(device):
    with pytest.raises(ValueError, match="abacus"):
        CUDA.module().describe(("abacus", (3.0,), None, "fidelity", 1))
    answer = CUDA.capabilities(fk.Fidelity(fk.IQP(45)), np.dtype(np.float32), "gram")
    assert not answer and "40 qubits" in answer.reason
    refused(
        r"backend 'cuda' cannot run this: no device holds",
        lambda: fk.gram(np.zeros((1, 45)), kernel=fk.Fidelity(fk.IQP(45)), backend="cuda"),
        fk.BackendUnavailable,
    )
