# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The host backend: the compiled module flashket._core, loaded on first use."""

from __future__ import annotations

from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from flashket.backends._registry import Capability
from flashket.errors import BackendUnavailable, FlashKetError, InputError, ResourceLimit, explanation
from flashket.structure import mps_bond

if TYPE_CHECKING:
    from flashket.arrays import Array
    from flashket.feature_maps import FeatureMap
    from flashket.kernels import Kernel

Affine: TypeAlias = tuple[float, float]
"""Scale and offset that noise applies to a probability."""

EXACT: Affine = (1.0, 0.0)


@cache
def _load() -> tuple[ModuleType | None, type[FlashKetError], str]:
    """Return (module, error to raise without it, its text)."""
    try:
        from flashket import _core
    except ImportError as error:
        reason = f"the compiled module flashket._core does not load ({error}); run: pip install ."
        return None, BackendUnavailable, explanation("cpu", "the compiled module is needed", None, reason)
    try:
        _core.isa()
    except RuntimeError as error:
        # FLASHKET_ISA names an instruction set that is not there; the module's text says so.
        return None, InputError, str(error)
    return _core, FlashKetError, ""


def core() -> ModuleType:
    """Return the compiled module, or raise with the reason why it cannot run."""
    module, error, text = _load()
    if module is None:
        raise error(text)
    return module


def _run(op: str, *arguments: Any) -> Any:
    """Call the compiled module; memory that another process took after the check is refused like any other."""
    try:
        return getattr(core(), op)(*arguments)
    except MemoryError:
        do = "pass fewer rows at a time or wait until memory is free"
        raise ResourceLimit(explanation(op, "the encoded rows must fit into memory", "a failed allocation", do)) from None


class CpuBackend:
    """Every kernel, float32 and float64, exact and sampled, on this machine's cores."""

    name = "cpu"
    is_device = False
    is_emulated = False

    @property
    def available(self) -> bool:
        """Whether the compiled module loads and the instruction set exists."""
        return _load()[0] is not None

    @property
    def reason(self) -> str:
        """Why the compiled module cannot run; empty when it can."""
        return _load()[2]

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say yes: the host runs everything that passes the argument checks, but for gradients."""
        if op == "attention_backward":
            return Capability(False, "gradients of attention are computed on a device only: use the backend cuda")
        return Capability(True)

    def gram(
        self, kernel: Kernel, x: Array, y: Array | None, out: Array, *, log: bool, shots: int, seed: int, affine: Affine = EXACT
    ) -> None:
        """Write the Gram matrix; ``affine`` is the noise of its probabilities."""
        bond = mps_bond(kernel)
        if bond is None:
            _run("gram", kernel._lower(), x, y, out, log, shots, seed, *affine)
            return
        from flashket.mps import write_gram

        try:
            run = partial(core().mps_gram, scale=affine[0], offset=affine[1])
            write_gram(kernel, bond, x, y, out, log=log, shots=shots, seed=seed, run=run)
        except ResourceLimit:
            raise
        except MemoryError:
            do = "pass fewer rows at a time or wait until memory is free"
            raise ResourceLimit(explanation("gram", "the states must fit into memory", "a failed allocation", do)) from None

    def gram_matvec(
        self, kernel: Kernel, x: Array, a: Array, y: Array | None, out: Array, *, shots: int, seed: int, affine: Affine = EXACT
    ) -> None:
        """Write the Gram matrix times ``a``; ``affine`` is the noise of its probabilities."""
        _run("gram_matvec", kernel._lower(), x, a, y, out, shots, seed, *affine)

    def attention(
        self,
        kernel: Kernel,
        q: Array,
        k: Array,
        v: Array,
        out: Array,
        *,
        normalization: str,
        temperature: float,
        causal: bool,
        mask: Array | None,
        kv_lens: Array | None,
        shots: int,
        seed: int,
        counts: bool = True,
        affine: Affine = EXACT,
    ) -> int:
        """Write the attention output; return the rows whose admissible kernel values were all zero. ``affine`` is the noise."""
        options = (normalization, temperature, causal, mask, kv_lens, shots, seed, "auto", *affine)
        return int(_run("attention", kernel._lower(), q, k, v, out, *options))

    def attention_in_place(self, kernel: Kernel, q: Array, k: Array, v: Array, out: Array, *, causal: bool, kv_lens: Array | None) -> int:
        """Write exact sum-normalised attention of rows that nobody has checked; see the protocol."""
        # Only float32: a float64 angle may be too large and still have a cosine.
        if q.dtype != np.float32:
            return -1
        return int(_run("attention", kernel._lower(), q, k, v, out, "sum", 1.0, causal, None, kv_lens, 0, 0, "in_place"))

    def states(self, feature_map: FeatureMap, x: Array, out: Array) -> None:
        """Write the states."""
        encoder, parameters, program = feature_map._lower_states()
        _run("states", (encoder, parameters, program, "fidelity", 1), x, out)


CPU = CpuBackend()
