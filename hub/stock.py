"""Stock: the files that a channel carries besides its lessons. In `hub.db`; bytes on the shelf.

* Each has provenance: who made it, under which licence, who put it here and when.
* Adding a path again replaces what was there; the same bytes and words change nothing.
* A file's bytes are on the shelf before its row is written. Nothing travels before `publish`.
* Models lie under `models/` and nothing else does; `lessons/` and the channel's own objects
  belong to others; no two paths differ only in case, and none lies below another.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from hub.container import Whole, is_archive, take_apart
from hub.errors import UnknownError
from hub.library import Library
from hub.shelf import Shelf
from sync.archive import Member
from sync.bundle.header import MAX_OBJECT_BYTES
from sync.canonical import Digest
from sync.errors import ContentError
from sync.inventory import INVENTORY_PATH, MAX_ASSETS, About
from sync.lesson import CHANNEL_PATH, Grade, Language
from sync.manifest import Entry, Kind, check_path
from sync.recipe import to_bytes

MAX_FILES = MAX_ASSETS
MAX_FILE_BYTES = MAX_OBJECT_BYTES
"""What fits into one object."""
PRIORITY = 90
"""After every lesson, unless somebody says otherwise."""
_TAKEN = (CHANNEL_PATH, INVENTORY_PATH, "lessons")
_COLUMNS = (
    "path, kind, hash, size, whole, title, author, license, source, language, grade, topic, "
    "priority, person, at, note"
)
StockKind = Literal["asset", "model"]


class Item(msgspec.Struct, frozen=True):
    """One file. `size` of its object and `whole` of the file are bytes, `at` unix seconds."""

    path: str
    kind: Kind
    hash: Digest
    size: int
    whole: int
    title: str
    author: str
    license: str
    source: str
    language: Literal[""] | Language
    grade: Literal[""] | Grade
    topic: str
    priority: Annotated[int, msgspec.Meta(ge=0, le=99)]
    person: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    at: float
    note: str = ""
    """Why an archive travels in one piece."""

    @property
    def entry(self) -> Entry:
        """How it stands in a manifest."""
        return Entry(
            self.path, self.hash, self.size, self.kind, self.priority, self.grade, self.language
        )

    @property
    def about(self) -> About:
        """What readers are told of it."""
        return About(
            self.path, self.title, self.author, self.license, self.source,
            self.language, self.grade, self.topic,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Carried:
    """What a version has besides lessons: entries, and what the inventory says of the assets."""

    entries: tuple[Entry, ...] = ()
    abouts: tuple[About, ...] = ()


class _Made(NamedTuple):
    """What is on the shelf for a file: the object at its path, and the bytes of the whole."""

    kind: Kind
    hash: Digest
    size: int
    whole: int
    note: str


class Stock:
    """The files of one library. Belongs to the thread of the library's connection."""

    def __init__(
        self, library: Library, shelf: Shelf, clock: Callable[[], float] = time.time
    ) -> None:
        self._library = library
        self._shelf = shelf
        self._clock = clock

    def add(
        self,
        file: Path,
        about: About,
        *,
        person: str,
        kind: StockKind = "asset",
        priority: int = PRIORITY,
        exact: bool = False,
    ) -> Item:
        """Puts `file` on the shelf as `about.path`; it goes out with the next `publish`.

        `person` is who adds it. An EPUB or zip is taken apart, `exact` to the same bytes; where
        that cannot be, `Item.note` says why.

        Raises ContentError: path, words or bytes out of bounds, or a harmful archive.
        SpaceError. BusyError.
        """
        about, path = _checked(about), about.path
        _check_place(path, kind)
        self._check_neighbours(path)
        made, members = self._shelve(file, path, kind, exact=exact)
        item = _item(about, made, priority, person, self._clock())
        with self._library.transaction():
            self._check_neighbours(path)
            held = self._held(path)
            if held and msgspec.structs.replace(held, person=item.person, at=item.at) == item:
                return held
            self._write(item, members)
        return item

    def remove(self, path: str) -> Item:
        """Takes `path` out of the next version; what was published stays. Raises UnknownError."""
        with self._library.transaction():
            held = self.item(path)
            self._library.db.execute("DELETE FROM files WHERE path = ?", (path,))
        return held

    def item(self, path: str) -> Item:
        """Raises UnknownError."""
        held = self._held(path)
        if held is None:
            raise UnknownError(
                f"the channel carries no {path!r}",
                hint="`chaski-hub files list` shows what it does",
            )
        return held

    def items(self) -> list[Item]:
        """Every file, by path."""
        rows = self._library.db.execute(f"SELECT {_COLUMNS} FROM files ORDER BY path")  # noqa: S608
        return [Item(*row) for row in rows]

    def members(self, path: str) -> dict[str, Member]:
        """The members of the archive at `path`, by name; empty for any other file."""
        sql = "SELECT path, hash, size FROM members WHERE archive = ? ORDER BY path"
        rows = self._library.db.execute(sql, (path,))
        return {name: Member(Digest(hash_), size) for name, hash_, size in rows}

    def carried(self) -> Carried:
        """What the next version has besides lessons. Raises ContentError: bytes are missing."""
        items = self.items()
        entries = [entry for item in items for entry in self._entries(item)]
        for entry in entries:
            if not self._shelf.has_object(entry.hash):
                raise ContentError(
                    f"{entry.path}: its bytes are gone from the shelf", hint="add the file again"
                )
        abouts = tuple(item.about for item in items if item.kind != "model")
        return Carried(tuple(entries), abouts)

    def _entries(self, item: Item) -> Iterator[Entry]:
        yield item.entry
        if item.kind == "archive":
            row = (item.priority, item.grade, item.language)
            for name, member in self.members(item.path).items():
                yield Entry(f"{item.path}/{name}", member.hash, member.size, "asset", *row)

    def _shelve(
        self, file: Path, path: str, kind: StockKind, *, exact: bool
    ) -> tuple[_Made, dict[str, Member]]:
        """Puts the bytes on the shelf; what they are, and the members of an archive."""
        note = ""
        if kind == "asset" and is_archive(path):
            try:
                apart = take_apart(file, path, self._put, self._shelf.slice_object, exact=exact)
            except Whole as why:
                note = str(why)
            else:
                data = to_bytes(apart.recipe)
                name = self._shelf.put_object(data)
                return _Made("archive", name, len(data), apart.whole, ""), apart.members
        name, size = self._shelf.put_file(file, MAX_FILE_BYTES)
        return _Made(kind, name, size, size, note), {}

    def _put(self, pieces: Iterator[bytes], what: str) -> tuple[Digest, int]:
        return self._shelf.put_pieces(pieces, MAX_FILE_BYTES, what)

    def _write(self, item: Item, members: dict[str, Member]) -> None:
        db = self._library.db
        db.execute("DELETE FROM files WHERE path = ?", (item.path,))
        db.table("files").insert(msgspec.structs.asdict(item))
        for name, member in members.items():
            row = {"archive": item.path, "path": name, "hash": member.hash, "size": member.size}
            db.table("members").insert(row)

    def _held(self, path: str) -> Item | None:
        sql = f"SELECT {_COLUMNS} FROM files WHERE path = ?"  # noqa: S608
        row = self._library.db.execute(sql, (path,)).fetchone()
        return Item(*row) if row else None

    def _check_neighbours(self, path: str) -> None:
        """Raises ContentError where `path` cannot stand beside the files there are."""
        others = [row[0] for row in self._library.db.execute("SELECT path FROM files")]
        if len(others) >= MAX_FILES and path not in others:
            raise ContentError(
                f"the channel carries {len(others)} files already, no more fit",
                hint="`chaski-hub files remove PATH` makes room",
            )
        for other in others:
            if other != path and _clash(path.casefold(), other.casefold()):
                raise ContentError(f"{path}: {other} is there and would collide with it")


def _clash(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def _check_place(path: str, kind: StockKind) -> None:
    """Raises ContentError unless a file of this kind may lie at `path`."""
    check_path(path)
    if any(_clash(path.casefold(), taken) for taken in _TAKEN):
        raise ContentError(f"{path}: this place belongs to the channel's lessons")
    if path.startswith("models/") != (kind == "model"):
        raise ContentError(
            f"{path}: models, and nothing else, lie under models/",
            hint="images go to assets/, books to books/",
        )


def _checked(about: About) -> About:
    try:
        return msgspec.convert(msgspec.structs.asdict(about), About)
    except msgspec.ValidationError as error:
        raise ContentError(f"{about.path[:80]}: {error}") from error


def _item(about: About, made: _Made, priority: int, person: str, at: float) -> Item:
    row: Sequence[object] = (
        about.path, made.kind, made.hash, made.size, made.whole, about.title, about.author,
        about.license, about.source, about.language, about.grade, about.topic, priority, person,
        at, made.note,
    )  # fmt: skip
    try:
        return msgspec.convert(dict(zip(Item.__struct_fields__, row, strict=True)), Item)
    except msgspec.ValidationError as error:
        raise ContentError(f"{about.path}: {error}") from error
