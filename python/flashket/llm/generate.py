# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Continue a text byte by byte: greedy or nucleus (top-p) sampling on a KV cache."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, AnyStr

import numpy as np

from flashket.errors import InputError
from flashket.llm.data import SEPARATOR

if TYPE_CHECKING:
    from flashket.llm.model import Model


def choose_byte(logits: Any, *, temperature: float, top_p: float, rng: np.random.Generator) -> int:
    """Draw the next byte: the likeliest at temperature 0, otherwise from the smallest set whose probability reaches ``top_p``.

    Parameters
    ----------
    logits : array of float, (256,)
        Natural-log scores.
    temperature : float
        Divides the logits; 0 is greedy, ties go to the lower byte.
    top_p : float
        In (0, 1]; 1 keeps all bytes.
    rng : numpy.random.Generator
        Drawn from once unless greedy.

    Examples
    --------
    >>> choose_byte(np.array([0.0, 2.0, 1.0]), temperature=0, top_p=1.0, rng=np.random.default_rng(0))
    1
    """
    scores = np.asarray(logits, dtype=np.float64)
    if temperature == 0:
        return int(scores.argmax())
    weights = np.exp((scores - scores.max()) / temperature)
    order = np.argsort(-weights, kind="stable")
    cumulative = np.cumsum(weights[order])
    n_kept = int(np.searchsorted(cumulative, top_p * cumulative[-1])) + 1
    n_kept = min(n_kept, len(order))
    drawn = rng.random() * cumulative[n_kept - 1]
    return int(order[min(int(np.searchsorted(cumulative, drawn, side="right")), n_kept - 1)])


def stream_bytes(
    model: Model, prompt: bytes, *, max_new_bytes: int = 200, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0
) -> Iterator[int]:
    """Yield the bytes after ``prompt``, one at a time, until ``max_new_bytes`` or the end of the document (a zero byte).

    Parameters
    ----------
    model : Model
        A loaded model or a variant of one.
    prompt : bytes
        What to continue; an empty one starts a new document.
    max_new_bytes : int
        At most that many bytes.
    temperature, top_p : float
        See :func:`choose_byte`.
    seed : int
        Of the choice of bytes. The same seed, weights and machine give the same text. (Sampled scores have their own,
        :meth:`Model.with_attention`'s.)

    Raises
    ------
    InputError
        A parameter out of range.

    Notes
    -----
    When the window of ``config.context`` bytes is full, its last half is read again at positions from 0, so the cost per
    byte stays bounded and the model always sees at least half a window.
    """
    if isinstance(max_new_bytes, bool) or not isinstance(max_new_bytes, int) or max_new_bytes < 0:
        raise InputError(f"[generate] max_new_bytes must be an integer of at least 0, got {max_new_bytes!r}")
    if not 0 <= temperature < float("inf") or not 0 < top_p <= 1:
        raise InputError(f"[generate] wanted a finite temperature >= 0 and 0 < top_p <= 1, got {temperature!r} and {top_p!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"[generate] seed must be an integer of at least 0, got {seed!r}")
    return _stream(model, prompt, max_new_bytes, temperature, top_p, np.random.default_rng(seed))


def _stream(model: Model, prompt: bytes, max_new_bytes: int, temperature: float, top_p: float, rng: np.random.Generator) -> Iterator[int]:
    context = model.config.context
    history = bytearray(prompt or bytes([SEPARATOR]))
    cache = None
    for _ in range(max_new_bytes):
        if cache is None or cache.length >= context:
            kept = history if len(history) < context else history[-max(1, context // 2) :]
            logits, cache = model.prefill(bytes(kept))
        else:
            logits = model.decode(history[-1], cache)
        byte = choose_byte(model.to_host(logits), temperature=temperature, top_p=top_p, rng=rng)
        if byte == SEPARATOR:
            return
        history.append(byte)
        yield byte


def stream(model: Model, prompt: AnyStr, **options: Any) -> Iterator[AnyStr]:
    """Yield the continuation in pieces of the prompt's type; options as :func:`stream_bytes`."""
    _check_prompt(prompt)
    if isinstance(prompt, str):
        return _decode(stream_bytes(model, prompt.encode(errors="replace"), **options))
    return (bytes([byte]) for byte in stream_bytes(model, bytes(prompt), **options))


def _decode(source: Iterator[int]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for byte in source:
        if piece := decoder.decode(bytes([byte])):
            yield piece
    if piece := decoder.decode(b"", final=True):
        yield piece


def generate(model: Model, prompt: AnyStr, **options: Any) -> AnyStr:
    """Return the whole continuation in the prompt's type; options as :func:`stream_bytes`."""
    _check_prompt(prompt)
    if isinstance(prompt, str):
        return "".join(stream(model, prompt, **options))
    return bytes(stream_bytes(model, bytes(prompt), **options))


def _check_prompt(prompt: object) -> None:
    if not isinstance(prompt, (str, bytes, bytearray)):
        raise InputError(f"[generate] prompt must be str or bytes, got {type(prompt).__name__}")
