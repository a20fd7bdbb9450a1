"""CrashFS: what a disk may hold after the power failed, worked out from a recording of what a
program did to its files (`shim.py`).

* What was synced is there. A file's bytes are synced by fsync of the file; its name, and that it
  was renamed or removed, by fsync of its folder. A file's fsync says nothing about its name.
* Of what was not synced anything may be there: each sector of each write by itself (so writes
  are torn, dropped and reordered), or garbage in its place; the file may have its new length
  with nothing in it. Names of one folder come back to some moment since its last fsync.
* Folders are not renamed by anything of ours; a recording that does so is refused.
* SQLite's `-shm` is memory, not content: it is gone, or garbage.
"""

import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.faults.shim import Change, What

SECTORS = (512, 4096)


@dataclass(slots=True)
class Edit:
    """A change of a file's bytes that is not synced; `data` None: cut or stretched to `at`."""

    at: int
    data: bytes | None


@dataclass(slots=True)
class File:
    """`durable` is what no power cut takes; `edits` came since."""

    durable: bytes = b""
    edits: list[Edit] = field(default_factory=list)

    def now(self) -> bytes:
        """What a reader sees while the power is on."""
        return _edited(self.durable, self.edits)

    def sync(self) -> None:
        self.durable, self.edits = self.now(), []


Node = File | None
"""A file, or None for a folder."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """A change of names that is not synced."""

    gone: str
    """The name that ends; empty for none."""
    come: str
    """The name that begins; empty for none."""
    node: Node

    @property
    def folder(self) -> str:
        """The folder whose fsync makes it durable."""
        return parent(self.come or self.gone)


def parent(path: str) -> str:
    return str(PurePosixPath(path).parent)


class Disk:
    """A folder as the program sees it, and as the power would leave it."""

    def __init__(self, folder: Path) -> None:
        """All of `folder` is durable."""
        self._durable: dict[str, Node] = {".": None}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            self._durable[name] = None if path.is_dir() else File(path.read_bytes())
        self._names = dict(self._durable)
        self._pending: list[Renaming] = []
        self._open: dict[int, str | File] = {}

    def apply(self, change: Change) -> None:
        """What the program did next."""
        match change.what:
            case What.OPEN:
                self._opened(change)
            case What.CLOSE:
                self._open.pop(change.fd, None)
            case What.WRITE:
                self._file(change.fd).edits.append(Edit(change.first, change.data))
            case What.RESIZE:
                file = self._named(change.paths[0]) if change.paths else self._file(change.fd)
                file.edits.append(Edit(change.first, None))
            case What.SYNC:
                self._sync(change.fd)
            case What.RENAME:
                old, new = change.paths
                self._rename(Renaming(old, new, self._named(old)))
            case What.MKDIR:
                self._rename(Renaming("", change.paths[0], None))
            case What.UNLINK | What.RMDIR:
                path = change.paths[0]
                self._rename(Renaming(path, "", self._names[path]))
            case _:
                raise AssertionError(change)

    def now(self) -> dict[str, bytes | None]:
        """Every name with its bytes, None for a folder, while the power is on."""
        return {name: node.now() if node else None for name, node in self._names.items()}

    def after_a_power_cut(self, chance: random.Random) -> dict[str, bytes | None]:
        """One of the many things the disk may hold if the power fails now."""
        names = dict(self._durable)
        kept: dict[str, int] = {}
        for folder in {change.folder for change in self._pending}:
            most = sum(change.folder == folder for change in self._pending)
            kept[folder] = chance.choice((0, most, chance.randint(0, most)))
        for change in self._pending:
            if kept[change.folder] > 0:
                kept[change.folder] -= 1
                _rename(names, change)
        sector = chance.choice(SECTORS)
        share = chance.choice((0.0, 0.5, 0.9, 1.0))
        reached = {name: node for name, node in names.items() if _reached(names, name)}
        return {
            name: _survivor(node, chance, sector, share) if node else None
            for name, node in reached.items()
        }

    def _opened(self, change: Change) -> None:
        path = change.paths[0] if change.paths else "."
        if change.first:
            self._rename(Renaming("", path, File()))
        node = self._names.get(path)
        self._open[change.fd] = node if isinstance(node, File) else path
        if change.second and isinstance(node, File) and not change.first:
            node.edits.append(Edit(0, None))

    def _rename(self, change: Renaming) -> None:
        _rename(self._names, change)
        self._pending.append(change)

    def _sync(self, fd: int) -> None:
        held = self._open[fd]
        if isinstance(held, File):
            held.sync()
            return
        for change in [one for one in self._pending if one.folder == held]:
            _rename(self._durable, change)
            self._pending.remove(change)

    def _file(self, fd: int) -> File:
        held = self._open[fd]
        assert isinstance(held, File)
        return held

    def _named(self, path: str) -> File:
        node = self._names[path]
        assert isinstance(node, File), f"{path} is a folder"
        return node


def write_out(state: dict[str, bytes | None], folder: Path, chance: random.Random) -> None:
    """Puts `state` at `folder`, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in sorted(state.items()):
        path = folder / name
        if data is None:
            path.mkdir(exist_ok=True)
        elif not name.endswith("-shm"):
            path.write_bytes(data)
        elif chance.random() < 0.5:
            path.write_bytes(chance.randbytes(len(data)))


def _rename(names: dict[str, Node], change: Renaming) -> None:
    if change.gone:
        names.pop(change.gone, None)
    if change.come:
        names[change.come] = change.node


def _reached(names: dict[str, Node], name: str) -> bool:
    """Whether all folders above `name` are there."""
    return all(str(above) in names for above in PurePosixPath(name).parents)


def _edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    out = bytearray(data)
    for edit in edits:
        if edit.data is None:
            out[edit.at :] = bytes(max(edit.at - len(out), 0))
            continue
        out.extend(bytes(max(edit.at - len(out), 0)))
        out[edit.at : edit.at + len(edit.data)] = edit.data
    return bytes(out)


def _survivor(file: File, chance: random.Random, sector: int, share: float) -> bytes:
    """What is left of one file: of each sector written, `share` of the time, what was written."""
    if not file.edits:
        return file.durable
    garbage = chance.random() < 0.25
    kept: list[Edit] = []
    for edit in file.edits:
        if edit.data is None:
            kept += [edit] if chance.random() < share else []
            continue
        for piece in _sectors(edit.at, edit.data, sector):
            if chance.random() < share:
                kept.append(piece)
            elif garbage:
                kept.append(Edit(piece.at, chance.randbytes(len(piece.data or b""))))
    left = _edited(file.durable, kept)
    stretched = len(file.now()) - len(left)
    return left + bytes(stretched) if stretched > 0 and chance.random() < 0.5 else left


def _sectors(at: int, data: bytes, sector: int) -> Sequence[Edit]:
    pieces, start = [], 0
    while start < len(data):
        stop = min(start + sector - (at + start) % sector, len(data))
        pieces.append(Edit(at + start, data[start:stop]))
        start = stop
    return pieces
