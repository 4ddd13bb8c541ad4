# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What fk.explain says of attention: the linear form or pairs, as the backend that runs it chooses."""

from __future__ import annotations

from flashket.backends._registry import Backend
from flashket.backends.cpu import core
from flashket.kernels import Kernel


def attention_path(kernel: Kernel, n: int, m: int, path: str, why: str, chosen: Backend) -> tuple[str, str, int]:
    """Return (path, why, flops of the linear form or 0) of one exact sum-normalised head; device and host choose by costs of their own."""
    from flashket.backends.cuda import CudaBackend
    from flashket.planner import linear_form

    width, device = kernel.n_features, ""
    if not kernel.is_probability:
        count, reason, pays = 0, "values may be negative", False
    elif isinstance(chosen, CudaBackend):
        count, reason, pays = chosen.linear_form(kernel, n, m, width)
        device = why[why.rfind("; on a device") :]
    else:
        count, _, reason = linear_form(kernel)
        pays = bool(count) and bool(core().linear_form_pays(kernel._lower(), 1, 1, 1, n, m, width, False))
    if not count:
        return f"quadratic: {path}", f"{why}; no linear form: {reason}", 0
    if not pays:
        return f"quadratic: {path}", f"{why}; the linear form, {count} features, costs more at this length", 0
    why = f"features cost less than pairs at this length; for exact sums without a mask{device}"
    return f"linear form, {count} features: sums over keys, no pair is scored", why, 2 * (n + m) * count * (width + 1)
