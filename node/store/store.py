"""Store: what is installed, and the one transaction that changes it.

* `install` replaces lessons, index, manifest, root, floors and history in one transaction:
  at any moment a reader, and whoever comes after a power cut, sees the old version or the
  new one, never a mixture. A version may be installed in part (`partial.py`), again and again
  until it is whole; what pages show is the version with the pins over it (`pins.py`).
* The objects must be on the disk before; a lesson that cannot be read stops the install.
* Only lessons whose object changed are indexed again.
* One connection writes, behind a lock; each thread reads with its own.
* On a disk that takes no byte the store is `read_only` (`frozen.py`): it shows what it has, and
  writes again at the first write that the disk allows.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.store import history as past
from node.store import partial, schema
from node.store import pins as pinned
from node.store.frozen import Frozen
from node.store.index import VERSION, made_by, replace_lessons
from sync import lesson as lessons
from sync import manifest as manifests
from sync.canonical import Digest, decode, encode
from sync.errors import ContentError, SpaceError
from sync.lesson import CHANNEL_PATH
from sync.manifest import Manifest
from sync.trust import Floors

KEEP_SYNCS = 200
KEEP_ARCHIVES = 2000
QUIET = "current"
"""The kind of outcome of which only the last in a row is worth keeping."""
MAX_FLOORS_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Installed:
    """The version that pages show."""

    channel: str
    version: int
    root: Digest
    """Of what is shown."""
    applied_at: float
    """Unix seconds by the node's clock."""
    part: partial.Part | None = None
    """How much of it is here; None: it is whole."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What the judge of signatures must remember."""

    anchor: Digest
    """Digest of the root file that the operator gave; where trust began."""
    metadata: bytes
    """The newest root keys that follow from it."""
    floors: Floors


@dataclass(frozen=True, slots=True)
class Release:
    """A channel version ready to be installed."""

    channel: str
    version: int
    manifest: Manifest
    trust: Trust
    place: bytes | None = None
    """Where the road stands that led here; None: it has no place, or another was taken."""
    target: Manifest | None = None
    """What the version will be, when `manifest` is only what can be shown so far."""


def no_step(name: str) -> None:
    """The default of every `step` parameter."""


class Store:
    """The database of one node. Close it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._frozen: Frozen | None = None
        try:
            self._writer = schema.open_writer(path)
        except SpaceError:
            if not path.exists():
                raise
            self._frozen = schema.open_frozen(path)
            self._writer = self._frozen.reader()

    @property
    def read_only(self) -> bool:
        """True while the disk takes nothing: what is shown cannot change."""
        return self._frozen is not None

    def close(self) -> None:
        """Closes every connection, also those of other threads."""
        with self._lock:
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()
            if self._frozen:
                self._frozen.close()

    def reader(self) -> sqlite3.Connection:
        """This thread's read-only connection."""
        frozen = self._frozen
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is None or self._local.frozen is not frozen:
            held = frozen.reader() if frozen else schema.open_reader(self._path)
            self._local.connection, self._local.frozen = held, frozen
            with self._lock:
                self._readers.append(held)
        return held

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, seeing one and the same version throughout."""
        db = self.reader()
        db.execute("BEGIN")
        try:
            yield db
        finally:
            db.execute("COMMIT")

    def installed(self) -> Installed | None:
        """What pages show now; None before the first sync."""
        row = (
            self.reader()
            .execute(
                "SELECT channel, version, versions.root, applied_at,"
                " partial.root, lessons_here, lessons FROM current"
                " JOIN versions ON versions.id = current.version_id"
                " LEFT JOIN partial ON partial.version_id = versions.id"
            )
            .fetchone()
        )
        if row is None:
            return None
        channel, version, root, at, *part = row
        return Installed(channel, version, root, at, partial.Part(*part) if part[0] else None)

    def lessons(self) -> int:
        """How many lessons are installed, each once whatever its languages."""
        counted = self.reader().execute("SELECT count(DISTINCT id) FROM lessons")
        return int(counted.fetchone()[0])

    def manifest(self) -> Manifest | None:
        """The manifest of the installed version."""
        return past.manifest(self.reader())

    def shown(self) -> Manifest | None:
        """What pages show: that manifest with the pins over it."""
        now = self.manifest()
        return pinned.over(now, pinned.pins(self.reader())) if now else None

    def base(self) -> Manifest | None:
        """The newest version that is here whole, as the hub knows it: where a bundle starts."""
        installed = self.installed()
        if installed is None or installed.part is None:
            return self.manifest()
        before = self.before()
        return before.manifest if before else None

    def whole_version(self) -> int:
        """The newest version that is here whole; 0 for none."""
        row = (
            self.reader()
            .execute(
                "SELECT version FROM versions WHERE manifest IS NOT NULL AND id NOT IN"
                " (SELECT version_id FROM partial) ORDER BY id DESC"
            )
            .fetchone()
        )
        return int(row[0]) if row else 0

    def kept(self) -> set[Digest]:
        """Objects of the installed version, of what it will be, of the one before it, and of
        what is pinned."""
        db = self.reader()
        rows = db.execute(
            "SELECT manifest FROM versions WHERE manifest IS NOT NULL"
            " UNION ALL SELECT manifest FROM partial"
        )
        held = {entry.hash for row in rows for entry in manifests.from_bytes(row[0]).entries}
        return held.union(e.hash for pin in pinned.pins(db) for e in (pin.lesson, *pin.files))

    def trust(self) -> Trust | None:
        """What the judge of signatures must remember; None before the first judgement."""
        row = self.reader().execute("SELECT anchor, metadata, floors FROM trust").fetchone()
        return Trust(row[0], bytes(row[1]), _floors(row[2])) if row else None

    def advance(self, trust: Trust, place: bytes | None = None) -> None:
        """Remembers what the judge has accepted, without a new version, and the road's place."""
        with self.transaction() as db:
            _advance(db, trust)
            _move(db, place)

    def place(self) -> bytes | None:
        """Where the road stood that led to what is installed or accepted; None: nowhere yet."""
        row = self.reader().execute("SELECT place FROM place").fetchone()
        return bytes(row[0]) if row else None

    def install(
        self,
        release: Release,
        read: Callable[[Digest], bytes],
        at: float,
        step: Callable[[str], None] = no_step,
    ) -> None:
        """Makes `release` the installed version, all of it or nothing.

        `read` gives an object's bytes; `step` is called before each part. Raises
        ContentError for an unreadable lesson, SpaceError for a full disk.
        """
        channel = next((e for e in release.manifest.entries if e.path == CHANNEL_PATH), None)
        if channel is None:
            raise ContentError(f"channel {release.channel} {release.version}: no {CHANNEL_PATH}")
        lessons.channel_from_bytes(read(channel.hash))
        with self.transaction() as db:
            step("lessons")
            replace_lessons(db, pinned.over(release.manifest, pinned.pins(db)), read, step)
            step("version")
            past.add(db, past.Fresh(release.version, release.manifest, release.target, at))
            past.release(db)
            step("floors")
            _advance(db, release.trust)
            _move(db, release.place)
            step("commit")
        step("committed")

    def history(self, most: int = 50) -> list[past.Shown]:
        """What was shown here, newest first."""
        return past.history(self.reader(), most)

    def before(self) -> past.Before | None:
        """The version that `turn_back` would show; whole on the disk unless damaged."""
        return past.before(self.reader())

    def held(self) -> past.Held | None:
        """The version that a sync does not install."""
        return past.held(self.reader())

    def turn_back(
        self,
        read: Callable[[Digest], bytes],
        at: float,
        *,
        forward: bool = False,
        step: Callable[[str], None] = no_step,
    ) -> None:
        """Shows the version before the installed one again, which is held back from now on;
        `forward`: shows that one again instead, and holds nothing back.

        One transaction; safe beside a node that serves. Floors stay. Raises ChaskiError:
        there is no such version. ContentError: its objects are damaged. SpaceError.
        """
        with self.transaction() as db:
            old, held = past.before(db), past.held(db)
            now = past.now(db)
            if old is None or now is None:
                raise past.nothing_before(forward=forward)
            if forward != (held is not None and old.root == held.root):
                raise past.nothing_before(forward=forward)
            for entry in old.manifest.entries:
                read(entry.hash)
            step("lessons")
            replace_lessons(db, pinned.over(old.manifest, pinned.pins(db)), read, step)
            step("version")
            past.add(db, past.Fresh(old.version, old.manifest, old.target, at), back=True)
            step("held")
            if forward:
                past.release(db)
            else:
                past.hold(db, now.version, now.root)
            step("commit")

    def reindex(self, read: Callable[[Digest], bytes]) -> bool:
        """Writes the index anew when another version of the program wrote it; did it?

        Raises ContentError for a damaged object, SpaceError; then the old index stays.
        """
        held = self.manifest()
        if held is None or made_by(self.reader()) == VERSION:
            return False
        with self.transaction() as db:
            replace_lessons(db, pinned.over(held, pinned.pins(db)), read, no_step)
        return True

    def archive_checks(self, digest: Digest) -> bytes | None:
        """The checks of an archive that came out right; None when it was never composed here."""
        rows = self.reader().execute("SELECT checks FROM archives WHERE digest = ?", (digest,))
        row = rows.fetchone()
        return bytes(row[0]) if row else None

    def keep_archive(self, digest: Digest, checks: bytes) -> None:
        """Remembers an archive that came out right; the newest `KEEP_ARCHIVES` of them."""
        with self.transaction() as db:
            sql = "INSERT OR REPLACE INTO archives (digest, checks) VALUES (?, ?)"
            added = db.execute(sql, (digest, checks)).lastrowid
            db.execute("DELETE FROM archives WHERE key <= ? - ?", (added, KEEP_ARCHIVES))

    def record_sync(self, at: float, kind: str, outcome: bytes) -> None:
        """Keeps one sync's outcome: the newest `KEEP_SYNCS`, and of a row of quiet ones the
        last."""
        with self.transaction() as db:
            last = db.execute("SELECT id, kind FROM syncs ORDER BY id DESC").fetchone()
            if last and last[1] == kind == QUIET:
                db.execute("DELETE FROM syncs WHERE id = ?", (last[0],))
            added = db.execute(
                "INSERT INTO syncs (at, kind, outcome) VALUES (?, ?, ?)",
                (at, kind, outcome.decode()),
            )
            db.execute("DELETE FROM syncs WHERE id <= ? - ?", (added.lastrowid, KEEP_SYNCS))

    def last_syncs(self, most: int) -> list[bytes]:
        """The newest outcomes kept, newest first."""
        rows = self.reader().execute("SELECT outcome FROM syncs ORDER BY id DESC LIMIT ?", (most,))
        return [row[0].encode() for row in rows]

    def last_sync(self, kind: str | None = None) -> bytes | None:
        """The outcome kept last, of this kind if one is given."""
        row = (
            self.reader()
            .execute(
                "SELECT outcome FROM syncs WHERE ?1 IS NULL OR kind = ?1 ORDER BY id DESC", (kind,)
            )
            .fetchone()
        )
        return row[0].encode() if row else None

    def check(self) -> None:
        """Raises ContentError when SQLite finds the database damaged. Reads all of it."""
        try:
            found = [row[0] for row in self.reader().execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            raise schema.damaged(self._path, error) from error
        if found != ["ok"]:
            raise schema.damaged(self._path, sqlite3.DatabaseError("; ".join(found[:3])))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writing connection; all that is done with it, or nothing. Raises SpaceError."""
        with self._lock:
            try:
                if self._frozen:
                    self._writer = schema.open_writer(self._path)
                    self._frozen.close()
                    self._frozen = None
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise _plain(self._path, error) from error
                raise


def _plain(path: Path, error: sqlite3.Error) -> Exception:
    return schema.damaged(path, error) if isinstance(error, sqlite3.DatabaseError) else error


def _floors(text: str) -> Floors:
    return decode(text.encode(), Floors, limit=MAX_FLOORS_BYTES, what="version floors")


def _advance(db: sqlite3.Connection, trust: Trust) -> None:
    db.execute(
        "INSERT OR REPLACE INTO trust VALUES (1, ?, ?, ?)",
        (trust.anchor, trust.metadata, encode(trust.floors).decode()),
    )


def _move(db: sqlite3.Connection, place: bytes | None) -> None:
    if place is not None:
        db.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (place,))
