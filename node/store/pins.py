"""Pins: lessons that a class works with. They stay as they are until somebody lets go.

* A pin keeps one revision of one lesson, with the files it uses: new versions install around
  it, a rollback too. What is pinned is never collected, and stays readable when the channel
  no longer has it.
* Pages show the installed version with the pins laid over it; the manifest of a version is
  never touched, so a release shows the newest revision at once.
* Written only inside a transaction of `store.py`.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from node.store import history
from node.store.index import replace_lessons
from node.store.partial import uses
from sync.canonical import Digest, decode, encode
from sync.errors import ChaskiError
from sync.lesson import Language
from sync.manifest import Entry, Manifest, manifest

if TYPE_CHECKING:  # the store lays pins over what it installs
    from node.store.store import Store

MAX_PINS = 200
MAX_PIN_BYTES = 256 * 1024

Newer = Literal["same", "revision", "removed"]
"""What the installed version has: the pinned revision, another one, or no such lesson."""

_Entries = Annotated[tuple[Entry, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Pin:
    """One lesson that stays. `at` is when it was pinned, in Unix seconds."""

    lesson: Entry
    files: tuple[Entry, ...]
    at: float

    @property
    def path(self) -> str:
        """The lesson's path."""
        return self.lesson.path


class Pins:
    """The pins of one node. Safe from any thread, and beside a node that serves."""

    def __init__(self, store: "Store", read: Callable[[Digest], bytes]) -> None:
        """`read` gives an object's bytes and checks them."""
        self._store = store
        self._read = read

    def all(self) -> list[tuple[Pin, Newer]]:
        """Every pin, by path, and what waits behind it."""
        found = pins(self._store.reader())
        return [(pin, self.newer(pin)) for pin in found]

    def on(self, path: str) -> Pin | None:
        """The pin on the lesson at `path`."""
        return pin_at(self._store.reader(), path)

    def newer(self, pin: Pin) -> Newer:
        """What the installed version has where the pinned lesson is."""
        now = self._store.manifest()
        entry = now.by_path().get(pin.path) if now else None
        if entry is None:
            return "removed"
        return "same" if entry.hash == pin.lesson.hash else "revision"

    def add(self, path: str, at: float) -> Pin:
        """Pins the lesson at `path` as it is shown now; one that is pinned stays as it is.

        Raises ChaskiError: there is no such lesson, or too many pins. ContentError: damaged.
        """
        with self._store.transaction() as db:
            if held := pin_at(db, path):
                return held
            now = history.manifest(db)
            entries = now.by_path() if now else {}
            lesson = entries.get(path)
            if lesson is None or lesson.kind != "lesson":
                raise ChaskiError(
                    f"there is no lesson {path} here", hint="`chaski-node search` finds lessons"
                )
            files = [e.path for e in entries.values() if e.kind not in ("lesson", "channel")]
            used = sorted(uses(self._read(lesson.hash), files))
            pin = Pin(lesson, tuple(entries[name] for name in used), at)
            _put(db, pin)
            return pin

    def release(self, path: str) -> None:
        """Lets go of the lesson at `path`: the newest revision is shown at once.

        Raises ChaskiError: it is not pinned. ContentError: the newest is damaged.
        """
        with self._store.transaction() as db:
            if not db.execute("DELETE FROM pins WHERE path = ?", (path,)).rowcount:
                raise ChaskiError(f"{path} is not pinned", hint="`chaski-node pins list`")
            now = history.manifest(db)
            if now:
                replace_lessons(db, over(now, pins(db)), self._read, lambda step: None)


def pins(db: sqlite3.Connection) -> list[Pin]:
    """All pins, by path."""
    rows = db.execute("SELECT entries, at FROM pins ORDER BY path")
    return [_pin(text, at) for text, at in rows]


def pin_at(db: sqlite3.Connection, path: str) -> Pin | None:
    """The pin on the lesson at `path`."""
    row = db.execute("SELECT entries, at FROM pins WHERE path = ?", (path,)).fetchone()
    return _pin(*row) if row else None


def lesson_path(id_: str, language: Language) -> str:
    """Where the lesson is in a manifest."""
    return f"lessons/{id_}.{language}.json"


def over(now: Manifest, kept: list[Pin]) -> Manifest:
    """`now` with what is pinned in its place."""
    if not kept:
        return now
    entries = now.by_path()
    for pin in kept:
        entries |= {entry.path: entry for entry in (pin.lesson, *pin.files)}
    return manifest(now.channel, entries.values())


def _put(db: sqlite3.Connection, pin: Pin) -> None:
    if db.execute("SELECT count(*) FROM pins").fetchone()[0] >= MAX_PINS:
        raise ChaskiError(
            f"{MAX_PINS} lessons are pinned", hint="release those that no class works with"
        )
    text = encode((pin.lesson, *pin.files)).decode()
    db.execute("INSERT INTO pins VALUES (?, ?, ?)", (pin.path, text, pin.at))


def _pin(text: str, at: float) -> Pin:
    lesson, *files = decode(text.encode(), _Entries, limit=MAX_PIN_BYTES, what="pin")
    return Pin(lesson, tuple(files), at)
