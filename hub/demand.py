"""Demand: what pupils looked for in vain, put together by meaning as far as words tell it.

* Two searches are one wish when they are in one language and most of their stems are the same:
  no accents, no endings, no words that say nothing. Simple on purpose: a wrong guess is seen
  by the editor, who reads the searches themselves.
* The wish is called as it was typed most often. The most asked come first.
"""

import re
from collections.abc import Iterable

import msgspec

from hub.gates import fold, words
from hub.library import Library
from hub.records import Missed

ALIKE = 0.6
"""Share of their stems that two searches must have in common."""
MAX_SEARCHES = 2_000
MIN_STEM = 3
_EMPTY = frozenset(
    """que como cual cuales cuando donde quien por para con sin los las una unos unas del sobre
    entre porque hay son ser esta este esto hace hacen sirve significa explica quiero saber profe
    miss the what how why when where who are does and for with about
    imayna imata imataq pitaq hayka imarayku maypi kay chay""".split()  # noqa: SIM905
)
_ENDINGS = re.compile(
    r"(aciones|acion|iciones|icion|mente|idades|idad|kunata|kunap|kuna|ando|iendo|ing|ces|es|s|"
    r"[aeo])$"
)


class Demand(msgspec.Struct, frozen=True):
    """One wish. `last` in unix seconds; `searches` as they were typed, the most asked first."""

    query: str
    language: str
    times: int
    nodes: int
    last: float
    searches: tuple[str, ...]


def stems(text: str) -> frozenset[str]:
    """What a search is about, as far as its words tell."""
    found = [w for w in words(fold(text)) if w not in _EMPTY]
    return frozenset(stem(w) for w in found if len(w) >= MIN_STEM) or frozenset(found)


def stem(word: str) -> str:
    """A folded word without its ending, as often as one goes; three letters stay."""
    while (short := _ENDINGS.sub("", word)) != word and len(short) >= MIN_STEM:
        word = short
    return word


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """True when two searches are one wish."""
    return bool(one | other) and len(one & other) / len(one | other) >= ALIKE


def gathered(searches: Iterable[Missed]) -> list[list[Missed]]:
    """`searches`, the most asked first, in groups that are one wish each."""
    groups: list[tuple[frozenset[str], list[Missed]]] = []
    places: dict[tuple[str, str], list[int]] = {}
    for search in searches:
        about = stems(search.query)
        near = sorted({n for word in about for n in places.get((search.language, word), ())})
        found = next((n for n in near if alike(groups[n][0], about)), None)
        if found is not None:
            groups[found][1].append(search)
            continue
        for word in about:
            places.setdefault((search.language, word), []).append(len(groups))
        groups.append((about, [search]))
    return [members for _, members in groups]


def demands(library: Library, limit: int = 50) -> list[Demand]:
    """The wishes that have no brief yet, the most asked first."""
    groups = gathered(library.missed_searches(MAX_SEARCHES))
    groups.sort(key=lambda members: (-sum(m.times for m in members), members[0].query))
    return [_demand(library, members) for members in groups[:limit]]


def _demand(library: Library, members: list[Missed]) -> Demand:
    queries, language = tuple(m.query for m in members), members[0].language
    return Demand(
        queries[0], language, sum(m.times for m in members),
        library.missed_nodes(queries, language), max(m.last for m in members), queries,
    )  # fmt: skip


def demand_for(library: Library, query: str, language: str) -> Demand | None:
    """The wish to which a search belongs; None when nobody looked for it in vain."""
    wanted = " ".join(query.casefold().split())
    return next(
        (d for d in demands(library, MAX_SEARCHES)
         if d.language == language and wanted in d.searches),
        None,
    )  # fmt: skip
