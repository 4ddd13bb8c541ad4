# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Inference of the byte-level models: prefill and KV-cache decode, with :func:`flashket.attention` as the only attention.

It is the inference twin of :class:`flashket.llm.train.Transformer`, in float32. Array operations go through one
namespace, :attr:`Model.xp`, and stay inside what NumPy and CuPy share: on a GPU everything but the tokens stays there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, AnyStr, TypeAlias

import numpy as np
import numpy.typing as npt

from flashket.attention import attention
from flashket.controls import ScaledDot, Uniform
from flashket.errors import BackendUnavailable, InputError
from flashket.feature_maps.amplitude import Amplitude
from flashket.feature_maps.angle import Angle
from flashket.kernels import Fidelity, HadamardTest, Kernel
from flashket.llm.checkpoint import BUNDLED, Checkpoint, bundled_path, read_checkpoint

if TYPE_CHECKING:
    from flashket.llm.config import ModelConfig
    from flashket.noise.model import NoiseModel

Array: TypeAlias = Any
"""An array of :attr:`Model.xp`'s library."""

_RMS_EPSILON = 1e-6


def array_module(device: str) -> Any:
    """Return the array library that models run on: NumPy for "cpu", CuPy for "cuda".

    Raises
    ------
    InputError
        For another name.
    BackendUnavailable
        Without a GPU, flashket_cuda or CuPy, with the reason and what would change that.

    Examples
    --------
    >>> array_module("cpu").__name__
    'numpy'
    """
    if device == "cpu":
        return np
    place = "llm"
    if device != "cuda":
        raise InputError(f'[{place}] device must be "cpu" or "cuda", got {device!r}')
    from flashket.backends.cuda import CUDA

    if not CUDA.available or CUDA.is_emulated:
        raise BackendUnavailable(f"[{place}] device cuda: {CUDA.reason}")
    try:
        import cupy
    except ImportError as error:
        raise BackendUnavailable(f"[{place}] device cuda: CuPy does not load ({error}); run: pip install cupy-cuda13x") from error
    return cupy


def load(name: str | Path, *, device: str = "cpu") -> Model:
    """Load a bundled model ("softmax", "amplitude" or "angle") or a checkpoint file.

    Parameters
    ----------
    name : str or Path
        One of :data:`BUNDLED`, or the path of a safetensors checkpoint written by ``python -m flashket.llm.train``.
    device : str
        "cpu", or "cuda" to run on the current GPU with CuPy.

    Returns
    -------
    Model
        Weights in float32 (stored as float16: 2 bytes a parameter on disk, 4 in memory).

    Raises
    ------
    InputError
        The file is missing, damaged, or not a checkpoint of this format. The text names the file and the reason.
    BackendUnavailable
        As :func:`array_module`.

    Examples
    --------
    >>> from flashket import llm
    >>> llm.load("softmax").config.context
    512
    """
    xp = array_module(device)
    if isinstance(name, str) and name in BUNDLED:
        return Model(read_checkpoint(bundled_path(name), is_bundled=True), name=name, xp=xp)
    path = Path(name)
    return Model(read_checkpoint(path, is_bundled=False), name=path.stem, xp=xp)


def trained_kernel(config: ModelConfig) -> Kernel:
    """Return the attention score a model was trained with.

    Examples
    --------
    >>> from flashket.llm.config import PRESETS
    >>> trained_kernel(PRESETS["angle"]).feature_map.n_qubits
    8
    """
    if config.attention == "softmax":
        return ScaledDot(config.score_dim)
    feature_map: Amplitude | Angle
    if config.attention == "amplitude":
        feature_map = Amplitude(config.score_dim, bias=config.bias)
    else:
        feature_map = Angle(config.score_dim, bandwidth=config.bandwidth)
    return (HadamardTest if config.similarity == "hadamard" else Fidelity)(feature_map, power=config.power)


class KVCache:
    """Keys, values and convolution tails of one batch of sequences, allocated once.

    Per layer: ``keys`` (B, H, capacity, score_dim), ``values`` (B, H, capacity, d_model / H) and ``tails``
    (B, convolution - 1, d_model), the last inputs of the causal convolution. ``length`` positions are filled.

    Examples
    --------
    >>> import flashket.llm
    >>> logits, cache = flashket.llm.load("softmax").prefill(b"import os")
    >>> logits.shape, cache.length
    ((256,), 9)
    """

    def __init__(self, config: ModelConfig, *, batch: int, capacity: int, xp: Any = np) -> None:
        heads, width = config.n_heads, config.d_model
        self.keys = xp.empty((config.n_layers, batch, heads, capacity, config.score_dim), dtype=xp.float32)
        self.values = xp.empty((config.n_layers, batch, heads, capacity, width // heads), dtype=xp.float32)
        self.tails = xp.zeros((config.n_layers, batch, config.convolution - 1, width), dtype=xp.float32)
        self.capacity = capacity
        self.length = 0

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(self.keys.nbytes + self.values.nbytes + self.tails.nbytes)


class Model:
    """A byte-level decoder-only transformer, ready to run. Immutable; :meth:`with_attention` makes variants.

    Parameters
    ----------
    checkpoint : Checkpoint
        Configuration and checked float32 tensors, from :func:`flashket.llm.checkpoint.read_checkpoint`.
    name : str
        What tables call it.
    xp : module
        The array library, NumPy or CuPy, that holds the weights and runs everything; see :func:`array_module`.

    Notes
    -----
    One forward pass of L bytes costs about 2 flop per parameter and byte plus the attention: n_layers * n_heads * L^2 / 2 scores.

    Examples
    --------
    >>> import flashket.llm
    >>> flashket.llm.load("amplitude").with_attention(shots=1000, seed=1).kernel
    HadamardTest(Amplitude(32))
    """

    def __init__(self, checkpoint: Checkpoint, *, name: str, xp: Any = np) -> None:
        config = checkpoint.config
        self.xp = xp
        self.name = name
        self.config = config
        self.sha256 = checkpoint.sha256
        self.kernel = trained_kernel(config)
        self.normalization = config.normalization
        self.shots: int | None = None
        self.noise: NoiseModel | None = None
        self.seed = 0
        tensors = {key: xp.asarray(value) for key, value in checkpoint.tensors.items()}
        self.n_parameters = sum(int(value.size) for value in tensors.values())
        self._embedding = tensors["embedding"]
        self._norm = tensors["norm"]
        self._head = tensors["head.weight"].T
        self._layers = [_Layer(config, tensors, layer, xp) for layer in range(config.n_layers)]
        self._temperatures = [layer.temperature for layer in self._layers]
        self._layer_seeds = [0] * config.n_layers

    def __repr__(self) -> str:
        shots = "" if self.shots is None else f", shots={self.shots}, seed={self.seed}"
        noise = "" if self.noise is None else f", noise={self.noise!r}"
        return f"Model({self.name!r}, {self.n_parameters:,} parameters, kernel={self.kernel!r}{shots}{noise})"

    def with_attention(self, *, kernel: Kernel | str | None = None, shots: int | None = None, noise: Any = None, seed: int = 0) -> Model:
        """Return the same weights with another attention; nothing is trained again.

        Parameters
        ----------
        kernel : Kernel, "uniform" or None
            Replaces the trained score. "uniform" weighs all visible positions alike, the control that shows what attention
            adds. A kernel must take ``config.score_dim`` features. None keeps this model's.
        shots : int or None
            Measurements per score; None is exact. Needs a quantum kernel.
        noise : str, path, NoiseModel or None
            A device, as for :func:`flashket.attention`. Needs a quantum kernel.
        seed : int
            Of the sampled scores, 0 <= seed < 2**64. Every layer gets its own stream from it.

        Returns
        -------
        Model
            Shares its weights with this one.

        Raises
        ------
        InputError
            Unknown kernel name, shots below 1, shots or noise for a classical score, or an unknown device.

        Examples
        --------
        >>> from flashket import llm
        >>> llm.load("angle").with_attention(shots=100, seed=7).shots
        100
        """
        variant = copy.copy(self)
        if kernel is not None:
            if isinstance(kernel, str):
                if kernel != "uniform":
                    raise InputError(f"[llm] kernel must be a Kernel or 'uniform', got {kernel!r}; see flashket.spec.parse_spec")
                kernel = Uniform(self.config.score_dim)
            variant.kernel = kernel
            # From what was trained, not from this variant: what an earlier "uniform" changed must not stay.
            variant.normalization, variant._temperatures = self.config.normalization, [layer.temperature for layer in self._layers]
            if isinstance(kernel, Uniform):
                variant.normalization, variant._temperatures = "sum", [1.0] * len(self._layers)
        if shots is not None:
            if isinstance(shots, bool) or not isinstance(shots, int) or shots < 1:
                raise InputError(f"[llm] shots must be an integer of at least 1 or None for exact scores, got {shots!r}")
            if variant.kernel.is_control:
                raise InputError(f"[llm] shots sample a quantum kernel, got {variant.kernel!r}; use shots=None for the classical control")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
            raise InputError(f"[llm] seed must be an integer in [0, 2**64), got {seed!r}")
        variant.noise = None
        if noise is not None:
            from flashket.noise.model import as_model, check_kernel

            check_kernel(variant.kernel, "llm")
            variant.noise = as_model(noise, "llm")
        variant.shots, variant.seed = shots, seed
        # The score's stream does not know its layer, so each layer needs a seed of its own. A spawn key is kept apart from the
        # seed; in a plain sequence a seed of two words could read as a shorter seed and a layer.
        sequences = [np.random.SeedSequence(seed, spawn_key=(i,)) for i in range(len(self._layers))]
        variant._layer_seeds = [int(sequence.generate_state(1, np.uint64)[0]) for sequence in sequences]
        return variant

    def logits(self, tokens: bytes | npt.ArrayLike) -> Array:
        """Return the next-byte logits after every position.

        Parameters
        ----------
        tokens : bytes or array of int, (L,) or (B, L)
            Bytes, 1 <= L <= ``config.context``.

        Returns
        -------
        array of float32, (L, 256) or (B, L, 256)
            Natural-log scale; softmax over the last axis is the distribution of the next byte.

        Raises
        ------
        InputError
            Wrong shape, values outside 0..255, or L outside the window.

        Examples
        --------
        >>> from flashket import llm
        >>> llm.load("softmax").logits(b"import ").shape
        (7, 256)
        """
        batch = self._check_tokens(tokens)
        cache = KVCache(self.config, batch=batch.shape[0], capacity=batch.shape[1], xp=self.xp)
        out = self._head_of(self._forward(batch, cache))
        return out if np.ndim(tokens) == 2 else out[0]

    def prefill(self, tokens: bytes | npt.ArrayLike) -> tuple[Array, KVCache]:
        """Read a prompt; return the logits after its last byte, (256,) or (B, 256), and the cache to :meth:`decode` with."""
        batch = self._check_tokens(tokens)
        cache = KVCache(self.config, batch=batch.shape[0], capacity=self.config.context, xp=self.xp)
        out = self._head_of(self._forward(batch, cache)[:, -1])
        return (out if np.ndim(tokens) == 2 else out[0]), cache

    def decode(self, token: int | npt.ArrayLike, cache: KVCache) -> Array:
        """Append one byte a sequence to ``cache`` (in place); return the logits after it, (256,) for an int, (B, 256) for (B,).

        Raises
        ------
        InputError
            The window is full: prefill again with fewer bytes.
        """
        column = np.asarray(token)
        if cache.length >= cache.capacity:
            raise InputError(f"[llm] the cache holds {cache.capacity} positions and is full; prefill again with the last bytes")
        batch = self._check_tokens(column.reshape(-1, 1))
        if batch.shape[0] != cache.keys.shape[1]:
            raise InputError(f"[llm] decode wants one byte for each of the {cache.keys.shape[1]} cached sequences, got {batch.shape[0]}")
        out = self._head_of(self._forward(batch, cache)[:, -1])
        return out if column.ndim else out[0]

    def generate(self, prompt: AnyStr, *, max_new_bytes: int = 200, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0) -> AnyStr:
        """Return the continuation of ``prompt``, without the prompt: str for str, bytes for bytes.

        See :func:`flashket.llm.generate.stream_bytes` for the parameters. A str is decoded as UTF-8, damaged sequences become U+FFFD.

        Examples
        --------
        >>> from flashket import llm
        >>> len(llm.load("softmax").generate(b"def fib(n):", max_new_bytes=5))
        5
        """
        from flashket.llm.generate import generate

        return generate(self, prompt, max_new_bytes=max_new_bytes, temperature=temperature, top_p=top_p, seed=seed)

    def stream(
        self, prompt: AnyStr, *, max_new_bytes: int = 200, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0
    ) -> Iterator[AnyStr]:
        """Yield the continuation piece by piece: characters for a str prompt, single bytes for bytes. Joined it is :meth:`generate`'s."""
        from flashket.llm.generate import stream

        return stream(self, prompt, max_new_bytes=max_new_bytes, temperature=temperature, top_p=top_p, seed=seed)

    def to_host(self, array: Array) -> npt.NDArray[Any]:
        """Return an array of :attr:`xp`, e.g. logits, as NumPy's; waits for a device."""
        return np.asarray(array if self.xp is np else self.xp.asnumpy(array))

    def _check_tokens(self, tokens: bytes | npt.ArrayLike) -> npt.NDArray[np.int64]:
        array = np.frombuffer(tokens, np.uint8) if isinstance(tokens, (bytes, bytearray)) else np.asarray(tokens)
        if array.ndim == 1:
            array = array[None]
        if array.ndim != 2 or array.dtype.kind not in "iu":
            raise InputError(f"[llm] tokens must be bytes or integers of shape (L,) or (B, L), got {array.dtype} of shape {array.shape}")
        if not 1 <= array.shape[1] <= self.config.context or array.shape[0] < 1:
            most = self.config.context
            raise InputError(f"[llm] tokens must hold 1 to {most} bytes a sequence, got shape {array.shape}; keep the last {most}")
        if int(array.min()) < 0 or int(array.max()) >= self.config.vocabulary:
            raise InputError(f"[llm] tokens must be bytes in 0..{self.config.vocabulary - 1}, got {array.min()}..{array.max()}")
        return array.astype(np.int64)

    def _head_of(self, x: Array) -> Array:
        return _rms_norm(self.xp, x, self._norm) @ self._head

    def _forward(self, tokens: npt.NDArray[np.int64], cache: KVCache) -> Array:
        """Return the residual stream after the last layer, (B, L, d_model), and extend the cache by L positions."""
        xp, config = self.xp, self.config
        n_batch, length = tokens.shape
        start, stop = cache.length, cache.length + length
        heads, score_width = config.n_heads, config.n_heads * config.score_dim
        taps = config.convolution
        x = self._embedding[xp.asarray(tokens)]
        tails = xp.empty_like(cache.tails)
        for i, layer in enumerate(self._layers):
            h = _rms_norm(xp, x, layer.attention_norm)
            padded = xp.concatenate((cache.tails[i], h), axis=1)
            for t in range(taps):  # tap t looks taps - 1 - t positions back
                h = h + padded[:, t : t + length] * layer.convolution[t]
            tails[i] = padded[:, length:]
            qkv = h @ layer.query_key_value

            def split(y: Array) -> Array:
                return y.reshape(n_batch, length, heads, -1).transpose(0, 2, 1, 3)

            query = layer.place(split(qkv[..., :score_width]), start)
            cache.keys[i, :, :, start:stop] = layer.place(split(qkv[..., score_width : 2 * score_width]), start)
            cache.values[i, :, :, start:stop] = split(qkv[..., 2 * score_width :])
            mixed = attention(
                query,
                cache.keys[i, :, :, :stop],
                cache.values[i, :, :, :stop],
                kernel=self.kernel,
                normalization=self.normalization,
                temperature=self._temperatures[i],
                causal=True,
                shots=self.shots,
                noise=self.noise,
                seed=None if self.shots is None else self._layer_seeds[i],
            )
            x = x + mixed.transpose(0, 2, 1, 3).reshape(n_batch, length, -1) @ layer.output
            h = _rms_norm(xp, x, layer.mlp_norm) @ layer.up
            xp.maximum(h, 0, out=h)
            h *= h
            x = x + h @ layer.down
        # Both only now: an interrupted call leaves the cache as it was. Keys and values beyond the length are never read.
        cache.tails[...], cache.length = tails, stop
        return x


class _Layer:
    """One block's weights, laid out for the runtime: one matrix makes queries, keys and values; positions are tables."""

    def __init__(self, config: ModelConfig, tensors: dict[str, Array], layer: int, xp: Any) -> None:
        def tensor(name: str) -> Array:
            return tensors[f"blocks.{layer}.{name}"]

        self.attention_norm, self.mlp_norm = tensor("attention_norm"), tensor("mlp_norm")
        self.convolution = tensor("convolution")
        projections = [tensor(f"attention.{name}.weight") for name in ("query", "key", "value")]
        self.query_key_value = xp.concatenate(projections, axis=0).T
        self.output = tensor("attention.output.weight").T
        self.up, self.down = tensor("up.weight").T, tensor("down.weight").T
        self.temperature = float(np.exp(np.float32(float(tensor("attention.log_temperature")))))
        self._half = config.score_dim // 2
        self._xp = xp
        # phase[head, position, rate]
        phase = xp.arange(config.context, dtype=xp.float32)[None, :, None] * tensor("attention.position_rate")[:, None, :]
        self._is_shift = config.attention == "angle"
        self._phase, self._cos, self._sin = phase, xp.cos(phase), xp.sin(phase)

    def place(self, x: Array, start: int) -> Array:
        """Give queries or keys (B, H, L, score_dim) their positions from ``start``: shifted angles, or rotary pairs."""
        stop = start + x.shape[2]
        if self._is_shift:
            return x + self._phase[:, start:stop]
        cos, sin = self._cos[:, start:stop], self._sin[:, start:stop]
        even, odd = x[..., : self._half], x[..., self._half :]
        return self._xp.concatenate((even * cos - odd * sin, even * sin + odd * cos), axis=-1)


def _rms_norm(xp: Any, x: Array, weight: Array) -> Array:
    return x * (1.0 / xp.sqrt((x * x).mean(axis=-1, keepdims=True) + _RMS_EPSILON)) * weight
