"""EPUB: what is in a book, and a chapter of it as markup that can do no harm. Pure.

* Books come from anywhere: only elements of a short list survive, without any attribute but
  where a link or a picture of the same book leads. Scripts, styles, forms and drawings fall out.
* Nothing is believed of a book's form: what is missing is left out, what is too large is a
  ContentError, and whatever was opened is closed in its order.
"""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote

from markupsafe import Markup, escape

from sync.errors import ContentError

MAX_PAGE_BYTES = 1024 * 1024
MAX_CHAPTERS = 2_000
MAX_DEPTH = 40
MAX_TITLE_CHARS = 200
CONTAINER = "META-INF/container.xml"
Open = Callable[[str], bytes | None]
"""The bytes of a member of the book; None when there is none."""

_KEPT = frozenset(
    {
        "p", "ul", "ol", "li", "dl", "dt", "dd", "b", "strong", "i", "em", "u", "s", "sup", "sub",
        "small", "blockquote", "pre", "code", "table", "thead", "tbody", "tfoot", "tr", "td", "th",
        "caption", "figure", "figcaption", "div",
    }
)  # fmt: skip
_RENAMED = {
    "h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6",
    "section": "div", "article": "div", "aside": "div", "main": "div",
}  # fmt: skip
_DROPPED = frozenset(
    {
        "head", "script", "style", "svg", "math", "iframe", "object", "template", "noscript",
        "title", "select", "textarea", "audio", "video", "canvas",
    }
)  # fmt: skip
"""What falls out with all that is in it."""
_ASIDES = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<!", ">"), ("<?", ">"))
_TAG = re.compile(
    r"<[^<>'\"]{0,200}(?:(?:\"[^\"<]{0,2000}\"|'[^'<]{0,2000}')[^<>'\"]{0,200}){0,30}>"
)
"""A tag whose values are closed; in XML none has a `<`."""
_VOID = frozenset({"br", "hr"})


@dataclass(frozen=True, slots=True)
class Chapter:
    """One page of a book, in order of reading: the member's name and what it is called."""

    name: str
    title: str


def chapters(opened: Open) -> list[Chapter]:
    """The chapters. Raises ContentError: no book that can be read here."""
    container = _Tags(_text(opened, CONTAINER))
    root = next((a.get("full-path", "") for t, a in container.found if t == "rootfile"), "")
    package = _Tags(_text(opened, root))
    folder = posixpath.dirname(root)
    items = {a.get("id", ""): a for tag, a in package.found if tag.endswith("item")}
    spine = [a.get("idref", "") for tag, a in package.found if tag.endswith("itemref")]
    names = [_join(folder, items[i].get("href", "")) for i in spine if i in items]
    nav = next((a for a in items.values() if "nav" in a.get("properties", "").split()), None)
    titles: dict[str, str] = {}
    if nav:
        place = _join(folder, nav.get("href", ""))
        for href, words in _Tags(_text(opened, place)).links:
            titles.setdefault(_join(posixpath.dirname(place), href), words)
    return [
        Chapter(name, titles.get(name) or posixpath.basename(name))
        for name in names[:MAX_CHAPTERS]
        if name in titles or not nav
    ] or [Chapter(name, posixpath.basename(name)) for name in names[:MAX_CHAPTERS]]


def chapter_html(
    opened: Open, name: str, link: Callable[[str], str | None], picture: Callable[[str], str | None]
) -> Markup:
    """The chapter `name`; `link` and `picture` give the address of a member, if it has one.

    Raises ContentError: it is not there, or too large.
    """
    cleaner = _Cleaner(posixpath.dirname(name), link, picture)
    cleaner.feed(_text(opened, name))
    cleaner.close()
    return cleaner.markup()


def _text(opened: Open, name: str) -> str:
    data = opened(name)
    if data is None:
        raise ContentError(f"the book has no {name[:120]!r}")
    if len(data) > MAX_PAGE_BYTES:
        raise ContentError(f"{name}: {len(data):,} bytes, more than {MAX_PAGE_BYTES:,}")
    return _without_asides(data.decode("utf-8", "replace"))


def _without_asides(text: str) -> str:
    """`text` without comments, declarations and instructions, its CDATA as plain text.

    html.parser takes quadratic time and worse for those that never end, and for tags that do
    not: here the first ends all, and the bracket of the second is text.
    """
    kept: list[str] = []
    at = 0
    while (start := text.find("<", at)) >= 0:
        kept.append(text[at:start])
        aside = next((pair for pair in _ASIDES if text.startswith(pair[0], start)), None)
        if aside is None:
            tag = _TAG.match(text, start)
            kept.append(tag.group() if tag else "&lt;")
            at = tag.end() if tag else start + 1
            continue
        inner = start + len(aside[0])
        end = text.find(aside[1], inner)
        if end < 0:
            return "".join(kept)
        if aside[0] == "<![CDATA[":
            kept.append(str(escape(text[inner:end])))
        at = end + len(aside[1])
    kept.append(text[at:])
    return "".join(kept)


def _join(folder: str, href: str) -> str:
    """The member that `href` names from `folder`."""
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


class _Tags(HTMLParser):
    """The elements of a text with their attributes, and its links with their words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.links: list[tuple[str, str]] = []
        self._href: str | None = None
        self._words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.found.append((tag, known))
        if tag == "a" and known.get("href"):
            self._href, self._words = known["href"], []

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href is not None:
            words = " ".join("".join(self._words).split())[:MAX_TITLE_CHARS]
            self.links.append((self._href, words))
            self._href = None

    def handle_data(self, data: str) -> None:
        self._words.append(data)


class _Cleaner(HTMLParser):
    """Writes what may stay."""

    def __init__(
        self,
        folder: str,
        link: Callable[[str], str | None],
        picture: Callable[[str], str | None],
    ) -> None:
        super().__init__()
        self._folder, self._link, self._picture = folder, link, picture
        self._out: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._dropping: list[str] = []

    def markup(self) -> Markup:
        """What was written, everything closed."""
        while self._open:
            self._out.append(self._open.pop()[1])
        return Markup("".join(self._out))  # noqa: S704  every piece is ours or escaped

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if self._dropping or tag in _DROPPED:
            if tag in _DROPPED:
                self._dropping.append(tag)
        elif tag in _VOID:
            self._out.append(f"<{tag}>")
        elif tag == "img":
            self._image(known)
        elif len(self._open) < MAX_DEPTH:
            self._begin(tag, known)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID and tag != "img":
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            if tag in self._dropping:
                del self._dropping[self._dropping.index(tag) :]
            return
        if tag in (name for name, _ in self._open):
            while self._open:
                name, closing = self._open.pop()
                self._out.append(closing)
                if name == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self._dropping:
            self._out.append(str(escape(data)))

    def _begin(self, tag: str, known: dict[str, str]) -> None:
        kept = _RENAMED.get(tag, tag)
        if kept == "table":  # a frame of its own that scrolls, as tables of lessons have
            self._out.append('<div class="table" tabindex="0"><table>')
            self._open.append((tag, "</table></div>"))
        elif kept in _KEPT or kept in _RENAMED.values():
            self._out.append(f"<{kept}>")
            self._open.append((tag, f"</{kept}>"))
        elif tag == "a":
            href = known.get("href", "")
            address = self._link(_join(self._folder, href)) if href[:1] not in ("", "#") else None
            self._out.append(f'<a href="{escape(address)}">' if address else "")
            self._open.append((tag, "</a>" if address else ""))

    def _image(self, known: dict[str, str]) -> None:
        address = self._picture(_join(self._folder, known.get("src", "")))
        words = escape(known.get("alt", ""))
        if address:
            self._out.append(
                f'<img class="drawing" src="{escape(address)}" alt="{words}" loading="lazy">'
            )
        elif words:
            self._out.append(f'<span class="picture">{words}</span>')
