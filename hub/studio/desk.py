"""Desk: what the pages show and decide, as values. Runs in the thread that owns the library.

* Every method is one visit to the database; what it returns needs none afterwards.
* It decides nothing: `Review` and `Publisher` do. It counts, groups and looks up.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Generic, TypeVar, get_args

from hub.brief import Brief
from hub.candidate import Candidate, State
from hub.heard import Attachment
from hub.learning import Learned
from hub.library import Library
from hub.publisher import build, published
from hub.records import Revision, Version
from hub.reports import Report
from hub.review import Outcome, Review
from hub.shelf import Shelf
from hub.stock import Item, Stock
from sync.errors import SettingsError
from sync.inventory import INVENTORY_PATH
from sync.lesson import Channel, Language
from sync.manifest import Delta, diff, from_bytes

T = TypeVar("T")
LANGUAGES: tuple[Language, ...] = get_args(Language)
REVIEW_PAGE = 30
LESSONS_PAGE = 40
FILES_PAGE = 100
VERSIONS_SHOWN = 50
STATES: tuple[State, ...] = ("waiting", "stopped", "approved", "rejected")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `number` counts from 1."""

    items: tuple[T, ...]
    number: int
    last: int
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The review list in one state, and how many are in each."""

    state: State
    counts: Mapping[str, int]
    page: Page[Candidate]
    needed: Mapping[int, int]
    """Persons who must approve, by candidate."""
    channel: Channel | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """One candidate with what a person needs to judge it."""

    candidate: Candidate
    brief: Brief | None
    needed: int
    """Persons who must approve."""
    channel: Channel | None
    files: tuple[Attachment, ...] = ()
    """What came with an upload."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A lesson's current text, its revisions (newest first) and its other languages."""

    revision: Revision
    history: tuple[Revision, ...]
    languages: tuple[str, ...]
    channel: Channel | None
    learned: Learned | None = None
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """One lesson of the list: a current text of it, and the languages that it has."""

    revision: Revision
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """One published version. `delta`: bytes from the version before; `whole`: from nothing;
    None where no bundle is kept."""

    version: Version
    delta: int | None
    whole: int | None


@dataclass(frozen=True, slots=True)
class Pending:
    """What publishing now would change, in lessons, against `version` (0: nothing yet); and how
    many other files."""

    version: int
    added: int
    changed: int
    removed: int
    files: int

    @property
    def empty(self) -> bool:
        """True when there is nothing new."""
        return not (self.added or self.changed or self.removed or self.files)


class Desk:
    """The studio's questions to the library."""

    def __init__(self, library: Library, review: Review, shelf: Shelf, channel: str) -> None:
        self._library, self._review = library, review
        self._shelf, self._channel = shelf, channel
        self._stock = Stock(library, shelf)

    def waiting(self, state: State, page: int) -> Waiting:
        """One page of the candidates in `state`, best first."""
        shown = paged(self._library.candidates(state), page, REVIEW_PAGE)
        needed = {c.id: self._review.persons_needed(c.lesson) for c in shown.items}
        return Waiting(state, self._library.counts(), shown, needed, self.channel())

    def sheet(self, number: int) -> Sheet:
        """One candidate. Raises UnknownError."""
        candidate = self._library.candidate(number)
        brief = None if candidate.brief is None else self._library.brief(candidate.brief)
        needed = self._review.persons_needed(candidate.lesson)
        files = self._library.heard.attachments(number)
        return Sheet(candidate, brief, needed, self.channel(), files)

    def approve(self, number: int, person: str) -> Outcome:
        """As `Review.approve`."""
        return self._review.approve(number, person)

    def reject(self, number: int, person: str, reason: str) -> Outcome:
        """As `Review.reject`."""
        return self._review.reject(number, person, reason)

    def lessons(self, query: str, page: int) -> tuple[Page[Work], Channel | None, int]:
        """One page of the lessons that answer to `query`, the channel, and how many texts."""
        revisions = self._library.lessons()
        works: dict[str, list[Revision]] = {}
        for revision in revisions:
            works.setdefault(revision.lesson.id, []).append(revision)
        wanted = folded(query).split()
        found = [
            Work(_face(group), _languages(group))
            for group in works.values()
            if all(any(word in _index(r) for r in group) for word in wanted)
        ]
        found.sort(key=lambda w: (w.revision.lesson.topic, folded(w.revision.lesson.title)))
        return paged(found, page, LESSONS_PAGE), self.channel(), len(revisions)

    def lesson(self, lesson_id: str, language: str) -> Shown:
        """One lesson. Raises UnknownError."""
        revision = self._library.lesson(lesson_id, language)
        texts = [r for r in self._library.lessons() if r.lesson.id == lesson_id]
        history = tuple(self._library.history(lesson_id, language))
        told = self._library.learning.lessons(lesson=lesson_id)
        learned = next((one for one in told if one.language == language), None)
        reports = self._library.reports.all(lesson=lesson_id)
        mine = tuple(one for one in reports if one.language == language)
        return Shown(revision, history, _languages(texts), self.channel(), learned, mine)

    def releases(self) -> list[Release]:
        """The published versions, newest first."""
        versions = self._library.versions(self._channel)
        shown = versions[:VERSIONS_SHOWN]
        return [
            self._release(version, before)
            for version, before in zip(shown, [*versions[1:], None], strict=False)
        ]

    def pending(self) -> Pending | None:
        """What publishing now would change; None while there is no channel or no key."""
        channel = self.channel()
        if channel is None:
            return None
        try:
            now = published(self._shelf, self._channel)
        except SettingsError:
            return None
        lessons = [r.lesson for r in self._library.lessons()]
        made, _ = build(channel, lessons, self._stock.carried())
        data = self._shelf.manifest(now.root) if now else None
        delta = diff(from_bytes(data) if data else None, made)
        return Pending(
            now.version if now else 0,
            sum(e.kind == "lesson" for e in delta.added),
            sum(new.kind == "lesson" for _, new in (*delta.changed, *delta.moved)),
            sum(e.kind == "lesson" for e in delta.removed),
            _files(delta),
        )

    def files(self, page: int) -> tuple[Page[Item], Channel | None]:
        """One page of what the channel carries besides lessons, and the channel."""
        return paged(self._stock.items(), page, FILES_PAGE), self.channel()

    def channel(self) -> Channel | None:
        """The channel as it was imported; None before that."""
        return self._library.channel(self._channel)

    def _release(self, version: Version, before: Version | None) -> Release:
        kept = self._shelf.deltas.kept
        delta = kept(self._channel, before.root, version.root) if before else None
        whole = kept(self._channel, None, version.root)
        return Release(version, delta.size if delta else None, whole.size if whole else None)


def _files(delta: Delta) -> int:
    """How many files differ: an archive is one, the channel's own description another."""
    changed = [*delta.added, *delta.removed, *(new for _, new in (*delta.changed, *delta.moved))]
    paths = {e.path for e in changed if e.kind != "lesson" and e.path != INVENTORY_PATH}
    return sum(paths.isdisjoint(map(str, PurePosixPath(path).parents)) for path in paths)


def paged(items: Sequence[T], number: int, size: int) -> Page[T]:
    """Page `number` of `items`, or the nearest that there is."""
    last = max(1, -(-len(items) // size))
    number = min(max(1, number), last)
    return Page(tuple(items[(number - 1) * size : number * size]), number, last, len(items))


def folded(text: str) -> str:
    """`text` for finding: no accents, no case."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))


def _index(revision: Revision) -> str:
    lesson = revision.lesson
    return folded(" ".join((lesson.title, lesson.id, *lesson.keywords)))


def _languages(group: Sequence[Revision]) -> tuple[str, ...]:
    return tuple(sorted((r.lesson.language for r in group), key=LANGUAGES.index))


def _face(group: Sequence[Revision]) -> Revision:
    """The text that stands for a lesson in a list: the Spanish one where there is one."""
    return min(group, key=lambda r: LANGUAGES.index(r.lesson.language))
