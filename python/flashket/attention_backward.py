# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gradients of attention, on a device. The hops: attention_backward (checks) -> select (backend) -> module -> kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from flashket.arrays import Array, cast, is_on_device, to_array
from flashket.attention import _checked_lengths, _checked_mask, _checked_options, _output_shape
from flashket.backends._registry import select
from flashket.errors import InputError, explanation
from flashket.gram import check_kernel, common_dtype
from flashket.kernels import Kernel


def attention_backward(
    q: Any,
    k: Any,
    v: Any,
    out: Any,
    d_out: Any,
    *,
    kernel: Kernel,
    normalization: str = "sum",
    temperature: float = 1.0,
    causal: bool = False,
    mask: Any = None,
    kv_lens: Any = None,
    backend: str = "auto",
) -> tuple[Array, Array, Array]:
    """Return the gradients of a loss with respect to q, k and v of :func:`flashket.attention`, given that to its result.

    With ``t_ij = d_out_i . (v_j - out_i)`` and the weights w of attention: ``d_v_j = sum_i w_ij d_out_i``, ``dL / dlog K_ij = w_ij t_ij``
    for "sum" and ``dL / dK_ij = w_ij t_ij / temperature`` for "softmax", and from there through the feature map to the rows of q and k.

    Parameters
    ----------
    q, k, v : array_like, (B, Hq, Lq, D), (B, Hkv, Lk, D), (B, Hkv, Lk, Dv)
        As attention took them: device arrays of CuPy, torch or JAX, or arrays in host memory, which are sent to device 0.
    out : array_like, (B, Hq, Lq, Dv)
        What attention returned for them, with the same options.
    d_out : array_like, (B, Hq, Lq, Dv)
        The gradient of the loss with respect to ``out``.
    kernel : Kernel
        Of Angle, Amplitude, a circuit, or ScaledDot; not Projected, whose gradient no device computes.
    normalization, temperature, causal, mask, kv_lens
        As for attention.
    backend : str
        "auto" or "cuda".

    Returns
    -------
    tuple of numpy.ndarray, or of device arrays like the inputs
        d_q, d_k, d_v with the shapes of q, k and v; on a device with their dtypes, on the host float32 or float64. 0 for rows that no
        admissible pair has, whatever they hold.

    Raises
    ------
    InputError
        For wrong shapes, dtypes and options, and a kernel without gradient.
    BackendUnavailable
        If there is no device backend: the host has no gradients.
    ResourceLimit
        If the workspaces do not fit into the device's memory.

    Notes
    -----
    float32 and float64 are computed in double: 1e-6 of central differences. float16 and bfloat16 rows of Amplitude under Fidelity or
    HadamardTest, up to 144 of its values and 128 of v, go over the matrix units: bfloat16 operands and weights, float32 sums, errors of
    about 1e-2 of the largest gradient; "softmax" from temperature 1/16 on. Rows whose sum of kernel values is too small for that, and
    rows that meet NaN, are computed in double even then. Every gradient has one owner and is the same in every run. Time: seven
    products of Lq x Lk x D a head and one for the sums, beside attention's two; memory linear in Lq and Lk. Sampled attention has no
    gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import flashket as fk
    >>> x = np.random.default_rng(0).normal(size=(1, 2, 64, 16)).astype(np.float32)
    >>> kernel = fk.Fidelity(fk.Amplitude(16))
    >>> out = fk.attention(x, x, x, kernel=kernel, causal=True)
    >>> d_out = np.ones_like(out)
    >>> if fk.backends()[0].available:  # "cuda"
    ...     d_q, d_k, d_v = fk.attention_backward(x, x, x, out, d_out, kernel=kernel, causal=True)
    ...     assert d_q.shape == d_k.shape == d_v.shape == x.shape
    """
    place = "attention_backward"
    check_kernel(kernel, place)
    scale = _checked_options(kernel, normalization, temperature, causal, place)
    named = [
        (name, to_array(array, place, name, backend)) for name, array in (("q", q), ("k", k), ("v", v), ("out", out), ("d_out", d_out))
    ]
    (_, queries), (_, keys), (_, values), *_ = named
    shape = _output_shape(kernel, queries, keys, values, place)
    for name, array in named[3:]:
        if array.shape != shape:
            raise InputError(
                explanation(place, f"{name} must be {shape} like attention's result", array.shape, "pass what attention returned")
            )
    on_device = is_on_device(named, place)
    n_keys = keys.shape[2]
    visible = _checked_mask(mask, (*shape[:3], n_keys), backend if on_device else None, place)
    lengths = _checked_lengths(kv_lens, shape[0], n_keys, backend if on_device else None, place)
    dtype = common_dtype(named, place)
    chosen: Any = select(backend, kernel, dtype, place, place, on_device=on_device, not_worth=lambda: "")
    options = {"normalization": normalization, "temperature": scale, "causal": bool(causal)}
    if on_device:
        return _on_device(chosen, kernel, named, visible, lengths, options)
    arrays = [np.ascontiguousarray(cast(array, dtype, place, name)) for name, array in named]
    gradients = tuple(np.zeros(array.shape, dtype) for array in arrays[:3])
    if all(array.size for array in arrays):
        chosen.attention_backward(kernel, tuple(arrays[:3]), *arrays[3:], gradients, mask=visible, kv_lens=lengths, **options)
    return gradients  # type: ignore[return-value]  # three


def _on_device(
    chosen: Any, kernel: Kernel, named: list[tuple[str, Any]], mask: Any, lengths: Any, options: dict[str, Any]
) -> tuple[Array, Array, Array]:
    """Do what :func:`attention_backward` does for device arrays of checked shapes."""
    from flashket.device_arrays import DeviceArray, result_array

    place, (q, k, v, out, d_out) = "attention_backward", (array for _, array in named)
    for name, array, like in (("k", k, q), ("out", out, v), ("d_out", d_out, v)):
        if array.dtype != like.dtype:
            wanted = "q and k must have one dtype on a device, and v, out and d_out"
            raise InputError(explanation(place, wanted, f"{name} {array.dtype} and {like.dtype}", "convert one of them"))
    for name, array in (("mask", mask), ("kv_lens", lengths)):
        if isinstance(array, DeviceArray):
            is_on_device([("q", q), (name, array)], place)
    results = tuple(result_array(None, array.shape, array.dtype, (q, k, v), place) for array in (q, k, v))
    if all(array.size for _, array in named):
        clamped = lengths
        if isinstance(lengths, DeviceArray):
            clamped = lengths.library.adopt(lengths.library.lengths(lengths.source, k.shape[2]), place, "kv_lens")
        rows = [array.with_contiguous_rows(place, name) for name, array in named]
        chosen.attention_backward(kernel, tuple(rows[:3]), *rows[3:], results, mask=mask, kv_lens=clamped, **options)
    else:
        for result in results:
            result.library.zero(result.source)
    held = tuple(each for each in (q, k, v, out, d_out, mask, lengths) if isinstance(each, DeviceArray))
    d_q, d_k, d_v = (result.library.finish(result.source, held) for result in results)
    return d_q, d_k, d_v
