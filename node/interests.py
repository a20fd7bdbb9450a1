"""Interests: what this school wants first, and how well an entry of a manifest fits it. Pure.

* A list names what is wanted; the rest fits not at all (0) and travels last, never never.
* Weights (`{salud = 3}`) say how much more, or less; what they do not name weighs 1.
* What an entry does not say (an asset has no grade) is no reason against it: it weighs 1.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from sync.manifest import Kind

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Weight = Annotated[float, Meta(ge=0, le=10)]
Wants = (
    Annotated[tuple[Name, ...], Meta(max_length=64)]
    | Annotated[dict[Name, Weight], Meta(max_length=64)]
)
_HOW = "a list, or weights as {{ {} = 2 }}; empty: all alike"


class InterestsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[interests]`: what travels first to this school."""

    grades: Annotated[
        Wants, Meta(description="school grades wanted first, " + _HOW.format("primaria-4"))
    ] = ()
    languages: Annotated[
        Wants, Meta(description="languages wanted first, " + _HOW.format("qu"))
    ] = ()
    topics: Annotated[Wants, Meta(description="topics wanted first, " + _HOW.format("salud"))] = ()
    kinds: Annotated[
        Wants,
        Meta(
            description="kinds of content (lesson, asset, model) wanted first, "
            + _HOW.format("lesson")
        ),
    ] = ()

    def fit(self, traits: "Traits") -> float:
        """How well an entry fits, 0 (not at all) and up; 1 is as good as any."""
        return (
            _weight(self.grades, traits.grade)
            * _weight(self.languages, traits.language)
            * _weight(self.topics, traits.topic)
            * _weight(self.kinds, traits.kind)
        )


class Traits(msgspec.Struct, frozen=True):
    """What is known of an entry before it comes; empty: not known."""

    kind: Kind
    grade: str = ""
    language: str = ""
    topic: str = ""


def _weight(wants: Wants, name: str) -> float:
    if not wants or not name:
        return 1.0
    if isinstance(wants, dict):
        return wants.get(name, 1.0)
    return 1.0 if name in wants else 0.0
