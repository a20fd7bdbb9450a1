"""Spool: samples and events on the disk until the hub has them.

* Rows are pending until they are sealed into a block; sealing and numbering are one
  transaction. A block is deleted only after the hub acknowledged it.
* A block's id is (node, epoch, number). The epoch is of this data folder and this boot;
  numbers never repeat within the folder. The hub drops what it has already.
* Bounded in bytes. Samples go before events, the oldest first; what went is counted.
* Uploads of teachers are never dropped for room: they may take `UPLOAD_SHARE` of it, and what
  does not fit is refused when it is handed in.
* A power cut may cost the last rows, never the file: commits are ordered, not synced, to
  spare the SD card one sync a row.
* One connection behind a lock; safe from any thread.
"""

import contextlib
import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from node.store.schema import BUSY_SECONDS, damaged
from sync.canonical import Digest
from sync.errors import SpaceError

SpoolKind = Literal["samples", "events", "uploads"]
T = TypeVar("T")
DropReason = Literal["space", "refused"]
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MAX_REFUSALS = 3
"""A block that the hub refused this often is dropped: it would be refused for ever."""
FREED = 0.9
"""When it is full it is emptied to this share, so as not to drop one row at a time."""

UPLOAD_SHARE = 0.5
"""Of the spool, for what teachers hand in."""
MAX_UPLOADS = 500
"""Names of uploads that are kept."""

migrations = Migrations("spool")


@migrations()
def m001_first(db: Database) -> None:
    """Rows, blocks, drops, and the folder's own random name."""
    for statement in (
        "CREATE TABLE rows (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
        " data BLOB NOT NULL)",
        "CREATE TABLE blocks (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
        " data BLOB NOT NULL, refusals INTEGER NOT NULL DEFAULT 0)",
        "CREATE TABLE drops (reason TEXT PRIMARY KEY, count INTEGER NOT NULL)",
        "CREATE TABLE folder (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL)",
    ):
        db.conn.execute(statement)
    db.conn.execute("INSERT INTO folder VALUES (1, ?)", (secrets.token_hex(16),))


@migrations()
def m002_uploads(db: Database) -> None:
    """Lessons that were handed in, and which blocks are theirs."""
    db.conn.execute("ALTER TABLE blocks ADD COLUMN upload TEXT")
    db.conn.execute(
        "CREATE TABLE uploads (upload TEXT PRIMARY KEY, title TEXT NOT NULL, author TEXT NOT NULL,"
        " lesson TEXT NOT NULL, language TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL,"
        " parts INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,"
        " refused INTEGER NOT NULL)"
    )


@dataclass(frozen=True, slots=True)
class Upload:
    """A lesson that was handed in, and how many of its parts went where."""

    upload: Digest
    title: str
    author: str
    lesson: str
    language: str
    at: float
    size: int
    parts: int
    sent: int = 0
    received: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Sealed:
    """One block that waits for a link."""

    seq: int
    kind: SpoolKind
    data: bytes


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits; rows are not sealed yet."""

    blocks: int
    rows: int
    bytes: int


def boot_id(path: Path = BOOT_ID) -> str:
    """The kernel's name for this boot; a random one where there is none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return secrets.token_hex(16)


class Spool:
    """The spool file at `path`, of at most `limit` bytes of content."""

    def __init__(self, path: Path, limit: int, boot: str) -> None:
        """Raises ContentError when `path` is no spool."""
        self._path = path
        self._limit = limit
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            migrations.apply(Database(self._db))
            (name,) = self._db.execute("SELECT name FROM folder").fetchone()
            self._bytes = self._count_bytes()
        except sqlite3.DatabaseError as error:
            raise damaged(path, error) from error
        self.epoch = hashlib.sha256(f"{name} {boot}".encode()).hexdigest()[:16]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def add(self, kind: SpoolKind, data: bytes) -> None:
        """Keeps one row until it is sealed. Raises SpaceError when the disk is full."""
        with self._transaction() as db:
            db.execute("INSERT INTO rows (kind, data) VALUES (?, ?)", (kind, data))
            self._bytes += len(data)
            self._make_room(db)

    def rows(self, kind: SpoolKind) -> int:
        """How many rows of `kind` are not sealed yet."""
        with self._lock:
            counted = self._db.execute("SELECT count(*) FROM rows WHERE kind = ?", (kind,))
            return int(counted.fetchone()[0])

    def seal(
        self, kind: SpoolKind, most: int, make: Callable[[str, int, list[bytes]], bytes]
    ) -> bool:
        """Seals the oldest `most` rows of `kind`; False when there are none.

        `make` turns epoch, number and rows into the block's bytes; empty bytes say that the
        rows are worth nothing.
        """
        with self._transaction() as db:
            found = db.execute(
                "SELECT id, data FROM rows WHERE kind = ? ORDER BY id LIMIT ?", (kind, most)
            ).fetchall()
            if not found:
                return False
            added = db.execute("INSERT INTO blocks (kind, data) VALUES (?, x'')", (kind,))
            seq = int(added.lastrowid or 0)
            data = make(self.epoch, seq, [bytes(row) for _, row in found])
            if data:
                db.execute("UPDATE blocks SET data = ? WHERE seq = ?", (data, seq))
            else:
                db.execute("DELETE FROM blocks WHERE seq = ?", (seq,))
            db.execute("DELETE FROM rows WHERE kind = ? AND id <= ?", (kind, found[-1][0]))
            self._bytes += len(data) - sum(len(row) for _, row in found)
            self._make_room(db)
            return True

    def waiting(self, kind: SpoolKind) -> list[int]:
        """Numbers of the sealed blocks of `kind`, oldest first."""
        with self._lock:
            found = self._db.execute("SELECT seq FROM blocks WHERE kind = ? ORDER BY seq", (kind,))
            return [seq for (seq,) in found]

    def block(self, seq: int) -> Sealed | None:
        """Block `seq`; None when it is gone."""
        with self._lock:
            row = self._db.execute("SELECT * FROM blocks WHERE seq = ?", (seq,)).fetchone()
            return Sealed(row[0], row[1], bytes(row[2])) if row else None

    def done(self, seq: int, *, received: bool = False) -> None:
        """Block `seq` was handed over: forget it. `received`: the hub itself said so."""
        with self._transaction() as db:
            db.execute(
                "UPDATE uploads SET sent = sent + 1, received = received + ?"
                " WHERE upload = (SELECT upload FROM blocks WHERE seq = ?)",
                (received, seq),
            )
            self._delete(db, "blocks", "seq", seq)

    def hand_in(self, upload: Upload, make: Sequence[Callable[[str, int], bytes]]) -> bool:
        """Keeps the blocks of an upload; False when it was handed in before.

        Each of `make` turns epoch and number into a block's bytes. Raises SpaceError when
        there is no room for it.
        """
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM uploads WHERE upload = ?", (upload.upload,)).fetchone():
                return False
            marks = ", ".join("?" for _ in fields(upload))
            db.execute(f"INSERT INTO uploads VALUES ({marks})", astuple(upload))  # noqa: S608
            for one in make:
                sql = "INSERT INTO blocks (kind, data, upload) VALUES ('uploads', x'', ?)"
                seq = int(db.execute(sql, (upload.upload,)).lastrowid or 0)
                data = one(self.epoch, seq)
                db.execute("UPDATE blocks SET data = ? WHERE seq = ?", (data, seq))
                self._bytes += len(data)
            self._refuse_too_much(db, upload)
            self._make_room(db)
            db.execute(
                "DELETE FROM uploads WHERE (sent = parts OR refused > 0) AND upload NOT IN"
                " (SELECT upload FROM uploads ORDER BY at DESC LIMIT ?)",
                (MAX_UPLOADS,),
            )
            return True

    def uploads(self) -> list[Upload]:
        """What was handed in, newest first."""
        with self._lock:
            found = self._db.execute("SELECT * FROM uploads ORDER BY at DESC, upload")
            return [Upload(*row) for row in found]

    def _refuse_too_much(self, db: sqlite3.Connection, upload: Upload) -> None:
        (held,) = db.execute(
            "SELECT sum(length(data)) FROM blocks WHERE kind = 'uploads'"
        ).fetchone()
        most = int(self._limit * UPLOAD_SHARE)
        if held > most:
            raise SpaceError(
                f"{upload.size:,} bytes do not fit: {held - most:,} more than the {most:,} kept "
                "for what waits to be handed in",
                hint="wait until a link has taken some of it, or hand in smaller pictures",
            )

    def refused(self, seq: int) -> None:
        """The hub will not take block `seq`; after a few times it is dropped and counted."""
        with self._transaction() as db:
            db.execute("UPDATE blocks SET refusals = refusals + 1 WHERE seq = ?", (seq,))
            row = db.execute("SELECT refusals FROM blocks WHERE seq = ?", (seq,)).fetchone()
            if row and row[0] >= MAX_REFUSALS:
                db.execute(
                    "UPDATE uploads SET refused = refused + 1"
                    " WHERE upload = (SELECT upload FROM blocks WHERE seq = ?)",
                    (seq,),
                )
                self._delete(db, "blocks", "seq", seq)
                _drop(db, "refused")

    def depth(self) -> Depth:
        """How much waits for a link."""
        with self._lock:
            (blocks,) = self._db.execute("SELECT count(*) FROM blocks").fetchone()
            (rows,) = self._db.execute("SELECT count(*) FROM rows").fetchone()
            return Depth(blocks, rows, self._bytes)

    def dropped(self) -> dict[DropReason, int]:
        """Blocks and rows lost since the folder was made, by reason."""
        with self._lock:
            found = dict(self._db.execute("SELECT reason, count FROM drops"))
            return {"space": found.get("space", 0), "refused": found.get("refused", 0)}

    def _make_room(self, db: sqlite3.Connection) -> None:
        """Drops the oldest, samples first, blocks before rows, when the limit is passed."""
        if self._bytes <= self._limit:
            return
        for kind in ("samples", "events"):
            for table, key in (("blocks", "seq"), ("rows", "id")):
                oldest = f"SELECT {key} FROM {table} WHERE kind = ? ORDER BY {key}"  # noqa: S608
                for (number,) in db.execute(oldest, (kind,)).fetchall():
                    if self._bytes <= self._limit * FREED:
                        return
                    self._delete(db, table, key, number)
                    _drop(db, "space")

    def _delete(self, db: sqlite3.Connection, table: str, key: str, number: int) -> None:
        sql = f"DELETE FROM {table} WHERE {key} = ? RETURNING length(data)"  # noqa: S608
        self._bytes -= sum(size for (size,) in db.execute(sql, (number,)).fetchall())

    def _count_bytes(self) -> int:
        both = "SELECT data FROM rows UNION ALL SELECT data FROM blocks"
        (size,) = self._db.execute(f"SELECT sum(length(data)) FROM ({both})").fetchone()  # noqa: S608
        return int(size or 0)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._bytes = self._count_bytes()
                if (
                    isinstance(error, sqlite3.Error)
                    and error.sqlite_errorcode == sqlite3.SQLITE_FULL
                ):
                    raise SpaceError(f"cannot write {self._path}: {error}") from error
                raise


def readable(rows: list[bytes], kind: type[T]) -> list[T]:
    """The rows that are MessagePack of `kind`; an older program may have left others."""
    found: list[T] = []
    for row in rows:
        with contextlib.suppress(msgspec.MsgspecError):
            found.append(msgspec.msgpack.decode(row, type=kind))
    return found


def _drop(db: sqlite3.Connection, reason: DropReason) -> None:
    db.execute(
        "INSERT INTO drops VALUES (?, 1) ON CONFLICT (reason) DO UPDATE SET count = count + 1",
        (reason,),
    )
