"""A book of lessons is an EPUB that any reader takes, and the same bytes every time."""

import io
import posixpath
import zipfile
from xml.etree import ElementTree

import msgspec
import pytest

from hub.book import Book, epub, members
from hub.ingest.markdown import read_folder
from sync.errors import ContentError
from sync.lesson import Lesson, Question
from tests.bench.histories import SAMPLE
from tests.hub.fakes import a_lesson

OPF = "{http://www.idpf.org/2007/opf}"
DC = "{http://purl.org/dc/elements/1.1/}"
XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def book(*lessons: Lesson, modified: float = 1_800_000_000.0) -> Book:
    return Book(
        "escuela", "matematica", "Matemática", "es", "CC-BY-4.0", modified, lessons,
        {"assets/agua.svg": SVG},
    )  # fmt: skip


def opened(made: Book) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(epub(made)))


def check(data: bytes) -> None:
    """What EPUB 3.3 asks of a container, a package, its navigation and its chapters."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        first = file.infolist()[0]
        assert (first.filename, first.compress_type, first.extra) == ("mimetype", 0, b"")
        assert file.read("mimetype") == b"application/epub+zip"
        container = ElementTree.fromstring(file.read("META-INF/container.xml"))
        root = next(e for e in container.iter() if e.tag.endswith("rootfile")).get("full-path")
        assert root
        package = ElementTree.fromstring(file.read(root))
        for name in ("identifier", "title", "language"):
            assert package.findtext(f"{OPF}metadata/{DC}{name}")
        ids = {item.get("id"): item for item in package.iter(f"{OPF}item")}
        listed = {posixpath.join(posixpath.dirname(root), str(i.get("href"))) for i in ids.values()}
        assert listed == set(file.namelist()) - {"mimetype", "META-INF/container.xml", root}
        assert [i.get("properties") for i in ids.values()].count("nav") == 1
        assert all(ref.get("idref") in ids for ref in package.iter(f"{OPF}itemref"))
        for name in listed:
            if not name.endswith(".xhtml"):
                continue
            page = ElementTree.fromstring(file.read(name))
            assert page.findtext(f"{XHTML}head/{XHTML}title")
            for tag, key in (("a", "href"), ("img", "src"), ("link", "href")):
                for element in page.iter(XHTML + tag):
                    target = str(element.get(key))
                    if "://" not in target:
                        there = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
                        assert there in listed, (name, target)
            for image in page.iter(f"{XHTML}img"):
                assert image.get("alt")


@pytest.mark.parametrize("language", ["es", "en", "qu"])
def test_the_sample_library_binds_into_sound_books(language: str) -> None:
    folder = read_folder(SAMPLE)
    for topic in folder.channel.topics:
        lessons = [x for x in folder.lessons if (x.topic, x.language) == (topic.id, language)]
        if not lessons:
            continue
        images = {
            p.relative_to(SAMPLE).as_posix(): p.read_bytes() for p in SAMPLE.glob("assets/*.svg")
        }
        made = Book(
            "escuela", topic.id, topic.titles[language], lessons[0].language, "CC-BY-4.0", 1.8e9,
            lessons, images,
        )  # fmt: skip
        check(epub(made))


def test_lessons_are_chapters_and_their_answers_stand_at_the_end() -> None:
    question = Question("¿2 + 2?", ("3", "4"), 1, "", "Dos y dos son cuatro.")
    lesson = a_lesson(quiz=(question,), body=("# Uno", "![El agua](assets/agua.svg)"))
    with opened(book(lesson, a_lesson("restar", title="Restar"))) as file:
        chapter = file.read("EPUB/chapters/sumar.xhtml").decode()
        assert "<h2>Uno</h2>" in chapter
        assert "¿2 + 2?" in chapter
        assert "cuatro" not in chapter
        assert "b) 4 Dos y dos son cuatro." in file.read("EPUB/answers.xhtml").decode()
        nav = file.read("EPUB/nav.xhtml").decode()
        assert nav.index("Sumar") < nav.index("Restar") < nav.index("Respuestas")
    check(epub(book(lesson)))


def test_the_same_lessons_are_the_same_bytes_and_an_edit_is_one_member() -> None:
    lessons = [a_lesson(f"l-{n}", title=f"Lección {n}") for n in range(5)]
    assert epub(book(*lessons)) == epub(book(*lessons))
    edited = [msgspec.structs.replace(lessons[0], body=("Otro texto.",)), *lessons[1:]]
    old, new = members(book(*lessons)), members(book(*edited))
    assert [name for name in new if old.get(name) != new[name]] == ["EPUB/chapters/l-0.xhtml"]


def test_what_a_lesson_says_cannot_break_the_book() -> None:
    hostile = a_lesson(
        title='<script>&"\'', summary="]]> & <b>",
        body=(
            "<script>alert(1)</script> & <br> &nbsp; &amp;",
            "[fuera](http://example.org/?a=1&b=2) [dentro](/leccion/restar/es) [no](/leccion/x)",
            "[mal](javascript:alert(1)) ![sin](assets/no.svg)",
            '| a | b |\n|:--|--:|\n| "1" | <2> |',
        ),
        quiz=(Question("<&>", ("<", ">"), 0, "", "&"),),
    )  # fmt: skip
    made = book(hostile, a_lesson("restar"))
    check(epub(made))
    with opened(made) as file:
        text = file.read("EPUB/chapters/sumar.xhtml").decode()
    assert "<script" not in text
    assert 'href="restar.xhtml"' in text
    assert "[sin]" in text


def test_a_book_needs_lessons_and_pictures_that_readers_know() -> None:
    with pytest.raises(ContentError, match="without lessons"):
        epub(book())
    odd = Book("c", "t", "T", "es", "CC0", 0.0, (a_lesson(),), {"assets/x.tiff": b""})
    with pytest.raises(ContentError, match="no image"):
        epub(odd)
