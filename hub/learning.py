"""Learning: how lessons do in the villages, as counts by lesson, node and day. Never who.

* What is counted was counted on the node already; here it is added up.
* Only lessons that this hub has are counted, so a stranger can add no rows.
* A day that cannot be (before `FIRST_DAY`, or past tomorrow) is that on which it was heard: a
  node without a clock wakes in 1970.
* Rows older than `KEEP_DAYS` are let go.
"""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlite_utils import Database

FIRST_DAY = "2024-01-01"
KEEP_DAYS = 800
DAY = 86400.0
MAX_COUNT = 100_000
"""Of one thing on one node in one day; more is no count of a school."""

COUNTS = ("opened", "finished", "quizzes", "right", "total", "asked", "helped", "failed")


class Learned(msgspec.Struct, frozen=True):
    """What is known of one lesson in one language."""

    lesson: str
    language: str
    title: str
    opened: int
    finished: int
    quizzes: int
    right: int
    total: int
    asked: int
    helped: int
    failed: int
    nodes: int
    last: str
    """The newest day of which anything is known."""
    hardest: int | None = None
    """The question answered wrong most often, from 1; None: none was."""
    hardest_missed: int = 0
    reports: int = 0
    """Open ones."""

    @property
    def share(self) -> float | None:
        """The share of answers that were right; None without answers."""
        return self.right / self.total if self.total else None


class Learning:
    """The counts in the hub's database. `db` belongs to the `Library`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        lesson: str,
        language: str,
        node: str,
        day: str,
        counts: Mapping[str, int],
        missed: tuple[int, ...] = (),
    ) -> None:
        """Adds `counts`, and how often each question was missed, inside a transaction."""
        kept = {name: counts.get(name, 0) for name in COUNTS}
        columns = ", ".join(COUNTS)
        marks = ", ".join("?" for _ in COUNTS)
        sums = ", ".join(f"{n} = min({MAX_COUNT}, {n} + excluded.{n})" for n in COUNTS)
        self._db.execute(
            f"INSERT INTO learning (lesson, language, node, day, {columns}) "  # noqa: S608
            f"VALUES (?, ?, ?, ?, {marks}) "
            f"ON CONFLICT (lesson, language, node, day) DO UPDATE SET {sums}",
            (lesson, language, node, day, *kept.values()),
        )
        for question, times in enumerate(missed):
            if times:
                self._db.execute(
                    "INSERT INTO learning_questions VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (lesson, language, day, question) "
                    "DO UPDATE SET missed = missed + excluded.missed",
                    (lesson, language, day, question, times),
                )

    def forget(self, now: float) -> None:
        """Lets go of what is too old, inside a transaction."""
        oldest = day_of(now - KEEP_DAYS * DAY)
        for table in ("learning", "learning_questions"):
            self._db.execute(f"DELETE FROM {table} WHERE day < ?", (oldest,))  # noqa: S608

    def lessons(self, since: str = "", lesson: str | None = None) -> list[Learned]:
        """Every lesson of which something is known since day `since`, the most opened first."""
        sums = ", ".join(f"sum(l.{name})" for name in COUNTS)
        rows = self._db.execute(
            f"SELECT l.lesson, l.language, coalesce(json_extract(c.lesson, '$.title'), l.lesson), "  # noqa: S608
            f"{sums}, count(DISTINCT l.node), max(l.day), "
            "(SELECT count(*) FROM reports AS r WHERE r.lesson = l.lesson "
            " AND r.language = l.language AND r.closed IS NULL) "
            "FROM learning AS l LEFT JOIN current_lessons AS c "
            "ON c.id = l.lesson AND c.language = l.language "
            "WHERE l.day >= ? AND (? IS NULL OR l.lesson = ?) "
            "GROUP BY l.lesson, l.language ORDER BY sum(l.opened) DESC, l.lesson, l.language",
            (since, lesson, lesson),
        ).fetchall()
        return [self._learned(row, since) for row in rows]

    def _learned(self, row: tuple[Any, ...], since: str) -> Learned:
        hardest = self._db.execute(
            "SELECT question, sum(missed) FROM learning_questions "
            "WHERE lesson = ? AND language = ? AND day >= ? "
            "GROUP BY question ORDER BY sum(missed) DESC, question LIMIT 1",
            (row[0], row[1], since),
        ).fetchone()
        number, times = (hardest[0] + 1, hardest[1]) if hardest else (None, 0)
        known = row[:-1]
        return Learned(*known, hardest=number, hardest_missed=times, reports=row[-1])  # type: ignore[misc]


def day_of(at: float) -> str:
    """The day of unix second `at`, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def credible_day(day: str, now: float) -> str:
    """`day`, or today where that cannot have been the day."""
    return day if FIRST_DAY <= day <= day_of(now + DAY) else day_of(now)
