"""Scripts: what the hub learnt while it wrote bundles, kept in `scripts.db`: above all edit
scripts by (old digest, new digest), told once.

* Comparing two texts is the dear part of a bundle. However many versions nodes come from and
  however many nodes there are, each change of an object is compared once: work and rows grow
  with the changes, never with the fleet.
* Scripts are kept uncompressed; where there was none, the next bundle asks again, at most for
  the seconds that one bundle may spend on comparing.
* Beside them are payloads of groups and choices of bases, under keys of the writer's (see
  `Memory`): of two versions that follow each other most groups are the same, so the next
  bundle from an old base, or the next whole one, costs what is new in it.
* It is a cache: at most `max_bytes`, the longest unused go first. A damaged row is told anew,
  a damaged database is thrown away, a full disk or a busy one keeps nothing.
* A connection lives as long as one bundle is written; any process may write one. The threads
  of one writer take turns.
"""

import contextlib
import hashlib
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlite_utils import Database, Migrations

from sync.bundle.memory import Forgetful, Memory
from sync.codec.script import Differ, LineDiffer, Script, script_from_bytes, script_to_bytes
from sync.errors import ContentError
from sync.files import make_folder

MAX_BYTES = 256 * 1024 * 1024
FRESH_BYTES = 64 * 1024 * 1024
"""So much of one bundle waits in memory to be kept; the rest is forgotten."""
BUSY_SECONDS = 2.0
_CHECK_BYTES = 4

migrations = Migrations("scripts")


@migrations()
def m001_scripts(db: Database) -> None:
    """One row a pair; `used` counts bundles, so the least is the longest unused."""
    db.execute(
        "CREATE TABLE scripts (pair BLOB PRIMARY KEY, script BLOB NOT NULL, used INTEGER NOT NULL)"
        " WITHOUT ROWID"
    )


class Scripts:
    """The kept scripts at `path`; `new_differ` makes who tells those that are missing."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = MAX_BYTES,
        new_differ: Callable[[], Differ] = LineDiffer,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._new_differ = new_differ
        self._busy_seconds = busy_seconds

    @contextlib.contextmanager
    def memory(self) -> Iterator[Memory]:
        """What one bundle may ask. What it learns is kept at the end."""
        db = self._open()
        kept = Kept(db, self._new_differ()) if db else None
        try:
            yield kept or Forgetful(self._new_differ())
            if kept:
                kept.write(self._max_bytes)
        finally:
            if db:
                db.close()

    def count(self) -> int:
        """How many scripts are kept, other things aside."""
        db = self._open()
        if db is None:
            return 0
        with contextlib.closing(db):
            return int(
                db.execute("SELECT count(*) FROM scripts WHERE length(pair) = 64").fetchone()[0]
            )

    def _open(self) -> Database | None:
        """The database; begun anew when it is damaged, None when it cannot be had."""
        for _ in range(2):
            try:
                make_folder(self._path.parent)
                db = Database(
                    sqlite3.connect(self._path, timeout=self._busy_seconds, check_same_thread=False)
                )
                migrations.apply(db)
            except sqlite3.OperationalError:
                return None
            except sqlite3.DatabaseError:
                self._path.unlink(missing_ok=True)
            else:
                return db
        return None


class Kept:
    """A memory that looks into the database first."""

    def __init__(self, db: Database, told: Differ) -> None:
        self._db = db
        self._told = told
        self._turn = threading.RLock()
        self._room = FRESH_BYTES
        self._found: set[bytes] = set()
        self._fresh: dict[bytes, bytes] = {}

    def script(self, old: bytes, new: bytes) -> Script | None:
        """See `Differ`."""
        pair = hashlib.sha256(old).digest() + hashlib.sha256(new).digest()
        with self._turn:
            kept = self.recall(pair)
            if kept is not None:
                with contextlib.suppress(ContentError):
                    return script_from_bytes(kept, len(old), len(new))
            script = self._told(old, new)
            if script is not None:
                self.keep(pair, script_to_bytes(script))
        return script

    def recall(self, key: bytes) -> bytes | None:
        """See `Memory`."""
        with self._turn:
            kept = self._fresh.get(key) or self._row(key)
        if kept is None or zlib.crc32(kept[_CHECK_BYTES:]).to_bytes(4, "little") != kept[:4]:
            return None
        self._found.add(key)
        return kept[_CHECK_BYTES:]

    def keep(self, key: bytes, value: bytes) -> None:
        """See `Memory`."""
        with self._turn:
            if self._room >= len(value):
                self._room -= len(value)
                self._fresh[key] = zlib.crc32(value).to_bytes(_CHECK_BYTES, "little") + value

    def write(self, max_bytes: int) -> None:
        """Keeps what was told, forgets the longest unused beyond `max_bytes`."""
        with contextlib.suppress(sqlite3.OperationalError), self._db.conn:
            [[last]] = self._db.execute("SELECT coalesce(max(used), 0) FROM scripts").fetchall()
            self._db.conn.executemany(
                "UPDATE scripts SET used = ? WHERE pair = ?",
                [(last + 1, pair) for pair in self._found - self._fresh.keys()],
            )
            self._db.conn.executemany(
                "INSERT OR REPLACE INTO scripts (pair, script, used) VALUES (?, ?, ?)",
                [(pair, script, last + 1) for pair, script in self._fresh.items()],
            )
            self._db.conn.execute(
                """DELETE FROM scripts WHERE pair IN (
                    SELECT pair FROM (
                        SELECT pair,
                        sum(length(pair) + length(script)) OVER (ORDER BY used DESC, pair) AS upto
                        FROM scripts
                    ) WHERE upto > ?
                )""",
                (max_bytes,),
            )

    def _row(self, pair: bytes) -> bytes | None:
        with contextlib.suppress(sqlite3.DatabaseError):  # a damaged page is a missing row
            row = self._db.execute("SELECT script FROM scripts WHERE pair = ?", (pair,)).fetchone()
            return bytes(row[0]) if row else None
        return None
