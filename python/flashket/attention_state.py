# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over keys that are gone: a state of constant size instead of a cache of keys and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashket.arrays import FLOAT64, Array, cast, check_rows, check_size, is_on_device, real_dtype, requested_dtype, to_array
from flashket.attention import attention
from flashket.backends._registry import select
from flashket.backends.cpu import _run
from flashket.errors import InputError, explanation
from flashket.feature_maps._base import positive_int
from flashket.gram import check_kernel
from flashket.kernels import Kernel
from flashket.memory import require
from flashket.planner import linear_form

if TYPE_CHECKING:
    from flashket.device_state import DeviceState

FIRST_KEYS = 64
"""Keys that are kept as they came: a state that holds few keys cancels."""

LEAST_RATIO = 1e-5
"""Rows whose denominator is a smaller part of the product of norms are refused: rounding would show."""

_VALUE_GROUP = 16
"""Values are stored with their width rounded up to this."""

_LARGEST_VALUE = 1e280
"""Bound on a value, so that no sum of them overflows."""


class AttentionState:
    """Causal sum-normalised attention with memory that does not grow with the number of keys.

    A kernel is ``K(q, k) = <F(q), F(k)>`` with finitely many features F, so that
    ``out = F(q) . S / F(q) . z`` with ``S = sum_j F(k_j) v_j`` and ``z = sum_j F(k_j)``: the sums are the state.

    Parameters
    ----------
    kernel : Kernel
        With a linear form: Fidelity of Angle with any power, of Amplitude and of small states with power 1, HadamardTest with
        power 1 or 2; :func:`flashket.explain` tells the number of features.
    batch, heads : int
        B and Hkv, the number of key heads.
    v_dim : int
        Dv, the width of a value.
    dtype : numpy.dtype, optional
        float32 or float64: what keys, values and queries are rounded to and results have. By default each input's own.
    backend : str
        "auto": the state lives where the first keys come from. "cpu": on the host; "cuda": on a device, keys must be there.

    Attributes
    ----------
    n_keys : int
        Keys added to each head so far.

    Raises
    ------
    InputError
        If an argument is not as above or the kernel has no linear form.
    ResourceLimit
        If the state does not fit into free memory.

    Notes
    -----
    F features take 8 F (Dv + 1) bytes a head; an update of one key and a read of one query cost 2 F (Dv + 1) operations each.
    Sums are float64, and the first 64 keys are kept verbatim: the features cancel while the state holds few keys. A query
    whose denominator is below 1e-5 of the norms' product |F(q)| |z| is refused, never answered wrong; other rows are right to
    about 2e-16 / 1e-5 of the values. On a device nobody looks at rows, so a key or value that is not finite makes later rows NaN
    or refused; and beyond the first 64 keys a read waits for the device, for the number of rows to refuse. Katharopoulos et al.,
    arXiv:2006.16236, for decoding with a state. States in host memory can be pickled.

    Examples
    --------
    >>> import numpy as np
    >>> import flashket as fk
    >>> rng = np.random.default_rng(0)
    >>> q, k, v = rng.uniform(-1, 1, (3, 1, 2, 100, 3))
    >>> kernel = fk.Fidelity(fk.Angle(3))
    >>> state = fk.AttentionState(kernel, batch=1, heads=2, v_dim=3)
    >>> state.update(k, v)
    >>> bool(np.allclose(state.read(q[:, :, -1:]), fk.attention(q, k, v, kernel=kernel, causal=True)[:, :, -1:]))
    True
    """

    def __init__(self, kernel: Kernel, *, batch: int, heads: int, v_dim: int, dtype: Any = None, backend: str = "auto") -> None:
        place = "AttentionState"
        check_kernel(kernel, place)
        self.kernel = kernel
        self.batch = positive_int(batch, place, "batch", "it is B of k and v")
        self.heads = positive_int(heads, place, "heads", "it is the number of key heads")
        self.v_dim = positive_int(v_dim, place, "v_dim", "it is the width of a value")
        self.dtype = None if dtype is None else requested_dtype(dtype, place)
        if backend not in ("auto", "cpu", "cuda"):
            raise InputError(explanation(place, 'backend must be "auto", "cpu" or "cuda"', repr(backend), "choose one"))
        self.backend = backend
        self.n_features, rows, reason = linear_form(kernel)
        if not self.n_features:
            do = "use fk.attention, which needs none"
            raise InputError(explanation(place, "the kernel must have a linear form", f"{kernel!r} ({reason})", do))
        kept = FLOAT64 if self.dtype is None else self.dtype
        stride = -(-self.v_dim // _VALUE_GROUP) * _VALUE_GROUP
        shape = (self.batch, self.heads)
        n_bytes = shape[0] * shape[1] * (rows * (stride + 1) * 8 + FIRST_KEYS * (kernel.n_features + self.v_dim) * kept.itemsize)
        require(place, f"a state of {self.n_features} features", n_bytes, "use fewer heads or a kernel with fewer features")
        self.n_keys = 0
        self._device: DeviceState | None = None
        self._sums = np.zeros((*shape, rows, stride))
        self._weights = np.zeros((*shape, rows))
        self._first_keys = np.zeros((*shape, FIRST_KEYS, kernel.n_features), kept)
        self._first_values = np.zeros((*shape, FIRST_KEYS, self.v_dim), kept)

    @property
    def nbytes(self) -> int:
        """Size of the state in bytes; it never changes once keys were added."""
        if self._device is not None:
            return self._device.nbytes
        return self._sums.nbytes + self._weights.nbytes + self._first_keys.nbytes + self._first_values.nbytes

    def reset(self) -> None:
        """Forget all keys."""
        self.n_keys = 0
        if self._device is not None:
            self._device.reset()
        for array in self._host_arrays():
            array[...] = 0

    def copy(self) -> AttentionState:
        """Return an independent state with the same keys, e.g. to branch a text."""
        other = AttentionState.__new__(AttentionState)
        other.__dict__.update({name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self.__dict__.items()})
        if self._device is not None:
            other._device = self._device.copy()
        return other

    def update(self, k: Any, v: Any) -> None:
        """Add keys with their values.

        Parameters
        ----------
        k : array_like, (B, Hkv, L, D)
            Keys; D is the kernel's n_features. Any strides. NumPy arrays, or arrays of CuPy, torch or JAX in device memory, where
            the state then lives.
        v : array_like, (B, Hkv, L, Dv)
            Values.

        Raises
        ------
        InputError
            For wrong shapes and dtypes, NaN, infinity, and (Amplitude without bias) rows of zeros; the state is as before.
        """
        place = "AttentionState.update"
        keys, values = to_array(k, place, "k", self.backend), to_array(v, place, "v", self.backend)
        expected = (self.batch, self.heads)
        if keys.ndim != 4 or keys.shape[:2] != expected or keys.shape[3] != self.kernel.n_features:
            wanted = f"k must be ({self.batch}, {self.heads}, L, {self.kernel.n_features}) for {self.kernel.subject}"
            raise InputError(explanation(place, wanted, keys.shape, "batch and heads are those of the state"))
        if values.shape != (*keys.shape[:3], self.v_dim):
            wanted = f"v must be {(*keys.shape[:3], self.v_dim)} like k"
            raise InputError(explanation(place, wanted, values.shape, "one value of width v_dim per key"))
        if self._is_on_device([("k", keys), ("v", values)], place):
            keys, values = self._device_cast(keys, place, "k"), self._device_cast(values, place, "v")
            self._on_device(keys, place).update(keys, values, self.n_keys)
            self.n_keys += keys.shape[2] if keys.size else 0
            return
        dtype = self.dtype
        if dtype is None:
            dtype = np.result_type(real_dtype(keys, place, "k"), real_dtype(values, place, "v"))
        keys, values = (self._cast(array, dtype, place, name) for array, name in ((keys, "k"), (values, "v")))
        check_rows(keys, self.kernel.rejects_zero_rows, place, "k", self.kernel.subject)
        check_size(keys, self.kernel._largest_feature, place, "k", self.kernel.subject)
        check_rows(values, False, place, "v", self.kernel.subject)
        check_size(values, _LARGEST_VALUE, place, "v", self.kernel.subject)
        if not keys.size:
            return
        _run("linear_update", self.kernel._lower(), keys, values, self._sums, self._weights)
        n_first = min(max(FIRST_KEYS - self.n_keys, 0), keys.shape[2])
        kept = slice(self.n_keys, self.n_keys + n_first)
        self._first_keys[:, :, kept], self._first_values[:, :, kept] = keys[:, :, :n_first], values[:, :, :n_first]
        self.n_keys += keys.shape[2]

    def read(self, q: Any) -> Array:
        """Return the attention of queries over all keys so far.

        Parameters
        ----------
        q : array_like, (B, Hq, L, D)
            Queries; Hq is a multiple of Hkv, query head h reads key head h // (Hq / Hkv).

        Returns
        -------
        numpy.ndarray, (B, Hq, L, Dv)
            Zeros while the state is empty.

        Raises
        ------
        InputError
            For wrong shapes and dtypes, NaN, infinity and (Amplitude without bias) rows of zeros; and, beyond the first 64
            keys, for a query that overlaps the keys so little that the state cannot tell the answer.
        """
        place = "AttentionState.read"
        queries = to_array(q, place, "q", self.backend)
        if queries.ndim != 4 or queries.shape[0] != self.batch or queries.shape[3] != self.kernel.n_features:
            wanted = f"q must be ({self.batch}, Hq, L, {self.kernel.n_features}) for {self.kernel.subject}"
            raise InputError(explanation(place, wanted, queries.shape, "the batch is that of the state"))
        if queries.shape[1] % self.heads:
            wanted = f"the number of query heads must be a multiple of the {self.heads} key heads"
            raise InputError(explanation(place, wanted, queries.shape[1], "Hq % Hkv must be 0"))
        if self._is_on_device([("q", queries)], place):
            queries = self._device_cast(queries, place, "q")
            result, refused = self._on_device(queries, place).read(queries, self.n_keys, self.v_dim, LEAST_RATIO)
            if refused:
                raise self._refusal(place, f"less in {refused} of {result.shape[0] * result.shape[1] * result.shape[2]} rows")
            return result  # type: ignore[no-any-return]  # an array of the caller's library
        dtype = self.dtype or real_dtype(queries, place, "q")
        queries = self._cast(queries, dtype, place, "q")
        check_rows(queries, self.kernel.rejects_zero_rows, place, "q", self.kernel.subject)
        check_size(queries, self.kernel._largest_feature, place, "q", self.kernel.subject)
        out = np.zeros((*queries.shape[:3], self.v_dim), dtype)
        if not out.size or not self.n_keys:
            return out
        if self.n_keys <= FIRST_KEYS:
            keys, values = self._first_keys[:, :, : self.n_keys], self._first_values[:, :, : self.n_keys]
            out[...] = attention(queries, keys, values, kernel=self.kernel)
            return out
        ratios = np.empty(queries.shape[:3])
        _run("linear_read", self.kernel._lower(), queries, self._sums, self._weights, out, ratios)
        if not ratios.min() >= LEAST_RATIO:
            row = tuple(int(i) for i in np.argwhere(~(ratios >= LEAST_RATIO))[0])
            raise self._refusal(place, f"{ratios[row]:.1g} in row {row}")
        return out

    @staticmethod
    def _refusal(place: str, got: str) -> InputError:
        wanted = f"a query must overlap the keys: its denominator at least {LEAST_RATIO:g} of the norms' product"
        do = "the state cannot tell such a row's answer from rounding; use fk.attention with the keys"
        return InputError(explanation(place, wanted, got, do))

    def _is_on_device(self, named: list[tuple[str, Any]], place: str) -> bool:
        """Say whether arrays are in device memory; refuse them where the state is elsewhere."""
        on_device = is_on_device(named, place)
        name = named[0][0]
        if on_device and self._device is None and self.n_keys:
            do = "copy the array to the host, or start a state with keys on the device"
            raise InputError(explanation(place, f"{name} must be in host memory, as the state is", named[0][1].text(), do))
        if not on_device and (self._device is not None or self.backend == "cuda"):
            do = "move the array to the device"
            raise InputError(explanation(place, f"{name} must be in device memory, as the state is", "host memory", do))
        return on_device

    def _on_device(self, like: Any, place: str) -> DeviceState:
        """Return the state in device memory, made where the first array lies."""
        if self._device is None:
            from flashket.device_state import DeviceState

            chosen = select(self.backend, self.kernel, like.computed_in(place, "k"), "attention", place, on_device=True)
            if chosen.name != "cuda":
                do = 'use backend="cuda", or arrays in host memory'
                raise InputError(explanation(place, "states in device memory need the backend cuda", repr(chosen.name), do))
            self._device = DeviceState(self.kernel, (self.batch, self.heads, FIRST_KEYS, self.v_dim), like)
            self._sums, self._weights, self._first_keys, self._first_values = (array[:0].copy() for array in self._host_arrays())
        return self._device

    def _host_arrays(self) -> tuple[Array, ...]:
        return self._sums, self._weights, self._first_keys, self._first_values

    def _device_cast(self, array: Any, place: str, name: str) -> Any:
        array.computed_in(place, name)
        if self.dtype is None or array.dtype == self.dtype:
            return array
        return array.library.adopt(array.library.cast(array.source, self.dtype), place, name)

    @staticmethod
    def _cast(array: Array, dtype: np.dtype[Any], place: str, name: str) -> Array:
        real_dtype(array, place, name)
        return cast(array, dtype, place, name)

    def __repr__(self) -> str:
        return f"AttentionState({self.kernel!r}, batch={self.batch}, heads={self.heads}, v_dim={self.v_dim}, n_keys={self.n_keys})"
