"""Prompt: what of a text fits into the context. Pure; tokens are counted by the caller's `count`.

* A text that is too long loses its beginning, since what stands last matters most to what
  follows. The cut is at the end of a paragraph where that keeps half of what would fit, else
  of a sentence, else of a word; within a word only when there is one word.
* How many tokens went is told, never hidden.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

BORDERS = (re.compile(r"\n\s*\n"), re.compile(r"(?<=[.!?…])\s+|\n"), re.compile(r"\s+"))
KEPT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Fitted:
    """`text` of `tokens` tokens; the `dropped` first ones did not fit."""

    text: str
    tokens: int
    dropped: int


def fit(text: str, room: int, count: Callable[[str], int]) -> Fitted:
    """The end of `text` that has at most `room` tokens, at least 1."""
    whole = count(text)
    if whole <= room:
        return Fitted(text, whole, 0)
    for border in BORDERS:
        starts = [match.end() for match in border.finditer(text)]
        kept = _longest(text, starts, room, count)
        if kept and count(kept) >= KEPT_SHARE * room:
            return Fitted(kept, count(kept), whole - count(kept))
    kept = _longest(text, range(len(text)), room, count)
    return Fitted(kept, count(kept), whole - count(kept))


def _longest(text: str, starts: "list[int] | range", room: int, count: Callable[[str], int]) -> str:
    """The longest end of `text` from one of `starts` that fits; nothing if none does.

    A later start means fewer tokens but for a token or two at the cut, hence the last steps.
    """
    at = bisect_left(starts, True, key=lambda start: count(text[start:]) <= room)
    while at < len(starts) and count(text[starts[at] :]) > room:
        at += 1
    return text[starts[at] :] if at < len(starts) else ""
