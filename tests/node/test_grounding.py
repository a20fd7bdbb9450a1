"""Machine text is heard while it stays with the passage, and no longer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine import Piece, Stream
from node.grounding import MAX_SENTENCE_CHARS, Grounded, Judge

PASSAGE = (
    "La fotosíntesis es el proceso por el cual las plantas fabrican su propio alimento con la "
    "energía de la luz. Ocurre en las hojas, donde hay clorofila."
)
QUESTION = "¿Qué es la fotosíntesis?"
GOOD = "Las plantas fabrican su alimento con la luz."
ALSO_GOOD = "La fotosíntesis ocurre en las hojas."
JOINED_WRONGLY = "La fotosíntesis es el proceso por el cual se produce la luz."
WRONG_ORDER = "La luz y la energía fabrican las hojas y las plantas."
ASTRAY = "Los caballos del rey galopan hacia Madrid."


def hear(*pieces: str) -> tuple[str, bool]:
    """What is shown of `pieces`, and whether the machine was stopped."""
    stopped = []
    stream = Stream(lambda: stopped.append(True), lambda: 0)
    for text in pieces[:-1]:
        stream.put(Piece(text))
    stream.put(Piece(pieces[-1], done=True, reason="length"))
    shown = "".join(Grounded(stream, Judge(QUESTION, PASSAGE, "es")))
    return shown, bool(stopped)


def test_sentences_made_of_the_passages_words_are_heard() -> None:
    shown, _ = hear(" " + GOOD, " ", ALSO_GOOD)
    assert shown.split() == f"{GOOD} {ALSO_GOOD}".split()


def test_the_first_sentence_that_strays_ends_the_answer_and_stops_the_machine() -> None:
    shown, stopped = hear(f" {GOOD} {ASTRAY} {ALSO_GOOD} ", "Y más. ")
    assert shown.strip() == GOOD
    assert stopped


@pytest.mark.parametrize("false", [JOINED_WRONGLY, WRONG_ORDER])
def test_words_of_the_passage_joined_into_a_falsehood_are_not_heard(false: str) -> None:
    assert hear(false)[0] == ""


def test_a_sentence_said_twice_ends_the_answer() -> None:
    shown, _ = hear(f"{GOOD} {GOOD} {ALSO_GOOD} ")
    assert shown.strip() == GOOD


@pytest.mark.parametrize("rest", ["Las plantas fabrican", "Las plantas fabrican su"])
def test_what_is_left_unfinished_is_not_shown(rest: str) -> None:
    shown, _ = hear(f"{GOOD} {rest}")
    assert shown.strip() == GOOD


def test_text_that_strays_from_the_start_is_not_shown_at_all() -> None:
    assert hear(ASTRAY)[0] == ""


def test_endless_text_without_a_sentence_is_stopped() -> None:
    judge = Judge(QUESTION, PASSAGE, "es")
    assert judge.feed("fotosíntesis " * MAX_SENTENCE_CHARS) == ""
    assert judge.strayed


@given(st.lists(st.sampled_from([GOOD, ALSO_GOOD, ASTRAY, "¿Qué?", "luz"]), max_size=6), st.data())
def test_how_the_text_is_cut_into_pieces_changes_nothing(
    sentences: list[str], data: st.DataObject
) -> None:
    text = " ".join(sentences)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert hear(*pieces)[0] == hear(text)[0]


async def test_a_page_hears_the_same_as_a_terminal() -> None:
    stream = Stream(lambda: None, lambda: 0)
    stream.put(Piece(f"{GOOD} {ASTRAY}", done=True, reason="end"))
    grounded = Grounded(stream, Judge(QUESTION, PASSAGE, "es"))
    assert "".join([text async for text in grounded]).strip() == GOOD
