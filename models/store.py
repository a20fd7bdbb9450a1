"""Find and verify the model folders that ship.

* A model is a folder: model.onnx, tokenizer.json, card.toml, selftest.json, licences.
* `models.lock.json` beside the folders lists every file with its SHA-256 and size. A folder
  is opened only when every listed file is whole; a file that is not listed is never read.
* `version` names what changes an answer: the digest of model.onnx, tokenizer.json and data
  files of the graph (`model.*`). The card and the licences may be corrected without a new version.

`python -m models.store lock [FOLDER]` writes the lock, `verify [FOLDER]` checks it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import click
import msgspec
from msgspec import Meta

from models.command import run
from models.errors import DamagedModelError, ModelError

LOCK = "models.lock.json"
CARD = "card.toml"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
SELFTEST = "selftest.json"
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
FILE = r"^[A-Za-z0-9][\w.-]{0,99}$"
MAX_FILES = 32
"""Files of one model folder."""
CARD_LIMIT = 64 * 1024  # bytes
LOCK_LIMIT = 1024 * 1024  # bytes
RELOCK = "restore the folder from the release, or after a change of yours: make the lock anew"

Text = Annotated[str, Meta(min_length=1, max_length=4000)]


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person should know of a model; `card.toml`."""

    name: Annotated[str, Meta(pattern=NAME)]
    title: Text
    kind: Literal["decoder", "encoder"]
    license: Text
    description: Text
    languages: tuple[Text, ...]
    context: Annotated[int, Meta(ge=1, le=1_000_000, description="tokens")]
    parameters: Annotated[int, Meta(ge=1)]
    quantization: Text
    data: Text
    """What it was trained on."""
    source: Text
    """Where the weights come from, with the SHA-256 of the checkpoint."""
    intended_use: Text
    limitations: Text
    attribution: tuple[Text, ...] = ()
    provisional: bool = False
    evaluation: Mapping[str, float] = {}


class LockedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model folder."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Meta(ge=0)]


Files = Annotated[
    Mapping[Annotated[str, Meta(pattern=FILE)], LockedFile], Meta(max_length=MAX_FILES)
]
"""The files of one model folder, by name."""


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`models.lock.json`: model name -> file name -> digest and size."""

    models: Mapping[Annotated[str, Meta(pattern=NAME)], Files]
    format: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A verified model: what the encoder and the engine open."""

    name: str
    path: Path
    card: Card
    version: str

    @property
    def model(self) -> Path:
        """The ONNX file."""
        return self.path / MODEL

    @property
    def tokenizer(self) -> Path:
        """The tokenizers file."""
        return self.path / TOKENIZER


class ModelStore:
    """The model folders under one folder, as its lock file lists them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """The locked models, sorted.

        Raises:
            ModelError: there is no readable lock file.
        """
        return sorted(self._lock().models)

    def open(self, name: str) -> ModelFolder:
        """Verify every file of model `name` and read its card.

        Raises:
            ModelError: the model is not in the lock, a file is missing, or differs from it.
        """
        files = self._lock().models.get(name)
        if files is None:
            known = ", ".join(self.names()) or "none"
            raise ModelError(
                f"there is no model {name!r} in {self.folder}",
                hint=f"models there: {known}; set one of them, or add it and make the lock anew",
            )
        return verified(name, self.folder / name, files)

    def files(self, name: str) -> Files | None:
        """What the lock says of model `name`; None: nothing. Raises ModelError: no lock."""
        return self._lock().models.get(name)

    def _lock(self) -> Lock:
        path = self.folder / LOCK
        try:
            return msgspec.json.decode(_read(path, LOCK_LIMIT), type=Lock)
        except OSError as error:
            raise ModelError(
                f"cannot read {path}: {error.strerror}",
                hint="point `models` to the folder that holds models.lock.json (models/onnx)",
            ) from error
        except msgspec.DecodeError as error:
            raise DamagedModelError(f"{path} is damaged: {error}", hint=RELOCK) from error


def verified(name: str, path: Path, files: Files) -> ModelFolder:
    """The folder `path` as model `name`, when it holds `files`, whole.

    Raises:
        DamagedModelError: a file is missing or differs. ModelError: it is no model folder.
    """
    for required in (MODEL, TOKENIZER, CARD):
        if required not in files:
            raise ModelError(f"model {name}: {required} is not in {LOCK}", hint=RELOCK)
    for filename, expected in files.items():
        _verify(name, path / filename, expected)
    card = _read_card(path / CARD)
    if card.name != name:
        raise ModelError(f"model {name}: its card is of {card.name!r}", hint=RELOCK)
    return ModelFolder(name=name, path=path, card=card, version=version(files))


def unlocked(path: Path) -> ModelFolder:
    """The folder `path`, of which nobody has said what it must hold; for builders and children.

    Raises:
        ModelError: it is no model folder.
    """
    card = _read_card(path / CARD)
    return ModelFolder(card.name, path, card, version(measured(path)))


def measured(path: Path) -> dict[str, LockedFile]:
    """The files of the folder `path`, hashed. Raises ModelError: a model file is missing."""
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    found = {p.name: LockedFile(sha256=_sha256(p), size=p.stat().st_size) for p in files}
    for required in (MODEL, TOKENIZER):
        if required not in found:
            raise ModelError(f"{path} has no {required}", hint="build the model first")
    return found


def version(files: Mapping[str, LockedFile]) -> str:
    """First 12 hex digits of the digest over the model, its tokenizer and its data."""
    data = sorted(name for name in files if name.startswith("model.") and name != MODEL)
    text = "".join(f"{files[name].sha256}  {name}\n" for name in (MODEL, TOKENIZER, *data))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_lock(folder: Path) -> Lock:
    """Write `models.lock.json` for the model folders in `folder` (those with a card).

    Raises:
        ModelError: a card is invalid, or a folder lacks its model or tokenizer.
    """
    models: dict[str, dict[str, LockedFile]] = {}
    for path in sorted(card.parent for card in folder.glob(f"*/{CARD}")):
        card = _read_card(path / CARD)
        if card.name != path.name:
            raise ModelError(f"{path / CARD} is of {card.name!r}", hint="name it as its folder")
        models[card.name] = measured(path)
    lock = Lock(models=models)
    temporary = folder / f".{LOCK}.tmp"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(lock), indent=2) + b"\n")
    temporary.replace(folder / LOCK)
    return lock


def _read_card(path: Path) -> Card:
    try:
        return msgspec.toml.decode(_read(path, CARD_LIMIT), type=Card)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(
            f"cannot read the model card {path}: {error}", hint="see models/README.md, Cards"
        ) from error


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelError(f"{path} is larger than {limit} bytes", hint=RELOCK)
    return data


def _verify(name: str, path: Path, expected: LockedFile) -> None:
    try:
        size = path.stat().st_size
        found = _sha256(path) if size == expected.size else ""
    except OSError as error:
        raise DamagedModelError(
            f"model {name}: {path.name} is missing ({error.strerror})", hint=RELOCK
        ) from error
    if size != expected.size:
        raise DamagedModelError(
            f"model {name}: {path.name} has {size} bytes, the lock says {expected.size}",
            hint=RELOCK,
        )
    if found != expected.sha256:
        raise DamagedModelError(
            f"model {name}: {path.name} is damaged (SHA-256 {found})", hint=RELOCK
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


FOLDER = click.argument(
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(__file__).parent / "onnx",
)


@click.group()
def main() -> None:
    """Write or check models.lock.json."""


@main.command()
@FOLDER
def lock(folder: Path) -> None:
    """Write the lock for the models in FOLDER."""
    for name, files in write_lock(folder).models.items():
        click.echo(f"{name} {version(files)} ({sum(f.size for f in files.values())} bytes)")


@main.command()
@FOLDER
def verify(folder: Path) -> None:
    """Check every file of every model in FOLDER."""
    store = ModelStore(folder)
    for name in store.names():
        click.echo(f"{name} {store.open(name).version} whole")


if __name__ == "__main__":
    run(main)
