"""Marking is a value."""

from hypothesis import given
from hypothesis import strategies as st

from node import quiz
from sync.lesson import Question

PAPA = Question("¿Qué es la papa?", ("Una raíz", "Un tallo"), 1, "Tiene ojos.", "Es un tubérculo.")
AGUA = Question("¿A cuántos grados hierve?", ("87", "100", "90"), 0, "", "Menos presión.")


def test_each_question_is_right_wrong_or_unanswered() -> None:
    result = quiz.mark((PAPA, AGUA, AGUA), (1, 2, None))
    assert [mark.state for mark in result.marks] == ["right", "wrong", "unanswered"]
    assert (result.right, result.answered, result.total, result.passed) == (1, 2, 3, False)


def test_all_right_passes_and_an_empty_quiz_never_does() -> None:
    assert quiz.mark((PAPA, AGUA), (1, 0)).passed
    assert not quiz.mark((), ()).passed


def test_answers_to_another_version_of_the_quiz_count_as_not_answered() -> None:
    assert [m.state for m in quiz.mark((PAPA, AGUA), (5,)).marks] == ["unanswered", "unanswered"]
    assert quiz.mark((PAPA,), (1, 0, 2)).total == 1


def test_a_form_that_is_no_digit_is_not_answered() -> None:
    assert quiz.sheet_of(["1", None, "", "-1", "١", "12"]) == (1, None, None, None, None, None)


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=40).map(tuple))
def test_a_sheet_is_read_as_it_was_written(sheet: quiz.Sheet) -> None:
    assert quiz.read(quiz.write(sheet)) == sheet


@given(st.text(max_size=400))
def test_any_address_can_be_marked(text: str) -> None:
    assert quiz.mark((PAPA, AGUA), quiz.read(text)).total == 2
