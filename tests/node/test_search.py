"""Search over an installed version."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.store.schema import LANGUAGES
from node.store.snippet import mark
from node.store.words import stems
from sync.lesson import Language, Question
from tests.node.village import Village, lesson, village


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Village]:
    made = village(tmp_path)
    made.install(
        1,
        [
            lesson("suma", title="La suma", body=["Las Matemáticas de la feria.", "Es juntar."]),
            lesson("luz", title="La luz", keywords=("fotosíntesis",), body=["El sol da luz."]),
            lesson("luz", "en", title="Light", body=["The sun gives light.", "Sowing maize."]),
            lesson("luz", "qu", title="K'anchay", body=["Intim k'anchan.", "Sarata tarpuni."]),
            lesson("maiz", title="El maíz", body=["El maíz crece con luz y agua.", "Maíz, maíz."]),
            lesson("agua", title="El agua", topic="salud", body=["Hierve el agua con cuidado."],
                   quiz=(Question("¿Y el cloro?", ("a", "b"), 0, "", "El cloro limpia."),)),
        ],
    )  # fmt: skip
    yield made
    made.store.close()


def ids(place: Village, query: str, language: Language = "es") -> list[str]:
    return [hit.id for hit in place.search.find(query, language)]


def test_a_word_without_accents_is_found_in_a_body(place: Village) -> None:
    for query in ("matematicas", "MATEMÁTICAS", "matemática"):
        hit = place.search.find(query, "es")[0]
        assert (hit.id, hit.passage) == ("suma", "Las Matemáticas de la feria.")
        assert hit.snippet_html == "Las <mark>Matemáticas</mark> de la feria."


def test_a_topic_is_found_by_its_name(place: Village) -> None:
    assert ids(place, "salud") == ["agua"]


def test_title_and_keywords_come_before_bodies(place: Village) -> None:
    assert ids(place, "luz") == ["luz", "maiz"]
    assert ids(place, "fotosintesis") == ["luz"]


def test_a_lesson_with_all_words_beats_one_that_repeats_a_word(place: Village) -> None:
    assert ids(place, "agua maíz")[0] == "maiz"


def test_a_lesson_appears_once_in_the_language_asked_for(place: Village) -> None:
    assert [(h.id, h.language) for h in place.search.find("light", "en")] == [("luz", "en")]
    assert [(h.id, h.language) for h in place.search.find("k'anchay", "qu")] == [("luz", "qu")]


def test_another_language_helps_out(place: Village) -> None:
    assert [(h.id, h.language) for h in place.search.find("sowing", "es")] == [("luz", "en")]


def test_an_explanation_of_a_quiz_is_found_and_says_where_it_is(place: Village) -> None:
    hit = place.search.find("cloro", "es")[0]
    assert (hit.id, hit.place, hit.block, hit.anchor) == ("agua", "quiz", 0, "q0")
    assert place.search.find("juntar", "es")[0].anchor == "b1"


def test_the_beginning_of_a_word_is_enough(place: Village) -> None:
    assert ids(place, "fotosin") == ["luz"]
    assert place.search.suggest("fotosin", "es") is None


def test_a_misspelt_word_is_forgiven_and_put_right(place: Village) -> None:
    assert ids(place, "fotosintecis del mais")[0] == "luz"
    assert place.search.suggest("ierve el agua", "es") == "hierve el agua"
    assert place.search.suggest("agua", "es") is None


def test_nothing_is_found_for_nothing(place: Village) -> None:
    for query in ("", "   ", "¿?", "xyzzy", "🥔"):
        assert place.search.find(query, "es") == []


def test_a_limit_is_kept(place: Village) -> None:
    assert len(place.search.find("luz agua suma", "es", limit=2)) == 2


def test_an_update_takes_old_words_out_of_the_index(place: Village) -> None:
    place.install(2, [lesson("suma", title="La suma", body=["Ahora dice otra cosa: balanza."])])
    assert ids(place, "feria") == []
    assert ids(place, "balanza") == ["suma"]
    assert ids(place, "luz") == []


NASTY = (
    '"', "'", "a\" OR \"b", "NEAR(a b, 3)", "title:agua", "-agua", "agua*", "^agua", "(agua",
    "agua AND", "OR OR", "{title body}: agua", "agua + luz", "\x00agua", "a\\b", "%", ";--",
    "DROP TABLE lessons", "👩‍🏫 agua", "\ud800", "ag" * 500, "１２", "ﬁn", "İ", "ß", "²³",
)  # fmt: skip


@pytest.mark.parametrize("query", NASTY)
def test_no_query_breaks_the_syntax(place: Village, query: str) -> None:
    for language in LANGUAGES:
        place.search.find(query, language)
        place.search.suggest(query, language)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(query=st.text(max_size=80), language=st.sampled_from(LANGUAGES))
def test_any_text_is_a_query(place: Village, query: str, language: Language) -> None:
    for hit in place.search.find(query, language):
        assert "<script" not in hit.snippet_html
        assert hit.score > 0


def test_a_snippet_escapes_and_marks() -> None:
    assert mark("<b>agua</b> & sol", stems("agua", "es"), "es") == (
        "&lt;b&gt;<mark>agua</mark>&lt;/b&gt; &amp; sol"
    )


def test_a_snippet_of_a_long_text_is_the_window_with_the_words() -> None:
    text = "uno dos tres " * 40 + "el agua hierve " + "cuatro cinco " * 40
    shown = mark(text, stems("agua hierve", "es"), "es", width=60)
    assert "<mark>agua</mark> <mark>hierve</mark>" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 110
