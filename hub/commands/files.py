"""files: what the channel carries besides lessons."""

from pathlib import Path
from typing import get_args

import click

from hub import book as books
from hub.commands.console import (
    GRADES,
    LANGUAGES,
    editor_option,
    json_option,
    out,
    pass_office,
    print_json,
    say,
    size,
    table,
)
from hub.errors import UnknownError
from hub.office import Office
from hub.pictures import pictures
from hub.stock import PRIORITY, Item, StockKind
from sync.errors import ContentError
from sync.files import atomic_write
from sync.inventory import PICTURES, About
from sync.lesson import Grade, Language, Lesson


@click.group()
def files() -> None:
    """Images, books and other files that the channel carries besides lessons."""


@files.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "path", metavar="PATH", help="Its place in the channel, as books/NAME.")
@click.option("--title", required=True, help="What readers call it.")
@click.option("--author", required=True, help="Who made it.")
@click.option("--license", "terms", required=True, help="Its licence, as CC-BY-4.0.")
@click.option("--source", default="", help="Where it comes from.")
@click.option("--language", type=click.Choice(LANGUAGES), help="Its language, if it has one.")
@click.option("--grade", type=click.Choice(GRADES), help="For whom; nothing: for all.")
@click.option("--topic", default="", metavar="ID", help="The topic that it belongs to.")
@click.option(
    "--priority", type=click.IntRange(0, 99), default=PRIORITY, show_default=True,
    help="Lower travels first.",
)  # fmt: skip
@click.option(
    "--kind", type=click.Choice(get_args(StockKind)), default="asset", show_default=True,
    help="A model lies under models/ and is not for readers.",
)  # fmt: skip
@click.option(
    "--exact", is_flag=True, help="Keep an EPUB or zip byte by byte, not in the hub's own form."
)
@editor_option
@json_option
@pass_office
def add(
    office: Office,
    file: Path,
    path: str | None,
    title: str,
    author: str,
    terms: str,
    source: str,
    language: Language | None,
    grade: Grade | None,
    topic: str,
    priority: int,
    kind: StockKind,
    exact: bool,
    editor: str,
    as_json: bool,
) -> None:
    """Put FILE in the channel, or a newer one in its place; it goes out with `publish`."""
    folder = "assets" if file.suffix.lower() in PICTURES else "books"
    _check_topic(office, topic)
    about = About(
        path or f"{folder}/{file.name}", title, author, terms, source, language or "", grade or "",
        topic,
    )  # fmt: skip
    item = office.stock.add(file, about, person=editor, kind=kind, priority=priority, exact=exact)
    _tell(item, as_json=as_json)


@files.command("list")
@json_option
@pass_office
def list_(office: Office, as_json: bool) -> None:
    """Every file, with its size, licence and who added it."""
    items = office.stock.items()
    if as_json:
        print_json(items)
        return
    shown = table("Files", "path", "title", ">size", "licence", "topic", "added by")
    for item in items:
        what = f"{item.whole:,}" if item.whole < 10_000 else size(item.whole)
        shown.add_row(item.path, item.title, what, item.license, item.topic, item.person)
    out.print(shown)


@files.command()
@click.argument("path")
@pass_office
def remove(office: Office, path: str) -> None:
    """Take the file at PATH out of the next version."""
    users = [
        f"{r.lesson.id} ({r.lesson.language})"
        for r in office.library.lessons()
        if any(picture.path == path for picture in pictures(r.lesson))
    ]
    if users:
        raise ContentError(
            f"{path} is shown by {', '.join(users[:5])}", hint="edit these lessons first"
        )
    office.stock.remove(path)
    say(f"{path} leaves with the next `publish`")


@files.command()
@click.argument("topic")
@click.option("--language", type=click.Choice(LANGUAGES), default="es", show_default=True)
@click.option("--title", help="What to call it; nothing: the topic's title.")
@click.option("--out", "path", type=click.Path(path_type=Path), help="Only write this file.")
@click.option("--editor", metavar="NAME", help="Who adds it to the channel.")
@json_option
@pass_office
def book(
    office: Office,
    topic: str,
    language: Language,
    title: str | None,
    path: Path | None,
    editor: str | None,
    as_json: bool,
) -> None:
    """Bind the lessons of TOPIC into an EPUB; with --editor the channel carries it."""
    if (path is None) == (editor is None):
        raise click.UsageError("give --editor NAME to add it, or --out FILE to write it")
    made = _book(office, topic, language, title)
    data = books.epub(made)
    if path is not None:
        try:
            atomic_write(path, data)
        except OSError as error:
            raise ContentError(f"{path} cannot be written: {error.strerror}") from error
        say(f"{path}: {len(made.lessons)} lessons, {size(len(data))}")
        return
    assert editor is not None
    authors = ", ".join(sorted({lesson.provenance.author for lesson in made.lessons}))
    about = About(
        f"books/{topic}.{language}.epub", made.title, authors[:400], made.license,
        f"lessons of {made.channel}", language, topic=topic,
    )  # fmt: skip
    file = office.config.data / f".{topic}.{language}.epub"
    try:
        atomic_write(file, data)
        item = office.stock.add(file, about, person=editor)
    finally:
        file.unlink(missing_ok=True)
    _tell(item, as_json=as_json)


def _book(office: Office, topic: str, language: Language, title: str | None) -> books.Book:
    """The lessons of a topic in order of grade, with their pictures. Raises UnknownError."""
    _check_topic(office, topic)
    about = next(t for t in office.channel.topics if t.id == topic)
    revisions = [
        r
        for r in office.library.lessons()
        if (r.lesson.topic, r.lesson.language) == (topic, language)
    ]
    if not revisions:
        raise UnknownError(f"topic {topic!r} has no lesson in {language!r}")
    lessons = sorted((r.lesson for r in revisions), key=_place)
    images = {
        picture.path: office.shelf.object(office.stock.item(picture.path).hash) or b""
        for lesson in lessons
        for picture in pictures(lesson)
        if office.library.carries(picture.path)
    }
    return books.Book(
        office.channel.id, topic, title or about.titles.get(language, topic), language,
        office.channel.license, max(r.at for r in revisions), lessons, images,
    )  # fmt: skip


def _place(lesson: Lesson) -> tuple[int, str, str]:
    return GRADES.index(lesson.grade), lesson.title, lesson.id


def _check_topic(office: Office, topic: str) -> None:
    known = [t.id for t in office.channel.topics] if topic else []
    if topic and topic not in known:
        raise UnknownError(
            f"there is no topic {topic!r}", hint=f"the channel has {', '.join(known)}"
        )


def _tell(item: Item, *, as_json: bool) -> None:
    if as_json:
        print_json(item)
        return
    say(f"{item.path}: {size(item.whole)}, goes out with `publish`")
    if item.note:
        say(f"it travels in one piece: {item.note}")
