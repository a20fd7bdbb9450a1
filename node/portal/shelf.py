"""Shelf: the library in the order in which a pupil sees it.

* Lessons are in the order of school grades, then as the library gives them; previous and
  next follow that order within a topic.
* Next to each lesson stand the languages it has and the visitor's own score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from node.portal.guest import Score
from node.portal.pages import Visit
from node.store.lessons import LessonCard, Library, TopicCard
from sync.lesson import Grade, Language

GRADES: tuple[str, ...] = get_args(Grade)


@dataclass(frozen=True, slots=True)
class Item:
    """A lesson in a list."""

    card: LessonCard
    languages: Sequence[Language]
    score: Score | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What stands before and after a lesson in its topic."""

    before: LessonCard | None = None
    after: LessonCard | None = None


class Shelf:
    """Reads the library for one visitor after the other."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def topics(self, visit: Visit) -> dict[str, TopicCard]:
        """The topics by id, in the channel's order."""
        return {topic.id: topic for topic in self.library.topics(visit.language)}

    def item(self, visit: Visit, card: LessonCard) -> Item:
        """One lesson as it stands in a list."""
        return Item(card, self.library.languages(card.id), visit.progress.score(card.id))

    def by_grade(self, visit: Visit, topic: str) -> dict[str, list[Item]]:
        """The lessons of a topic, a list for each grade that has some."""
        grades: dict[str, list[Item]] = {}
        for card in self._cards(visit, topic):
            grades.setdefault(card.grade, []).append(self.item(visit, card))
        return grades

    def neighbours(self, visit: Visit, topic: str, id_: str) -> Neighbours:
        """What to read before and after lesson `id_`."""
        cards = [None, *self._cards(visit, topic), None]
        for before, here, after in zip(cards, cards[1:], cards[2:], strict=False):
            if here and here.id == id_:
                return Neighbours(before, after)
        return Neighbours()

    def _cards(self, visit: Visit, topic: str) -> list[LessonCard]:
        cards = self.library.lessons(topic, visit.language)
        return sorted(cards, key=lambda card: _number(card.grade))


def lesson_url(id_: str, language: Language) -> str:
    """The address of a lesson."""
    return f"/leccion/{id_}/{language}"


def _number(grade: str) -> int:
    return GRADES.index(grade) if grade in GRADES else len(GRADES)
