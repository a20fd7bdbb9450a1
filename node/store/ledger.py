"""Ledger: what the planner must remember over a power cut.

* Bytes of the newest day on which something came down. A day never comes back: a clock that
  falls into the past finds its allowance as it left it.
* Searches that found nothing here, as sorted stems; the newest `MAX_MISSED`, each forgotten
  after `MISSED_DAYS`. Never who.
* Whether somebody said to wait.
"""

from collections.abc import Collection

from node.planner import Missed
from node.store.store import Store
from sync.lesson import Language

MAX_MISSED = 200
MISSED_DAYS = 90
DAY_SECONDS = 86_400


class Ledger:
    """The figures of one node. Safe from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spent(self, day: int) -> int:
        """Bytes that count for `day` (days since 1970)."""
        row = self._store.reader().execute("SELECT day, bytes FROM allowance").fetchone()
        return int(row[1]) if row and day <= row[0] else 0

    def spend(self, day: int, size: int) -> None:
        """Adds `size` bytes (fewer than none gives back) to `day`. Raises SpaceError."""
        with self._store.transaction() as db:
            row = db.execute("SELECT day, bytes FROM allowance").fetchone()
            held = row if row and day <= row[0] else (day, 0)
            told = (held[0], max(0, held[1] + size))
            db.execute("INSERT OR REPLACE INTO allowance VALUES (1, ?, ?)", told)

    def miss(self, words: Collection[str], language: Language, at: float) -> None:
        """One search for these stems found nothing. Raises SpaceError."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO missed VALUES (?, ?, 1, ?)"
                " ON CONFLICT DO UPDATE SET times = times + 1, at = excluded.at",
                (" ".join(sorted(words)), language, at),
            )
            db.execute(
                "DELETE FROM missed WHERE at < ? OR rowid NOT IN"
                " (SELECT rowid FROM missed ORDER BY at DESC, rowid DESC LIMIT ?)",
                (at - MISSED_DAYS * DAY_SECONDS, MAX_MISSED),
            )

    def missed(self, language: Language) -> list[Missed]:
        """What was looked for in vain in `language`."""
        rows = self._store.reader().execute(
            "SELECT words, times FROM missed WHERE language = ? ORDER BY words", (language,)
        )
        return [Missed(frozenset(words.split()), times) for words, times in rows]

    def pause(self, at: float) -> None:
        """Nothing is fetched from now on, until `go_on`."""
        with self._store.transaction() as db:
            db.execute("INSERT OR REPLACE INTO paused VALUES (1, ?)", (at,))

    def go_on(self) -> None:
        """Fetching goes on."""
        if self.paused():
            with self._store.transaction() as db:
                db.execute("DELETE FROM paused")

    def paused(self) -> bool:
        """True when somebody said to wait."""
        return self._store.reader().execute("SELECT 1 FROM paused").fetchone() is not None
