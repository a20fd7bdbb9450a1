"""Heard: what nodes told, beside the lessons: uploads with their files, last syncs, block names.

* Changes happen inside a transaction of the `Library`, to which `db` belongs.
* The name of a block is kept only until the intake knows that it was handed on.
"""

from typing import Any

import msgspec
from sqlite_utils import Database

from hub.errors import UnknownError
from sync.attachment import AttachmentKind
from sync.canonical import Digest
from sync.parcel import Parcel


class NodeSync(msgspec.Struct, frozen=True):
    """What a node said of its last sync; `at` in unix seconds, sizes in bytes."""

    node: str
    at: float
    outcome: str
    message: str
    to_version: int
    bytes_down: int
    full_size: int


class Attachment(msgspec.Struct, frozen=True):
    """A file that came with an upload."""

    number: int
    name: str
    kind: AttachmentKind
    size: int


class Heard:
    """The tables of what nodes told."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def knows(self, node: str, epoch: str, seq: int) -> bool:
        """True when the events of this block are in the library and the intake may not know."""
        sql = "SELECT 1 FROM handed_on WHERE node = ? AND epoch = ? AND seq = ?"
        return self._one(sql, node, epoch, seq) is not None

    def note(self, node: str, epoch: str, seq: int) -> None:
        """Notes that they are, in the transaction that brought them."""
        self._db.execute("INSERT INTO handed_on VALUES (?, ?, ?)", (node, epoch, seq))

    def forget(self, node: str, epoch: str, seq: int) -> None:
        """The intake knows it now."""
        sql = "DELETE FROM handed_on WHERE node = ? AND epoch = ? AND seq = ?"
        self._db.execute(sql, (node, epoch, seq))

    def keep_sync(self, sync: NodeSync) -> None:
        """Keeps what a node said of a sync, unless a newer one is kept."""
        marks = ", ".join("?" for _ in NodeSync.__struct_fields__)
        self._db.execute(
            f"INSERT OR REPLACE INTO node_syncs SELECT {marks} WHERE NOT EXISTS "  # noqa: S608
            "(SELECT 1 FROM node_syncs WHERE node = ? AND at > ?)",
            (*msgspec.structs.astuple(sync), sync.node, sync.at),
        )

    def syncs(self) -> dict[str, NodeSync]:
        """The last sync of every node that told of one."""
        rows = [NodeSync(*row) for row in self._db.execute("SELECT * FROM node_syncs")]
        return {sync.node: sync for sync in rows}

    def candidate(self, upload: Digest) -> int | None:
        """The candidate that an upload became; None when it did not yet."""
        row = self._one("SELECT candidate FROM uploads WHERE upload = ?", upload)
        return int(row[0]) if row else None

    def add_upload(
        self, upload: Digest, node: str, parcel: Parcel, candidate: int, at: float
    ) -> None:
        """Keeps whose upload a candidate is, and the files that came with it."""
        author = parcel.cover.author
        self._db.execute(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", (upload, node, author, candidate, at)
        )
        pairs = zip(parcel.cover.files, parcel.contents, strict=True)
        self._db.conn.executemany(
            "INSERT INTO attachments VALUES (?, ?, ?, ?, ?)",
            [(candidate, n, file.name, file.kind, data) for n, (file, data) in enumerate(pairs)],
        )

    def attachments(self, candidate: int) -> tuple[Attachment, ...]:
        """The files that came with a candidate."""
        sql = "SELECT number, name, kind, length(data) FROM attachments WHERE candidate = ?"
        return tuple(Attachment(*row) for row in self._db.execute(sql, (candidate,)))

    def attachment(self, candidate: int, number: int) -> tuple[Attachment, bytes]:
        """One of them, and its bytes. Raises UnknownError."""
        row = self._one(
            "SELECT number, name, kind, length(data), data FROM attachments "
            "WHERE candidate = ? AND number = ?",
            candidate,
            number,
        )
        if row is None:
            raise UnknownError(f"candidate {candidate} has no file {number}")
        return Attachment(*row[:4]), bytes(row[4])

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row
