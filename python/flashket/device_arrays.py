# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Device arrays of CuPy, torch and JAX: taken by DLPack on the caller's current stream, results given back in the same library.

A library is asked for only where it is already loaded: an array of it cannot exist before. What differs between them is one class
each; what the calls need of an array is :class:`DeviceArray`.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, TypeAlias

import numpy as np

from flashket.arrays import FLOAT32, FLOAT64, Array, may_overlap_itself, share_memory
from flashket.errors import InputError, ResourceLimit, explanation
from flashket.memory import format_bytes

BFLOAT16 = "bfloat16"
"""NumPy has no such dtype, so its name stands for it."""

DType: TypeAlias = Any
"""numpy.dtype, or BFLOAT16."""

_DEVICES = {2, 13}
"""DLPack device types that the CUDA backend reads: CUDA memory, CUDA managed memory."""

_HOST = 1
_COMPUTED_IN: dict[DType, np.dtype[Any]] = {np.dtype(np.float16): FLOAT32, BFLOAT16: FLOAT32, FLOAT32: FLOAT32, FLOAT64: FLOAT64}


@dataclass(eq=False)
class DeviceArray:
    """What the calls need to know of an array in device memory.

    Parameters
    ----------
    source : object
        The library's array; holding it keeps the memory alive.
    library : Library
        Whose array it is.
    device : int
        CUDA's number of the device.
    shape, strides : tuple of int
        As NumPy's: strides in bytes.
    dtype : numpy.dtype or BFLOAT16
    itemsize : int
        Bytes of an element.
    address : int
        Of the first element.
    """

    source: Any
    library: Library
    device: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType
    itemsize: int
    address: int

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def has_contiguous_rows(self) -> bool:
        """Whether the elements of the last axis lie next to each other."""
        return self.shape[-1] <= 1 or self.strides[-1] == self.itemsize

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        expected = self.itemsize
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if length > 1 and stride != expected:
                return False
            expected *= length
        return True

    def computed_in(self, place: str, name: str) -> np.dtype[Any]:
        """Return float32 or float64, what such numbers are computed in; refuse what is not a real number."""
        found = _COMPUTED_IN.get(self.dtype)
        if found is None:
            wanted = f"{name} must hold real numbers (on a device float16, bfloat16, float32 or float64)"
            raise InputError(explanation(place, wanted, self.dtype, "convert it on the device"))
        return found

    def with_contiguous_rows(self, place: str, name: str) -> DeviceArray:
        """Return itself, or a copy by its library where the last axis is not contiguous, which kernels need."""
        return self if self.has_contiguous_rows else self.library.adopt(self.library.contiguous(self.source), place, name)

    def addresses(self) -> Array:
        """Return an array of the same addresses, whose elements must not be read: NumPy knows whether two of them overlap."""
        return np.asarray(_Addresses(self))

    def place(self) -> tuple[int, int, Any, bool]:
        """Return what the device module calls a place: device, stream, allocator, whether it is the host's memory."""
        return self.device, self.library.stream(self.device), self.library.allocator(self.device), False

    def capsule(self) -> Any:
        """Return the array as a DLPack capsule, ordered after what the caller's stream holds."""
        return self.library.capsule(self.source)

    def text(self) -> str:
        """Return where the array lives, for errors."""
        return f"{self.library.title} on device {self.device}"


class _Addresses:
    def __init__(self, array: DeviceArray) -> None:
        self.__array_interface__ = {
            "version": 3,
            "shape": array.shape,
            "strides": array.strides,
            "typestr": "|u1" if array.itemsize == 1 else f"<u{array.itemsize}" if array.itemsize <= 8 else "<c16",
            "data": (array.address, False),
        }


class Library(ABC):
    """What is asked of a library of device arrays."""

    title: ClassVar[str]
    module_name: ClassVar[str]
    can_write: ClassVar[bool] = True
    """Whether arrays may be written, so that ``out`` can be given."""

    @property
    def module(self) -> ModuleType:
        """The library, which is loaded."""
        return sys.modules[self.module_name]

    def owns(self, value: Any) -> bool:
        """Say whether a value is an array of this library."""
        module = sys.modules.get(self.module_name)
        # A module that is still being imported by another thread has no types yet.
        return module is not None and isinstance(value, self.types(module))

    @staticmethod
    @abstractmethod
    def types(module: Any) -> Any:
        """Return the type of arrays."""

    @abstractmethod
    def adopt(self, value: Any, place: str, name: str) -> DeviceArray:
        """Describe an array; refuse one whose memory does not say what the array means."""

    @abstractmethod
    def stream(self, device: int) -> int:
        """Return the caller's current stream."""

    @abstractmethod
    def allocator(self, device: int) -> Any:
        """Return (allocate, release) of the library's pool for that stream, or None."""

    @abstractmethod
    def capsule(self, source: Any) -> Any:
        """Return a DLPack capsule that is right on the caller's stream."""

    @abstractmethod
    def contiguous(self, source: Any) -> Any:
        """Return a C-contiguous copy, made on the caller's stream."""

    @abstractmethod
    def cast(self, source: Any, dtype: np.dtype[Any]) -> Any:
        """Return a contiguous array of a dtype, on the caller's stream."""

    @abstractmethod
    def lengths(self, source: Any, largest: int) -> Any:
        """Return int64 numbers in 0..largest, on the caller's stream: nobody reads them on the host to refuse others."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: DType, device: int) -> Any:
        """Return an uninitialised contiguous array; MemoryError where it does not fit."""

    @abstractmethod
    def zero(self, source: Any) -> None:
        """Fill an array with zeros on the caller's stream."""

    @abstractmethod
    def to_host(self, source: Any) -> Array:
        """Return a copy in host memory; waits."""

    def hold(self, place: tuple[int, int, Any, bool], inputs: tuple[DeviceArray, ...]) -> Any:
        """Keep inputs until the work that was put on the stream is done, where the library's memory does not follow streams."""
        return None

    def finish(self, source: Any, inputs: tuple[DeviceArray, ...]) -> Any:
        """Return the library's array of a written result; called after the work was put on the stream."""
        return source


def adopt(value: Any, place: str, name: str, backend: str) -> DeviceArray | None:
    """Return an array in device memory as the calls need it, None for one in host memory.

    Parameters
    ----------
    value : object
        Anything with ``__dlpack_device__``.
    place, name : str
        The function and argument to name in the error.
    backend : str
        As given: only ``backend="cuda"`` reaches the emulated device, whose memory is the host's.

    Raises
    ------
    InputError
        For device memory of a library that is not CuPy, torch or JAX, and for tensors that cannot be read as they lie.
    """
    try:
        device_type = int(value.__dlpack_device__()[0])
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        do = "detach it, bring it to the host and convert it to float32 or float64"
        wanted = f"{name} must be exportable by DLPack"
        raise InputError(explanation(place, wanted, f"{type(value).__name__} ({error})", do)) from error
    if device_type == _HOST and not (backend == "cuda" and _is_emulated()):
        return None
    for library in LIBRARIES:
        if library.owns(value):
            return library.adopt(value, place, name) if device_type in (*_DEVICES, _HOST) else None
    if device_type not in _DEVICES:
        return None
    got = f"device memory (DLPack device type {device_type})"
    do = "copy it to the host first, or to one of those, e.g. cupy.from_dlpack(x)"
    raise InputError(explanation(place, f"{name} must be in host memory, or an array of CuPy, torch or JAX", got, do))


def _is_emulated() -> bool:
    from flashket.backends.cuda import CUDA

    return CUDA.is_emulated


def check_together(named: list[tuple[str, Any]], place: str) -> None:
    """Refuse arrays that are not all of one library on one device."""
    first_name, first = named[0]
    for name, array in named[1:]:
        both = isinstance(first, DeviceArray) and isinstance(array, DeviceArray)
        if both and first.library is array.library and first.device == array.device:
            continue
        where = [each.text() if isinstance(each, DeviceArray) else "host memory" for each in (first, array)]
        if where[0] != where[1]:
            got = f"{first_name} in {where[0]} and {name} in {where[1]}"
            wanted = f"{first_name} and {name} must be in the same memory, of one library on one device"
            raise InputError(explanation(place, wanted, got, "move one to the other"))


def result_array(
    out: Any, shape: tuple[int, ...], dtype: DType, inputs: tuple[DeviceArray, ...], place: str, also: tuple[DeviceArray, ...] = ()
) -> DeviceArray:
    """Return where the result goes: the caller's ``out``, checked, or a new array of the inputs' library.

    Parameters
    ----------
    out : object
        As given; None makes a new array.
    shape, dtype
        Of the result.
    inputs, also : tuple of DeviceArray
        What the result must not overlap; the first of the inputs says where it lives.
    place : str
        The function to name in the error.
    """
    like = inputs[0]
    library = like.library
    if out is None:
        try:
            return library.adopt(library.empty(shape, dtype, like.device), place, "out")
        except MemoryError as error:
            raise _does_not_fit(shape, dtype, like.device, place) from error
    do = f"pass an array of shape {shape} and {dtype} in {like.text()}, or leave it out"
    if not library.can_write:
        raise InputError(explanation(place, f"out must be None for {library.title}", type(out).__name__, "its arrays never change"))
    if not library.owns(out):
        raise InputError(explanation(place, f"out must be in {like.text()} like the inputs", type(out).__name__, do))
    result = library.adopt(out, place, "out")
    if result.device != like.device:
        raise InputError(explanation(place, f"out must be in {like.text()} like the inputs", result.text(), do))
    if result.shape != shape:
        raise InputError(explanation(place, f"out must have shape {shape}", result.shape, do))
    if result.dtype != dtype:
        raise InputError(explanation(place, f"out must be {dtype} like the result", result.dtype, do))
    memory = result.addresses()
    if result.size and (not result.has_contiguous_rows or may_overlap_itself(memory)):
        wanted = "out must have a contiguous last axis and give every element its own memory"
        raise InputError(explanation(place, wanted, f"strides {result.strides} in bytes", do))
    for array in (*inputs, *also):
        if share_memory(memory, array.addresses()):
            raise InputError(explanation(place, "out must not overlap an input", "shared memory", do))
    return result


def _does_not_fit(shape: tuple[int, ...], dtype: DType, device: int, place: str) -> ResourceLimit:
    from flashket.backends.cuda import CUDA

    asked = math.prod(shape) * _itemsize(dtype)
    wanted = f"a result of shape {shape} and {dtype} needs {format_bytes(asked)} on device {device}"
    return ResourceLimit(explanation(place, wanted, f"{format_bytes(CUDA.free_bytes(device))} free", "work in blocks of rows"))


def _dtype(name: str) -> DType:
    """Return the dtype of a library's dtype name."""
    if name == BFLOAT16:
        return BFLOAT16
    try:
        return np.dtype(name)
    except TypeError:
        return name  # e.g. float8_e5m2: only its name is wanted, for the refusal


def _itemsize(dtype: DType) -> int:
    """Return the bytes of an element; 1 for a dtype that NumPy does not know, which is refused by its name."""
    return int(dtype.itemsize) if isinstance(dtype, np.dtype) else 2 if dtype == BFLOAT16 else 1


class Torch(Library):
    """torch.Tensor."""

    title = "torch"
    module_name = "torch"

    @staticmethod
    def types(module: Any) -> Any:
        """Return torch.Tensor."""
        return getattr(module, "Tensor", ())

    def adopt(self, value: Any, place: str, name: str) -> DeviceArray:
        """Describe a tensor: gradients are refused, lazily negated ones are negated now."""
        if value.requires_grad:
            do = "call .detach(); gradients do not flow through this function"
            raise InputError(explanation(place, f"{name} must not require a gradient", "a tensor with requires_grad", do))
        if value.is_neg() and name != "out":
            value = value.resolve_neg()
        if value.is_conj() or value.is_neg():
            got = "a lazily conjugated or negated tensor"
            raise InputError(explanation(place, f"{name} must be stored as it reads", got, "call .resolve_conj().resolve_neg() first"))
        if value.layout is not self.module.strided:
            raise InputError(explanation(place, f"{name} must be dense", f"layout {value.layout}", "call .to_dense() first"))
        itemsize = value.element_size()
        return DeviceArray(
            source=value,
            library=self,
            device=value.device.index or 0,
            shape=tuple(value.shape),
            strides=tuple(stride * itemsize for stride in value.stride()),
            dtype=_dtype(str(value.dtype).removeprefix("torch.")),
            itemsize=itemsize,
            address=value.data_ptr(),
        )

    def stream(self, device: int) -> int:
        """Return torch.cuda.current_stream."""
        return 0 if _is_emulated() else int(self.module.cuda.current_stream(device).cuda_stream)

    def allocator(self, device: int) -> Any:
        """Return torch's caching allocator."""
        if _is_emulated():
            return None
        memory = self.module.cuda.memory
        out_of_memory = self.module.cuda.OutOfMemoryError

        def allocate(n_bytes: int, stream: int) -> int:
            try:
                return int(memory.caching_allocator_alloc(n_bytes, device, stream))
            except out_of_memory:
                return 0

        return allocate, lambda address, n_bytes, stream: memory.caching_allocator_delete(address)

    def capsule(self, source: Any) -> Any:
        """Return a capsule; the work goes on torch's own stream, so nothing has to be ordered."""
        return self.module.utils.dlpack.to_dlpack(source)

    def contiguous(self, source: Any) -> Any:
        """Return a contiguous copy."""
        return source.contiguous()

    def cast(self, source: Any, dtype: np.dtype[Any]) -> Any:
        """Return a contiguous tensor of a dtype."""
        return source.to(getattr(self.module, dtype.name)).contiguous()

    def lengths(self, source: Any, largest: int) -> Any:
        """Return clamped int64 numbers."""
        return source.to(self.module.int64).clamp(0, largest).contiguous()

    def empty(self, shape: tuple[int, ...], dtype: DType, device: int) -> Any:
        """Return torch.empty."""
        where = "cpu" if _is_emulated() else f"cuda:{device}"
        try:
            return self.module.empty(shape, dtype=getattr(self.module, str(dtype)), device=where)
        except RuntimeError as error:
            # CUDA's is torch.OutOfMemoryError, the host's a RuntimeError that says so.
            if isinstance(error, self.module.cuda.OutOfMemoryError) or "memory" in str(error) or "size" in str(error):
                raise MemoryError(str(error)) from error
            raise

    def zero(self, source: Any) -> None:
        """Fill with zeros."""
        source.zero_()

    def to_host(self, source: Any) -> Array:
        """Return a NumPy copy."""
        return np.asarray(source.cpu().numpy())


class CuPy(Library):
    """cupy.ndarray."""

    title = "CuPy"
    module_name = "cupy"

    @staticmethod
    def types(module: Any) -> Any:
        """Return cupy.ndarray."""
        return getattr(module, "ndarray", ())

    def adopt(self, value: Any, place: str, name: str) -> DeviceArray:
        """Describe an array."""
        dtype, itemsize, device = _dtype(value.dtype.name), int(value.dtype.itemsize), int(value.device.id)
        if dtype == BFLOAT16:
            raise InputError(explanation(place, f"{name} must be of a dtype that CuPy exports", BFLOAT16, "pass torch's array, or cast it"))
        return DeviceArray(value, self, device, tuple(value.shape), tuple(value.strides), dtype, itemsize, int(value.data.ptr))

    def stream(self, device: int) -> int:
        """Return cupy.cuda.get_current_stream."""
        with self.module.cuda.Device(device):
            return int(self.module.cuda.get_current_stream().ptr)

    def allocator(self, device: int) -> Any:
        """Return the current allocator, CuPy's pool unless the caller chose another."""
        cuda = self.module.cuda
        held: dict[int, Any] = {}

        def allocate(n_bytes: int, stream: int) -> int:
            # The pool keeps an arena for each stream and takes the current one's, which is the call's.
            try:
                with cuda.Device(device):
                    memory = cuda.alloc(n_bytes)
            except cuda.memory.OutOfMemoryError:
                return 0
            held[int(memory.ptr)] = memory
            return int(memory.ptr)

        return allocate, lambda address, n_bytes, stream: held.pop(address)

    def capsule(self, source: Any) -> Any:
        """Return a capsule; -1: the work goes on the current stream, so nothing has to be ordered."""
        return source.__dlpack__(stream=-1)

    def contiguous(self, source: Any) -> Any:
        """Return a contiguous copy."""
        return self.module.ascontiguousarray(source)

    def cast(self, source: Any, dtype: np.dtype[Any]) -> Any:
        """Return a contiguous array of a dtype."""
        return self.module.ascontiguousarray(source, dtype=dtype)

    def lengths(self, source: Any, largest: int) -> Any:
        """Return clipped int64 numbers."""
        return self.module.ascontiguousarray(self.module.clip(source, 0, largest), dtype=np.int64)

    def empty(self, shape: tuple[int, ...], dtype: DType, device: int) -> Any:
        """Return cupy.empty."""
        try:
            with self.module.cuda.Device(device):
                return self.module.empty(shape, dtype=dtype)
        except self.module.cuda.memory.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error

    def zero(self, source: Any) -> None:
        """Fill with zeros."""
        source.fill(0)

    def to_host(self, source: Any) -> Array:
        """Return a NumPy copy."""
        return np.asarray(source.get())


class Jax(Library):
    """jax.Array. JAX does not tell its streams, so the work goes on the legacy default stream, ordered by events both ways; what JAX
    may free is held until the work that reads it is done."""

    title = "JAX"
    module_name = "jax"
    can_write = False

    def __init__(self) -> None:
        self._held: list[tuple[Any, tuple[DeviceArray, ...]]] = []

    @staticmethod
    def types(module: Any) -> Any:
        """Return jax.Array."""
        return getattr(module, "Array", ())

    def adopt(self, value: Any, place: str, name: str) -> DeviceArray:
        """Describe an array, which is contiguous."""
        if isinstance(value, _Produced):
            return value.array
        # The address is asked of arrays that a result could overlap; JAX's are never written, and asking might wait.
        return self._described(value, int(value.__dlpack_device__()[1]), tuple(value.shape), _dtype(value.dtype.name), 0)

    def _described(self, source: Any, device: int, shape: tuple[int, ...], dtype: DType, address: int) -> DeviceArray:
        itemsize = _itemsize(dtype)
        strides = tuple(itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        return DeviceArray(source, self, device, shape, strides, dtype, itemsize, address)

    def stream(self, device: int) -> int:
        """Return the legacy default stream."""
        return 0

    def allocator(self, device: int) -> Any:
        """Return None: JAX does not lend its memory."""
        return None

    def capsule(self, source: Any) -> Any:
        """Return a capsule that the legacy default stream, 1 in DLPack, waits for."""
        if isinstance(source, _Produced):
            return source.memory.__dlpack__()
        return source.__dlpack__(stream=None if _is_emulated() else 1)

    def contiguous(self, source: Any) -> Any:
        """Return the array."""
        return source

    def cast(self, source: Any, dtype: np.dtype[Any]) -> Any:
        """Return an array of a dtype."""
        return source.astype(dtype)

    def lengths(self, source: Any, largest: int) -> Any:
        """Return clipped int64 numbers, which JAX has only where 64-bit types are switched on."""
        clipped = self.module.numpy.clip(source, 0, largest)
        if clipped.dtype.name != "int64":
            do = "pass it as a NumPy array"
            raise InputError(explanation("attention", "kv_lens of JAX must be int64", clipped.dtype, do))
        return clipped

    def empty(self, shape: tuple[int, ...], dtype: DType, device: int) -> Any:
        """Return memory that JAX will own."""
        from flashket.backends.cuda import CUDA

        produced = _Produced()
        produced.memory, address = CUDA.module().empty(shape, str(dtype), False, (device, 0, None, False))
        produced.array = self._described(produced, device, shape, dtype, address)
        return produced

    def zero(self, source: Any) -> None:
        """Fill with zeros."""
        from flashket.backends.cuda import CUDA

        CUDA.module().zero(source.memory, source.array.place())

    def to_host(self, source: Any) -> Array:
        """Return a NumPy copy."""
        return np.asarray(source)

    def hold(self, place: tuple[int, int, Any, bool], inputs: tuple[DeviceArray, ...]) -> Any:
        """Return an event after which the inputs are let go."""
        from flashket.backends.cuda import CUDA

        event = CUDA.module().Event(place)
        self._held = [*((done, arrays) for done, arrays in self._held if not done.is_done()), (event, inputs)]
        return event

    def finish(self, source: Any, inputs: tuple[DeviceArray, ...]) -> Any:
        """Return the result as a jax.Array, and hold the inputs until the work is done."""
        source.event = self.hold(source.array.place(), inputs)
        import jax.dlpack

        return jax.dlpack.from_dlpack(source)


class _Produced:
    """A result on its way to JAX: it makes JAX's stream wait for the work."""

    memory: Any
    array: DeviceArray
    event: Any

    def __dlpack_device__(self) -> Any:
        return self.memory.__dlpack_device__()

    def __dlpack__(self, *, stream: int | None = None, **options: Any) -> Any:
        if stream is not None and stream != -1:
            self.event.block(stream)
        return self.memory.__dlpack__()


LIBRARIES: tuple[Library, ...] = (Torch(), CuPy(), Jax())
