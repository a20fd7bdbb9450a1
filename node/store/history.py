"""History: which versions were shown here and when, and which one is held back.

* A rollback is an install of the version before, from what is still on the disk: one
  transaction, like every other change. The floors of trust stay as high as they are.
* The version that was rolled back from is **held**: a sync does not install it again. A newer
  one ends that, and so does going forward again.
* Written only inside a transaction of `store.py`.
"""

import sqlite3
from dataclasses import dataclass

from sync import manifest as manifests
from sync.canonical import Digest
from sync.errors import ChaskiError
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


@dataclass(frozen=True, slots=True)
class Held:
    """The version that a sync must not install, until a newer one comes."""

    version: int
    root: Digest


@dataclass(frozen=True, slots=True)
class Before:
    """The other version that is kept whole."""

    channel: str
    version: int
    manifest: Manifest


def history(db: sqlite3.Connection, most: int) -> list[Shown]:
    """The newest `most` entries, newest first."""
    rows = db.execute(
        "SELECT version, root, applied_at, id = (SELECT version_id FROM current),"
        " manifest IS NOT NULL FROM versions ORDER BY id DESC LIMIT ?",
        (most,),
    )
    return [Shown(v, root, at, bool(now), bool(kept)) for v, root, at, now, kept in rows]


def before(db: sqlite3.Connection) -> Before | None:
    """The version shown before the installed one; None when there is none."""
    row = db.execute(
        "SELECT channel, version, manifest FROM versions WHERE manifest IS NOT NULL"
        " AND id != (SELECT version_id FROM current) ORDER BY id DESC"
    ).fetchone()
    return Before(row[0], row[1], manifests.from_bytes(row[2])) if row else None


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
