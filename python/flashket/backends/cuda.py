# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The device backend: the package flashket_cuda (wheel flashket-cu13), loaded on first use.

Device arrays are read where they are, on the caller's current stream, and nothing waits. Host arrays are copied to device 0 and the
result is copied back, which waits. ``FLASHKET_CUDA_EMULATOR=1`` loads the emulated device instead: the same kernels on the CPU, slow,
for tests; it runs only where ``backend="cuda"`` is asked for by name.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from flashket.backends._registry import Capability
from flashket.errors import BackendUnavailable, FlashKetError, InputError, ResourceLimit, explanation
from flashket.memory import format_bytes
from flashket.structure import mps_bond

if TYPE_CHECKING:
    from flashket.arrays import Array
    from flashket.feature_maps import FeatureMap
    from flashket.kernels import Kernel, Spec

_INSTALL = "run: pip install flashket-cu13, or in a checkout: pip install ./cuda"

_HOST_PLACE = (0, 0, None, True)
"""Device 0, its default stream, memory of the CUDA runtime, arrays in host memory."""

_MOST_QUBITS = 40
"""Circuits on more are not written down: no memory holds a state."""


@cache
def _load() -> tuple[ModuleType | None, str]:
    """Return (module or None, why not); asked once, as a GPU does not come while a process runs."""
    try:
        import flashket_cuda
    except ImportError as error:
        return None, f"the package flashket_cuda does not load ({error}); {_INSTALL}"
    if flashket_cuda.core is None:
        return None, f"flashket_cuda has no module that loads ({flashket_cuda.reason}); {_INSTALL}"
    from flashket import __version__

    if flashket_cuda.__version__ != __version__:
        return None, f"flashket_cuda {flashket_cuda.__version__} does not fit flashket {__version__}; install equal versions"
    core: ModuleType = flashket_cuda.core
    if core.device_count() == 0:
        return None, f"flashket_cuda finds no GPU: {core.device_reason()}"
    return core, ""


def _operand(array: Any) -> Any:
    """Return what the module takes: host memory C-contiguous, device memory as a DLPack capsule."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.capsule()


def _place(array: Any) -> tuple[int, int, Any, bool]:
    place: tuple[int, int, Any, bool] = _HOST_PLACE if isinstance(array, np.ndarray) else array.place()
    return place


def _unbroadcast(mask: Any) -> Any:
    """Return a mask without the axes that only repeat; the module repeats them."""
    if not isinstance(mask, np.ndarray):
        return mask
    return mask[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in mask.strides)]


class CudaBackend:
    """Own kernels on an NVIDIA GPU: host arrays, and device arrays of CuPy, torch and JAX."""

    name = "cuda"
    is_device = True

    @property
    def available(self) -> bool:
        """Whether the package loads and sees a device, or is emulated."""
        return _load()[0] is not None

    @property
    def is_emulated(self) -> bool:
        """Whether the CPU plays the device, for tests."""
        module = _load()[0]
        return module is not None and bool(module.is_emulated)

    @property
    def reason(self) -> str:
        """Why it is absent; empty when a GPU runs it; that it is emulated when the CPU does."""
        if self.is_emulated:
            return 'emulated on the CPU (FLASHKET_CUDA_EMULATOR=1), for tests: no GPU runs, and "auto" never takes it'
        return _load()[1]

    def module(self) -> ModuleType:
        """Return the compiled module, or raise with the reason why there is none."""
        module, reason = _load()
        if module is None:
            raise BackendUnavailable(explanation("cuda", "the device module is needed", None, reason))
        return module

    def properties(self, device: int = 0) -> dict[str, Any]:
        """Return a device's name, compute capability, multiprocessors and memory, which runs keep beside their figures."""
        return {**self._run("cuda", "device_properties", device), "emulated": self.is_emulated}

    def free_bytes(self, device: int) -> int:
        """Return the device memory that is free now."""
        return int(self._run("cuda", "device_properties", device)["free_memory"])

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say whether the device core has code for this; float32 and float64 are alike, 16-bit inputs compute in float32."""
        from flashket.planner import _state_qubits

        module, reason = _load()
        if module is None:
            return Capability(False, reason)
        if not hasattr(module, op):
            return Capability(False, f"this build of flashket_cuda has no {op}")
        bond = self._bond(kernel) if op == "gram" else None
        if bond is not None:
            largest = int(module.max_mps_bond)
            reason = f"the states need bonds of {bond}, the device sweeps matrix product states of up to {largest}"
            return Capability(bond <= largest, "" if bond <= largest else reason)
        if _state_qubits(kernel, op) > _MOST_QUBITS:
            return Capability(False, f"no device holds a state of more than {_MOST_QUBITS} qubits")
        try:
            module.describe(self._spec(kernel, op))
        except ValueError as error:
            return Capability(False, f"the device core cannot encode this: {error}")
        return Capability(True)

    def linear_form(self, kernel: Kernel, n: int, m: int, v_dim: int) -> tuple[int, str, bool]:
        """Return (features, why none, whether n rows of float64 take it for m keys) of attention's linear form on the device."""
        spec = self._spec(kernel, "attention")
        count, reason = self._run("explain", "linear_form", spec)
        pays = bool(count) and bool(self._run("explain", "linear_form_pays", spec, 1, 1, 1, n, m, v_dim, False, True))
        return int(count), str(reason), pays

    def gram(self, kernel: Kernel, x: Any, y: Any, out: Any, *, log: bool, shots: int, seed: int) -> None:
        """Write the Gram matrix. Matrix product states are made on the host, which waits; their overlaps on the device."""
        to = _Written(out)
        bond = self._bond(kernel)
        if bond is not None:
            self._gram_of_mps(kernel, bond, x, y, to, log, shots, seed)
            to.back()
            return
        right = None if y is None else _operand(y)
        self._run("gram", "gram", self._spec(kernel, "gram"), _operand(x), right, to.operand, log, shots, seed, "auto", _place(x))
        to.back()

    def gram_matvec(self, kernel: Kernel, x: Any, a: Any, y: Any, out: Any, *, shots: int, seed: int) -> None:
        """Write the Gram matrix times ``a``."""
        to, spec = _Written(out), self._spec(kernel, "gram_matvec")
        right = None if y is None else _operand(y)
        self._run("gram_matvec", "gram_matvec", spec, _operand(x), _operand(a), right, to.operand, shots, seed, "auto", _place(x))
        to.back()

    def attention(
        self,
        kernel: Kernel,
        q: Any,
        k: Any,
        v: Any,
        out: Any,
        *,
        normalization: str,
        temperature: float,
        causal: bool,
        mask: Any,
        kv_lens: Any,
        shots: int,
        seed: int,
        counts: bool = True,
    ) -> int:
        """Write the attention output; return the rows whose admissible kernel values were all zero, 0 without ``counts``.

        Counting waits for the device.
        """
        to = _Written(out)
        visible = None if mask is None else _operand(_unbroadcast(mask))
        lengths = None if kv_lens is None else _operand(kv_lens)
        options = (normalization, temperature, causal, shots, seed, "auto")
        arguments = (self._spec(kernel, "attention"), *(_operand(each) for each in (q, k, v)), to.operand, visible, lengths, options)
        zero_rows = self._run("attention", "attention", *arguments, counts, _place(q))
        to.back()
        return int(zero_rows)

    def attention_backward(
        self,
        kernel: Kernel,
        inputs: tuple[Any, Any, Any],
        out: Any,
        d_out: Any,
        gradients: tuple[Any, Any, Any],
        *,
        normalization: str,
        temperature: float,
        causal: bool,
        mask: Any,
        kv_lens: Any,
    ) -> None:
        """Write the gradients with respect to q, k and v; ``out`` is attention's result, ``d_out`` its gradient."""
        written = [_Written(gradient) for gradient in gradients]
        visible = None if mask is None else _operand(_unbroadcast(mask))
        lengths = None if kv_lens is None else _operand(kv_lens)
        options = (normalization, temperature, causal, 0, 0, "auto")
        arguments = (*(_operand(each) for each in (*inputs, out)), visible, lengths, options, _operand(d_out))
        targets = (to.operand for to in written)
        spec = self._spec(kernel, "attention_backward")
        self._run("attention_backward", "attention_backward", spec, *arguments, *targets, _place(inputs[0]))
        for to in written:
            to.back()

    def attention_in_place(self, kernel: Kernel, q: Array, k: Array, v: Array, out: Array, *, causal: bool, kv_lens: Array | None) -> int:
        """Return -1: rows are checked on the host before they are sent."""
        return -1

    def states(self, feature_map: FeatureMap, x: Any, out: Any) -> None:
        """Write the states."""
        to = _Written(out)
        self._run("states", "states", _states_spec(feature_map), _operand(x), to.operand, _place(x))
        to.back()

    def _bond(self, kernel: Kernel) -> int | None:
        """Return the bond of the matrix product states that a Gram matrix goes through; None: it does not."""
        return mps_bond(kernel)

    def _gram_of_mps(self, kernel: Kernel, bond: int, x: Any, y: Any, to: _Written, log: bool, shots: int, seed: int) -> None:
        from flashket.mps import write_gram

        def run(a: Any, b: Any, out: Any, *options: Any) -> None:
            self._run("gram", "mps_gram", a, b, to.operand, *options, _place(to.out))

        write_gram(kernel, bond, _on_host(x), None if y is None else _on_host(y), to.out, log=log, shots=shots, seed=seed, run=run)

    def _spec(self, kernel: Kernel, op: str) -> Spec:
        """Return what the module takes for a kernel, or for the states of its feature map."""
        return _states_spec(kernel.feature_map) if op == "states" else kernel._lower()  # type: ignore[attr-defined]  # state kernels have one

    def _run(self, place: str, function: str, *arguments: Any) -> Any:
        """Call the module and translate its errors."""
        try:
            return getattr(self.module(), function)(*arguments)
        except MemoryError as error:
            raise ResourceLimit(_out_of_memory(place, error)) from error
        except ValueError as error:
            text = str(error)
            raise InputError(text if text.startswith("[") else explanation(place, "the device core refuses this", None, text)) from error
        except RuntimeError as error:
            do = "FLASHKET_SYNC=1 finds the call that caused it; after a fault of memory the process must be started again"
            raise FlashKetError(explanation(place, "the device must run this", str(error), do)) from error


def _on_host(array: Any) -> Array:
    """Return a device array's copy in host memory, a host array itself."""
    copy: Array = array if isinstance(array, np.ndarray) else array.library.to_host(array.source)
    return copy


class _Written:
    """Where the module writes: the caller's array, or a contiguous host array that is copied there."""

    def __init__(self, out: Any) -> None:
        self.out = out
        self.is_direct = not isinstance(out, np.ndarray) or out.flags.c_contiguous
        self.memory = out if self.is_direct else np.empty(out.shape, out.dtype)
        self.operand = self.memory if isinstance(out, np.ndarray) else out.capsule()

    def back(self) -> None:
        """Put the result where the caller wants it."""
        if not self.is_direct:
            self.out[...] = self.memory


def _states_spec(feature_map: FeatureMap) -> Spec:
    encoder, parameters, program = feature_map._lower_states()
    return encoder, parameters, program, "fidelity", 1


def _out_of_memory(place: str, error: MemoryError) -> str:
    wanted, do = "the device must hold the call's inputs and workspaces", "pass fewer rows at a time or free device memory"
    if len(error.args) != 3:
        return explanation(place, wanted, f"a failed allocation ({error})", do)
    _, asked, free = error.args
    return explanation(place, f"{wanted}: {format_bytes(asked)} ({asked} bytes)", f"{format_bytes(free)} free", do)


CUDA = CudaBackend()
