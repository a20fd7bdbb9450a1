"""Reading a trained model: config.json and model.safetensors, with numpy and nothing else.

* The checkpoint is a Hugging Face folder, or a wheel (a zip) that holds one.
* Every offset, shape and type of the header is checked against the bytes that are there.
* Half-precision tensors come out as float32.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from models.errors import ModelError

WEIGHTS = "model.safetensors"
HEADER_LIMIT = 16 * 1024 * 1024  # bytes
WEIGHTS_LIMIT = 4 * 1024**3  # bytes
SIDE_LIMIT = 64 * 1024 * 1024  # bytes, each of config.json and tokenizer.json
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1}

Float = npt.NDArray[np.float32]
Size = Annotated[int, Meta(ge=0, le=WEIGHTS_LIMIT)]


class TensorEntry(msgspec.Struct, frozen=True):
    """One entry of a safetensors header."""

    dtype: str
    shape: Annotated[tuple[Size, ...], Meta(max_length=8)]
    data_offsets: tuple[Size, Size]


class Checkpoint:
    """A checkpoint in memory: `config`, `tokenizer` bytes, and tensors by name."""

    def __init__(self, files: Mapping[str, bytes], where: str) -> None:
        self.where = where
        self.tokenizer = files["tokenizer.json"]
        self._weights = files[WEIGHTS]
        self.sha256 = hashlib.sha256(self._weights).hexdigest()
        """Digest of model.safetensors."""
        try:
            self.config: dict[str, Any] = msgspec.json.decode(files["config.json"], type=dict)
            self._entries, self._start = _header(self._weights)
        except (msgspec.DecodeError, ValueError) as error:
            raise ModelError(f"the checkpoint {where} is damaged: {error}") from error

    @classmethod
    def open(cls, path: Path) -> "Checkpoint":
        """Read the checkpoint folder or wheel at `path`.

        Raises:
            ModelError: a file is missing, too large or damaged.
        """
        try:
            files = _read_wheel(path) if path.is_file() else _read_folder(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"cannot read the checkpoint {path}: {error}",
                hint=f"give a folder or wheel with config.json, {WEIGHTS} and tokenizer.json",
            ) from error
        return cls(files, str(path))

    @property
    def names(self) -> frozenset[str]:
        """The names of the tensors."""
        return frozenset(self._entries)

    def integer(self, key: str) -> int:
        """A positive integer of the config.

        Raises:
            ModelError: it is missing or no positive integer.
        """
        value = self.config.get(key)
        if not isinstance(value, int) or value < 1:
            raise ModelError(f"{self.where}: config.json has {key} = {value!r}")
        return value

    def tensor(self, name: str, shape: Iterable[int]) -> Float:
        """Tensor `name` as float32.

        Raises:
            ModelError: there is no such tensor, or it has another shape.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ModelError(f"{self.where}: tensor {name} is missing")
        if entry.shape != (wanted := tuple(shape)):
            raise ModelError(f"{self.where}: {name} has shape {entry.shape}, not {wanted}")
        start, stop = entry.data_offsets
        raw = memoryview(self._weights)[self._start + start : self._start + stop]
        if entry.dtype == "F32":
            values = np.frombuffer(raw, "<f4")
        elif entry.dtype == "F16":
            values = np.frombuffer(raw, "<f2").astype(np.float32)
        elif entry.dtype == "BF16":  # the upper half of a float32
            values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            raise ModelError(f"{self.where}: {name} has type {entry.dtype}, not a float")
        return values.reshape(wanted)


def _header(data: bytes) -> tuple[dict[str, TensorEntry], int]:
    """The header of safetensors bytes and where the tensors start. Raises ValueError."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(HEADER_LIMIT, len(data) - 8):
        raise ValueError(f"{WEIGHTS} has no whole header")
    raw = json.loads(data[8 : 8 + length])
    if not isinstance(raw, dict):
        raise ValueError(f"the header of {WEIGHTS} is no table")
    raw.pop("__metadata__", None)
    entries = msgspec.convert(raw, dict[str, TensorEntry])
    for name, entry in entries.items():
        start, stop = entry.data_offsets
        size = ITEM_BYTES.get(entry.dtype)
        if size is None:
            raise ValueError(f"{name} has the unknown type {entry.dtype}")
        count = 1
        for extent in entry.shape:
            count *= extent
        if stop - start != count * size or stop > len(data) - 8 - length:
            raise ValueError(f"{name} does not fit the bytes that are there")
    return entries, 8 + length


def _limit(name: str) -> int:
    return WEIGHTS_LIMIT if name == WEIGHTS else SIDE_LIMIT


def _checked(name: str, size: int) -> None:
    if size > _limit(name):
        raise ModelError(f"{name} is larger than {_limit(name)} bytes")


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for name in ("config.json", WEIGHTS, "tokenizer.json"):
        _checked(name, (folder / name).stat().st_size)
        files[name] = (folder / name).read_bytes()
    return files


def _read_wheel(path: Path) -> dict[str, bytes]:
    files = {}
    with zipfile.ZipFile(path) as archive:
        homes = [n.removesuffix(WEIGHTS) for n in archive.namelist() if n.endswith("/" + WEIGHTS)]
        if len(homes) != 1:
            raise ModelError(f"{path} holds {len(homes)} checkpoints, not one")
        for name in ("config.json", WEIGHTS, "tokenizer.json"):
            try:
                info = archive.getinfo(homes[0] + name)
            except KeyError as error:
                raise ModelError(f"{path} has no {name}") from error
            _checked(name, info.file_size)
            files[name] = archive.read(info)
    return files
