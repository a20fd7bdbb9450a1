"""ModelStock: the models that the channel carries, accepted one by one.

* A folder is accepted when its card is valid, its files are those of the lock beside it (where
  there is one), and its self-test passes in a process of its own. One without a self-test gets
  one, measured here.
* Its files lie at `models/NAME/FILE` and travel after everything else; a new version replaces the
  old one file by file, so that it travels as the difference of its tensors.
* No publication sees half of a model: both take the same lock.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.errors import UnknownError
from hub.shelf import Shelf
from hub.stock import MAX_FILE_BYTES, Stock
from models.edition import Edition, edition
from models.errors import ModelError
from models.examiner import Examiner
from models.report import Report
from models.store import FILE, LOCK, MAX_FILES, SELFTEST, Card, ModelFolder, ModelStore, unlocked
from sync.inventory import About
from sync.modelfiles import FOLDER, PRIORITY, model_path

MAX_LINE = 400


@dataclass(frozen=True, slots=True)
class Accepted:
    """What `publish` put into the channel."""

    edition: Edition
    report: Report
    replaced: str
    """Version that was carried before; empty: none."""
    measured: bool
    """Its self-test was made here."""


class ModelStock:
    """The models among the files of one library. Belongs to its thread."""

    def __init__(self, stock: Stock, shelf: Shelf, examiner: Examiner) -> None:
        self._stock = stock
        self._shelf = shelf
        self._examiner = examiner

    def publish(self, folder: Path, person: str) -> Accepted:
        """Accepts the model in `folder`; it goes out with the next publication.

        Raises ModelError: it is no model, not the one in its lock, or fails its self-test.
        ContentError: a file is too large. SpaceError. BusyError: somebody is publishing.
        """
        _check_files(folder)
        _check_lock(folder)
        with _with_selftest(folder, self._examiner) as (path, measured):
            found = unlocked(path)
            report = self._examiner.examine(path)
            if report is None or not report.passed:
                why = f"{report.why}: {report.detail}" if report else "it was stopped"
                raise ModelError(
                    f"model {found.name} fails its self-test: {why}",
                    hint="build it again; after a change on purpose remove its selftest.json",
                )
            before = self.carried().get(found.name)
            with self._shelf.publishing():
                made = self._put(path, found, person)
        return Accepted(made, report, before.version if before else "", measured)

    def withdraw(self, name: str) -> Edition:
        """Takes model `name` out of the next version: nodes go back to the model that ships with
        their program. Raises UnknownError."""
        held = self.carried().get(name)
        if held is None:
            raise UnknownError(
                f"the channel carries no model {name!r}",
                hint="`chaski-hub models list` shows what it does",
            )
        with self._shelf.publishing():
            for file in held.files:
                self._stock.remove(model_path(name, file))
        return held

    def carried(self) -> dict[str, Edition]:
        """The models of the next version, by name."""
        files: dict[str, dict[str, tuple[str, int]]] = {}
        for item in self._stock.items():
            parts = item.path.split("/")
            if item.kind == "model" and len(parts) == 3 and parts[0] == FOLDER:
                files.setdefault(parts[1], {})[parts[2]] = item.hash, item.size
        return {name: edition(name, found) for name, found in files.items()}

    def _put(self, path: Path, found: ModelFolder, person: str) -> Edition:
        files: dict[str, tuple[str, int]] = {}
        for file in _files(path):
            about = _about(model_path(found.name, file.name), found.card)
            item = self._stock.add(file, about, person=person, kind="model", priority=PRIORITY)
            files[file.name] = item.hash, item.size
        made = edition(found.name, files)
        for item in self._stock.items():
            name = item.path.removeprefix(model_path(found.name, ""))
            if item.kind == "model" and name != item.path and name not in files:
                self._stock.remove(item.path)
        return made


@contextmanager
def _with_selftest(folder: Path, examiner: Examiner) -> Iterator[tuple[Path, bool]]:
    """The folder with a self-test in it, and whether it was measured now: then it is a copy."""
    if (folder / SELFTEST).exists():
        yield folder, False
        return
    with tempfile.TemporaryDirectory(prefix="chaski-model-") as temporary:
        copy = Path(temporary) / folder.resolve().name
        copy.mkdir()
        for file in _files(folder):
            shutil.copyfile(file, copy / file.name)
        report = examiner.examine(copy, write=True)
        if report is None or not report.passed:
            why = report.detail if report else "it was stopped"
            raise ModelError(f"model {copy.name} cannot be measured: {why}", hint="build it again")
        yield copy, True


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))


def _check_files(folder: Path) -> None:
    """Raises ModelError unless every file may travel."""
    files = _files(folder)
    if any(path.is_dir() for path in folder.iterdir()):
        raise ModelError(f"{folder}: a model folder has no folders in it", hint="move them away")
    if len(files) > MAX_FILES:
        raise ModelError(f"{folder}: {len(files)} files, at most {MAX_FILES} may travel")
    for file in files:
        if not re.fullmatch(FILE, file.name, re.ASCII):
            raise ModelError(f"{file}: no name for a file of a model", hint="rename it")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(
                f"{file} has {file.stat().st_size:,} bytes, at most {MAX_FILE_BYTES:,} may travel",
                hint="keep weights in several files model.*, or quantise to fewer bits",
            )


def _check_lock(folder: Path) -> None:
    """Raises ModelError when the lock beside `folder` lists it and a file differs."""
    name, home = folder.resolve().name, folder.resolve().parent
    card = unlocked(folder).card
    if card.name != name:
        raise ModelError(f"{folder} holds the model {card.name!r}", hint="name it as its card says")
    if (home / LOCK).exists() and ModelStore(home).files(name) is not None:
        ModelStore(home).open(name)


def _about(path: str, card: Card) -> About:
    """Provenance of one file, from the card."""
    return About(
        path,
        title=_line(card.title),
        author=_line("; ".join(card.attribution) or card.source),
        license=_line(card.license),
        source=_line(card.source),
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_LINE]
