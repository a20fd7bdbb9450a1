"""Copies: the editions of one model on the disk, and the pointer file that says which is used.

    models/NAME/pointer.json    replaced whole, never half
    models/NAME/EDITION/        the files of one edition
    models/NAME/.lock           who changes the pointer

* A copy is made under a name that nobody reads, is whole on the disk, and is then renamed. Where
  the disk can, its files are the objects themselves (hard links) and cost nothing.
* `change` reads, decides and writes under a lock: the node and a command may both do so.
* A pointer that cannot be read counts as none: the shipped model serves until the channel's is
  placed and tried again.
"""

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from models.edition import Edition
from models.errors import DamagedModelError
from models.store import ModelFolder, verified
from node.model.pointer import Pointer
from node.store.store import no_step
from sync.canonical import parse_digest
from sync.errors import ContentError, SpaceError
from sync.files import (
    ObjectStore,
    atomic_write,
    free_bytes,
    fsync_dir,
    make_folder,
    reserve,
    space_errors,
)

POINTER = "pointer.json"
LIMIT = 256 * 1024  # bytes
COPY_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


class Copies:
    """The folder `folder`/`name`. Safe from any thread and beside another process."""

    def __init__(
        self,
        folder: Path,
        name: str,
        objects: ObjectStore,
        *,
        floor_bytes: int = 0,
        step: Callable[[str], None] = no_step,
    ) -> None:
        """`floor_bytes` must stay free; `step` hears each step before it is taken."""
        self.name = name
        self._folder = folder / name
        self._objects = objects
        self._floor = floor_bytes
        self._step = step

    def read(self) -> Pointer:
        """The pointer; a new one where there is none, or none that can be read."""
        try:
            with self._path.open("rb") as file:
                found = msgspec.json.decode(file.read(LIMIT), type=Pointer)
            if found.name == self.name:
                return found
            log.warning("%s is of model %s", self._path, found.name)
        except FileNotFoundError:
            return Pointer(self.name)
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s cannot be read: %s", self._path, error)
        return Pointer(self.name)

    def change(self, decide: Callable[[Pointer], Pointer]) -> Pointer:
        """The pointer after `decide`, durable. Raises SpaceError."""
        with self._locked():
            held = self.read()
            made = decide(held)
            if made != held:
                self._step("pointer")
                atomic_write(self._path, msgspec.json.format(msgspec.json.encode(made)) + b"\n")
                self._step("pointed")
            return made

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the pointer does; costs one look."""
        with contextlib.suppress(OSError):
            stat = self._path.stat()
            return stat.st_ino, stat.st_mtime_ns
        return 0, 0

    def has(self, edition: Edition) -> bool:
        """True when there is a copy; only `open` says whether it is whole."""
        return (self._folder / edition.id).is_dir()

    def path(self, edition: Edition) -> Path:
        """Where its copy is, or would be."""
        return self._folder / edition.id

    def open(self, edition: Edition) -> ModelFolder:
        """Its copy, every file hashed. Raises DamagedModelError, ModelError."""
        return verified(self.name, self._folder / edition.id, edition.files)

    def place(self, edition: Edition) -> ModelFolder:
        """A whole copy of `edition`, made from the objects unless there is one.

        Raises SpaceError: nothing was changed. DamagedModelError: an object is missing or
        damaged here. ModelError: it is no model folder.
        """
        with contextlib.suppress(DamagedModelError):
            return self.open(edition)
        target, temporary = self._folder / edition.id, self._folder / f".{edition.id}.tmp"
        with self._locked():
            self._step("room")
            if not self._linkable():
                reserve(self._folder, edition.size, self._floor)
            shutil.rmtree(temporary, ignore_errors=True)
            try:
                with space_errors(str(temporary)):
                    self._fill(temporary, edition)
                    shutil.rmtree(target, ignore_errors=True)  # damaged, or we would not be here
                    self._step("rename")
                    temporary.rename(target)
                    fsync_dir(self._folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        self._step("verify")
        try:
            return self.open(edition)
        except DamagedModelError:
            self._forget_damaged(edition)
            raise

    def tidy(self) -> None:
        """Removes every copy but the current and the previous one, and what was begun."""
        with self._locked():
            pointer = self.read()
            kept = {e.id for e in (pointer.current, pointer.previous) if e}
            for folder in self._folder.iterdir():
                if folder.is_dir() and folder.name not in kept:
                    self._step("tidy")
                    shutil.rmtree(folder, ignore_errors=True)

    def _fill(self, folder: Path, edition: Edition) -> None:
        folder.mkdir()
        for name, file in edition.files.items():
            self._step("file")
            source = self._objects.path(parse_digest(file.sha256))
            try:
                _link(source, folder / name, file.size, self._folder, self._floor)
            except FileNotFoundError as error:
                raise DamagedModelError(
                    f"model {self.name}: the object of {name} is not here",
                    hint="the next sync fetches it",
                ) from error
        fsync_dir(folder)

    def _forget_damaged(self, edition: Edition) -> None:
        """Removes objects that have rotted, so that the next sync fetches them."""
        for file in edition.files.values():
            name = parse_digest(file.sha256)
            try:
                self._objects.get(name)
            except ContentError as error:
                log.warning("%s", error)
                self._objects.remove(name)

    def _linkable(self) -> bool:
        """True when the disk can give one file two names."""
        probe, other = self._folder / ".probe", self._folder / ".probe2"
        try:
            probe.touch()
            other.unlink(missing_ok=True)
            os.link(probe, other)
        except OSError:
            return False
        finally:
            probe.unlink(missing_ok=True)
            other.unlink(missing_ok=True)
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self._folder)
        with (self._folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def _path(self) -> Path:
        return self._folder / POINTER


def _link(source: Path, target: Path, size: int, folder: Path, floor: int) -> None:
    """`target` is a second name of `source`, or a durable copy where there can be none."""
    try:
        os.link(source, target)
        return
    except FileNotFoundError:
        raise
    except OSError:
        if free_bytes(folder) - size < floor:
            raise SpaceError(
                f"{folder}: {size:,} bytes are needed for a copy and {floor:,} must stay free",
                hint="free some space on this disk or move the data folder to a larger one",
            ) from None
    with source.open("rb") as old, target.open("xb") as new:
        shutil.copyfileobj(old, new, COPY_BYTES)
        new.flush()
        os.fsync(new.fileno())
