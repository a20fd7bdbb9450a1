"""View: how values look on a page. Pure functions, and the Markdown renderer.

* CommonMark with tables; raw HTML stays text; headings start at `h2`; an image is shown by
  its description (the policy loads none). Links keep working: editors are online.
* Times are shown in the hub's own zone, sizes in decimal units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from urllib.parse import urlencode

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markupsafe import Markup

from hub.candidate import Candidate, GateResult
from hub.stock import Item
from hub.studio.words import Words
from sync.lesson import Channel, Lesson

MAX_NESTING = 20
COLOURS = {"relevance": 0, "support": 1, "novelty": 2, "fluency": 3, "gates": 4}
OTHER_COLOUR = 5
BAR = 100.0  # units of the drawing of a score


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of a score's bar, in units of 100 for the best possible score."""

    name: str
    start: float
    width: float
    colour: int


def parts(candidate: Candidate) -> list[Part]:
    """The bar of a score: as long as the score, cut by the shares of its factors."""
    drawn, at = [], 0.0
    for factor in candidate.factors:
        width = max(0.0, factor.share) * (candidate.score or 0.0) * BAR
        drawn.append(Part(factor.name, round(at, 2), round(width, 2), colour(factor.name)))
        at += width
    return drawn


def colour(factor: str) -> int:
    """Which colour of the style sheet stands for a factor."""
    return COLOURS.get(factor, OTHER_COLOUR)


def size(count: int | None) -> str:
    """Bytes for people: 812 B, 4.2 KB, 1.3 MB."""
    value = float(count or 0)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def percent(share: float) -> str:
    """0..1 as whole percent."""
    return f"{share * 100:.0f} %"


def moment(at: float, zone: tzinfo | None = None) -> str:
    """Unix seconds as date and time in `zone` (None: the hub's own)."""
    return datetime.fromtimestamp(at).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def machine_time(at: float) -> str:
    """Unix seconds for the `datetime` of a `time` element."""
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")


def ago(seconds: float, words: Words) -> str:
    """How long since."""
    if seconds < 60:
        return words("ago.now")
    for key, unit, limit in (("minutes", 60, 90), ("hours", 3600, 48)):
        if seconds < unit * limit:
            return words(f"ago.{key}", count=int(seconds // unit))
    return words("ago.days", count=int(seconds // 86400))


def grade(lesson: Lesson, words: Words) -> str:
    """The grade in words."""
    level, number = lesson.grade.split("-")
    return words(f"grade.{level}", number=number)


def topic(lesson: Lesson | Item, channel: Channel | None, words: Words) -> str:
    """The title of a lesson's or file's topic in the reader's language; else its id."""
    for known in channel.topics if channel else ():
        if known.id == lesson.topic:
            return known.titles.get(words.language) or known.titles.get("es") or known.id
    return lesson.topic


def source(text: str, words: Words) -> str:
    """Where a lesson is from; of an upload, from which village and when."""
    first, _, rest = text.partition(" ")
    known = words.of("source", first)
    return f"{known} {rest}".strip()


def gate(result: GateResult, words: Words) -> str:
    """What a gate measured, in the reader's language; its own reason for a gate unknown here."""
    if words.of("gate_value", result.gate) == result.gate:
        return result.reason
    number = f"{result.value:.0f}"
    return words(f"gate_value.{result.gate}", count=number, percent=percent(result.value))


def link(path: str, **query: object) -> str:
    """`path` with what of `query` is not empty."""
    kept = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path


class Markdown:
    """Renders bodies. One instance serves all requests."""

    def __init__(self) -> None:
        self._md = MarkdownIt(
            "commonmark", {"html": False, "linkify": False, "maxNesting": MAX_NESTING}
        )
        self._md.enable("table").disable("html_block").disable("html_inline")
        self._md.core.ruler.push("house", _house)

    def __call__(self, blocks: Sequence[str]) -> Markup:
        """The blocks as HTML."""
        return Markup(self._md.render("\n\n".join(blocks)))  # noqa: S704  html is off


def _house(state: StateCore) -> None:
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close") and token.tag == "h1":
            token.tag = "h2"
        if style := token.attrs.pop("style", None):  # the policy allows no inline style
            token.attrs["class"] = str(style).removeprefix("text-align:")
        if token.children:
            token.children = [_described(child) for child in token.children]


def _described(token: Token) -> Token:
    if token.type != "image":
        return token
    return Token("text", "", 0, content=f"[{token.content}]")
