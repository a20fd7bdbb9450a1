"""Folding, stems and spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.store.schema import LANGUAGES
from node.store.spelling import distance, sound, starts
from node.store.words import MAX_QUERY_WORDS, content, fold, stem, stems, tokens
from sync.lesson import Language


def test_accents_case_and_apostrophes_do_not_matter() -> None:
    assert fold("MATEMÁTICAS ñandú") == "matematicas nandu"
    assert tokens("llamk'ay, llamk’ay; llamkay") == ["llamkay"] * 3


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("es", "papas", "papa"),
        ("es", "luces", "luz"),
        ("es", "flores", "flor"),
        ("es", "lavarse", "lavado"),
        ("es", "evaporación", "evaporaciones"),
        ("es", "germinación", "germina"),
        ("es", "comió", "comio"),
        ("en", "rivers", "river"),
        ("en", "planting", "plant"),
        ("qu", "kiruykita", "kirukuna"),
        ("qu", "qocha", "quchapi"),
        ("qu", "llamk'ayta", "llamkay"),
    ],
)
def test_forms_of_a_word_share_a_stem(language: Language, one: str, other: str) -> None:
    assert stems(one, language) == stems(other, language)


@pytest.mark.parametrize(
    ("one", "other"), [("casa", "queso"), ("río", "ríe"), ("sol", "soles2"), ("mar", "marzo")]
)
def test_different_words_keep_different_stems(one: str, other: str) -> None:
    assert stems(one, "es") != stems(other, "es")


def test_words_without_meaning_fall_out_unless_there_are_no_others() -> None:
    assert content("¿Profe, qué es la fotosíntesis?", "es") == stems("fotosíntesis", "es")
    assert content("¿qué es?", "es") == ["que", "es"]
    assert content("", "es") == []


def test_a_long_query_is_cut() -> None:
    assert len(content(" ".join(f"palabra{n}" for n in range(99)), "es")) <= MAX_QUERY_WORDS


@given(st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_any_text_has_stems_and_a_stem_is_no_longer_than_its_word(
    text: str, language: Language
) -> None:
    for word in tokens(text):
        assert 0 < len(stem(word, language)) <= len(word)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("bacuna", "vacuna"), ("ierro", "hierro"), ("erocion", "erosion"), ("kipus", "quipus"),
     ("jente", "gente"), ("yuvia", "lluvia"), ("fotosintecis", "fotosintesis"),
     ("fracion", "fraccion"), ("desimal", "decimal")],
)  # fmt: skip
def test_a_misspelt_word_is_near_the_right_one(wrong: str, right: str) -> None:
    assert distance(wrong, right) is not None
    assert right[0] in starts(wrong)


@pytest.mark.parametrize(
    ("one", "other"), [("messi", "mesa"), ("1821", "1824"), ("gol", "sol"), ("papa", "mapas")]
)
def test_other_words_numbers_and_short_words_are_not_near(one: str, other: str) -> None:
    assert distance(one, other) is None


def test_words_that_sound_alike_are_one_sound() -> None:
    assert sound("vacunas") == sound("bacunas")
    assert sound("quechua") == sound("kechua")
