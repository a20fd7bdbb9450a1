"""Blocks: what nodes sent, in SQLite: raw blocks, the nodes, the last value of every series.

* A block is known by its name (kind, node, epoch, seq), also after its bytes were let go.
* Durable when `transaction` ends (`synchronous=FULL`).
* Bounded: when the bytes or the names are too many, the oldest go first and are counted;
  a block whose events were not handed on is never let go.
* A value is newer by its place in the node's own sequence; between two runs of a node by
  time, if both had a sure clock; else by arrival.
* Not thread-safe: it belongs to the thread that opened it.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlite_utils import Database, Migrations

from hub.arrivals import Uploads
from hub.fleet import SERIES, Contact, Labels, NodeState, Reading, fleet
from sync.database import plain
from sync.errors import ContentError
from sync.files import make_folder
from sync.identity import PublicKey

Kind = Literal["samples", "events"]
BUSY_SECONDS = 10.0
TRIM_TO = 0.9
migrations = Migrations("intake")


@migrations()
def m001_intake(db: Database) -> None:
    """Nodes, blocks, and the last value of every series."""
    for statement in (
        """CREATE TABLE nodes (
            node TEXT PRIMARY KEY,
            first REAL NOT NULL,
            last REAL NOT NULL,
            clock TEXT NOT NULL,
            blocks INTEGER NOT NULL
        )""",
        """CREATE TABLE blocks (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('samples', 'events')),
            node TEXT NOT NULL REFERENCES nodes (node),
            epoch TEXT NOT NULL,
            seq INTEGER NOT NULL,
            at REAL NOT NULL,
            size INTEGER NOT NULL,
            body BLOB,
            delivered INTEGER NOT NULL,
            UNIQUE (kind, node, epoch, seq)
        )""",
        "CREATE INDEX blocks_undelivered ON blocks (id) WHERE NOT delivered",
        "CREATE INDEX blocks_kept ON blocks (id) WHERE body IS NOT NULL",
        """CREATE TABLE readings (
            node TEXT NOT NULL REFERENCES nodes (node),
            name TEXT NOT NULL,
            labels TEXT NOT NULL,
            value REAL NOT NULL,
            time INTEGER NOT NULL,
            sure INTEGER NOT NULL,
            epoch TEXT NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY (node, name, labels)
        ) WITHOUT ROWID""",
        "CREATE TABLE totals (kept INTEGER NOT NULL, let_go INTEGER NOT NULL)",
        "INSERT INTO totals VALUES (0, 0)",
    ):
        db.conn.execute(statement)


@migrations()
def m002_signed_and_uploads(db: Database) -> None:
    """The keys of enrolled nodes, and uploads on their way in."""
    for statement in (
        "CREATE TABLE node_keys (node TEXT PRIMARY KEY, key TEXT NOT NULL, since REAL NOT NULL)",
        """CREATE TABLE uploads (
            node TEXT NOT NULL,
            upload TEXT NOT NULL,
            parts INTEGER NOT NULL,
            have INTEGER NOT NULL,
            size INTEGER NOT NULL,
            first REAL NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('coming', 'taken', 'refused')),
            PRIMARY KEY (node, upload)
        ) WITHOUT ROWID""",
        "CREATE INDEX uploads_first ON uploads (node, first)",
        "CREATE INDEX uploads_coming ON uploads (first) WHERE state = 'coming'",
        "CREATE INDEX uploads_whole ON uploads (first) WHERE state = 'coming' AND have = parts",
        """CREATE TABLE upload_parts (
            node TEXT NOT NULL,
            upload TEXT NOT NULL,
            number INTEGER NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (node, upload, number)
        )""",
    ):
        db.conn.execute(statement)


_READ = """INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (node, name, labels) DO UPDATE SET
        value = excluded.value, time = excluded.time, sure = excluded.sure,
        epoch = excluded.epoch, seq = excluded.seq
    WHERE CASE
        WHEN excluded.epoch = readings.epoch THEN excluded.seq >= readings.seq
        WHEN excluded.sure AND readings.sure THEN excluded.time >= readings.time
        ELSE 1 END"""


@dataclass(frozen=True, slots=True)
class Name:
    """Which block it is."""

    kind: Kind
    node: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Bytes of blocks kept, and how many blocks had theirs let go."""

    kept: int
    let_go: int


class Blocks:
    """The store at `path`, created when missing. At most `max_names` blocks, `max_bytes` kept."""

    def __init__(self, path: Path, *, max_names: int, max_bytes: int) -> None:
        make_folder(path.parent)
        self._max_names, self._max_bytes = max_names, max_bytes
        try:
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            migrations.apply(Database(self._db))
        except sqlite3.DatabaseError as error:
            raise plain(path, error) or ContentError(
                f"intake {path}: {error}",
                hint="move the file away; nodes that still hold blocks send them again",
            ) from error
        self.uploads = Uploads(self._db)
        path.chmod(0o600)  # events carry what pupils typed

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when it ends."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def knows(self, name: Name) -> bool:
        """True when this block was stored before."""
        return self._row("SELECT 1 FROM blocks WHERE {}", name) is not None

    def body(self, name: Name) -> bytes | None:
        """The raw bytes of a block; None when it is unknown or was let go."""
        row = self._row("SELECT body FROM blocks WHERE {}", name)
        return row[0] if row else None

    def add(self, name: Name, body: bytes, at: float, *, delivered: bool) -> None:
        """Stores a block that is not known yet, of a node that is."""
        self._db.execute(
            "INSERT INTO blocks (kind, node, epoch, seq, at, size, body, delivered) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (name.kind, name.node, name.epoch, name.seq, at, len(body), body, delivered),
        )
        self._db.execute("UPDATE totals SET kept = kept + ?", (len(body),))
        self._trim()

    def greet(self, node: str, at: float, clock: str | None) -> None:
        """Notes that `node` was here; `clock` is what its block says of its clock."""
        self._db.execute(
            "INSERT INTO nodes VALUES (?, ?, ?, coalesce(?, 'unknown'), 1) "
            "ON CONFLICT (node) DO UPDATE SET last = excluded.last, blocks = blocks + 1, "
            "clock = coalesce(?, clock)",
            (node, at, at, clock, clock),
        )

    def enrol(self, node: str, key: PublicKey, at: float) -> None:
        """Notes the key of `node`, in place of the one before: from now on it must sign."""
        self._db.execute("INSERT OR REPLACE INTO node_keys VALUES (?, ?, ?)", (node, key, at))

    def key(self, node: str) -> PublicKey | None:
        """The key that `node` was enrolled with; None when it has none."""
        row = self._db.execute("SELECT key FROM node_keys WHERE node = ?", (node,)).fetchone()
        return PublicKey(row[0]) if row else None

    def keys(self) -> dict[str, PublicKey]:
        """The keys of all nodes that have one."""
        return {n: PublicKey(k) for n, k in self._db.execute("SELECT node, key FROM node_keys")}

    def nodes(self) -> int:
        """How many nodes ever reported."""
        return self._count("SELECT count(*) FROM nodes")

    def has_node(self, node: str) -> bool:
        """True when `node` reported before."""
        return self._count("SELECT count(*) FROM nodes WHERE node = ?", node) > 0

    def fleet(self, head: int, now: float) -> list[NodeState]:
        """Every node's state at unix second `now`, when `head` is the newest version."""
        return fleet(self.contacts(), self.readings(SERIES), head, now)

    def contacts(self) -> list[Contact]:
        """Every node that ever reported, by name."""
        rows = self._db.execute("SELECT node, first, last, clock, blocks FROM nodes ORDER BY node")
        return [Contact(*row) for row in rows]

    def read(
        self, name: Name, values: Iterable[tuple[str, Labels, float, int]], *, sure: bool
    ) -> None:
        """Makes (series, labels, value, unix ms) the last values of their series, where newer."""
        self._db.executemany(
            _READ,
            (
                (name.node, series, json.dumps(labels), value, at, sure, name.epoch, name.seq)
                for series, labels, value, at in values
            ),
        )

    def series(self, node: str) -> int:
        """How many series `node` has."""
        return self._count("SELECT count(*) FROM readings WHERE node = ?", node)

    def readings(self, names: Iterable[str]) -> list[Reading]:
        """The last values of the series called `names`, by node and name."""
        wanted = tuple(names)
        marks = ", ".join("?" for _ in wanted)
        rows = self._db.execute(
            f"SELECT node, name, labels, value, time FROM readings WHERE name IN ({marks}) "  # noqa: S608
            "ORDER BY node, name, labels",
            wanted,
        )
        return [
            Reading(node, name, tuple((k, v) for k, v in json.loads(labels)), value, at)
            for node, name, labels, value, at in rows
        ]

    def undelivered(self) -> list[tuple[int, bytes]]:
        """Event blocks that were not handed on: (number, raw bytes), oldest first."""
        rows = self._db.execute("SELECT id, body FROM blocks WHERE NOT delivered ORDER BY id")
        return [(number, body) for number, body in rows]

    def waits(self, number: int) -> bool:
        """True while nobody noted that a block was handed on; another program may have."""
        sql = "SELECT count(*) FROM blocks WHERE id = ? AND NOT delivered"
        return self._count(sql, number) > 0

    def delivered(self, number: int) -> None:
        """Notes that a block was handed on."""
        self._db.execute("UPDATE blocks SET delivered = 1 WHERE id = ?", (number,))

    def stored(self, most: int) -> Iterator[tuple[str, str, int]]:
        """Node, epoch and number of the newest `most` blocks, the newest first."""
        yield from self._db.execute(
            "SELECT node, epoch, seq FROM blocks ORDER BY id DESC LIMIT ?", (most,)
        )

    def totals(self) -> Totals:
        """What is kept and what went."""
        return Totals(*self._db.execute("SELECT kept, let_go FROM totals").fetchone())

    def _trim(self) -> None:
        oldest = self._count("SELECT coalesce(max(id), 0) FROM blocks") - self._max_names
        if oldest > 0:
            self._let_go("id <= ?", oldest)
            self._db.execute(
                "DELETE FROM blocks WHERE id <= ? AND body IS NULL AND delivered", (oldest,)
            )
        excess = self.totals().kept - self._max_bytes
        if excess > 0:
            excess += int(self._max_bytes * (1 - TRIM_TO))
            self._let_go(
                "id <= (SELECT min(id) FROM (SELECT id, sum(size) OVER (ORDER BY id) AS total "
                "FROM blocks WHERE body IS NOT NULL AND delivered) WHERE total >= ?)",
                excess,
            )

    def _let_go(self, where: str, value: int) -> None:
        gone = self._db.execute(
            f"SELECT count(*), coalesce(sum(size), 0) FROM blocks "  # noqa: S608
            f"WHERE body IS NOT NULL AND delivered AND {where}",
            (value,),
        ).fetchone()
        self._db.execute(
            f"UPDATE blocks SET body = NULL WHERE body IS NOT NULL AND delivered AND {where}",  # noqa: S608
            (value,),
        )
        self._db.execute("UPDATE totals SET let_go = let_go + ?, kept = kept - ?", gone)

    def _row(self, sql: str, name: Name) -> tuple[bytes | None, ...] | None:
        row: tuple[bytes | None, ...] | None = self._db.execute(
            sql.format("kind = ? AND node = ? AND epoch = ? AND seq = ?"),
            (name.kind, name.node, name.epoch, name.seq),
        ).fetchone()
        return row

    def _count(self, sql: str, *values: object) -> int:
        return int(self._db.execute(sql, values).fetchone()[0])
