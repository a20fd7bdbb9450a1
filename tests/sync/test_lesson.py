"""A lesson travels as bytes a person can read, and comes back the same."""

import msgspec
import pytest

from sync import lesson as lessons
from sync.errors import ContentError
from sync.lesson import Channel, Lesson, Provenance, Question, Topic

LESSON = Lesson(
    id="la-papa",
    language="es",
    title="La papa",
    topic="ciencia",
    grade="primaria-4",
    summary="Qué es la papa.",
    keywords=("papa", "tubérculo"),
    body=("La papa es un tubérculo.", "- crece bajo tierra\n- da flores"),
    provenance=Provenance(author="Chaski contributors", license="CC-BY-4.0", source="original"),
    quiz=(Question("¿Qué es?", ("raíz", "tubérculo"), 1, "Crece bajo tierra.", "Guarda almidón."),),
)


def test_a_lesson_comes_back_from_its_bytes() -> None:
    assert lessons.lesson_from_bytes(lessons.to_bytes(LESSON)) == LESSON


def test_each_block_of_the_body_is_a_line_so_that_a_small_edit_is_a_small_delta() -> None:
    edited = msgspec.structs.replace(
        LESSON, body=("La papa es un tubérculo andino.", LESSON.body[1])
    )
    before = lessons.to_bytes(LESSON).splitlines()
    after = lessons.to_bytes(edited).splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_the_path_names_lesson_and_language() -> None:
    assert LESSON.path == "lessons/la-papa.es.json"


def test_markdown_is_cut_at_blank_lines_and_joined_again() -> None:
    text = "Uno.\n\n- a\n- b\n \n\nTres."
    assert lessons.blocks(text) == ("Uno.", "- a\n- b", "Tres.")
    assert lessons.blocks(LESSON.markdown) == LESSON.body


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "../etc"}, "id"),
        ({"language": "fr"}, "language"),
        ({"grade": "primaria-7"}, "grade"),
        ({"body": []}, "body"),
        ({"unknown": 1}, "unknown"),
        ({"title": "x" * 401}, "title"),
    ],
)
def test_a_lesson_that_breaks_a_rule_is_refused_by_field(
    change: dict[str, object], says: str
) -> None:
    value = msgspec.to_builtins(LESSON) | change
    with pytest.raises(ContentError, match=says):
        lessons.lesson_from_bytes(msgspec.json.encode(value))


def test_a_quiz_answer_outside_its_choices_is_refused() -> None:
    wrong = msgspec.structs.replace(LESSON.quiz[0], answer=2)
    data = lessons.to_bytes(msgspec.structs.replace(LESSON, quiz=(wrong,)))
    with pytest.raises(ContentError, match="question 1 has no choice 2"):
        lessons.lesson_from_bytes(data)


def test_a_channel_comes_back_from_its_bytes() -> None:
    channel = Channel(
        id="escuela",
        titles={"es": "Escuela"},
        description={"es": "Lecciones"},
        license="CC-BY-4.0",
        topics=(Topic("ciencia", {"es": "Ciencia"}, "🔬"),),
    )
    assert lessons.channel_from_bytes(lessons.to_bytes(channel)) == channel
