"""Weights: the tensors of a checkpoint file, one at a time.

* `model.safetensors`: every offset, shape and type of the header is checked against the file.
* `pytorch_model.bin`: the zip of PyTorch 1.6 and later, read without torch. Its pickle may name
  tensors and nothing else; whatever would run code is refused.
* Only the tensor that is asked for is in memory. Half precision comes out as float32.
"""

import hashlib
import io
import json
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import ModelError

HEADER_LIMIT = 16 * 1024 * 1024  # bytes, of a safetensors header or a pickle
WEIGHTS_LIMIT = 4 * 1024**3  # bytes
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1}
STORAGES = {
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ByteStorage": "U8",
    "BoolStorage": "U8",
}

Float = npt.NDArray[np.float32]
Open = Callable[[], io.BufferedIOBase]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor is: its type, its shape, its first byte and the one after its last."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Weights:
    """The tensors in a file, by name."""

    def __init__(self, open_: Open, entries: dict[str, Entry]) -> None:
        self._open = open_
        self.entries = entries

    def sha256(self) -> str:
        """Digest of the whole file."""
        with self._open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def read(self, name: str) -> Float:
        """Tensor `name` as float32. Raises ValueError: it holds no floats. KeyError."""
        entry = self.entries[name]
        with self._open() as file:
            file.seek(entry.start)
            raw = file.read(entry.stop - entry.start)
        if len(raw) != entry.stop - entry.start:
            raise ValueError(f"{name} ends early")
        if entry.dtype == "F32":
            values = np.frombuffer(raw, "<f4")
        elif entry.dtype == "F16":
            values = np.frombuffer(raw, "<f2").astype(np.float32)
        elif entry.dtype == "BF16":  # the upper half of a float32
            values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            raise ValueError(f"{name} has type {entry.dtype}, not a float")
        return values.reshape(entry.shape)


class _Header(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def safetensors(file: io.BufferedIOBase) -> dict[str, Entry]:
    """The tensors of a `model.safetensors`. Raises ValueError: it is damaged."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(HEADER_LIMIT, size - 8):
        raise ValueError("there is no whole header")
    raw = json.loads(file.read(length))
    if not isinstance(raw, dict):
        raise ValueError("the header is no table")
    raw.pop("__metadata__", None)
    first = 8 + length
    entries = {}
    for name, held in msgspec.convert(raw, dict[str, _Header]).items():
        start, stop = held.data_offsets
        entries[name] = Entry(held.dtype, held.shape, first + start, first + stop)
    _check(entries, size)
    return entries


def pickled(file: io.BufferedIOBase) -> dict[str, Entry]:
    """The tensors of a `pytorch_model.bin`. Raises ValueError: damaged, or not only tensors."""
    size = file.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            home = next((n.removesuffix("data.pkl") for n in infos if n.endswith("/data.pkl")), "")
            if not home:
                raise ValueError("there is no data.pkl in it")
            if infos[f"{home}data.pkl"].file_size > HEADER_LIMIT:
                raise ValueError(f"its pickle is larger than {HEADER_LIMIT} bytes")
            tensors = _Tensors(archive.read(f"{home}data.pkl")).load()
    except zipfile.BadZipFile as error:
        raise ValueError(
            "it is no zip; PyTorch before 1.6 wrote it: load it there and save it again"
        ) from error
    except (NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ValueError(f"its zip is damaged: {error}") from error
    entries = {}
    for name, tensor in tensors.items():
        info = infos.get(f"{home}data/{tensor.key}")
        if info is None or info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"the bytes of {name} are not in it")
        width = ITEM_BYTES[tensor.dtype]
        start = _data_at(file, info) + tensor.offset * width
        stop = start + prod(tensor.shape) * width
        if tensor.offset * width + stop - start > info.file_size:
            raise ValueError(f"{name} does not fit the bytes that are there")
        entries[name] = Entry(tensor.dtype, tensor.shape, start, stop)
    _check(entries, size)
    return entries


def _check(entries: dict[str, Entry], size: int) -> None:
    for name, entry in entries.items():
        width = ITEM_BYTES.get(entry.dtype)
        if width is None:
            raise ValueError(f"{name} has the unknown type {entry.dtype}")
        if len(entry.shape) > 8 or any(not 0 <= extent <= WEIGHTS_LIMIT for extent in entry.shape):
            raise ValueError(f"{name} has the impossible shape {entry.shape}")
        if entry.stop - entry.start != prod(entry.shape) * width or not (
            0 <= entry.start <= entry.stop <= size
        ):
            raise ValueError(f"{name} does not fit the bytes that are there")


def _data_at(file: io.BufferedIOBase, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: its own header may differ from the directory's."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ValueError(f"{info.filename} has no header")
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return info.header_offset + 30 + names


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as the pickle names it; `offset` counts items."""

    dtype: str
    key: str
    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str
    key: str


class _Tensors(pickle.Unpickler):
    """Reads a pickle of named tensors. No name in it leads to code but to that below."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))

    def load(self) -> dict[str, _Tensor]:
        """The tensors by name. Raises ValueError."""
        try:
            found = super().load()
        except ValueError:
            raise
        except Exception as error:  # a damaged pickle raises whatever it likes
            raise ValueError(f"its pickle is damaged: {error}") from error
        if not isinstance(found, dict):
            raise ValueError("it is no table of tensors")
        return {str(name): t for name, t in found.items() if isinstance(t, _Tensor)}

    def find_class(self, module: str, name: str) -> Any:
        """What the pickle may name."""
        allowed: dict[tuple[str, str], Callable[..., object]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if (module, name) in allowed:
            return allowed[module, name]
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise ValueError(f"its pickle names {module}.{name}, which is no tensor; not opened")

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage: ("storage", type, key, device, items)."""
        kind, dtype, key, *_ = pid
        if kind != "storage" or dtype not in ITEM_BYTES or not isinstance(key, str):
            raise ValueError("its pickle names something else than a storage")
        return _Storage(dtype, key)


def _tensor(
    storage: _Storage, offset: int, size: Iterable[int], stride: Iterable[int], *_: object
) -> _Tensor:
    shape, steps = tuple(size), tuple(stride)
    contiguous = tuple(prod(shape[at + 1 :]) for at in range(len(shape)))
    if any(a != b for a, b, n in zip(steps, contiguous, shape, strict=True) if n > 1):
        raise ValueError(f"a tensor of shape {shape} has strides {steps}; save it contiguous")
    return _Tensor(storage.dtype, storage.key, offset, shape)


def _parameter(tensor: _Tensor, *_: object) -> _Tensor:
    return tensor


class Reader(Protocol):
    """`safetensors` or `pickled`."""

    def __call__(self, file: io.BufferedIOBase) -> dict[str, Entry]: ...


FILES: dict[str, Reader] = {"model.safetensors": safetensors, "pytorch_model.bin": pickled}
"""Names of weight files, the better one first."""


def opened(name: str, open_: Open) -> Weights:
    """The weights of the file called `name`. Raises ModelError."""
    try:
        with open_() as file:
            return Weights(open_, FILES[name](file))
    except (ValueError, OverflowError, msgspec.DecodeError, RecursionError) as error:
        raise ModelError(f"{name} is damaged: {error}") from error
