"""Library: the installed channel version as pages see it. Reads only.

* Lists come from the database, a lesson's text from its object, hashed again on the way.
* In a list each lesson appears once: in the language asked for, else in Spanish, else in
  whatever language it has.
* Lessons are in order of priority, then title.
"""

import sqlite3
from dataclasses import dataclass

from node.store.blobs import Blobs
from node.store.store import Store
from sync import lesson as lessons
from sync.canonical import Digest
from sync.errors import ContentError
from sync.lesson import Channel, Language, Lesson

FALLBACK: tuple[Language, ...] = ("es", "qu", "en")


@dataclass(frozen=True, slots=True)
class TopicCard:
    """A topic with at least one lesson."""

    id: str
    title: str
    icon: str
    count: int


@dataclass(frozen=True, slots=True)
class LessonCard:
    """A lesson in a list."""

    id: str
    language: Language
    title: str
    summary: str
    grade: str
    topic: str


class Library:
    """What the node can show. Safe from any thread."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    def channel(self) -> Channel | None:
        """The channel's description; None before the first sync. Raises ContentError: damaged."""
        row = self._store.reader().execute("SELECT channel_hash FROM current").fetchone()
        return lessons.channel_from_bytes(self._blobs.get(Digest(row[0]))) if row else None

    def topics(self, language: Language) -> list[TopicCard]:
        """The topics that have lessons, in the channel's order."""
        channel = self.channel()
        counted = dict(
            self._store.reader().execute(
                "SELECT topic, count(DISTINCT id) FROM lessons GROUP BY topic"
            )
        )
        return [
            TopicCard(t.id, _title(t.titles, language, t.id), t.icon, counted[t.id])
            for t in (channel.topics if channel else ())
            if t.id in counted
        ]

    def lessons(self, topic: str, language: Language) -> list[LessonCard]:
        """The lessons of `topic`, each once."""
        rows = self._store.reader().execute(
            "SELECT id, language, title, summary, grade, topic FROM lessons WHERE topic = ?"
            " ORDER BY priority, title, id",
            (topic,),
        )
        best: dict[str, LessonCard] = {}
        order = preferred(language)
        for row in rows:
            card = LessonCard(*row)
            held = best.get(card.id)
            if held is None or order.index(card.language) < order.index(held.language):
                best[card.id] = card
        return list(best.values())

    def lesson(self, id_: str, language: Language) -> Lesson | None:
        """The lesson in exactly this language, or None.

        Raises ContentError when its object is damaged; the next sync repairs it.
        """
        name = self.revision(id_, language)
        if name is None:
            return None
        found = lessons.lesson_from_bytes(self._blobs.get(name))
        if (found.id, found.language) != (id_, language):
            raise ContentError(f"lesson {id_} ({language}) holds the text of {found.path}")
        return found

    def revision(self, id_: str, language: Language) -> Digest | None:
        """Which object a lesson's page shows; None when there is no such lesson."""
        row = self._row("SELECT hash FROM lessons WHERE id = ? AND language = ?", id_, language)
        return Digest(row[0]) if row else None

    def languages(self, id_: str) -> list[Language]:
        """The languages of lesson `id_`, Spanish first; empty when there is no such lesson."""
        rows = self._store.reader().execute("SELECT language FROM lessons WHERE id = ?", (id_,))
        held = {row[0] for row in rows}
        return [language for language in FALLBACK if language in held]

    def card(self, id_: str, language: Language) -> LessonCard | None:
        """The lesson's card in `language` or the next best; None when there is no such lesson."""
        for choice in preferred(language):
            row = self._row(
                "SELECT id, language, title, summary, grade, topic FROM lessons"
                " WHERE id = ? AND language = ?",
                id_,
                choice,
            )
            if row:
                return LessonCard(*row)
        return None

    def _row(self, sql: str, *values: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._store.reader().execute(sql, values).fetchone()
        return row


def preferred(language: Language) -> list[Language]:
    """The languages to try, in order, for a reader of `language`."""
    return [language, *(other for other in FALLBACK if other != language)]


def _title(titles: dict[str, str], language: Language, id_: str) -> str:
    return next((titles[choice] for choice in preferred(language) if choice in titles), id_)
