"""Files: what the installed version has besides lessons, as readers get it. Reads only.

* A file is served from its object; an archive is composed of its members while it is read.
* An archive whose digest was never seen here is read through once and compared with what was
  published; that it was right is remembered. Other bytes are never given out. `prepare` does
  that before a pupil has to wait for it.
* Titles and licences are what the inventory says; a file that it does not name is served, so
  that pictures in lessons and pages in books find each other, but not listed.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from node.store.blobs import Blobs
from node.store.pins import Pin, pins
from node.store.store import Store
from sync import inventory as inventories
from sync import recipe as recipes
from sync.archive import Member, checks, compose, members_of, verify
from sync.canonical import Digest
from sync.errors import ContentError
from sync.inventory import INVENTORY_PATH, PICTURES, About
from sync.manifest import Entry, Manifest
from sync.recipe import Recipe

BLOCK_BYTES = 256 * 1024
Read = Callable[[int, int], Iterator[bytes]]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class File:
    """One file: the digest of its bytes, and how many they are."""

    path: str
    digest: Digest
    size: int
    entry: Entry

    @property
    def name(self) -> str:
        """What it is called when it is saved."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """Its kind, as its name says: `.epub`."""
        return PurePosixPath(self.path).suffix.lower()


@dataclass(frozen=True, slots=True)
class FileCard:
    """A file in a list."""

    file: File
    about: About

    @property
    def readable(self) -> bool:
        """True for a book whose chapters are here one by one."""
        return self.file.suffix == ".epub" and self.file.entry.kind == "archive"

    @property
    def picture(self) -> bool:
        """True for what lessons show."""
        return self.file.suffix in PICTURES


@dataclass(frozen=True, slots=True)
class _Shown:
    """The files that pages show: of one version (its root), and those that pinned lessons use."""

    root: str
    pinned: list[Pin]
    manifest: Manifest
    entries: dict[str, Entry]
    cards: tuple[FileCard, ...]


class Files:
    """The files of one node. Safe from any thread."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs
        self._verifying = threading.Lock()
        self._looking = threading.Lock()
        self._held: _Shown | None = None
        self._wrong: set[Digest] = set()

    def find(self, path: str) -> File | None:
        """The file at `path`; None when the version has none. Raises ContentError: damaged."""
        shown = self._shown()
        entry = shown.entries.get(path) if shown else None
        if shown is None or entry is None or entry.kind not in ("asset", "archive"):
            return None
        return self._file(shown.manifest, entry)

    def member(self, path: str, name: str) -> bytes | None:
        """One member of the archive at `path`; None when it has none. Raises ContentError."""
        shown = self._shown()
        entry = shown.entries.get(f"{path}/{name}") if shown else None
        return self._blobs.get(entry.hash) if entry else None

    def cards(self, topic: str | None = None) -> tuple[FileCard, ...]:
        """The files that are listed, of one topic if one is named, by title."""
        shown = self._shown()
        cards = shown.cards if shown else ()
        return tuple(card for card in cards if topic is None or card.about.topic == topic)

    def open(self, file: File) -> Read:
        """How to read `file`: from where, up to where. May take as long as reading all of it.

        Raises ContentError, then and while it is read: damaged, or not what was published.
        """
        if file.entry.kind != "archive":
            return partial(self._object, file.entry)
        shown = self._shown()
        if shown is None or shown.entries.get(file.path) != file.entry:
            raise ContentError(f"{file.path}: another version was installed meanwhile")
        recipe = recipes.from_bytes(self._blobs.get(file.entry.hash))
        members = members_of(shown.manifest, file.path)
        found = self._store.archive_checks(recipe.digest)
        if found is None:
            found = self._verified(recipe, members)
        return compose(recipe, members, found, self._blobs.slice).read

    def _verified(self, recipe: Recipe, members: dict[str, Member]) -> bytes:
        """The checks of an archive that comes out as published; one at a time. ContentError."""
        with self._verifying:
            held = self._store.archive_checks(recipe.digest)
            if held is not None:
                return held
            found = checks(recipe, members, self._blobs.slice)
            verify(recipe, compose(recipe, members, found, self._blobs.slice))
            self._store.keep_archive(recipe.digest, found)
            return found

    def prepare(self) -> int:
        """Verifies the archives that are new here; how many. What is wrong is logged once."""
        done = 0
        for card in self.cards():
            file = card.file
            known = file.entry.kind != "archive" or file.digest in self._wrong
            if known or self._store.archive_checks(file.digest) is not None:
                continue
            try:
                self.open(file)
                done += 1
            except ContentError as error:
                self._wrong.add(file.digest)
                log.error("%s: %s (%s)", file.path, error, error.hint)
        return done

    def _object(self, entry: Entry, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            piece = self._blobs.slice(entry.hash, start, min(BLOCK_BYTES, stop - start))
            if not piece:
                raise ContentError(f"{entry.path}: shorter than the version says")
            yield piece
            start += len(piece)

    def _file(self, manifest: Manifest, entry: Entry) -> File:
        if entry.kind != "archive":
            return File(entry.path, entry.hash, entry.size, entry)
        recipe = recipes.from_bytes(self._blobs.get(entry.hash))
        size = compose(recipe, members_of(manifest, entry.path), None, self._blobs.slice).size
        return File(entry.path, recipe.digest, size, entry)

    def _shown(self) -> _Shown | None:
        """The installed version; read once for each."""
        installed = self._store.installed()
        held = self._held
        if installed is None:
            return None
        pinned = pins(self._store.reader())
        if held and (held.root, held.pinned) == (installed.root, pinned):
            return held
        with self._looking:
            manifest = self._store.shown()
            if manifest is None:
                return None
            entries = manifest.by_path()
            cards = tuple(self._cards(manifest, entries))
            self._held = _Shown(installed.root, pinned, manifest, entries, cards)
            return self._held

    def _cards(self, manifest: Manifest, entries: dict[str, Entry]) -> Iterator[FileCard]:
        said = entries.get(INVENTORY_PATH)
        if said is None:
            return
        abouts = inventories.from_bytes(self._blobs.get(said.hash)).assets
        for about in sorted(abouts, key=lambda about: (about.title.casefold(), about.path)):
            entry = entries.get(about.path)
            if entry:
                yield FileCard(self._file(manifest, entry), about)
