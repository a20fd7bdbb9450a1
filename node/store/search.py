"""Search: from a query in a pupil's words to the best passage of each lesson.

* Only folded stems reach SQLite, each quoted: no query can break its syntax.
* A word that the library does not have is tried as the beginning of a word, then as a
  misspelling (see `spelling.py`).
* Rank: BM25 with title and keywords boosted, times the share of the query's rare words
  that the lesson covers. A lesson that has all words beats one that repeats one of them.
* The reader's language comes first; other languages follow at a discount. Each lesson
  appears once.
"""

import math
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from node.store import spelling
from node.store.lessons import preferred
from node.store.passages import Place
from node.store.snippet import mark, surface
from node.store.store import Store
from node.store.words import content
from sync.lesson import Language

CANDIDATES = 200
"""Passages taken from the index of one language; the rest of the ranking is done on these."""
BM25 = "bm25(5.0, 4.0, 0.5, 1.5, 1.0)"
"""Weights of title, keywords, topic, heading, body."""
PLACES: dict[Place, float] = {"body": 1.0, "summary": 0.6, "quiz": 0.85}
"""What a passage counts by its place: a paragraph of the body reads best."""
UNDER: dict[Place, float] = {"body": 0.5, "summary": 0.5, "quiz": 0.9}
"""What a word counts that only the heading has; over a quiz explanation stands its question."""
SHORT = 8
"""Words below which a passage says little."""
DEFINES = frozenset({"es", "son", "signific", "is", "are"})
"""After a word of the query they announce what it is."""
NAMES = frozenset({"llam", "call"})
"""The same before it: "se llama decena"."""
OTHER_LANGUAGE = 0.5
MIN_PREFIX = 3
COMMON = 5000
"""Passages counted to tell how rare a word is; one with more is common."""
MAX_MATCHES = 20
"""Words of the index that one word of the query may stand for."""

How = Literal["word", "prefix", "spelling", "missing"]
SURE: dict[How, float] = {"word": 1.0, "prefix": 0.7, "spelling": 0.6, "missing": 0.0}
"""How much a match counts by how it was found."""


@dataclass(frozen=True, slots=True)
class Term:
    """One word of the query that carries meaning."""

    stem: str
    how: How
    matches: tuple[str, ...]
    """The stems of the index that stand for it, the likeliest first."""
    rarity: float
    """Inverse frequency among this language's lessons, in nats; highest when missing."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One lesson found, at its best passage."""

    id: str
    language: Language
    title: str
    topic: str
    passage: str
    """The passage as plain text; lines are separated by newlines."""
    place: Place
    block: int
    """Which item of `lesson.body` (or of `lesson.quiz`), from 0; 0 for the summary."""
    score: float
    """Higher is better; only comparable within one answer."""
    snippet_html: str
    """A piece of the passage, escaped, the words of the query in <mark>."""
    covered: frozenset[str] = frozenset()
    """Stems of the query that the lesson has somewhere."""
    here: frozenset[str] = frozenset()
    """Stems of the query that this passage, its heading, or the lesson's title or keywords have."""
    about: frozenset[str] = frozenset()
    """Stems of the query that the lesson's title or keywords have."""

    @property
    def anchor(self) -> str:
        """Fragment of the lesson page where the passage is: `b3`, `q2`, or empty."""
        return {"summary": "", "body": f"b{self.block}", "quiz": f"q{self.block}"}[self.place]


@dataclass(frozen=True, slots=True)
class Result:
    """What one language of the library has for a query; hits are best first."""

    language: Language
    terms: tuple[Term, ...]
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """One candidate passage. `about` and `heading` are the stems of the query they have."""

    id: str
    title: str
    topic: str
    place: Place
    block: int
    text: str
    bm25: float
    about: frozenset[str]
    heading: frozenset[str]
    body: tuple[str, ...]
    """All stems of the passage in order, those of the query as the query has them."""

    def worth(self, terms: tuple[Term, ...]) -> float:
        """How well the passage itself can be quoted; only comparable within one lesson."""
        said = sum(
            term.rarity * (1 + 0.2 * min(2, self.body.count(term.stem) - 1))
            for term in terms
            if term.stem in self.body
        )
        under = sum(term.rarity for term in terms if term.stem in self.heading - set(self.body))
        return (said + UNDER[self.place] * under) * self._form(terms)

    def _form(self, terms: tuple[Term, ...]) -> float:
        form = PLACES[self.place]
        if len(self.body) < SHORT or self.text.endswith((":", "?")):
            form *= 0.5
        named = {term.stem for term in terms}
        pairs = list(pairwise(self.body))
        if any((a in named and b in DEFINES) or (a in NAMES and b in named) for a, b in pairs):
            form *= 1.3
        return form


class Search:
    """Reads the index of the installed version. Safe from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, query: str, language: Language | None, limit: int = 10) -> list[Hit]:
        """The best passage of each lesson found, best first; any text is a valid query."""
        best: dict[str, Hit] = {}
        for result in self.results(query, language or "es", limit):
            for hit in result.hits:
                if hit.id not in best or hit.score > best[hit.id].score:
                    best[hit.id] = hit
        return sorted(best.values(), key=lambda hit: -hit.score)[:limit]

    def results(self, query: str, language: Language, limit: int = 10) -> list[Result]:
        """The query against each language, that of the reader first.

        In the others only whole words count: a guess in a foreign language misleads.
        """
        return [self._in(query, other, limit, language) for other in preferred(language)]

    def suggest(self, query: str, language: Language | None) -> str | None:
        """The query with misspelt words put right; None when none was."""
        result = self._in(query, language or "es", 3, language or "es")
        put_right = {t.stem: t.matches[0] for t in result.terms if t.how == "spelling"}
        texts = [text for hit in result.hits for text in (hit.title, hit.passage)]
        return surface(query, put_right, texts, result.language)

    def _in(self, query: str, language: Language, limit: int, reader: Language) -> Result:
        own = language == reader
        discount = 1.0 if own else OTHER_LANGUAGE
        with self._store.snapshot() as db:
            terms = _terms(db, language, content(query, language), guess=own)
            rows = _rows(db, language, terms)
        hits = sorted(_hits(rows, terms, language, discount), key=lambda hit: -hit.score)
        words = {match for term in terms for match in term.matches}
        shown = (
            replace(hit, snippet_html=mark(hit.passage, words, language)) for hit in hits[:limit]
        )
        return Result(language, terms, tuple(shown))


def _terms(
    db: sqlite3.Connection, language: Language, stems: list[str], guess: bool
) -> tuple[Term, ...]:
    sql = "SELECT count(*) FROM lessons WHERE language = ?"
    (total,) = db.execute(sql, (language,)).fetchone()
    return tuple(_term(db, language, stem, total, guess) for stem in stems)


def _term(db: sqlite3.Connection, language: Language, stem: str, total: int, guess: bool) -> Term:
    exact = f"SELECT term FROM vocabulary_{language} WHERE term = ?"  # noqa: S608
    how: How = "word"
    found = [word for (word,) in db.execute(exact, (stem,))]
    if not found and guess:
        how, found = "prefix", _longer(db, language, stem)
    if not found and guess:
        how, found = "spelling", _nearest(db, language, stem)
    if not found:
        return Term(stem, "missing", (), math.log(1 + total))
    table = f"stems_{language}"
    sql = (
        "SELECT count(DISTINCT lesson) FROM passages WHERE key IN"  # noqa: S608
        f" (SELECT rowid FROM {table} WHERE {table} MATCH ? LIMIT ?)"
    )
    (lessons,) = db.execute(sql, (_any(found), COMMON)).fetchone()
    return Term(stem, how, tuple(found), math.log(1 + total / lessons))


def _any(stems: Iterable[str]) -> str:
    """An FTS5 expression: one of `stems`, each quoted (they are letters and digits)."""
    return " OR ".join(f'"{stem}"' for stem in stems)


def _longer(db: sqlite3.Connection, language: Language, stem: str) -> list[str]:
    if len(stem) < MIN_PREFIX:
        return []
    sql = (
        f"SELECT term FROM vocabulary_{language} WHERE term >= ? AND term < ?"  # noqa: S608
        " ORDER BY doc DESC, term LIMIT ?"
    )
    return [word for (word,) in db.execute(sql, (stem, stem + "\U0010ffff", MAX_MATCHES))]


def _nearest(db: sqlite3.Connection, language: Language, stem: str) -> list[str]:
    sql = f"SELECT term, doc FROM vocabulary_{language} WHERE term >= ? AND term < ?"  # noqa: S608
    near: list[tuple[int, int, str]] = []
    for letter in sorted(spelling.starts(stem)):
        for term, count in db.execute(sql, (letter, letter + "\U0010ffff")):
            if (edits := spelling.distance(stem, term)) is not None:
                near.append((edits, -count, term))
    return [term for edits, _, term in sorted(near)[:3] if edits == min(near)[0]]


def _rows(db: sqlite3.Connection, language: Language, terms: tuple[Term, ...]) -> list[_Row]:
    stands_for = {match: term.stem for term in terms for match in term.matches}
    if not stands_for:
        return []
    table = f"stems_{language}"
    sql = (
        "SELECT l.id, l.title, l.topic, p.place, p.block, p.text, s.rank,"  # noqa: S608
        f" s.title || ' ' || s.keywords, s.heading, s.body FROM {table} s"
        " JOIN passages p ON p.key = s.rowid JOIN lessons l ON l.key = p.lesson"
        f" WHERE {table} MATCH ? AND s.rank MATCH ? ORDER BY s.rank LIMIT ?"
    )

    def read(text: str) -> tuple[str, ...]:
        return tuple(stands_for.get(stem, stem) for stem in text.split())

    wanted = frozenset(stands_for.values())
    found = db.execute(sql, (_any(stands_for), BM25, CANDIDATES))
    return [
        _Row(
            id=id_,
            title=title,
            topic=topic,
            place=place,
            block=block,
            text=text,
            bm25=-rank,
            about=wanted.intersection(read(about)),
            heading=wanted.intersection(read(heading)),
            body=read(body),
        )
        for id_, title, topic, place, block, text, rank, about, heading, body in found
    ]


def _hits(
    rows: list[_Row], terms: tuple[Term, ...], language: Language, discount: float
) -> Iterator[Hit]:
    """One hit a lesson, without its snippet: most are not shown."""
    weight = {term.stem: term.rarity * SURE[term.how] for term in terms}
    whole = sum(term.rarity for term in terms) or 1.0
    by_lesson: dict[str, list[_Row]] = {}
    for row in rows:
        by_lesson.setdefault(row.id, []).append(row)
    for id_, found in by_lesson.items():
        best = max(found, key=lambda row: (row.worth(terms), row.place == "summary", row.bm25))
        covered = weight.keys() & frozenset().union(
            *(row.about | row.heading | set(row.body) for row in found)
        )
        share = sum(weight[stem] for stem in covered) / whole
        yield Hit(
            id=id_,
            language=language,
            title=best.title,
            topic=best.topic,
            passage=best.text,
            place=best.place,
            block=best.block,
            score=max(row.bm25 for row in found) * (0.1 + share) * discount,
            snippet_html="",
            covered=frozenset(covered),
            here=frozenset(weight.keys() & (best.about | best.heading | set(best.body))),
            about=best.about,
        )
