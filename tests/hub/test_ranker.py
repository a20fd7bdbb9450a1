"""A score an editor can retrace: factors, weights, shares."""

import math

import numpy as np
import pytest

from hub.brief import Brief, from_missed, with_passages
from hub.candidate import GateResult
from hub.config import RankerTable
from hub.ranker import PART_WORDS, Ranker, combine, fluency, text_vector
from sync.lesson import Lesson
from tests.hub.fakes import FakeEncoder, FakeEngine, a_lesson

BRIEF = Brief("matematica", "sumar papas", "primaria-1", "es", ("papas",), ("sumar papas hoy",))
NONE = np.zeros((0, 0), np.float32)
PASSED = (GateResult("length", True, 1, "x"), GateResult("copy", False, 1, "x"))


def rank(text: str, catalogue: list[str] | None = None, brief: Brief = BRIEF) -> dict[str, float]:
    encoder = FakeEncoder()
    ranker = Ranker(encoder, FakeEngine(), RankerTable())
    vectors = encoder.encode(catalogue) if catalogue else NONE
    (ranking,) = ranker.rank(brief, [a_lesson(body=(text,))], [PASSED], vectors)
    return {f.name: f.value for f in ranking.factors} | {"score": ranking.score}


def test_a_draft_about_the_brief_comes_before_one_about_something_else() -> None:
    about, other = rank("sumar papas con papas"), rank("el cóndor vuela lejos")
    assert about["relevance"] > other["relevance"]
    assert about["support"] > other["support"]
    assert about["score"] > other["score"]


def test_what_we_have_already_is_not_new() -> None:
    assert rank("sumar papas", ["sumar papas", "otra cosa"])["novelty"] == pytest.approx(
        0, abs=1e-6
    )
    assert rank("sumar papas", ["vuela lejos"])["novelty"] > 0.5


def test_a_factor_with_nothing_to_measure_is_left_out() -> None:
    bare = Brief("matematica", "sumar", "primaria-1", "es")
    assert set(rank("sumar", brief=bare)) == {"relevance", "fluency", "gates", "score"}


def test_gates_count_by_their_share() -> None:
    assert rank("sumar")["gates"] == 0.5


def test_the_score_is_the_weighted_mean_and_the_shares_sum_to_one() -> None:
    ranking = combine([("a", 1.0, 3.0), ("b", 0.5, 1.0), ("c", -2.0, 1.0)])
    assert ranking.score == pytest.approx(3.5 / 5)
    assert [f.share for f in ranking.factors] == pytest.approx([3 / 3.5, 0.5 / 3.5, 0.0])
    assert combine([]).score == combine([("a", 0.0, 1.0)]).score == 0.0


def test_fluency_runs_from_clumsy_to_fluent() -> None:
    assert [fluency(n, 2.0, 6.0) for n in (1.0, 2.0, 4.0, 6.0, 9.0)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert fluency(math.inf, 2.0, 6.0) == fluency(math.nan, 2.0, 6.0) == 0.0


def test_no_drafts_are_ranked_without_a_model() -> None:
    assert Ranker(FakeEncoder(), FakeEngine(), RankerTable()).rank(BRIEF, [], [], NONE) == []


def test_a_long_text_is_read_to_its_end_and_an_empty_one_is_no_accident() -> None:
    encoder = FakeEncoder()
    start = "agua " * PART_WORDS
    assert not np.allclose(text_vector(encoder, start), text_vector(encoder, start + "fuego " * 99))
    assert np.linalg.norm(text_vector(encoder, start + "fuego")) == pytest.approx(1.0)
    assert text_vector(encoder, "").shape == (encoder.dimension,)


LONG = "las papas crecen en la tierra fría y se cosechan cuando la hoja seca cae"


def library() -> list[Lesson]:
    return [
        a_lesson(body=("Corto.", LONG, LONG.replace("papas", "ocas") + " otra cosa distinta")),
        a_lesson("ríos", topic="salud", title="El agua segura", keywords=("hervir",), body=(LONG,)),
    ]


def test_a_brief_gets_the_nearest_passages_of_its_topic() -> None:
    brief = Brief("matematica", "papas", "primaria-1", "es")
    assert with_passages(brief, library(), FakeEncoder()).passages[0] == LONG
    lonely = Brief("musica", "papas", "primaria-1", "es")
    assert with_passages(lonely, library(), FakeEncoder()) == lonely


def test_a_missed_search_becomes_a_brief_like_its_nearest_lesson() -> None:
    brief = from_missed("hervir agua", "es", library(), FakeEncoder())
    assert brief is not None
    assert (brief.topic, brief.title, brief.origin) == ("salud", "Hervir agua", "missed")
    assert from_missed("hervir", "es", [], FakeEncoder()) is None
