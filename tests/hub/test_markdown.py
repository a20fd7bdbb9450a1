"""Lessons as files: read, bounded, written back to the byte."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ingest import markdown
from sync.errors import ContentError
from sync.lesson import MAX_LESSON_BYTES, Question, blocks
from tests.hub.fakes import a_lesson

CHANNEL = """id = "escuela"
license = "CC-BY-4.0"
titles = { es = "Escuela" }
description = { es = "Lecciones" }
[[topics]]
id = "matematica"
icon = "x"
titles = { es = "Matemática" }
"""


def library(folder: Path, **files: str) -> Path:
    (folder / "channel.toml").write_text(CHANNEL, encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_every_lesson_of_the_sample_library_is_there(root: Path) -> None:
    read = markdown.read_folder(root / "hub" / "sample_library")
    languages = [lesson.language for lesson in read.lessons]
    assert {code: languages.count(code) for code in ("es", "en", "qu")} == {
        "es": 60, "en": 12, "qu": 6,
    }  # fmt: skip
    assert [topic.id for topic in read.channel.topics] == [
        "matematica", "comunicacion", "ciencia-y-tecnologia", "ciencias-sociales", "salud",
    ]  # fmt: skip
    assert all(set(topic.titles) == {"es", "qu", "en"} for topic in read.channel.topics)


def test_a_sample_lesson_is_written_as_the_file_it_came_from(root: Path) -> None:
    folder = root / "hub" / "sample_library"
    for lesson in markdown.read_folder(folder).lessons:
        path = folder / lesson.topic / f"{lesson.id}.{lesson.language}.md"
        assert markdown.render(lesson) == path.read_text(encoding="utf-8")


def test_translations_have_as_many_blocks_as_their_original(root: Path) -> None:
    lessons = markdown.read_folder(root / "hub" / "sample_library").lessons
    lengths = {(m.id, m.language): len(m.body) for m in lessons}
    assert all(n == lengths[name, "es"] for (name, _), n in lengths.items())


words = st.text("aáñ¿.x\"\\'#+ \t", min_size=1, max_size=40).filter(str.strip)


@given(
    title=words,
    keywords=st.lists(words, max_size=3),
    body=st.text("aá+# \n\"'x", min_size=1, max_size=200),
    choices=st.lists(words, min_size=2, max_size=3),
    seed=st.none() | st.integers(0, 2**31),
)
def test_a_lesson_written_and_read_is_the_same(
    title: str, keywords: list[str], body: str, choices: list[str], seed: int | None
) -> None:
    quiz = (Question(title, tuple(choices), 1, "", title),)
    lesson = a_lesson(
        title=title, keywords=tuple(keywords), body=blocks(body) or ("x",), quiz=quiz,
        provenance=type(a_lesson().provenance)("A", "B", "C", "model" if seed else "", seed),
    )  # fmt: skip
    assert markdown.parse(markdown.render(lesson), "x") == lesson


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "Sumar"\n', "", "title"),
        ('grade = "primaria-1"', 'grade = "primaria-7"', "grade"),
        ('id = "sumar"', 'id = "Sumar!"', "id"),
        ('author = "Ana"', 'author = "Ana"\nautor = "x"', "autor"),
        ('keywords = ["suma"]', 'keywords = "suma"', "keywords"),
        ('language = "es"', 'language = "fr"', "language"),
        ('title = "Sumar"', "title = Sumar", "line 2"),
        ("+++\n", "", "front matter"),
        ("Tengo dos papas y me dan tres.\n\n¿Cuántas tengo? Cinco.", "", "no text"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    path = tmp_path / "sumar.es.md"
    path.write_text(markdown.render(a_lesson()).replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContentError, match=rf"sumar\.es\.md.*{says}"):
        markdown.read_lesson(path)


def test_a_quiz_that_points_past_its_choices_is_refused(tmp_path: Path) -> None:
    quiz = (Question("¿Qué?", ("a", "b"), 3, "", ""),)
    with pytest.raises(ContentError, match=r"x\.md.*question 1 has no choice 3"):
        markdown.parse(markdown.render(a_lesson(quiz=quiz)), "x.md")


def test_a_file_too_large_missing_or_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.es.md"
    with pytest.raises(ContentError, match="No such file"):
        markdown.read_lesson(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ContentError, match="not UTF-8"):
        markdown.read_lesson(path)
    path.write_bytes(b"x" * (MAX_LESSON_BYTES + 1))
    with pytest.raises(ContentError, match="larger than"):
        markdown.read_lesson(path)


def test_windows_line_ends_and_a_byte_order_mark_are_no_mistake() -> None:
    text = "\ufeff" + markdown.render(a_lesson()).replace("\n", "\r\n")
    assert markdown.parse(text, "x") == a_lesson()


def test_a_file_must_be_named_after_its_keys(tmp_path: Path) -> None:
    folder = library(tmp_path, **{"otra.es": markdown.render(a_lesson())})
    with pytest.raises(ContentError, match=r"otra\.es\.md.*sumar\.es\.md"):
        markdown.read_folder(folder)


def test_a_topic_must_be_in_the_channel(tmp_path: Path) -> None:
    folder = library(tmp_path, **{"sumar.es": markdown.render(a_lesson(topic="salud"))})
    with pytest.raises(ContentError, match=r"sumar\.es\.md: key topic: 'salud'"):
        markdown.read_folder(folder)


def test_the_same_lesson_in_two_folders_is_refused(tmp_path: Path) -> None:
    folder = library(tmp_path, **{"sumar.es": markdown.render(a_lesson())})
    (folder / "b").mkdir()
    (folder / "b" / "sumar.es.md").write_text(markdown.render(a_lesson()), encoding="utf-8")
    with pytest.raises(ContentError, match=r"sumar\.es is there twice"):
        markdown.read_folder(folder)


def test_a_folder_without_a_channel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"channel\.toml: No such file"):
        markdown.read_folder(tmp_path)
