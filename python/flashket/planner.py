# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a call will do before it does it: the path, its cost, its memory, and the backends that cannot."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from flashket.arrays import FLOAT64, Array
from flashket.backends._registry import Backend, refusals, select
from flashket.backends.cpu import core
from flashket.errors import InputError, ResourceLimit, explanation
from flashket.feature_maps import FeatureMap
from flashket.feature_maps._base import positive_int
from flashket.kernels import Kernel, Spec
from flashket.memory import format_bytes, require
from flashket.structure import has_line, mps_bond, mps_elements

_ROW_GROUP = 32
"""Groups of at most so many rows that the compiled module packs."""

_TILE_ROWS, _TILE_COLUMNS = 32, 256
"""Queries and keys that a worker holds at a time."""

_TILE_ELEMENTS = 1 << 19
"""Numbers that a worker's tile of kernel values with its sums takes, at most."""

_PRODUCT_TASKS, _FEWEST_TASKS, _PRODUCT_BYTES = 64, 8, 64 * 2**20
"""Tasks that a product is cut into, with sums of all rows in each at least so many, and the most that all those sums take."""

_VALUE_GROUP, _VALUE_VECTOR, _NARROW = 32, 16, 8
"""Values are packed with their width rounded up to the first, factors of products to the second beyond the third."""

_IN_PLACE, _IN_PLACE_QUERIES = ("angle", "amplitude", "identity"), 2
"""Encoders with which keys and values are read where they are, for at most so many queries a head."""

_REPRESENTABLE = {4: 40, 8: 480}
"""Angles times power beyond which fidelities underflow the dtype of so many bytes and are computed as logarithms at once."""

_SEGMENTS, _SEGMENT_KEYS = 17, 4096
"""The linear form: most segments that keys are divided into, and the least keys of one."""

_ASKED_QUBITS = 40
"""Circuits on more qubits are not written down to count their gates or scratch: that takes long, and no memory holds a state."""

_MOST_FLOAT_POWER, _FLAT_FEATURES = 2, 32
"""Beyond these float32 values may be computed in float64."""

_NARROW_GAMMA = 16
"""Projected kernels beyond it are always computed in float64."""

_SMALLER = dict.fromkeys(("attention", "states"), "use fewer qubits or a map without states, e.g. Angle or Amplitude") | dict.fromkeys(
    ("gram", "gram_matvec"), "use fewer qubits, a map without states, e.g. Angle or Amplitude, or fk.mps_states, which truncates"
)
"""What to do where a state does not fit."""

_GATE_FLOPS = 14
"""A gate on a pair of complex amplitudes: between a diagonal gate's 6 and a full 2 x 2 product's 28."""

_SENT_FLOPS, _SENT_FLOPS_PER_BYTE = 10**10, 100
"""The least work, in all and for each byte that crosses to the device and back, for which "auto" sends host arrays to a device."""


@dataclass(frozen=True)
class Plan:
    """How a call will run; ``print`` it.

    Parameters
    ----------
    op : str
        "gram" or "attention".
    kernel : str
        The kernel as written.
    n, m : int
        Rows (or queries) and columns (or keys).
    backend : str
        The backend that was chosen.
    path : str
        What it does for each pair.
    why : str
        Why that path.
    bytes : int
        Memory for the result and the encoded rows, in float64.
    flops : int
        Floating-point operations, an estimate to a factor of two.
    refused : tuple of (str, str)
        Backends that cannot run this, each with its reason.
    limit : str
        Why it does not fit into free memory; empty when it does.
    noise : str
        How a device's noise is applied, with the error of that; empty without noise.
    """

    op: str
    kernel: str
    n: int
    m: int
    backend: str
    path: str
    why: str
    bytes: int
    flops: int
    refused: tuple[tuple[str, str], ...]
    limit: str = ""
    noise: str = ""

    def __str__(self) -> str:
        lines = [
            f"{self.op} of {self.kernel}, {self.n} x {self.m}",
            f"  backend  {self.backend}",
            f"  path     {self.path}",
            f"  why      {self.why}",
            f"  memory   {format_bytes(self.bytes)} (result and encoded rows, float64)",
            f"  work     {_scaled(self.flops)}flop",
        ]
        if self.noise:
            lines.append(f"  noise    {self.noise}")
        if self.limit:
            lines.append(f"  limit    {self.limit}")
        lines += [f"  refused  {name}: {reason}" for name, reason in self.refused]
        return "\n".join(lines)


def explain(kernel: Kernel, *, n: int, m: int | None = None, op: str = "gram", backend: str = "auto", noise: Any = None) -> Plan:
    """Say how a call would run, without running it.

    Parameters
    ----------
    kernel : Kernel
        As for :func:`flashket.gram`.
    n : int
        Rows of X, or queries of one head.
    m : int, optional
        Rows of Y, or keys of one head; n by default.
    op : str
        "gram" or "attention".
    backend : str
        As for :func:`flashket.gram`.
    noise : str, path, or NoiseModel, optional
        As for :func:`flashket.gram`; the circuit is compiled for it.

    Returns
    -------
    Plan
        Chosen path, why, bytes, flops, and refused backends with reasons.

    Raises
    ------
    InputError
        If an argument is not as above.
    BackendUnavailable
        If the backend that was asked for is absent.

    Notes
    -----
    A Plan that does not fit into free memory has its ``limit`` set; running it raises ResourceLimit.

    Examples
    --------
    >>> import flashket as fk
    >>> plan = fk.explain(fk.Fidelity(fk.Angle(8)), n=1000)
    >>> plan.backend, plan.path
    ('cpu', 'closed form: one product of 8 two-vector dots a pair, no state')
    """
    place = "explain"
    if not isinstance(kernel, Kernel):
        do = f"write fk.Fidelity({kernel!r})" if isinstance(kernel, FeatureMap) else "e.g. fk.Fidelity(fk.Angle(8))"
        raise InputError(explanation(place, "kernel must be a kernel", repr(kernel), do))
    if op not in ("gram", "attention"):
        raise InputError(explanation(place, 'op must be "gram" or "attention"', repr(op), "choose one"))
    rows = positive_int(n, place, "n", "it is the number of rows")
    columns = rows if m is None else positive_int(m, place, "m", "it is the number of columns")

    def not_worth() -> str:
        return not_worth_sending(kernel, op, rows, columns, FLOAT64, kernel.n_features) if noise is None else NOISE_STAYS

    from flashket.gram import NOISE_STAYS, check_noise
    from flashket.linear_choice import attention_path

    chosen = select(backend, kernel, FLOAT64, op, place, not_worth=not_worth)
    applied = check_noise(noise, kernel, op, place, on_device=chosen.is_device)
    path, why, pair_flops, row_flops = _path(kernel, op)
    linear_flops = 0
    if chosen.is_device:
        why += f"; on a device: {chosen.reason or 'asked for by name' if backend != 'auto' else 'the work is worth the copies'}"
    if op == "attention" and applied is None:
        path, why, linear_flops = attention_path(kernel, rows, columns, path, why, chosen)
    if applied is not None and not applied.is_affine:
        path, why = f"every row's noisy circuits ({applied.report.method}), then one dot a pair", "as the device would run it"
    # Attention's output is as wide as the values; one head of width n_features stands for it here.
    result = rows * columns if op == "gram" else rows * kernel.n_features
    value_width = kernel.n_features if op == "attention" else 0
    normalization = "sum" if kernel.is_probability else "softmax"
    rows_of_16 = np.empty((1, _VALUE_VECTOR))
    may_read = op == "attention" and not chosen.is_device and applied is None
    is_in_place = may_read and reads_in_place(kernel, rows, rows_of_16, rows_of_16, FLOAT64, normalization, 0)
    if is_in_place:
        path += ", keys and values read where they are"
    heads = ((1, 1, rows, kernel.n_features), (1, 1, columns, kernel.n_features))
    how = Work(
        normalization=normalization,
        value_width=value_width,
        is_symmetric=m is None,
        is_in_place=is_in_place,
        state_bytes=linear_state_bytes(kernel, *heads, value_width, causal=False) if linear_flops else 0,
        is_noisy=applied is not None,
    )
    n_bytes = result * FLOAT64.itemsize + _working_bytes(kernel, op, rows, columns, FLOAT64, how)
    limit = ""
    try:
        require_memory(kernel, op, rows, columns, FLOAT64, place, how, result_bytes=result * FLOAT64.itemsize, chosen=chosen)
    except ResourceLimit as error:
        limit = str(error)
    return Plan(
        op=op,
        kernel=repr(kernel),
        n=rows,
        m=columns,
        backend=chosen.name,
        path=path,
        why=why,
        bytes=n_bytes,
        flops=linear_flops or rows * columns * (pair_flops + 2 * value_width) + (rows + columns) * row_flops,
        refused=tuple((name, reason) for name, reason in refusals(kernel, FLOAT64, op, not_worth).items() if name != chosen.name),
        limit=limit,
        noise="" if applied is None else str(applied.report),
    )


@dataclass(frozen=True)
class Work:
    """What decides beside the sizes how much memory a call needs.

    Parameters
    ----------
    log : bool
        Whether logarithms are asked for.
    shots : int
        Measurements per value, 0 when exact.
    normalization : str
        Of attention.
    value_width : int
        Attention: width of a value, which is packed beside its key. Products: columns of the factor.
    key_sets : int
        Attention: among how many (batch, head) the keys are divided.
    cast_bytes : int
        Size of the inputs' copies in the dtype computed in.
    is_symmetric : bool
        Gram and products: whether both operands are the same rows, which are then packed once.
    is_in_place : bool
        Attention: whether keys and values are read where they are; see :func:`reads_in_place`.
    state_bytes : int
        Attention: size of the linear form's states, 0 in the quadratic form; see :func:`linear_state_bytes`.
    is_noisy : bool
        Whether a device's effective noise is applied to every value.
    """

    log: bool = False
    shots: int = 0
    normalization: str = "softmax"
    value_width: int = 0
    key_sets: int = 1
    cast_bytes: int = 0
    is_symmetric: bool = False
    is_in_place: bool = False
    state_bytes: int = 0
    is_noisy: bool = False


def not_worth_sending(kernel: Kernel, op: str, n: int, m: int, dtype: np.dtype[Any], value_width: int = 0) -> str:
    """Return why "auto" keeps host arrays on the host, "" where it sends them to a device that is there.

    The rule: at least 10^10 flop, and at least 100 flop for each byte of input and result, which cross to the device and back. It
    is a rule of thumb: a Gram matrix of Angle(8) in float32 has about 8 flop a byte and stays, one of states of 8 qubits goes from
    about 2,200 rows on.

    Parameters
    ----------
    kernel, op, n, m, dtype
        As for :func:`require_memory`; for attention n and m are the queries and keys of all heads.
    value_width : int
        Attention: width of a value. Products: columns of the factor.

    Examples
    --------
    >>> import flashket as fk
    >>> not_worth_sending(fk.Fidelity(fk.IQP(8)), "gram", 4000, 4000, np.dtype(np.float32))
    ''
    >>> not_worth_sending(fk.Fidelity(fk.IQP(8)), "gram", 40, 40, np.dtype(np.float32))
    'host arrays stay: 9.58 Mflop, auto sends 10 Gflop or more to a device'
    """
    _, _, pair_flops, row_flops = _path(kernel, op if op == "attention" else "gram")
    if op == "states":
        flops, numbers = n * row_flops, n * (kernel.n_features + (2 << kernel.feature_map.n_qubits))  # type: ignore[attr-defined]
    else:
        flops = n * m * (pair_flops + 2 * value_width) + (n + m) * row_flops
        numbers = (n + m) * kernel.n_features + (n * m if op == "gram" else (n + m) * value_width)
    if flops < _SENT_FLOPS:
        return f"host arrays stay: {_scaled(flops)}flop, auto sends {_scaled(_SENT_FLOPS)}flop or more to a device"
    density = flops // (numbers * dtype.itemsize)
    if density < _SENT_FLOPS_PER_BYTE:
        return f"host arrays stay: {density} flop a byte that is copied, auto sends {_SENT_FLOPS_PER_BYTE} or more to a device"
    return ""


def require_memory(
    kernel: Kernel,
    op: str,
    n: int,
    m: int,
    dtype: np.dtype[Any],
    place: str,
    how: Work,
    *,
    result_bytes: int | None = None,
    chosen: Backend | None = None,
) -> None:
    """Raise ResourceLimit if the result and what is kept beside it do not fit into free memory.

    Parameters
    ----------
    kernel : Kernel
        What will be evaluated.
    op : str
        "gram", "gram_matvec", "attention" or "states".
    n, m : int
        Rows of X and Y; for attention all queries and all keys; for states n rows.
    dtype : numpy.dtype
        float32 or float64.
    place : str
        The function to name in the error.
    how : Work
        The call's options.
    result_bytes : int, optional
        Size of the result, 0 when it is the caller's memory; by default that of an (n, m) matrix or of n states.
    chosen : Backend, optional
        What runs it: beside a device backend the host keeps no encoded rows.
    """
    on_host = chosen is None or not chosen.is_device
    n_qubits = _state_qubits(kernel, op)
    if n_qubits and (op == "states" or (on_host and max(n, m))):
        what = f"one state of {kernel.subject} (2^{n_qubits} complex amplitudes)"
        require(place, what, 2 * dtype.itemsize << n_qubits, _SMALLER[op])
    if op == "states":
        states = n * (2 * dtype.itemsize << n_qubits)
        n_bytes = states + how.cast_bytes + (_working_bytes(kernel, op, n, m, dtype, how) if on_host else 0)
        require(place, f"{n} states of {n_qubits} qubits", n_bytes, "pass fewer rows at a time")
        return
    do = "pass fewer heads or shorter sequences at a time" if op == "attention" else "work in blocks of rows or use dtype=float32"
    what = {
        "gram": f"a {n} x {m} matrix of {dtype.name}",
        "gram_matvec": f"a product of {n} x {m} kernel values with {how.value_width} columns",
        "attention": f"attention of {n} queries and {m} keys",
    }[op]
    result = n * m * dtype.itemsize if result_bytes is None else result_bytes
    n_bytes = result + how.cast_bytes + (_working_bytes(kernel, op, n, m, dtype, how) if on_host else 0)
    require(place, f"{what} with its encoded rows", n_bytes, do)


def _state_qubits(kernel: Kernel, op: str) -> int:
    """Return the qubits of the states that must be built, 0 when none are."""
    feature_map = getattr(kernel, "feature_map", None)
    if feature_map is None or (op == "gram" and mps_bond(kernel)):
        return 0
    # The number of qubits is asked before lowering: a circuit too wide to simulate may also be too long to write down.
    if op == "states":
        is_state_based = True
    elif kernel.similarity == "projected":
        is_state_based = type(feature_map)._lower_bloch is FeatureMap._lower_bloch
    else:
        is_state_based = type(feature_map)._lower is FeatureMap._lower and not has_line(kernel)
    return int(feature_map.n_qubits) if is_state_based else 0


def _encoder_elements(kernel: Kernel, op: str) -> tuple[int, int, int]:
    """Return the numbers that one encoded row holds, that a worker needs to pack rows, and to make one row beside it."""
    n_qubits = _state_qubits(kernel, op)
    if n_qubits > _ASKED_QUBITS:
        return 2 << n_qubits, 2 << n_qubits, 0
    if op == "states":
        spec: Spec = (*kernel.feature_map._lower_states(), "fidelity", 1)  # type: ignore[attr-defined]  # state kernels have one
    else:
        spec = kernel._lower()
    row, worker, scratch = core().encoder_elements(spec)
    return int(row), int(worker), int(scratch)


def _computes_in_double(kernel: Kernel, op: str, how: Work) -> bool:
    """Say whether the compiled module may compute in float64 whatever the data are."""
    is_wide = getattr(kernel, "gamma", 0.0) > _NARROW_GAMMA or has_line(kernel)
    if how.log or (how.shots and kernel.power > 1) or is_wide or how.is_noisy:
        return True
    if op in ("gram", "gram_matvec"):
        # Many factors near 1 round alike; the core decides by the data.
        is_product = bool(getattr(getattr(kernel, "feature_map", None), "is_product", False))
        return kernel.power > _MOST_FLOAT_POWER or (is_product and kernel.similarity != "projected" and kernel.n_features > _FLAT_FEATURES)
    # Softmax of a small temperature magnifies the rounding of float32 scores. The core decides where; memory is asked for the worst.
    return op == "attention" and how.normalization == "softmax" and not how.shots and kernel.similarity != "dot"


def _working_bytes(kernel: Kernel, op: str, n: int, m: int, dtype: np.dtype[Any], how: Work) -> int:
    """Return the memory beside the result: packed rows, padded to whole groups, and what every thread holds."""
    bond = mps_bond(kernel) if op == "gram" else None
    if bond:
        # Tensors of complex numbers, twice while they are put together; those of the right side once more, side by side.
        return 16 * (2 * (n + m) + m + _ROW_GROUP) * mps_elements(kernel.feature_map.n_qubits, bond)  # type: ignore[attr-defined]
    item = FLOAT64.itemsize if _computes_in_double(kernel, op, how) else dtype.itemsize
    row, worker, scratch = _encoder_elements(kernel, op)
    threads = int(core().num_threads())
    if op == "states":
        # Circuits write their states in place; of a large one, every thread holds a block even where rows are few.
        is_circuit = kernel.feature_map._lower_states()[2] is not None  # type: ignore[attr-defined]
        return (threads * scratch if is_circuit else min(threads, n) * worker) * item
    if op in ("gram", "gram_matvec"):
        packed = _padded(n, _ROW_GROUP) + (0 if how.is_symmetric else _padded(m, _ROW_GROUP))
        # Workers encode _TILE_ROWS rows at a time: few rows need few workers.
        n_bytes = (packed * row + min(threads, -(-max(n, m) // _TILE_ROWS)) * (worker + _TILE_ELEMENTS)) * item
        if op == "gram_matvec":
            # The packed factor, and sums in float64.
            width = how.value_width if how.value_width <= _NARROW else _padded(how.value_width, _VALUE_VECTOR)
            n_bytes += width * _padded(m, _TILE_COLUMNS) * item + _product_sums(n, m, row, width, how) * FLOAT64.itemsize
        return n_bytes
    # Keys and values are packed, all of them; a worker encodes the queries of its block, at least one.
    n_keys = m // max(how.key_sets, 1)
    value = _padded(how.value_width, _VALUE_GROUP)
    is_packed = not how.is_in_place and not _is_logarithm(kernel, dtype, how.normalization, how.shots)
    packed = how.key_sets * _padded(n_keys, _ROW_GROUP) * (row + value)
    own = (worker + _TILE_ROWS * row) * item + _TILE_ROWS * value * FLOAT64.itemsize  # outputs are summed in float64
    if how.normalization == "sum" and not how.shots and kernel.similarity != "dot":
        # Rows that underflow are computed again in the log domain, always in float64, keys encoded tile by tile.
        own += (worker + (_TILE_ROWS + min(_TILE_COLUMNS, n_keys)) * row) * FLOAT64.itemsize
        own += (_TILE_ROWS + _TILE_COLUMNS) * value * FLOAT64.itemsize
    return packed * item * is_packed + min(threads, n) * own + how.state_bytes


def _product_sums(n: int, m: int, row: int, width: int, how: Work) -> int:
    """Return the numbers that a product sums into: all rows in every task, where that saves half of the tiles, or every row once."""
    n_blocks, size = _padded(n, _TILE_ROWS) // _TILE_ROWS, _padded(m, _TILE_COLUMNS) * width
    if how.is_symmetric and row >= 4 * width and size:
        n_tasks = min(n_blocks, _PRODUCT_TASKS, _PRODUCT_BYTES // (size * FLOAT64.itemsize))
        if n_tasks >= min(n_blocks, _FEWEST_TASKS):
            return n_tasks * size
    return (n_blocks + _PRODUCT_TASKS) * _TILE_ROWS * width


def reads_in_place(kernel: Kernel, n_queries: int, k: Array, v: Array, dtype: np.dtype[Any], normalization: str, shots: int) -> bool:
    """Return whether attention of so few queries a head is sure to read keys and values where they are, without packing them.

    Parameters
    ----------
    kernel : Kernel
        What will be evaluated.
    n_queries : int
        Lq.
    k, v : numpy.ndarray
        As given, before they are cast to ``dtype``.
    dtype : numpy.dtype
        float32 or float64.
    normalization, shots
        As for :func:`flashket.attention`; shots 0 is exact.
    """
    if n_queries > _IN_PLACE_QUERIES or shots or v.shape[-1] % _VALUE_VECTOR or _state_qubits(kernel, "attention"):
        return False
    # A copy in another dtype is contiguous.
    if any(array.dtype == dtype and array.strides[-1] != array.itemsize for array in (k, v)):
        return False
    if normalization == "softmax" and dtype != FLOAT64 and kernel.similarity != "dot":
        return False  # a small temperature needs float64
    return kernel._lower()[0] in _IN_PLACE and not _is_logarithm(kernel, dtype, normalization, shots)


def _is_logarithm(kernel: Kernel, dtype: np.dtype[Any], normalization: str, shots: int) -> bool:
    """Say whether attention's values are products so small that they are computed as logarithms at once, keys encoded tile by tile."""
    if normalization != "sum" or shots or kernel.similarity != "fidelity" or _state_qubits(kernel, "attention"):
        return False
    return kernel._lower()[0] == "angle" and kernel.n_features * kernel.power > _REPRESENTABLE[dtype.itemsize]


def linear_form(kernel: Kernel) -> tuple[int, int, str]:
    """Return (features, rows of a state, why not) of ``K(x, y) = <F(x), F(y)>``; 0 features without such a form.

    Examples
    --------
    >>> import flashket as fk
    >>> linear_form(fk.Fidelity(fk.Angle(4)))[0], linear_form(fk.Fidelity(fk.Amplitude(8), power=2))[2]
    (81, 'power 2 is more than 1, the largest that is expanded for this map')
    """
    n_qubits = _state_qubits(kernel, "attention")
    if n_qubits > _ASKED_QUBITS:
        return 0, 0, f"a state of 2^{n_qubits} amplitudes has too many features"
    count, rows, reason = core().linear_form(kernel._lower())
    return int(count), int(rows), str(reason)


def linear_state_bytes(kernel: Kernel, q_shape: tuple[int, ...], k_shape: tuple[int, ...], v_dim: int, causal: bool) -> int:
    """Return the size of the states that sum-normalised attention without a mask holds beside its inputs, 0 if it takes the quadratic form.

    Parameters
    ----------
    kernel : Kernel
        What will be evaluated.
    q_shape, k_shape : tuple of int
        (B, Hq, Lq, D) and (B, Hkv, Lk, D).
    v_dim : int
        Width of a value.
    causal : bool
        As for :func:`flashket.attention`.

    Examples
    --------
    >>> import flashket as fk
    >>> linear_state_bytes(fk.Fidelity(fk.Angle(4)), (1, 8, 64, 4), (1, 8, 64, 4), 64, True)
    0
    """
    if 0 in q_shape or 0 in k_shape or not v_dim or _state_qubits(kernel, "attention") > _ASKED_QUBITS:
        return 0
    sizes = (q_shape[0], q_shape[1], k_shape[1], q_shape[2], k_shape[2], v_dim)
    if not core().linear_form_pays(kernel._lower(), *sizes, causal):
        return 0
    size = linear_form(kernel)[1] * (_padded(v_dim, _VALUE_GROUP) + 1) * FLOAT64.itemsize
    sets, threads = k_shape[0] * k_shape[1], int(core().num_threads())
    # With fewer sets of keys than threads every segment of keys has sums of its own.
    segments = min(_SEGMENTS, -(-k_shape[2] // _SEGMENT_KEYS) + 1) + 1 if sets < threads else 2
    bounds = 8 * q_shape[0] * q_shape[1] * q_shape[2]  # two float32 numbers a row
    return size * (sets * (segments + 1) + 4 * threads) + bounds


def _padded(n: int, group: int) -> int:
    return -(-n // group) * group


def _path(kernel: Kernel, op: str) -> tuple[str, str, int, int]:
    """Return (path, why, flops a pair, flops a row)."""
    bond = mps_bond(kernel) if op == "gram" else None
    if bond:
        n_sites = kernel.feature_map.n_qubits  # type: ignore[attr-defined]  # state kernels have one
        path = f"matrix product states of bond {bond} once per row, then {n_sites} transfer matrices a pair"
        n_gates = len(kernel.feature_map._program.gates)  # type: ignore[attr-defined]
        return path, f"no cut has more than {bond} Schmidt terms", 32 * n_sites * bond**3, n_gates * 100 * bond**3
    n_qubits = _state_qubits(kernel, op)
    if n_qubits and kernel.similarity == "projected":
        return _projected_path(kernel, n_qubits)
    if n_qubits:
        amplitudes = 1 << n_qubits
        path = f"states of 2^{n_qubits} amplitudes once per row, then one complex dot a pair"
        if n_qubits > _ASKED_QUBITS:
            return path, "the circuit entangles its qubits", 8 * amplitudes, amplitudes
        n_gates = len(kernel.feature_map._program.gates)  # type: ignore[attr-defined]  # state kernels have one
        return path, "the circuit entangles its qubits", 8 * amplitudes, n_gates * _GATE_FLOPS * amplitudes // 2
    encoder = kernel._lower()[0]
    features = kernel.n_features
    paths = {
        "angle": (f"closed form: one product of {features} two-vector dots a pair, no state", "no gate joins two qubits", 4, 40),
        "amplitude": (f"one real dot of {features} normalised features a pair", "the row itself is the state", 2, 4),
        "line": (f"closed form: {features} 2x2 transfer matrices a pair, no state", "a line of commuting couplings, once", 24, 100),
        "identity": (f"one real dot of {features} features a pair", "the classical control", 2, 0),
        "ones": ("the value 1", "the classical control", 0, 0),
        "angle_bloch": (f"Bloch vectors of {features} qubits in closed form, one distance a pair", "no gate joins two qubits", 6, 80),
    }
    if encoder == "amplitude_bloch":
        n_qubits = int(kernel.feature_map.n_qubits)  # type: ignore[attr-defined]  # state kernels have one
        path = f"{2 * n_qubits} Bloch components of the normalised row, then one distance a pair"
        return path, "the row itself is the state", 6 * n_qubits, (2 * n_qubits + 8) << n_qubits
    path, why, pair_flops, row_flops = paths[encoder]
    return path, why, pair_flops * features, row_flops * features


def _projected_path(kernel: Kernel, n_qubits: int) -> tuple[str, str, int, int]:
    """Return what :func:`_path` does, for Bloch vectors of states."""
    amplitudes = 1 << n_qubits
    path = f"states of 2^{n_qubits} amplitudes once per row, their {3 * n_qubits} Bloch components, then one distance a pair"
    why = "a projected kernel sees one qubit at a time"
    if n_qubits > _ASKED_QUBITS:
        return path, why, 9 * n_qubits, amplitudes
    n_gates = len(kernel.feature_map._program.gates)  # type: ignore[attr-defined]  # state kernels have one
    return path, why, 9 * n_qubits, (n_gates * _GATE_FLOPS // 2 + 4 * n_qubits + 8) * amplitudes


def _scaled(value: int) -> str:
    """Return a count with three digits and a decimal prefix, or as a power of ten where prefixes end."""
    if value >= 10**21:
        return f"10^{int(math.log10(value))} "
    exponent = max(len(str(value)) - 1, 0) // 3
    return f"{value / 1000**exponent:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[exponent]}"
