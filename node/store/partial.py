"""Partial: a version of which not everything has come yet, and what pages show of it.

* Shown is, path by path, the entry of the target if its object is here, else the one shown
  before. Nothing disappears before the version is whole.
* A lesson is shown in its new revision only with all files that it uses. A file that changes
  under its old name waits for the whole version, and so do the lessons that use it: text and
  picture are of one revision, always. So do models, and whatever is put together of members.
* Such a row of `versions` goes on under its number while more comes, and becomes whole in the
  end. The version before it is the last one that was whole.
* Written only inside a transaction of `store.py`.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from sync import manifest as manifests
from sync.canonical import Digest
from sync.manifest import Entry, Manifest, manifest

_PATHLIKE = re.compile(r"""[^\s"'()<>\[\]\\]+""")
"""What could be an address in Markdown, inside JSON."""


@dataclass(frozen=True, slots=True)
class Part:
    """How much of a version is here. Lessons count once a language."""

    root: Digest
    """What was signed: the root of the whole version."""
    lessons_here: int
    lessons: int

    @property
    def missing(self) -> int:
        """Lessons that have not come."""
        return self.lessons - self.lessons_here


def shown(
    target: Manifest,
    before: Manifest | None,
    here: Callable[[Entry], bool],
    read: Callable[[Digest], bytes],
) -> Manifest:
    """What of `target` can be shown, over what is shown now.

    `here` says whether an object is on the disk; `read` gives its bytes.
    """
    olds = before.by_path() if before else {}
    news = target.by_path()
    files = [e for e in target.entries if e.kind not in ("lesson", "channel")]
    waiting = {e.path for e in files if olds.get(e.path) != e and _waits(e, olds, here)}
    named = {e.path for e in files}

    def ready(entry: Entry) -> bool:
        if olds.get(entry.path) == entry:
            return True
        if entry.path in waiting or not here(entry):
            return False
        if entry.kind != "lesson" or not waiting:
            return True
        return waiting.isdisjoint(uses(read(entry.hash), named))

    made = {entry.path: entry for entry in news.values() if ready(entry)}
    folded = {path.casefold() for path in made}
    kept = [entry for path, entry in olds.items() if path.casefold() not in folded]
    return manifest(target.channel, [*made.values(), *kept])


def _waits(entry: Entry, olds: Mapping[str, Entry], here: Callable[[Entry], bool]) -> bool:
    """True for a file that pages must not show yet: only a new one that is whole by itself may."""
    return entry.path in olds or entry.kind != "asset" or not here(entry)


def uses(lesson: bytes, files: Collection[str]) -> set[str]:
    """Which of `files` (paths) the bytes of a lesson name."""
    if not files:
        return set()
    text = lesson.decode("utf-8", "replace")
    said = {unquote(word).lstrip("./") for word in _PATHLIKE.findall(text)}
    return {path for path in files if path in said or path.split("/", 1)[-1] in said}


def part_of(db: sqlite3.Connection, version_id: int) -> Part | None:
    """How much of it is here; None when it is whole."""
    row = db.execute(
        "SELECT root, lessons_here, lessons FROM partial WHERE version_id = ?", (version_id,)
    ).fetchone()
    return Part(*row) if row else None


def target_of(db: sqlite3.Connection, version_id: int) -> Manifest | None:
    """What the version will be; None when it is whole."""
    row = db.execute("SELECT manifest FROM partial WHERE version_id = ?", (version_id,)).fetchone()
    return manifests.from_bytes(row[0]) if row else None


def mark(db: sqlite3.Connection, version_id: int, now: Manifest, target: Manifest | None) -> None:
    """Writes down that `now` is only part of `target`; None: it is whole."""
    db.execute("DELETE FROM partial WHERE version_id = ?", (version_id,))
    if target is None:
        return
    lessons = {e for e in target.entries if e.kind == "lesson"}
    db.execute(
        "INSERT INTO partial VALUES (?, ?, ?, ?, ?)",
        (
            version_id,
            target.root,
            manifests.to_bytes(target),
            len(lessons.intersection(now.entries)),
            len(lessons),
        ),
    )
