"""Reading a trained model: config.json, tokenizer.json and its weights, without torch.

* The checkpoint is a Hugging Face folder, or a wheel (a zip) that holds one.
* The weights are model.safetensors or pytorch_model.bin (`weights.py`); they are read tensor by
  tensor, so that a large model needs the memory of its largest tensor.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from models.errors import ModelError
from models.weights import FILES, WEIGHTS_LIMIT, Float, Open, Weights, opened

SIDE_LIMIT = 64 * 1024 * 1024  # bytes, each of config.json and tokenizer.json
SIDES = ("config.json", "tokenizer.json")


class Checkpoint:
    """An opened checkpoint: `config`, `tokenizer` bytes, and tensors by name."""

    def __init__(self, sides: Mapping[str, bytes], weights: Weights, where: str) -> None:
        self.where = where
        self.tokenizer = sides["tokenizer.json"]
        self._weights = weights
        self.sha256 = weights.sha256()
        """Digest of the file of weights."""
        try:
            self.config: dict[str, Any] = msgspec.json.decode(sides["config.json"], type=dict)
        except msgspec.DecodeError as error:
            raise ModelError(f"the checkpoint {where} is damaged: {error}") from error

    @classmethod
    def open(cls, path: Path) -> "Checkpoint":
        """Open the checkpoint folder or wheel at `path`.

        Raises:
            ModelError: a file is missing, too large or damaged.
        """
        try:
            sides, name, open_ = _wheel(path) if path.is_file() else _folder(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"cannot read the checkpoint {path}: {error}",
                hint=f"give a folder or wheel with {', '.join(SIDES)} and {' or '.join(FILES)}",
            ) from error
        try:
            return cls(sides, opened(name, open_), str(path))
        except ModelError as error:
            raise ModelError(f"the checkpoint {path}: {error}", error.hint) from error

    @property
    def names(self) -> frozenset[str]:
        """The names of the tensors."""
        return frozenset(self._weights.entries)

    def integer(self, key: str) -> int:
        """A positive integer of the config.

        Raises:
            ModelError: it is missing or no positive integer.
        """
        value = self.config.get(key)
        if not isinstance(value, int) or value < 1:
            raise ModelError(f"{self.where}: config.json has {key} = {value!r}")
        return value

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of tensor `name`. Raises KeyError."""
        return self._weights.entries[name].shape

    def tensor(self, name: str, shape: Iterable[int]) -> Float:
        """Tensor `name` as float32.

        Raises:
            ModelError: there is no such tensor, or it has another shape.
        """
        entry = self._weights.entries.get(name)
        if entry is None:
            raise ModelError(f"{self.where}: tensor {name} is missing")
        if entry.shape != (wanted := tuple(shape)):
            raise ModelError(f"{self.where}: {name} has shape {entry.shape}, not {wanted}")
        try:
            return self._weights.read(name)
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.where}: {error}") from error


def _checked(name: str, size: int) -> None:
    limit = WEIGHTS_LIMIT if name in FILES else SIDE_LIMIT
    if size > limit:
        raise ModelError(f"{name} is larger than {limit} bytes")


def _folder(folder: Path) -> tuple[dict[str, bytes], str, Open]:
    sides = {}
    for side in SIDES:
        _checked(side, (folder / side).stat().st_size)
        sides[side] = (folder / side).read_bytes()
    name = next((name for name in FILES if (folder / name).is_file()), next(iter(FILES)))
    _checked(name, (folder / name).stat().st_size)
    return sides, name, lambda: (folder / name).open("rb")


def _wheel(path: Path) -> tuple[dict[str, bytes], str, Open]:
    with zipfile.ZipFile(path) as archive:
        homes = [
            (member.removesuffix(name), name)
            for name in FILES
            for member in archive.namelist()
            if member.endswith("/" + name)
        ]
        if len(homes) != 1:
            raise ModelError(f"{path} holds {len(homes)} checkpoints, not one")
        home, weights = homes[0]
        files = {}
        for name in (*SIDES, weights):
            try:
                info = archive.getinfo(home + name)
            except KeyError as error:
                raise ModelError(f"{path} has no {name}") from error
            _checked(name, info.file_size)
            files[name] = archive.read(info)
    held = files.pop(weights)
    return files, weights, lambda: io.BytesIO(held)
