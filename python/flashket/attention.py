# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Attention whose scores are kernel values. The hops: attention (checks) -> select (backend) -> binding (releases the GIL) ->
tiles and threads -> loop. The unfused definition, Gram, normalise, multiply, is :func:`_unfused`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from flashket import diagnostics, planner
from flashket.arrays import (
    FLOAT32,
    Array,
    bad_row_text,
    cast,
    cast_bytes,
    check_out,
    is_on_device,
    is_too_large,
    needs_no_copy,
    to_array,
    to_host,
    too_large_text,
)
from flashket.backends._registry import is_host_alone, select
from flashket.backends.cpu import CPU, core
from flashket.errors import InputError, explanation
from flashket.feature_maps._base import finite_float
from flashket.gram import NOISE_STAYS, check_kernel, check_noise, check_sampling, common_dtype
from flashket.kernels import Kernel
from flashket.memory import require

_QUERY_BLOCK = 256
"""Queries whose mask rows are looked at together, so that nothing of size Lq x Lk is allocated."""

_FEW_QUERIES = 2
"""Calls with no more may read keys and values in place."""

_TOO_LARGE = 3
"""Code of a row whose angles would overflow, beside find_bad_row's."""

_last_decoding: tuple[Kernel, tuple[tuple[int, ...], ...], tuple[int, int, int, int]] | None = None
"""Kernel, lengths that must be the same, and result's shape of the last call that read keys and values in place."""

_LEAST_TEMPERATURE = 1e-30
"""Scores are multiplied by 1 / temperature, which must be finite in float32 too."""


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    kernel: Kernel,
    normalization: str = "sum",
    temperature: float = 1.0,
    causal: bool = False,
    mask: Any = None,
    kv_lens: Any = None,
    shots: int | None = None,
    noise: Any = None,
    seed: int | None = None,
    backend: str = "auto",
    out: Array | None = None,
) -> Array:
    """Return the values averaged with kernel values of queries and keys as weights.

    ``out_i = sum_j w_ij v_j`` over admissible keys j, with ``w_ij = K(q_i, k_j) / sum_j K(q_i, k_j)`` for "sum" and
    ``w_i = softmax_j(K(q_i, k_j) / temperature)`` for "softmax". Fused: the matrix of scores never exists.

    Parameters
    ----------
    q : array_like, (B, Hq, Lq, D)
        Queries; D is the kernel's n_features. Anything with DLPack or the buffer protocol in host memory, any strides; or device
        arrays of CuPy, torch or JAX, see Notes.
    k : array_like, (B, Hkv, Lk, D)
        Keys; query head h uses key head h // (Hq / Hkv).
    v : array_like, (B, Hkv, Lk, Dv)
        Values.
    kernel : Kernel
        A feature map and a similarity, or a classical control.
    normalization : str
        "sum" or "softmax".
    temperature : float
        Positive; used by "softmax" only.
    causal : bool
        Query i sees key j iff ``j <= i + kv_len - Lq``, kv_len being kv_lens[b] or Lk.
    mask : array_like of bool, broadcastable to (B, Hq, Lq, Lk), optional
        True = attend. Additive masks are refused.
    kv_lens : array_like of int, (B,), optional
        Keys of each batch entry that exist, 0..Lk; later positions are never read.
    shots : int, optional
        Measurements per score; None is exact. The estimate is binomial(shots, p) / shots, raised to the kernel's power.
    noise : str, path, or NoiseModel, optional
        A device, as in :func:`flashket.gram`; every score takes the effective model ``p -> scale p + offset`` of its circuit before
        shots and power. :func:`flashket.diagnostics.record` tells the two numbers and their error. Always the quadratic form.
    seed : int, optional
        In 0..2^64-1; None draws a fresh one.
    backend : str
        A name from :func:`flashket.backends`, or "auto".
    out : numpy.ndarray, or an array of the inputs' library on their device, (B, Hq, Lq, Dv), optional
        Where to write; must have the result's dtype and not overlap an input.

    Returns
    -------
    numpy.ndarray, or a device array like the inputs, (B, Hq, Lq, Dv), float32 or float64; on a device v's dtype
        0 for a query without admissible key; the mean over admissible values where all their kernel values are exactly 0.
        :func:`flashket.diagnostics.record` counts the latter.

    Raises
    ------
    InputError
        For wrong shapes, dtypes and options, and for NaN, infinity or (Amplitude without bias) rows of zeros where queries may
        attend. Hidden positions may hold anything.
    ResourceLimit
        If the output and the encoded rows do not fit into free memory.
    BackendUnavailable
        If the backend is absent or cannot do this.

    Notes
    -----
    Agrees with the unfused definition to 5e-6 of max|out| (float32) or 1e-10 (float64), also where every kernel value of a row
    underflows. Time B Hq Lq Lk (kernel + Dv), memory linear in Lq and Lk; exact sums of a kernel with a linear form of F
    features, without mask, take B (Hq Lq + Hkv Lk) F Dv where that is less (:func:`flashket.explain` says so). At most two
    queries a head of an exact Angle, Amplitude or ScaledDot kernel, a step of decoding, read keys and values where they are when v's
    width is a multiple of 16; other calls encode and pack all keys first. The stream of a score is keyed by (seed, batch, query
    head, absolute query index i + kv_len - Lq, key index): the same for any number of threads, in prefill and in decoding.

    With noise the first call for a kernel and a device compiles circuits and fits their effective model, up to seconds; after that a score
    costs what it costs with shots.

    Device arrays: float16, bfloat16, float32 or float64, q and k alike, and a mask beside them; kv_lens there or on the host (on a
    device they are clamped to 0..Lk, as nobody reads them to refuse others). The work is put on the caller's current stream, which
    must live until it is done, and nothing waits: rows are not looked at, and NaN reaches its own rows of the output. 16-bit
    inputs use the matrix units: fp16 overlaps, bfloat16 weights, float32 sums. Inside :func:`flashket.diagnostics.record` every
    call waits for its counts.

    Examples
    --------
    >>> import numpy as np
    >>> import flashket as fk
    >>> q = np.array([[[[0.0], [3.0]]]])
    >>> v = np.array([[[[1.0], [2.0]]]])
    >>> fk.attention(q, q, v, kernel=fk.Fidelity(fk.Angle(1)), causal=True)[0, 0].round(4)
    array([[1.   ],
           [1.995]])
    """
    place = "attention"
    check_kernel(kernel, place)
    is_plain = mask is None and kv_lens is None and shots is None and noise is None and seed is None and out is None
    if is_plain and normalization == "sum" and type(temperature) is float and temperature == 1 and isinstance(causal, bool):
        decoded = _decode_again(q, k, v, kernel, causal, backend)
        if decoded is not None:
            return decoded
    n_shots, stream_seed = check_sampling(kernel, shots, seed, place, is_noisy=noise is not None)
    scale = _checked_options(kernel, normalization, temperature, causal, place)
    named = [(name, to_array(array, place, name, backend)) for name, array in (("q", q), ("k", k), ("v", v))]
    (_, queries), (_, keys), (_, values) = named
    shape = _output_shape(kernel, queries, keys, values)
    n_batch, n_heads, n_queries, _ = shape
    n_keys = keys.shape[2]
    on_device = is_on_device(named, place)
    visible = _checked_mask(mask, (n_batch, n_heads, n_queries, n_keys), backend if on_device else None)
    lengths = _checked_lengths(kv_lens, n_batch, n_keys, backend if on_device else None)
    dtype = common_dtype(named, place)
    if on_device:
        check_noise(noise, kernel, "attention", place, on_device=True)
        options = {"normalization": normalization, "temperature": scale, "causal": bool(causal), "shots": n_shots, "seed": stream_seed}
        return _on_device(kernel, dict(named), shape, visible, lengths, dtype, backend, out, options)

    def not_worth() -> str:
        sizes = (n_batch * n_heads * n_queries, n_keys)
        return planner.not_worth_sending(kernel, "attention", *sizes, dtype, shape[3]) if noise is None else NOISE_STAYS

    chosen = select(backend, kernel, dtype, "attention", place, not_worth=not_worth)
    applied = check_noise(noise, kernel, "attention", place, on_device=chosen.is_device)
    is_decoding = n_queries <= _FEW_QUERIES and normalization == "sum" and visible is None and 0 not in shape and n_keys > 0
    may_read = not chosen.is_device and applied is None
    is_in_place = may_read and planner.reads_in_place(kernel, n_queries, keys, values, dtype, normalization, n_shots)
    if is_decoding and is_in_place and all(needs_no_copy(array, dtype) for array in (queries, keys, values)):
        # Decoding reads every key and value once, as checking them would, and allocates the result alone: so the checks of rows
        # wait until an output is not finite, and memory is asked for no more than that.
        if out is not None:
            check_out(out, shape, dtype, (queries, keys, values), place)
        require(place, "the result", math.prod(shape) * dtype.itemsize, "pass fewer heads at a time")
        attempt = np.empty(shape, dtype)
        zero_rows = chosen.attention_in_place(kernel, queries, keys, values, attempt, causal=bool(causal), kv_lens=lengths)
        if zero_rows >= 0:
            _record(None, zero_rows, 0)
            if chosen is CPU:
                global _last_decoding
                _last_decoding = (kernel, _fixed_lengths(queries, keys, values), shape)
            if out is None:
                return attempt
            out[...] = attempt
            return out
    n_sets = n_batch * keys.shape[1]
    how = planner.Work(
        shots=n_shots,
        normalization=normalization,
        value_width=shape[3],
        key_sets=n_sets,
        cast_bytes=sum(cast_bytes(array, dtype) for _, array in named),
        is_in_place=is_in_place,
        is_noisy=applied is not None,
        state_bytes=planner.linear_state_bytes(kernel, queries.shape, keys.shape, shape[3], bool(causal))
        if normalization == "sum" and mask is None and not n_shots and applied is None
        else 0,
    )
    planner.require_memory(
        kernel,
        "attention",
        n_batch * n_heads * n_queries,
        n_sets * n_keys,
        dtype,
        place,
        how,
        result_bytes=0 if out is not None else math.prod(shape) * dtype.itemsize,
        chosen=chosen,
    )
    queries, keys, values = (cast(array, dtype, place, name) for name, array in named)
    if out is not None:
        inputs = (queries, keys, values) if visible is None else (queries, keys, values, visible)
        check_out(out, shape, dtype, inputs, place)
    view = _View(shape, keys.shape[1], n_keys, bool(causal), visible, lengths)
    result = np.empty(shape, dtype) if out is None else out
    queries, keys, values = _without_hidden_rows(view, kernel, queries, keys, values)
    zero_rows = 0
    if n_keys == 0:
        result[...] = 0
    elif result.size:
        given = {"normalization": normalization, "temperature": scale, "causal": bool(causal), "mask": visible, "kv_lens": lengths}
        run = chosen.attention if applied is None else partial(CPU.attention, affine=applied.affine)
        zero_rows = run(kernel, queries, keys, values, result, shots=n_shots, seed=stream_seed, **given)
    if applied is not None:
        diagnostics.record_noise(applied.report)
    _record(view, zero_rows, n_shots)
    return result


def _fixed_lengths(q: Array, k: Array, v: Array) -> tuple[tuple[int, ...], ...]:
    """Return the lengths that stay the same from step to step of decoding: all but the number of keys."""
    return q.shape, k.shape[:2], k.shape[3:], v.shape[3:]


def _decode_again(q: Any, k: Any, v: Any, kernel: Kernel, causal: bool, backend: str) -> Array | None:
    """Return attention of a call like the last one that read keys and values in place, None if this is none or did not succeed.

    What does not depend on the arrays was checked then, and looking at it again takes as long as reading a tenth of the keys.
    """
    last = _last_decoding
    if last is None or last[0] is not kernel or not (type(q) is type(k) is type(v) is np.ndarray):
        return None
    if _fixed_lengths(q, k, v) != last[1] or v.shape[:3] != k.shape[:3] or k.shape[2] == 0:
        return None
    for array in (q, k, v):
        batch, head, row, column = array.strides
        if array.dtype != FLOAT32 or column != FLOAT32.itemsize or (batch | head | row) % FLOAT32.itemsize or not array.flags.aligned:
            return None
    if not is_host_alone(backend):
        return None
    place, shape = "attention", last[2]
    require(place, "the result", math.prod(shape) * FLOAT32.itemsize, "pass fewer heads at a time")
    result = np.empty(shape, FLOAT32)
    zero_rows = CPU.attention_in_place(kernel, q, k, v, result, causal=causal, kv_lens=None)
    if zero_rows < 0:
        return None
    _record(None, zero_rows, 0)
    return result


def _record(view: _View | None, zero_rows: int, n_shots: int) -> None:
    """Tell the counters that listen; the view counts the scores that shots were spent on."""
    for counts in diagnostics.recorders():
        counts.calls += 1
        counts.zero_rows += zero_rows
        if view is not None and n_shots:
            sampled = view.count_admissible()
            counts.sampled_scores += sampled
            counts.shots += sampled * n_shots


def _on_device(
    kernel: Kernel,
    named: dict[str, Any],
    shape: tuple[int, int, int, int],
    mask: Any,
    lengths: Any,
    dtype: np.dtype[Any],
    backend: str,
    out: Any,
    options: dict[str, Any],
) -> Array:
    """Do what :func:`attention` does for device arrays of checked shapes."""
    from flashket.device_arrays import DeviceArray, result_array

    place, (q, k, v) = "attention", named.values()
    if q.dtype != k.dtype:
        raise InputError(explanation(place, "q and k must have one dtype on a device", f"{q.dtype} and {k.dtype}", "convert one of them"))
    if mask is not None:
        is_on_device([("q", q), ("mask", mask)], place)
    if isinstance(lengths, DeviceArray):
        is_on_device([("q", q), ("kv_lens", lengths)], place)
    chosen = select(backend, kernel, dtype, place, place, on_device=True)
    result = result_array(out, shape, v.dtype, (q, k, v), place, also=() if mask is None else (mask,))
    n_keys, zero_rows, recorded = k.shape[2], 0, bool(diagnostics.recorders())
    if result.size and n_keys == 0:
        result.library.zero(result.source)
    elif result.size:
        clamped = lengths
        if isinstance(lengths, DeviceArray):
            clamped = lengths.library.adopt(lengths.library.lengths(lengths.source, n_keys), place, "kv_lens")
        queries, keys, values = (array.with_contiguous_rows(place, name) for name, array in named.items())
        zero_rows = chosen.attention(kernel, queries, keys, values, result, mask=mask, kv_lens=clamped, counts=recorded, **options)
    if recorded:
        visible = None if mask is None else np.broadcast_to(mask.library.to_host(mask.source), (*shape[:3], n_keys))
        known = lengths.library.to_host(lengths.source) if isinstance(lengths, DeviceArray) else lengths
        _record(_View(shape, k.shape[1], n_keys, options["causal"], visible, known), zero_rows, options["shots"])
    held = tuple(each for each in (q, k, v, mask, lengths) if isinstance(each, DeviceArray))
    finished: Array = result.library.finish(result.source, held)
    return finished


def _checked_options(kernel: Kernel, normalization: str, temperature: float, causal: bool, place: str) -> float:
    """Return the temperature if it and the other options are what a call takes."""
    if normalization not in ("sum", "softmax"):
        raise InputError(explanation(place, 'normalization must be "sum" or "softmax"', repr(normalization), "choose one"))
    if normalization == "sum" and not kernel.is_probability:
        do = 'use normalization="softmax"'
        raise InputError(explanation(place, 'normalization="sum" needs values that are never negative', repr(kernel), do))
    scale = finite_float(temperature, place, "temperature", "1.0 changes nothing")
    if scale <= 0:
        raise InputError(explanation(place, "temperature must be positive", repr(temperature), "1.0 changes nothing"))
    if scale < _LEAST_TEMPERATURE:
        do = "so small a temperature picks the largest score; scale the scores or pass a larger one"
        raise InputError(explanation(place, f"temperature must be at least {_LEAST_TEMPERATURE:g}", repr(temperature), do))
    if not isinstance(causal, (bool, np.bool_)):
        raise InputError(explanation(place, "causal must be True or False", repr(causal), "use mask= for other patterns"))
    return scale


def _output_shape(kernel: Kernel, q: Array, k: Array, v: Array, place: str = "attention") -> tuple[int, int, int, int]:
    """Return (B, Hq, Lq, Dv) if the three shapes fit each other and the kernel."""
    features = kernel.n_features
    if q.ndim != 4 or q.shape[3] != features:
        raise InputError(explanation(place, f"q must be (B, Hq, Lq, {features}) for {kernel.subject}", q.shape, "add axes of length 1"))
    if k.ndim != 4 or k.shape[3] != features:
        raise InputError(explanation(place, f"k must be (B, Hkv, Lk, {features}) for {kernel.subject}", k.shape, "add axes of length 1"))
    if v.ndim != 4 or v.shape[:3] != k.shape[:3]:
        raise InputError(explanation(place, f"v must be ({', '.join(map(str, k.shape[:3]))}, Dv) like k", v.shape, "one value per key"))
    if q.shape[0] != k.shape[0]:
        raise InputError(explanation(place, f"k must have q's batch size {q.shape[0]}", k.shape[0], "repeat k and v"))
    if (k.shape[1] == 0 and q.shape[1] > 0) or (k.shape[1] > 0 and q.shape[1] % k.shape[1]):
        wanted = "the number of query heads must be a multiple of the number of key heads"
        raise InputError(explanation(place, wanted, f"{q.shape[1]} and {k.shape[1]}", "Hq % Hkv must be 0"))
    return q.shape[0], q.shape[1], q.shape[2], v.shape[3]


def _checked_mask(mask: Any, shape: tuple[int, int, int, int], backend: str | None = None, place: str = "attention") -> Any:
    """Return the mask: on the host a view broadcast to (B, Hq, Lq, Lk), of device arrays (those of ``backend``) as it is."""
    if mask is None:
        return None
    array = to_host(mask, place, "mask") if backend is None else to_array(mask, place, "mask", backend)
    if array.dtype != np.bool_:
        do = "additive masks are not supported; pass mask == 0 for a mask of 0 and -inf"
        raise InputError(explanation(place, "mask must be boolean, True = attend", array.dtype, do))
    if len(array.shape) > 4 or any(length not in (1, wanted) for length, wanted in zip(array.shape[::-1], shape[::-1], strict=False)):
        wanted = f"mask must broadcast to (B, Hq, Lq, Lk) = {shape}"
        raise InputError(explanation(place, wanted, array.shape, "add axes of length 1"))
    return np.broadcast_to(array, shape) if isinstance(array, np.ndarray) else array


def _checked_lengths(kv_lens: Any, n_batch: int, n_keys: int, backend: str | None = None, place: str = "attention") -> Any:
    """Return kv_lens as int64 (B,); of device arrays (those of ``backend``) as they are, whose numbers nobody reads here."""
    if kv_lens is None:
        return None
    array = to_host(kv_lens, place, "kv_lens") if backend is None else to_array(kv_lens, place, "kv_lens", backend)
    if array.shape != (n_batch,) or (getattr(array.dtype, "kind", "") not in ("i", "u") and array.size):
        got = f"{array.dtype} {array.shape}"
        raise InputError(explanation(place, f"kv_lens must be integers ({n_batch},), one per batch entry", got, "pass a 1-D integer array"))
    if not isinstance(array, np.ndarray):
        return array
    if array.size and (int(array.min()) < 0 or int(array.max()) > n_keys):
        got = f"{int(array.min())}..{int(array.max())}"
        raise InputError(explanation(place, f"kv_lens must be in 0..{n_keys}", got, "it counts the keys that exist"))
    return np.ascontiguousarray(array, np.int64)


class _View:
    """Which query may attend to which key; answers without an Lq x Lk array."""

    def __init__(
        self, shape: tuple[int, int, int, int], n_key_heads: int, n_keys: int, causal: bool, mask: Array | None, lengths: Array | None
    ) -> None:
        self.n_batch, self.n_heads, self.n_queries, _ = shape
        self.n_key_heads, self.n_keys = n_key_heads, n_keys
        self.causal, self.mask = causal, mask
        self.lengths = [n_keys] * self.n_batch if lengths is None else [int(length) for length in lengths]

    def blocks(self, batch: int, head: int) -> Iterator[tuple[slice, Array]]:
        """Yield (queries, admissible (block, kv_len)) for one query head."""
        length = self.lengths[batch]
        for start in range(0, self.n_queries, _QUERY_BLOCK):
            rows = slice(start, min(start + _QUERY_BLOCK, self.n_queries))
            n_rows = rows.stop - rows.start
            if self.mask is None:
                admissible = np.ones((n_rows, length), np.bool_)
            else:
                admissible = np.array(self.mask[batch, head, rows, :length])
            if self.causal:
                last = np.arange(rows.start, rows.stop)[:, None] + (length - self.n_queries)
                admissible &= np.arange(length)[None, :] <= last
            yield rows, admissible

    def seen(self, batch: int) -> tuple[Array, Array]:
        """Return (queries (Hq, Lq) that see a key, keys (Hkv, Lk) that a query sees)."""
        queries = np.zeros((self.n_heads, self.n_queries), np.bool_)
        keys = np.zeros((self.n_key_heads, self.n_keys), np.bool_)
        length = self.lengths[batch]
        if self.mask is None:
            # The last query sees every key that exists, causal or not.
            queries[:] = (length > 0) & ((not self.causal) | (np.arange(self.n_queries) >= self.n_queries - length))
            keys[:, :length] = queries.any()
            return queries, keys
        group = self.n_heads // max(self.n_key_heads, 1)
        for head in range(self.n_heads):
            for rows, admissible in self.blocks(batch, head):
                queries[head, rows] = admissible.any(axis=1)
                keys[head // group, :length] |= admissible.any(axis=0)
        return queries, keys

    def count_admissible(self) -> int:
        """Return the number of pairs of query and key that are scored."""
        if self.mask is not None:
            return sum(
                int(np.count_nonzero(block)) for b in range(self.n_batch) for h in range(self.n_heads) for _, block in self.blocks(b, h)
            )
        total = 0
        for length in self.lengths:
            if not self.causal:
                total += self.n_queries * length
                continue
            # Query i sees max(0, i + 1 + length - Lq) keys: an arithmetic series that ends at length.
            n_seeing = min(self.n_queries, length)
            total += n_seeing * length - n_seeing * (n_seeing - 1) // 2
        return total * self.n_heads


def _without_hidden_rows(view: _View, kernel: Kernel, q: Array, k: Array, v: Array) -> tuple[Array, Array, Array]:
    """Refuse bad rows that count; return the arrays with the bad rows that do not count replaced by ones.

    The arrays come back as they are when their existing rows are all good, which one pass finds out.
    """
    rejects_zero, largest = kernel.rejects_zero_rows, kernel._largest_feature
    checks = (("q", q, rejects_zero, largest), ("k", k, rejects_zero, largest), ("v", v, False, math.inf))
    if not any(_has_bad_row(view, *check) for check in checks):
        return q, k, v
    arrays = {}
    for name, array, reject, bound in checks:
        arrays[name] = array
        if not _has_bad_row(view, name, array, reject, bound):
            continue
        clean = np.array(array, order="C")
        for batch in range(view.n_batch):
            code = _row_codes(array[batch], reject, bound)
            queries, keys = view.seen(batch)
            counts = queries if name == "q" else keys
            refused = np.argwhere((code > 0) & counts)
            if len(refused):
                head, position = (int(i) for i in refused[0])
                subject = kernel.subject
                if code[head, position] == _TOO_LARGE:
                    got = float(np.abs(array[batch, head, position]).max())
                    raise InputError(too_large_text(got, bound, "attention", name, subject))
                raise InputError(bad_row_text(int(code[head, position]), (batch, head, position), "attention", name, subject))
            # Ones, not zeros: a row of zeros has no state in some maps.
            clean[batch][code > 0] = 1
        arrays[name] = clean
    return arrays["q"], arrays["k"], arrays["v"]


def _has_bad_row(view: _View, name: str, array: Array, reject_zero: bool, largest: float) -> bool:
    """Say whether a row that exists is bad; rows at or beyond kv_len are not looked at."""
    find = core().find_bad_row
    if name == "q" or all(length == view.n_keys for length in view.lengths):
        return bool(find(array, reject_zero)[0]) or is_too_large(array, largest)
    existing = (array[batch, :, :length] for batch, length in enumerate(view.lengths))
    return any(find(rows, reject_zero)[0] or is_too_large(rows, largest) for rows in existing)


def _row_codes(array: Array, reject_zero: bool, largest: float) -> Array:
    """Return find_bad_row's code of every row, 0 good, 1 NaN or infinity, 2 all zeros; or _TOO_LARGE."""
    codes = np.zeros(array.shape[:-1], np.int8)
    for head in range(array.shape[0]):
        if largest < float(np.finfo(array.dtype).max) and array.shape[-1]:
            codes[head][np.abs(array[head]).max(axis=-1) > largest] = _TOO_LARGE
        codes[head][~np.isfinite(array[head]).all(axis=-1)] = 1
        if reject_zero:
            codes[head][~array[head].any(axis=-1)] = 2
    return codes


def _unfused(
    q: Array,
    k: Array,
    v: Array,
    *,
    kernel: Kernel,
    normalization: str = "sum",
    temperature: float = 1.0,
    causal: bool = False,
    mask: Array | None = None,
    kv_lens: Array | None = None,
) -> Array:
    """The definition of :func:`attention` for exact values: Gram matrices, normalised, times v. Lq x Lk memory.

    Arguments and result as for :func:`attention`, NumPy arrays without bad rows.
    """
    from flashket.gram import gram

    shape = _output_shape(kernel, q, k, v)
    n_keys = k.shape[2]
    visible, lengths = _checked_mask(mask, (*shape[:3], n_keys)), _checked_lengths(kv_lens, shape[0], n_keys)
    view = _View(shape, k.shape[1], n_keys, causal, visible, lengths)
    # Weights need ratios only, and the logarithm keeps them where the values underflow.
    use_log = normalization == "sum" and kernel.is_probability and not kernel.is_control
    out = np.zeros(shape, np.result_type(q, k, v))
    for batch in range(shape[0]):
        for head in range(shape[1]):
            key_head, length = head // (shape[1] // k.shape[1]), view.lengths[batch]
            if length == 0:
                continue
            scores = gram(q[batch, head], k[batch, key_head, :length], kernel=kernel, log=use_log)
            for rows, admissible in view.blocks(batch, head):
                block = scores[rows] if use_log else scores[rows] / temperature if normalization == "softmax" else np.log(scores[rows])
                out[batch, head, rows] = _weights(block, admissible) @ v[batch, key_head, :length]
    return out


def _weights(exponents: Array, admissible: Array) -> Array:
    """Return softmax over the admissible keys of each row; uniform where all are -inf, zero where none is admissible."""
    exponents = np.where(admissible, exponents, -np.inf)
    largest = exponents.max(axis=1, keepdims=True)
    is_zero = np.isneginf(largest) & admissible
    weights = np.where(is_zero, 1.0, np.exp(exponents - np.where(np.isneginf(largest), 0.0, largest)))
    total = weights.sum(axis=1, keepdims=True)
    normalised: Array = weights / np.where(total == 0, 1.0, total)
    return normalised
