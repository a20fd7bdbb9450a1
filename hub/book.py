"""Book: lessons bound into an EPUB 3 that any reader opens, without a network.

* The same lessons give the same bytes, on every machine: members stored, in reading order,
  `modified` is the newest text's time, the identifier follows from the channel and the topic.
* One lesson is one chapter, so that an edited lesson is one changed member. Its questions stand
  at its end, all answers in a last chapter.
* Only well-formed XHTML goes in: raw HTML in a lesson stays text. Links go to chapters of this
  book or become text; images are those that the channel carries.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from xml.sax.saxutils import escape, quoteattr

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sync.archive import Archive, Member, checks, compose
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.lesson import Language, Lesson
from sync.recipe import Recipe

MAX_NESTING = 20
TAGS: Mapping[Language, str] = MappingProxyType({"es": "es-PE", "qu": "qu", "en": "en"})
TYPES = MappingProxyType(
    {
        ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    }
)  # fmt: skip
"""The images that an EPUB may hold."""
WORDS: Mapping[Language, tuple[str, str, str]] = MappingProxyType(
    {
        "es": ("Contenido", "Preguntas", "Respuestas"),
        "qu": ("Ima kaqnin", "Tapukuykuna", "Kutichiykuna"),
        "en": ("Contents", "Questions", "Answers"),
    }
)
STYLE = """body { line-height: 1.5; margin: 0 4%; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; }
.lead { font-style: italic; } .source { font-size: .8em; color: #555; }
table { border-collapse: collapse; } td, th { border: 1px solid #999; padding: .2em .5em; }
img { max-width: 100%; }
"""
_NAMESPACE = uuid.UUID("8f0c6f0e-0f61-5a53-9d3f-3c1a5a0f7c10")


@dataclass(frozen=True, slots=True)
class Book:
    """What to bind. `subject` and `channel` name it for machines, `modified` is unix seconds."""

    channel: str
    subject: str
    title: str
    language: Language
    license: str
    modified: float
    lessons: Sequence[Lesson]
    images: Mapping[str, bytes]
    """By path in the channel."""

    @property
    def identifier(self) -> str:
        """The same for every edition of the book."""
        name = f"{self.channel}/{self.subject}/{self.language}"
        return f"urn:uuid:{uuid.uuid5(_NAMESPACE, name)}"


def epub(book: Book) -> bytes:
    """The book as one file. Raises ContentError: no lessons, or an image that no reader knows."""
    return stored(members(book))


def stored(contents: Mapping[str, bytes]) -> bytes:
    """A plain archive of `contents`, in their order."""
    held = {digest(data): data for data in contents.values()}
    known = {name: Member(digest(data), len(data)) for name, data in contents.items()}

    def read(name: Digest, start: int, length: int) -> bytes:
        return held[name][start : start + length]

    recipe = Recipe(1, Digest("0" * 64), members=tuple(contents))
    archive: Archive = compose(recipe, known, checks(recipe, known, read), read)
    return b"".join(archive.read(0, archive.size))


def members(book: Book) -> dict[str, bytes]:
    """The files in the book, in order of reading."""
    if not book.lessons:
        raise ContentError(f"{book.title}: a book without lessons")
    chapters = {lesson.id: f"chapters/{lesson.id}.xhtml" for lesson in book.lessons}
    pictures = {path: f"images/{digest(path.encode())[:8]}{_suffix(path)}" for path in book.images}
    made = {
        chapters[lesson.id]: _chapter(lesson, chapters, pictures).encode()
        for lesson in book.lessons
    }
    made["answers.xhtml"] = _answers(book).encode()
    files = {
        "nav.xhtml": _nav(book, chapters).encode(),
        "style.css": STYLE.encode(),
        **made,
        **{pictures[path]: data for path, data in book.images.items()},
    }
    return {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": CONTAINER.encode(),
        "EPUB/package.opf": _package(book, list(files), list(made)).encode(),
        **{f"EPUB/{name}": data for name, data in files.items()},
    }


CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""


def _package(book: Book, files: list[str], spine: list[str]) -> str:
    modified = datetime.fromtimestamp(int(book.modified), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    authors = sorted({lesson.provenance.author for lesson in book.lessons})
    items = [
        f'<item id="{_id(name)}" href={quoteattr(name)} media-type="{_type(name)}"'
        + (' properties="nav"' if name == "nav.xhtml" else "")
        + "/>"
        for name in files
    ]
    order = [f'<itemref idref="{_id(name)}"/>' for name in spine]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" '
        f'xml:lang="{TAGS[book.language]}">',
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">',
        f'<dc:identifier id="id">{book.identifier}</dc:identifier>',
        f"<dc:title>{escape(book.title)}</dc:title>",
        f"<dc:language>{TAGS[book.language]}</dc:language>",
        *(f"<dc:creator>{escape(author)}</dc:creator>" for author in authors),
        f"<dc:rights>{escape(book.license)}</dc:rights>",
        f'<meta property="dcterms:modified">{modified}</meta>',
        "</metadata>",
        "<manifest>",
        *items,
        "</manifest>",
        "<spine>",
        *order,
        "</spine>",
        "</package>",
    ]
    return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    """The same whatever else is in the book, so that a new chapter is one new line."""
    return "i-" + re.sub(r"[^a-z0-9]+", "-", name)


def _nav(book: Book, chapters: Mapping[str, str]) -> str:
    contents, _, answers = WORDS[book.language]
    lines = [
        f'<li><a href="{chapters[lesson.id]}">{escape(lesson.title)}</a></li>'
        for lesson in book.lessons
    ]
    lines.append(f'<li><a href="answers.xhtml">{answers}</a></li>')
    body = (
        f"<h1>{escape(book.title)}</h1>",
        f'<nav epub:type="toc"><h2>{contents}</h2>',
        "<ol>",
        *lines,
        "</ol>",
        "</nav>",
    )
    return _page(book.title, book.language, body, "")


def _chapter(lesson: Lesson, chapters: Mapping[str, str], pictures: Mapping[str, str]) -> str:
    render = _Markdown(chapters, pictures)
    by = lesson.provenance
    body = [
        f"<h1>{escape(lesson.title)}</h1>",
        f'<p class="lead">{escape(lesson.summary)}</p>',
        *(render(block) for block in lesson.body),
    ]
    if lesson.quiz:
        body.append(f"<h2>{WORDS[lesson.language][1]}</h2>")
    for question in lesson.quiz:
        body.append(f"<p>{escape(question.question)}</p>")
        choices = "".join(f"<li>{escape(choice)}</li>" for choice in question.choices)
        body.append(f'<ol style="list-style-type: lower-alpha">{choices}</ol>')
    body.append(f'<p class="source">{escape(by.author)} · {escape(by.license)}</p>')
    return _page(lesson.title, lesson.language, body, "../")


def _answers(book: Book) -> str:
    title = WORDS[book.language][2]
    body = [f"<h1>{title}</h1>"]
    for lesson in book.lessons:
        if not lesson.quiz:
            continue
        body.append(f"<h2>{escape(lesson.title)}</h2>")
        said = (
            f"<li>{chr(97 + q.answer)}) {escape(q.choices[q.answer])} {escape(q.explanation)}</li>"
            for q in lesson.quiz
        )
        body.append(f"<ol>{''.join(said)}</ol>")
    return _page(title, book.language, body, "")


def _page(title: str, language: Language, body: Sequence[str], up: str) -> str:
    tag = TAGS[language]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!DOCTYPE html>",
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" '
        f'lang="{tag}" xml:lang="{tag}">',
        f'<head><title>{escape(title)}</title><link rel="stylesheet" href="{up}style.css"/></head>',
        "<body>",
        *body,
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


class _Markdown:
    """Renders the blocks of one chapter as XHTML."""

    def __init__(self, chapters: Mapping[str, str], pictures: Mapping[str, str]) -> None:
        self._chapters, self._pictures = chapters, pictures
        self._md = MarkdownIt(
            "commonmark", {"html": False, "xhtmlOut": True, "maxNesting": MAX_NESTING}
        )
        self._md.enable("table").disable("html_block").disable("html_inline")

    def __call__(self, block: str) -> str:
        tokens = self._md.parse(block)
        for token in tokens:
            if token.type in ("heading_open", "heading_close") and token.tag == "h1":
                token.tag = "h2"
            if token.children:
                token.children = list(self._within(token.children))
        return str(self._md.renderer.render(tokens, self._md.options, {})).rstrip("\n")

    def _within(self, tokens: Sequence[Token]) -> Sequence[Token]:
        kept: list[Token] = []
        closing: list[bool] = []
        for token in tokens:
            if token.type == "image":
                token = self._image(token)
            elif token.type == "link_open":
                href = self._href(str(token.attrGet("href") or ""))
                closing.append(bool(href))
                if not href:
                    continue
                token.attrSet("href", href)
            elif token.type == "link_close" and not closing.pop():
                continue
            kept.append(token)
        return kept

    def _href(self, href: str) -> str:
        """Where a link goes from a chapter; empty: nowhere."""
        if href.startswith(("http://", "https://", "mailto:")):
            return href
        parts = href.split("#")[0].split("?")[0].strip("/").split("/")
        if parts[0] == "leccion" and len(parts) > 1 and parts[1] in self._chapters:
            return PurePosixPath(self._chapters[parts[1]]).name
        return ""

    def _image(self, token: Token) -> Token:
        held = self._pictures.get(str(token.attrGet("src") or ""))
        if held is None:
            return Token("text", "", 0, content=f"[{token.content}]")
        token.attrSet("src", f"../{held}")
        return token


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _type(name: str) -> str:
    suffix = _suffix(name)
    known = {".xhtml": "application/xhtml+xml", ".css": "text/css", **TYPES}.get(suffix)
    if known is None:
        raise ContentError(
            f"{name}: no image that a reader of books must know", hint="SVG, PNG, JPEG, GIF, WebP"
        )
    return known
