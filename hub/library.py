"""Library: what the editors have, in SQLite. The only file that speaks SQL about lessons.

* WAL; a connection belongs to the thread that opened it: a worker thread opens its own.
* Every change happens inside `transaction()`, which takes the write lock at once, so a
  decision is judged on what it is then written to.
* Revisions, decisions and versions are only ever added.
* It keeps and finds; whether a decision is allowed is `hub.review`'s affair.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from hub.brief import Brief
from hub.candidate import Candidate, Decision, Factor, GateResult, Origin, State
from hub.errors import UnknownError
from hub.heard import Heard
from hub.learning import Learning
from hub.records import Missed, Revision, Version
from hub.reports import Reports
from hub.schema import migrations
from sync.canonical import Digest
from sync.database import plain
from sync.errors import ContentError, SettingsError
from sync.files import make_folder
from sync.lesson import Channel, Lesson, channel_from_bytes, lesson_from_bytes, to_bytes

BUSY_SECONDS = 10.0
MAX_MISSED = 20_000
MAX_QUERY_CHARS = 200
_CANDIDATE = "SELECT id, origin, state, lesson, brief, score, factors, gates, at FROM candidates "


class Library:
    """The hub's database at `path`; created and migrated when it is opened.

    It waits `busy_seconds` for another writer and keeps `max_missed` different missed searches.
    """

    def __init__(
        self, path: Path, *, busy_seconds: float = BUSY_SECONDS, max_missed: int = MAX_MISSED
    ) -> None:
        self._max_missed = max_missed
        try:
            make_folder(path.parent)
            self.db = Database(sqlite3.connect(path, timeout=busy_seconds))
            self.db.enable_wal()
            self.db.execute("PRAGMA foreign_keys = on")
            migrations.apply(self.db)
            self.learning, self.reports = Learning(self.db), Reports(self.db)
            self.heard = Heard(self.db)
        except sqlite3.DatabaseError as error:
            raise plain(path, error) or ContentError(
                f"cannot open the library {path}: {error}",
                hint="stop other programs that use it, or restore it from your copy",
            ) from error
        except OSError as error:
            raise SettingsError(
                f"the folder {path.parent} cannot be made: {error.strerror}",
                hint="set hub.data to a folder that this user may write to",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the write lock is held from the start.

        Raises BusyError: another program writes for too long. SpaceError: the disk is full.
        """
        try:
            self.db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.conn.execute("COMMIT")
            except BaseException:
                self.db.rollback()
                raise
        except sqlite3.OperationalError as error:
            raise _in_words(error) from error

    # Briefs.

    def add_brief(self, brief: Brief, asked: int, at: float) -> int:
        """Keeps a brief for which `asked` drafts were ordered; returns its number."""
        row = {"digest": brief.digest, "brief": _json(brief), "asked": asked, "at": at}
        return self._insert("briefs", **row)

    def order_drafts(self, number: int, asked: int) -> None:
        """Notes that `asked` more drafts were ordered for a brief."""
        self.db.execute("UPDATE briefs SET asked = asked + ? WHERE id = ?", (asked, number))

    def open_briefs(self) -> list[tuple[int, Brief]]:
        """The briefs of which no draft was ordered yet, oldest first."""
        rows = self.db.execute("SELECT id, brief FROM briefs WHERE asked = 0 ORDER BY id")
        return [(number, msgspec.json.decode(data, type=Brief)) for number, data in rows]

    def brief(self, number: int) -> Brief:
        """Raises UnknownError."""
        row = self._one("SELECT brief FROM briefs WHERE id = ?", (number,))
        if row is None:
            raise UnknownError(f"there is no brief {number}")
        return msgspec.json.decode(row[0], type=Brief)

    def drafts_of(self, brief: Brief) -> int:
        """How many drafts were ever ordered for a brief with this content."""
        sql = "SELECT coalesce(sum(asked), 0) FROM briefs WHERE digest = ?"
        return self._count(sql, (brief.digest,))

    # Candidates and decisions.

    def add_candidate(
        self,
        origin: Origin,
        lesson: Lesson,
        at: float,
        *,
        state: State = "waiting",
        brief: int | None = None,
        score: float | None = None,
        factors: Sequence[Factor] = (),
        gates: Sequence[GateResult] = (),
    ) -> int:
        """Puts a lesson on the review list; returns its number there."""
        return self._insert(
            "candidates", origin=origin, state=state, lesson_id=lesson.id,
            language=lesson.language, lesson=to_bytes(lesson), brief=brief, score=score,
            factors=_json(factors), gates=_json(gates), at=at,
        )  # fmt: skip

    def candidate(self, number: int) -> Candidate:
        """Raises UnknownError."""
        row = self._one(_CANDIDATE + "WHERE id = ?", (number,))
        if row is None:
            raise UnknownError(
                f"there is no candidate {number}", hint="`chaski-hub review list` shows them"
            )
        return self._candidate(row)

    def candidates(self, *states: State) -> list[Candidate]:
        """Those in one of `states` (all when none is named), best score first, unscored last."""
        marks = ", ".join("?" for _ in states)
        where = f"WHERE state IN ({marks}) " if states else ""
        order = "ORDER BY score IS NULL, score DESC, id"
        return [self._candidate(r) for r in self.db.execute(_CANDIDATE + where + order, states)]

    def of_brief(self, brief: int) -> list[Candidate]:
        """The candidates of one brief, best score first."""
        sql = _CANDIDATE + "WHERE brief = ? ORDER BY score DESC, id"
        return [self._candidate(row) for row in self.db.execute(sql, (brief,))]

    def waiting_for(self, lesson_id: str, language: str) -> list[Candidate]:
        """The waiting candidates for one lesson in one language, oldest first."""
        sql = _CANDIDATE + "WHERE lesson_id = ? AND language = ? AND state = 'waiting' ORDER BY id"
        return [self._candidate(row) for row in self.db.execute(sql, (lesson_id, language))]

    def set_state(self, number: int, state: State) -> None:
        """Moves a candidate on; inside the transaction of the decision."""
        self.db.execute("UPDATE candidates SET state = ? WHERE id = ?", (state, number))

    def add_decision(self, decision: Decision) -> None:
        """Keeps one person's word."""
        self._insert("decisions", **msgspec.structs.asdict(decision))

    def decisions(self, candidate: int) -> tuple[Decision, ...]:
        """What people said of one candidate, oldest first."""
        sql = (
            "SELECT candidate, verdict, person, reason, at FROM decisions "
            "WHERE candidate = ? ORDER BY at, rowid"
        )
        return tuple(Decision(*row) for row in self.db.execute(sql, (candidate,)))

    # Lessons and their channel.

    def add_revision(self, lesson: Lesson, candidate: int, at: float) -> int:
        """Makes `lesson` current; returns its revision, counted from 1."""
        sql = "SELECT coalesce(max(revision), 0) FROM lessons WHERE id = ? AND language = ?"
        revision = self._count(sql, (lesson.id, lesson.language)) + 1
        self._insert(
            "lessons", id=lesson.id, language=lesson.language, revision=revision,
            lesson=to_bytes(lesson), candidate=candidate, at=at,
        )  # fmt: skip
        return revision

    def lessons(self) -> list[Revision]:
        """The current revision of every lesson, by id and language."""
        sql = "SELECT lesson, revision, candidate, at FROM current_lessons ORDER BY id, language"
        return [_revision(row) for row in self.db.execute(sql)]

    def lesson(self, lesson_id: str, language: str) -> Revision:
        """The current revision. Raises UnknownError, and says which languages there are."""
        sql = "SELECT lesson, revision, candidate, at FROM current_lessons WHERE id = ?"
        found = [_revision(row) for row in self.db.execute(sql, (lesson_id,))]
        for revision in found:
            if revision.lesson.language == language:
                return revision
        if not found:
            raise UnknownError(
                f"there is no lesson {lesson_id!r}", hint="its id is in the address of its page"
            )
        languages = ", ".join(r.lesson.language for r in found)
        raise UnknownError(
            f"lesson {lesson_id!r} is not there in {language!r}, only in {languages}"
        )

    def history(self, lesson_id: str, language: str) -> list[Revision]:
        """Every revision of one lesson, newest first."""
        sql = (
            "SELECT lesson, revision, candidate, at FROM lessons "
            "WHERE id = ? AND language = ? ORDER BY revision DESC"
        )
        return [_revision(row) for row in self.db.execute(sql, (lesson_id, language))]

    def has_lesson(self, lesson_id: str) -> bool:
        """True when a lesson of that id was ever approved, in any language."""
        return self._one("SELECT 1 FROM lessons WHERE id = ? LIMIT 1", (lesson_id,)) is not None

    def carries(self, path: str) -> bool:
        """True when the channel has a file at `path` besides its lessons."""
        return (
            self._one("SELECT 1 FROM files WHERE path = ? AND kind = 'asset'", (path,)) is not None
        )

    def has_text(self, lesson_id: str, language: str) -> bool:
        """True when that lesson was ever approved in that language."""
        sql = "SELECT 1 FROM lessons WHERE id = ? AND language = ? LIMIT 1"
        return self._one(sql, (lesson_id, language)) is not None

    def set_channel(self, channel: Channel, at: float) -> None:
        """Keeps the description of a channel, in place of the one before."""
        row = {"id": channel.id, "channel": to_bytes(channel), "at": at}
        self.db.table("channels").insert(row, pk="id", replace=True)

    def channel(self, channel_id: str) -> Channel | None:
        """The description of a channel; None before the first import."""
        row = self._one("SELECT channel FROM channels WHERE id = ?", (channel_id,))
        return channel_from_bytes(row[0]) if row else None

    # Versions.

    def add_version(self, version: Version) -> None:
        """Keeps that a version was published; nothing happens when that is known."""
        self.db.table("versions").insert(msgspec.structs.asdict(version), ignore=True)

    def versions(self, channel: str) -> list[Version]:
        """The published versions of a channel, newest first."""
        sql = (
            "SELECT channel, version, root, lessons, size, at FROM versions "
            "WHERE channel = ? ORDER BY version DESC"
        )
        return [Version(*row) for row in self.db.execute(sql, (channel,))]

    # Missed searches.

    def add_missed_search(self, query: str, language: str, node: str, at: float) -> None:
        """Counts a search that found nothing on a node; `at` is unix seconds.

        Past the bound, the least and longest ago asked give way.
        """
        folded = " ".join(query.casefold().split())[:MAX_QUERY_CHARS]
        if not folded:
            return
        self.db.execute(
            "INSERT INTO missed_searches (query, language, node, times, first, last) "
            "VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT (query, language, node) "
            "DO UPDATE SET times = times + 1, last = max(last, excluded.last)",
            (folded, language, node, at, at),
        )
        self.db.execute(
            "DELETE FROM missed_searches WHERE rowid IN (SELECT rowid FROM missed_searches "
            "ORDER BY times DESC, last DESC LIMIT -1 OFFSET ?)",
            (self._max_missed,),
        )

    def missed_searches(self, limit: int = 50) -> list[Missed]:
        """What was missed and has no brief yet, the most asked first."""
        sql = (
            "SELECT query, language, sum(times), count(*), max(last) FROM missed_searches "
            "WHERE brief IS NULL GROUP BY query, language "
            "ORDER BY sum(times) DESC, max(last) DESC, query LIMIT ?"
        )
        return [Missed(*row) for row in self.db.execute(sql, (limit,))]

    def missed_nodes(self, queries: Sequence[str], language: str) -> int:
        """On how many nodes any of `queries` was missed."""
        marks = ", ".join("?" for _ in queries)
        sql = (
            "SELECT count(DISTINCT node) FROM missed_searches "  # noqa: S608
            f"WHERE language = ? AND query IN ({marks})"
        )
        return self._count(sql, (language, *queries))

    def settle_missed(self, queries: Sequence[str], language: str, brief: int) -> None:
        """Notes which brief answers missed searches."""
        self.db.conn.executemany(
            "UPDATE missed_searches SET brief = ? WHERE query = ? AND language = ?",
            [(brief, query, language) for query in queries],
        )

    # Vectors of texts, so that the catalogue is encoded once.

    def vector(self, digest: Digest, encoder: str) -> NDArray[np.float32] | None:
        """The vector that `encoder` (its version) made of the text with this digest."""
        sql = "SELECT vector FROM vectors WHERE digest = ? AND encoder = ?"
        row = self._one(sql, (digest, encoder))
        return np.frombuffer(row[0], dtype=np.float32) if row else None

    def keep_vector(self, digest: Digest, encoder: str, vector: NDArray[np.float32]) -> None:
        """Keeps the vector of a text for the next time."""
        row = {"digest": digest, "encoder": encoder, "vector": vector.astype("<f4").tobytes()}
        self.db.table("vectors").insert(row, pk=("digest", "encoder"), replace=True)

    def counts(self) -> dict[str, int]:
        """Current lessons, and candidates by state."""
        states = dict(self.db.execute("SELECT state, count(*) FROM candidates GROUP BY state"))
        names = ("waiting", "approved", "rejected", "stopped")
        lessons = self._count("SELECT count(*) FROM current_lessons", ())
        return {"lessons": lessons} | {name: states.get(name, 0) for name in names}

    def _candidate(self, row: tuple[Any, ...]) -> Candidate:
        number, origin, state, lesson, brief, score, factors, gates, at = row
        return Candidate(
            number, origin, state, lesson_from_bytes(lesson), at, brief, score,
            msgspec.json.decode(factors, type=tuple[Factor, ...]),
            msgspec.json.decode(gates, type=tuple[GateResult, ...]),
            self.decisions(number),
        )  # fmt: skip

    def _insert(self, table: str, **row: object) -> int:
        rowid = self.db.table(table).insert(row).last_rowid
        assert rowid is not None
        return rowid

    def _one(self, sql: str, parameters: Sequence[object]) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.db.execute(sql, parameters).fetchone()
        return row

    def _count(self, sql: str, parameters: Sequence[object]) -> int:
        row = self._one(sql, parameters)
        return int(row[0]) if row else 0


def _in_words(error: sqlite3.OperationalError) -> Exception:
    """What SQLite said, as our own error where it has a plain meaning."""
    return plain("the library", error) or error


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _revision(row: tuple[Any, ...]) -> Revision:
    return Revision(lesson_from_bytes(row[0]), *row[1:])
