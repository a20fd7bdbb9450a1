"""Reports: what people in villages say is wrong, each with its state and who dealt with it.

* A report is open until somebody says what came of it; nothing is deleted.
* It is private until a person has read it: it may hold a name that somebody typed.
* Bounded: so many open ones a node, so many kept; past that, new ones are refused and counted.
"""

import sqlite3

import msgspec
from sqlite_utils import Database

from hub.errors import DecidedError, UnknownError
from sync.errors import ContentError

MAX_OPEN = 200
MAX_KEPT = 50_000
MAX_OUTCOME_CHARS = 500
VERDICTS = ("no", "wrong", "unclear", "language", "other")
"""Of an answer of the machine: no. Of a lesson: the rest."""


class Report(msgspec.Struct, frozen=True):
    """One report; `at` and `closed` in unix seconds. Open while `person` is None."""

    id: int
    lesson: str
    language: str
    node: str
    verdict: str
    question: str
    note: str
    at: float
    person: str | None
    outcome: str | None
    closed: float | None


_REPORT = (
    "SELECT id, lesson, language, node, verdict, question, note, at, person, outcome, closed "
    "FROM reports "
)


class Reports:
    """The reports in the hub's database. `db` belongs to the `Library`."""

    def __init__(self, db: Database, *, most_open: int = MAX_OPEN) -> None:
        self._db = db
        self._most_open = most_open

    def add(
        self, lesson: str, language: str, node: str, verdict: str, question: str, note: str,
        at: float,
    ) -> bool:  # fmt: skip
        """Keeps one, inside a transaction; false when there are too many."""
        opened = self._count("SELECT count(*) FROM reports WHERE node = ? AND closed IS NULL", node)
        if opened >= self._most_open or self._count("SELECT count(*) FROM reports") >= MAX_KEPT:
            return False
        self._db.execute(
            "INSERT INTO reports (lesson, language, node, verdict, question, note, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (lesson, language, node, verdict, question, note, at),
        )
        return True

    def all(self, *, closed: bool = False, lesson: str | None = None) -> list[Report]:
        """The open ones, or those dealt with, the newest first; of one lesson if one is named."""
        state = "NOT NULL" if closed else "NULL"
        rows = self._db.execute(
            _REPORT + f"WHERE closed IS {state} AND (? IS NULL OR lesson = ?) "
            "ORDER BY at DESC, id DESC LIMIT 1000",
            (lesson, lesson),
        )
        return [Report(*row) for row in rows]

    def one(self, number: int) -> Report:
        """Raises UnknownError."""
        row = self._db.execute(_REPORT + "WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise UnknownError(
                f"there is no report {number}", hint="`chaski-hub reports list` shows them"
            )
        return Report(*row)

    def close(self, number: int, person: str, outcome: str, at: float) -> Report:
        """Somebody dealt with it. Raises UnknownError, DecidedError, ContentError: by nobody."""
        person, outcome = " ".join(person.split())[:60], " ".join(outcome.split())
        if not person or not outcome:
            raise ContentError(
                "a report is closed by somebody, with what came of it",
                hint="say in a few words what was done",
            )
        found = self.one(number)
        if found.closed is not None:
            raise DecidedError(f"report {number} was dealt with by {found.person} already")
        self._db.execute(
            "UPDATE reports SET person = ?, outcome = ?, closed = ? WHERE id = ?",
            (person, outcome[:MAX_OUTCOME_CHARS], at, number),
        )
        return self.one(number)

    def open(self) -> int:
        """How many are open."""
        return self._count("SELECT count(*) FROM reports WHERE closed IS NULL")

    def _count(self, sql: str, *values: str) -> int:
        row: sqlite3.Row = self._db.execute(sql, values).fetchone()
        return int(row[0])
