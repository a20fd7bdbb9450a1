"""Arrivals: uploads of teachers on their way in, part by part, in the intake's database.

* A part is known by (node, upload, number) and counts once, in any order, by any road; it is
  kept in the transaction of the block that brought it.
* Bounded for each node: so many uploads begun and not whole, so many new ones a day; and in
  all: so many bytes of what is not whole. What is above is refused with the reason `uploads`
  and may come again later. What nobody finishes is let go after `COMING_SECONDS`.
* A whole upload is handed on once; after that its parts are let go and its name is kept.
* The connection belongs to `Blocks`.
"""

import sqlite3
from dataclasses import dataclass

from hub.answers import RefusedError
from sync.canonical import Digest
from sync.parcel import Part

MAX_COMING = 20
MAX_A_DAY = 50
DAY = 86400.0
COMING_SECONDS = 90 * DAY
KEEP_SECONDS = 400 * DAY
MAX_COMING_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Whole:
    """An upload of which every part is here."""

    node: str
    upload: Digest
    data: bytes
    at: float
    """Unix seconds when its first part came."""


class Uploads:
    """What nodes are handing in."""

    def __init__(
        self,
        db: sqlite3.Connection,
        *,
        most_coming: int = MAX_COMING,
        most_a_day: int = MAX_A_DAY,
        most_bytes: int = MAX_COMING_BYTES,
    ) -> None:
        self._db, self._most_bytes = db, most_bytes
        self._most_coming, self._most_a_day = most_coming, most_a_day

    def add(self, node: str, part: Part, at: float) -> None:
        """Keeps one part, inside the block's transaction. Raises RefusedError."""
        known = self._db.execute(
            "SELECT parts, state FROM uploads WHERE node = ? AND upload = ?", (node, part.upload)
        ).fetchone()
        if known is None:
            self._forget(at)
            self._refuse_too_many(node, at)
            self._db.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, 0, 0, ?, 'coming')",
                (node, part.upload, part.parts, at),
            )
        elif known[1] != "coming":
            return
        elif known[0] != part.parts:
            raise RefusedError(
                422, "upload", f"upload {part.upload[:12]} of {node}: {part.parts} parts, not "
                f"{known[0]}", hint="hand it in again",
            )  # fmt: skip
        added = self._db.execute(
            "INSERT OR IGNORE INTO upload_parts VALUES (?, ?, ?, ?)",
            (node, part.upload, part.number, part.data),
        )
        self._db.execute(
            "UPDATE uploads SET have = have + ?, size = size + ? WHERE node = ? AND upload = ?",
            (added.rowcount, added.rowcount * len(part.data), node, part.upload),
        )

    def whole(self) -> list[Whole]:
        """Those of which every part is here and that were not handed on, oldest first."""
        rows = self._db.execute(
            "SELECT node, upload, first FROM uploads "
            "WHERE state = 'coming' AND have = parts ORDER BY first"
        ).fetchall()
        return [Whole(node, upload, self._data(node, upload), at) for node, upload, at in rows]

    def settle(self, node: str, upload: Digest, *, taken: bool) -> None:
        """It was handed on, or was no parcel: its parts go, its name stays known."""
        name = (node, upload)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                "UPDATE uploads SET state = ? WHERE node = ? AND upload = ?",
                ("taken" if taken else "refused", *name),
            )
            self._db.execute("DELETE FROM upload_parts WHERE node = ? AND upload = ?", name)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _forget(self, now: float) -> None:
        """Lets go of what nobody finished, and of old names."""
        old = self._db.execute(
            "SELECT node, upload FROM uploads WHERE state = 'coming' AND first < ?",
            (now - COMING_SECONDS,),
        ).fetchall()
        for name in old:
            self._db.execute("DELETE FROM upload_parts WHERE node = ? AND upload = ?", name)
            self._db.execute("DELETE FROM uploads WHERE node = ? AND upload = ?", name)
        self._db.execute(
            "DELETE FROM uploads WHERE state != 'coming' AND first < ?", (now - KEEP_SECONDS,)
        )

    def _refuse_too_many(self, node: str, at: float) -> None:
        sql = "SELECT count(*) FROM uploads WHERE node = ? AND "
        coming = self._db.execute(sql + "state = 'coming'", (node,)).fetchone()[0]
        today = self._db.execute(sql + "first > ?", (node, at - DAY)).fetchone()[0]
        size = self._db.execute(
            "SELECT coalesce(sum(size), 0) FROM uploads WHERE state = 'coming'"
        ).fetchone()[0]
        full = size >= self._most_bytes
        if coming >= self._most_coming or today >= self._most_a_day or full:
            raise RefusedError(
                429,
                "uploads",
                f"node {node}: {coming} uploads are not whole, {today} are new today",
                hint="the rest is taken another day",
            )

    def _data(self, node: str, upload: str) -> bytes:
        rows = self._db.execute(
            "SELECT data FROM upload_parts WHERE node = ? AND upload = ? ORDER BY number",
            (node, upload),
        )
        return b"".join(row[0] for row in rows)
