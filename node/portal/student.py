"""Student: home, topic and search. Needs no account and no script.

* Searches run in a thread: a slow SD card must not hold up the other pupils.
* A search that names a topic finds the topic, too.
* A search whose best lesson has less than half of what it asks for counts as missed: the page
  says so, shows the nearest lessons, and the hub will hear of it.
"""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from node.portal.pages import VISIT, Pages
from node.portal.shelf import Item, Shelf
from node.relevance import shares
from node.services import Services
from node.store.lessons import TopicCard
from node.store.search import Hit
from node.store.words import content
from sync.lesson import Language

MAX_QUERY_CHARS = 200
RESULTS = 12
ENOUGH = 0.5
"""Share of a query's weight that a lesson must have for the search to count as found."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: no hits when nothing is near enough."""

    hits: tuple[Hit, ...] = ()
    suggestion: str | None = None


class Student:
    """The pages on which a pupil finds a lesson."""

    def __init__(self, services: Services, pages: Pages, shelf: Shelf) -> None:
        self._services = services
        self._pages = pages
        self._shelf = shelf

    async def home(self, request: web.Request) -> web.Response:
        """GET /"""
        visit = request[VISIT]
        last = visit.progress.lesson
        card = self._shelf.library.card(last, visit.progress.language) if last else None
        return self._pages.page(
            request,
            "home.html",
            topics=self._shelf.topics(visit).values(),
            going_on=self._shelf.item(visit, card) if card else None,
            files=sum(not file.picture for file in self._services.files.cards()),
        )

    async def topic(self, request: web.Request) -> web.Response:
        """GET /tema/{topic}"""
        visit = request[VISIT]
        topic = self._shelf.topics(visit).get(request.match_info["topic"])
        if topic is None:
            raise web.HTTPNotFound
        return self._pages.page(
            request,
            "topic.html",
            topic=topic,
            grades=self._shelf.by_grade(visit, topic.id),
            files=[file for file in self._services.files.cards(topic.id) if not file.picture],
        )

    async def search(self, request: web.Request) -> web.Response:
        """GET /buscar, with `q=` the words."""
        visit = request[VISIT]
        query = request.query.get("q", "").strip()[:MAX_QUERY_CHARS]
        topics = self._shelf.topics(visit)
        named = [topic for topic in topics.values() if _names(query, topic, visit.language)]
        enough = 0.0 if named else ENOUGH
        found = await asyncio.to_thread(self._look, query, visit.language, enough)
        nearest: list[Item] = []
        if query and not found.hits and not named:
            answer = await asyncio.to_thread(self._services.tutor.ask, query, visit.language)
            nearest = [self._shelf.item(visit, card) for card in answer.nearest]
            if not visit.refresh:
                missed = {"query": query, "language": visit.language}
                self._services.record_event("search_missed", missed)
        return self._pages.page(
            request,
            "search.html",
            query=query,
            hits=found.hits,
            suggestion=found.suggestion,
            nearest=nearest,
            topics=topics,
            named=named,
        )

    def _look(self, query: str, language: Language, enough: float) -> Found:
        if not query:
            return Found()
        search = self._services.search
        results = search.results(query, language, RESULTS)
        covered = (shares(result, hit).covered for result in results for hit in result.hits)
        hits = search.find(query, language, RESULTS) if max(covered, default=0) >= enough else []
        guessed = any(term.how == "spelling" for term in results[0].terms)
        return Found(tuple(hits), search.suggest(query, language) if guessed else None)


def _names(query: str, topic: TopicCard, language: Language) -> bool:
    """True when the query has a word of the topic's title."""
    return bool(set(content(query, language)) & set(content(topic.title, language)))
