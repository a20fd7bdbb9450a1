"""What can be quoted of a lesson."""

from node.store.passages import passages, plain
from sync.lesson import Question
from tests.node.village import lesson


def test_markdown_marks_fall_out() -> None:
    assert plain("La **erosión** es *lenta* y `rápida`.") == "La erosión es lenta y rápida."
    assert plain("1. Junta\n2. **Cuenta**") == "Junta\nCuenta"
    assert plain("Mira [el río](http://x) 3 × 4 * 2.") == "Mira el río 3 × 4 * 2."


def test_a_table_becomes_a_line_a_row() -> None:
    table = "| Día | Brotes |\n|---|---|\n| 1 | 0 |"
    assert plain(table) == "Día · Brotes\n1 · 0"


def test_a_heading_belongs_to_the_blocks_after_it() -> None:
    made = lesson(body=["Uno.", "## El viaje", "Dos.", "Tres."], summary="En breve.")
    assert [(p.place, p.block, p.heading, p.text) for p in passages(made)] == [
        ("summary", 0, "", "En breve."),
        ("body", 0, "", "Uno."),
        ("body", 2, "El viaje", "Dos."),
        ("body", 3, "El viaje", "Tres."),
    ]


def test_a_picture_is_not_quoted_by_its_description() -> None:
    made = lesson(body=["![Un río](assets/rio.svg)", "El río ![baja](assets/b.svg) al valle."])
    assert [p.text for p in passages(made) if p.place == "body"] == ["El río baja al valle."]


def test_a_quiz_is_found_by_its_explanation_under_its_question() -> None:
    quiz = (
        Question("¿Qué es?", ("a", "b"), 0, "", "Es así."),
        Question("¿?", ("a", "b"), 0, "", ""),
    )
    found = [p for p in passages(lesson(quiz=quiz)) if p.place == "quiz"]
    assert [(p.block, p.heading, p.text) for p in found] == [(0, "¿Qué es?", "Es así.")]
