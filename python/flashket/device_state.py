# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The sums of an AttentionState in device memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flashket.backends.cuda import CUDA
from flashket.device_arrays import DeviceArray, result_array
from flashket.errors import InputError, explanation

if TYPE_CHECKING:
    from flashket.kernels import Kernel


class DeviceState:
    """Sums over keys and the first keys, float64, of one library's device: its current stream orders all work on them.

    Parameters
    ----------
    kernel : Kernel
        With a linear form.
    shape : tuple of int
        (B, Hkv, number of first keys, Dv).
    like : DeviceArray
        Says on which device, and whose streams order the work.

    Raises
    ------
    ResourceLimit
        If the state does not fit into device memory.
    """

    def __init__(self, kernel: Kernel, shape: tuple[int, int, int, int], like: DeviceArray) -> None:
        n_batch, n_heads, n_first, v_dim = shape
        self._spec = kernel._lower()
        self.library, self.device = like.library, like.device
        n_features, reason = CUDA._run("AttentionState", "linear_form", self._spec)
        if not n_features:
            raise InputError(explanation("AttentionState", "the device must know the linear form", repr(kernel), reason))
        self._shapes = (
            (n_batch, n_heads, n_features, v_dim + 1),
            (n_batch, n_heads, n_first, kernel.n_features),
            (n_batch, n_heads, n_first, v_dim),
        )
        self._arrays = self._empty()
        self.reset()

    def _empty(self) -> list[Any]:
        return [CUDA._run("AttentionState", "empty", shape, "float64", True, self._place())[0] for shape in self._shapes]

    def _place(self) -> tuple[int, int, Any, bool]:
        return self.device, self.library.stream(self.device), self.library.allocator(self.device), False

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(8 * a * b * c * d for a, b, c, d in self._shapes)

    def reset(self) -> None:
        """Forget all keys."""
        for array in self._arrays:
            CUDA._run("AttentionState", "zero", array, self._place())

    def copy(self) -> DeviceState:
        """Return an independent copy on the same device."""
        other = DeviceState.__new__(DeviceState)
        other.__dict__.update(self.__dict__)
        other._arrays = self._empty()
        for source, target in zip(self._arrays, other._arrays, strict=True):
            CUDA._run("AttentionState", "copy", source, target, self._place())
        return other

    def _check(self, array: DeviceArray, place: str, name: str) -> None:
        if array.library is not self.library or array.device != self.device:
            wanted = f"{name} must be where the state is: {self.library.title} on device {self.device}"
            raise InputError(explanation(place, wanted, array.text(), "one state serves one library on one device"))

    def update(self, k: DeviceArray, v: DeviceArray, n_keys: int) -> None:
        """Add keys to the n_keys that there are; nothing waits, and rows are not looked at."""
        place = "AttentionState.update"
        self._check(k, place, "k")
        self._check(v, place, "v")
        keys, values = k.with_contiguous_rows(place, "k"), v.with_contiguous_rows(place, "v")
        CUDA._run(place, "state_update", self._spec, keys.capsule(), values.capsule(), *self._arrays, n_keys, self._place())
        self.library.hold(self._place(), (k, v))

    def read(self, q: DeviceArray, n_keys: int, v_dim: int, least_ratio: float) -> tuple[Any, int]:
        """Return (attention of queries over the keys, rows that are refused); beyond the first keys it waits for that count."""
        place = "AttentionState.read"
        self._check(q, place, "q")
        shape = (*q.shape[:3], v_dim)
        result = result_array(None, shape, q.dtype, (q,), place)
        refused = 0
        if n_keys and result.size:
            queries = q.with_contiguous_rows(place, "q")
            arguments = (queries.capsule(), *self._arrays, n_keys, result.capsule(), least_ratio, self._place())
            refused = int(CUDA._run(place, "state_read", self._spec, *arguments))
        elif result.size:
            self.library.zero(result.source)
        return self.library.finish(result.source, (q,)), refused

    def __getstate__(self) -> Any:
        do = "read what is needed, or keep such a state on the host"
        raise InputError(explanation("AttentionState", "only states in host memory can be pickled", "device memory", do))
