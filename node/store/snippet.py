"""Snippets: the piece of a passage where the query's words are, marked for a page.

* Words are matched by stem, so `plantas` is marked for the query `planta`.
* Everything but our own <mark> is escaped.
"""

import html
import re
from collections.abc import Collection, Iterable, Mapping

from node.store.words import stems, tokens
from sync.lesson import Language

WIDTH = 180
"""Characters of text a snippet shows, about."""

_WORD = re.compile(r"\w+(?:['’‘ʼ´`]\w+)*")


def mark(text: str, wanted: Collection[str], language: Language, width: int = WIDTH) -> str:
    """The window of `text` with most of the `wanted` stems, as HTML."""
    flat = " ".join(text.split())
    spans = [m.span() for m in _WORD.finditer(flat) if _is(m.group(), wanted, language)]
    start, end = _window(flat, spans, width)
    parts, at = ["…" if start else ""], start
    for left, right in spans:
        if start <= left and right <= end:
            parts += [html.escape(flat[at:left]), f"<mark>{html.escape(flat[left:right])}</mark>"]
            at = right
    return "".join([*parts, html.escape(flat[at:end]), "…" if end < len(flat) else ""])


def surface(
    query: str, put_right: Mapping[str, str], texts: Iterable[str], language: Language
) -> str | None:
    """`query` with the words of `put_right` (stem to stem) as the `texts` write them."""
    written: dict[str, str] = {}
    for text in texts:
        for word in _WORD.findall(text):
            for stem in stems(word, language):
                written.setdefault(stem, word.lower())
    changed = False

    def replace(match: re.Match[str]) -> str:
        nonlocal changed
        found = stems(match.group(), language)
        target = written.get(put_right.get(found[0], "")) if len(found) == 1 else None
        changed = changed or target is not None
        return target or match.group()

    corrected = _WORD.sub(replace, query)
    return corrected if changed else None


def _is(word: str, wanted: Collection[str], language: Language) -> bool:
    return any(stem in wanted for stem in stems(word, language)) and bool(tokens(word))


def _window(flat: str, spans: list[tuple[int, int]], width: int) -> tuple[int, int]:
    if len(flat) <= width:
        return 0, len(flat)
    first = max(
        (left for left, _ in spans),
        key=lambda left: sum(left <= other and right <= left + width for other, right in spans),
        default=0,
    )
    start = max(0, min(first - width // 4, len(flat) - width))
    start = flat.rfind(" ", 0, start) + 1 if start else 0
    end = len(flat) if start + width >= len(flat) else flat.rfind(" ", start, start + width + 1)
    return start, end if end > start else start + width
