# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Read a model's checkpoint, and refuse one that is not whole: everything is checked before anything is used."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flashket.errors import InputError
from flashket.llm.config import ModelConfig

FORMAT = "flashket-llm-1"
BUNDLED = ("softmax", "amplitude", "angle")
"""Names :func:`flashket.llm.load` knows without a path."""

_CHOICES = {
    "attention": ("softmax", "amplitude", "angle"),
    "similarity": ("fidelity", "hadamard"),
    "normalization": ("softmax", "sum"),
}
_LARGEST = {"context": 1 << 16, "vocabulary": 256}
"""Fields that no tensor's size bounds."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint: its configuration, its tensors in float32, and the SHA-256 of its file."""

    config: ModelConfig
    tensors: dict[str, npt.NDArray[np.float32]]
    sha256: str


def bundled_path(name: str) -> Path:
    """Return where a bundled checkpoint lies."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


def read_sums(folder: Path) -> dict[str, str]:
    """Read a folder's SHA256SUMS (the format of ``sha256sum``): file name to hexadecimal digest.

    Raises
    ------
    InputError
        The list is missing or a line is not "digest  name".
    """
    path = folder / "SHA256SUMS"
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise InputError(f"[checksums] {path}: {error.strerror}; install flashket again") from error
    sums = {}
    for line in lines:
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise InputError(f"[checksums] {path}: wanted lines 'digest  name', got {line!r}; install flashket again")
        sums[name] = digest
    return sums


def read_checkpoint(path: Path, *, is_bundled: bool) -> Checkpoint:
    """Read and check a safetensors checkpoint.

    Parameters
    ----------
    path : Path
        The file.
    is_bundled : bool
        Whether the folder's SHA256SUMS must list it.

    Returns
    -------
    Checkpoint
        Tensors widened to float32.

    Raises
    ------
    InputError
        The file is missing, cut, altered, of another format, or a tensor has the wrong shape, type or a value that is not finite.
    """
    from safetensors import SafetensorError, safe_open

    def refuse(reason: str) -> InputError:
        return InputError(f"[llm] checkpoint {path}: {reason}")

    if not path.is_file():
        raise refuse(f"no such file; bundled models are {', '.join(BUNDLED)}")
    try:
        # safe_open maps the file and compares the header's claims with its size before anything is allocated.
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise refuse(f"wanted format {FORMAT}, got {metadata.get('format')!r}; write it with python -m flashket.llm.train")
            try:
                config = parse_config(metadata.get("config", ""))
            except ValueError as error:
                raise refuse(str(error)) from error
            wanted, names = tensor_shapes(config), set(file.keys())
            if names != set(wanted):
                raise refuse(f"tensors missing: {sorted(set(wanted) - names)}, not expected: {sorted(names - set(wanted))}")
            tensors = {}
            for name, shape in wanted.items():
                view = file.get_slice(name)
                if tuple(view.get_shape()) != shape or view.get_dtype() not in ("F16", "F32"):
                    raise refuse(f"{name} must be {shape} in F16 or F32, got {tuple(view.get_shape())} in {view.get_dtype()}")
                tensors[name] = np.asarray(file.get_tensor(name), dtype=np.float32)
                if not np.isfinite(tensors[name]).all():
                    raise refuse(f"{name} holds NaN or infinity")
        sha256 = _file_hash(path)
        if is_bundled and read_sums(path.parent).get(path.name) != sha256:
            raise refuse("differs from its SHA256SUMS; install flashket again")
    except SafetensorError as error:
        raise refuse(f"damaged ({error}); copy it again") from error
    except OSError as error:
        raise refuse(f"not readable ({error.strerror or error})") from error
    return Checkpoint(config, tensors, sha256)


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def parse_config(text: str) -> ModelConfig:
    """Read a :class:`ModelConfig` from JSON, checking names, types and ranges.

    Raises
    ------
    ValueError
        With the reason; the caller adds the file's name.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"its configuration is not JSON ({error})") from error
    fields = {field.name: field for field in dataclasses.fields(ModelConfig)}
    if not isinstance(values, dict) or "attention" not in values or set(values) - set(fields):
        raise ValueError(f"its configuration must be an object with the names {sorted(fields)}, got {text[:80]!r}")
    for name, value in values.items():
        kind = fields[name].type
        if kind == "str" and value not in _CHOICES[name]:
            raise ValueError(f"{name} must be one of {_CHOICES[name]}, got {value!r}")
        if kind == "int" and (type(value) is not int or not 1 <= value <= _LARGEST.get(name, 1 << 20)):
            raise ValueError(f"{name} must be an integer from 1 to {_LARGEST.get(name, 1 << 20)}, got {value!r}")
        if kind == "float" and (type(value) not in (int, float) or not 0 <= value < float("inf")):
            raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    config = ModelConfig(**values)
    if config.d_model % config.n_heads or (config.attention != "angle" and config.score_dim % 2):
        raise ValueError(f"d_model must be a multiple of n_heads and score_dim even for rotary positions, got {config}")
    return config


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a model's tensors, those of :class:`flashket.llm.train.Transformer`."""
    width, score_width = config.d_model, config.n_heads * config.score_dim
    rates = config.score_dim if config.attention == "angle" else config.score_dim // 2
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (config.vocabulary, width),
        "norm": (width,),
        "head.weight": (config.vocabulary, width),
    }
    block: dict[str, tuple[int, ...]] = {
        "attention_norm": (width,),
        "convolution": (config.convolution, width),
        "attention.query.weight": (score_width, width),
        "attention.key.weight": (score_width, width),
        "attention.value.weight": (width, width),
        "attention.output.weight": (width, width),
        "attention.log_temperature": (),
        "attention.position_rate": (config.n_heads, rates),
        "mlp_norm": (width,),
        "up.weight": (config.d_mlp, width),
        "down.weight": (width, config.d_mlp),
    }
    for layer in range(config.n_layers):
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in block.items()}
    return shapes
