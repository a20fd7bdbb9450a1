"""History: which versions were shown here and when, and which one is held back.

* A rollback is an install of the version before, from what is still on the disk: one
  transaction, like every other change. The floors of trust stay as high as they are.
* The version that was rolled back from is **held**: a sync does not install it again. A newer
  one ends that, and so does going forward again.
* A version that is here in part may be left and shown again like any other; what is held then
  is the whole of it.
* Written only inside a transaction of `store.py`.
"""

import sqlite3
from dataclasses import dataclass

from node.store import partial
from sync import manifest as manifests
from sync.canonical import Digest
from sync.errors import ChaskiError
from sync.lesson import CHANNEL_PATH
from sync.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Shown:
    """One time that a version was put in place. Unix seconds by the node's clock."""

    version: int
    root: Digest
    at: float
    current: bool
    kept: bool
    """Its lessons are on the disk: it can be shown again."""
    part: bool = False
    """Not all of it is here."""


@dataclass(frozen=True, slots=True)
class Held:
    """The version that a sync must not install, until a newer one comes."""

    version: int
    root: Digest


@dataclass(frozen=True, slots=True)
class Before:
    """A version that is on the disk: `manifest` is what of it can be shown."""

    version: int
    manifest: Manifest
    target: Manifest | None = None
    """What it will be; None: it is whole."""

    @property
    def root(self) -> Digest:
        """What was signed."""
        return (self.target or self.manifest).root


@dataclass(frozen=True, slots=True)
class Fresh(Before):
    """A version that is put in place at `at`."""

    at: float = 0.0


def history(db: sqlite3.Connection, most: int) -> list[Shown]:
    """The newest `most` entries, newest first."""
    rows = db.execute(
        "SELECT version, root, applied_at, id = (SELECT version_id FROM current),"
        " manifest IS NOT NULL, id IN (SELECT version_id FROM partial)"
        " FROM versions ORDER BY id DESC LIMIT ?",
        (most,),
    )
    return [Shown(v, root, at, *map(bool, flags)) for v, root, at, *flags in rows]


def now(db: sqlite3.Connection) -> Before | None:
    """The version that pages show."""
    return _one(db, "id = (SELECT version_id FROM current)")


def manifest(db: sqlite3.Connection) -> Manifest | None:
    """The manifest of what pages show."""
    found = now(db)
    return found.manifest if found else None


def before(db: sqlite3.Connection) -> Before | None:
    """The version shown before the installed one; None when there is none."""
    return _one(db, "manifest IS NOT NULL AND id != (SELECT version_id FROM current)")


def add(db: sqlite3.Connection, fresh: Fresh, *, back: bool = False) -> None:
    """Makes `fresh` what pages show, and keeps one other: what was shown until now, or what is
    whole, when that is only a part. `back`: what was shown until now, whatever it is.
    """
    shown = db.execute("SELECT version_id FROM current").fetchone()
    old: int = shown[0] if shown else 0
    part = partial.part_of(db, old)
    data = manifests.to_bytes(fresh.manifest)
    place = (fresh.version, fresh.manifest.root, fresh.at, data)
    if part and part.root == fresh.root and not back:
        db.execute(
            "UPDATE versions SET version = ?, root = ?, applied_at = ?, manifest = ? WHERE id = ?",
            (*place, old),
        )
        added = old
    else:
        inserted = db.execute(
            "INSERT INTO versions (channel, version, root, applied_at, manifest)"
            " VALUES (?, ?, ?, ?, ?)",
            (fresh.manifest.channel, *place),
        )
        added = int(inserted.lastrowid or 0)
        gone = "id = ?" if part and not back else "id != ?"
        db.execute(
            f"UPDATE versions SET manifest = NULL WHERE {gone} AND id != ?",  # noqa: S608
            (old, added),
        )
        db.execute(
            "DELETE FROM partial WHERE version_id IN"
            " (SELECT id FROM versions WHERE manifest IS NULL)"
        )
    partial.mark(db, added, fresh.manifest, fresh.target)
    about = next(e for e in fresh.manifest.entries if e.path == CHANNEL_PATH)
    db.execute("INSERT OR REPLACE INTO current VALUES (1, ?, ?)", (added, about.hash))


def _one(db: sqlite3.Connection, which: str) -> Before | None:
    row = db.execute(
        f"SELECT version, manifest, id FROM versions WHERE {which} ORDER BY id DESC"  # noqa: S608
    ).fetchone()
    if row is None:
        return None
    return Before(row[0], manifests.from_bytes(row[1]), partial.target_of(db, row[2]))


def held(db: sqlite3.Connection) -> Held | None:
    """The version that is held back."""
    row = db.execute("SELECT version, root FROM held").fetchone()
    return Held(*row) if row else None


def hold(db: sqlite3.Connection, version: int, root: Digest) -> None:
    """Holds back the version with `root`."""
    db.execute("INSERT OR REPLACE INTO held VALUES (1, ?, ?)", (version, root))


def release(db: sqlite3.Connection) -> None:
    """Holds nothing back."""
    db.execute("DELETE FROM held")


def nothing_before(*, forward: bool) -> ChaskiError:
    """What to say when there is no version to go to."""
    if forward:
        return ChaskiError("no version is held back here", hint="`chaski-node sync` asks the hub")
    return ChaskiError(
        "there is no version before this one on the disk",
        hint="a node keeps the installed version and the one before it; see `chaski-node history`",
    )
