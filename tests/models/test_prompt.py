"""What of a prompt is kept."""

from hypothesis import given
from hypothesis import strategies as st

from models.completions.prompt import fit


def words(text: str) -> int:
    return len(text.split())


def test_what_fits_is_kept_whole() -> None:
    assert fit("uno dos\n\ntres", 3, words).text == "uno dos\n\ntres"


def test_the_cut_is_between_paragraphs_then_sentences_then_words() -> None:
    assert fit("a b c.\n\nd e f.\n\ng h i.", 7, words).text == "d e f.\n\ng h i."
    assert fit("a b c. d e f. g h i.", 7, words).text == "d e f. g h i."
    assert fit("a b c d e f g", 3, words).text == "e f g"


def test_a_short_last_paragraph_is_not_all_that_is_kept() -> None:
    text = "uno dos tres cuatro. cinco seis siete ocho.\n\nnueve"
    assert fit(text, 6, words).text == "cinco seis siete ocho.\n\nnueve"


def test_one_long_word_is_cut_within() -> None:
    assert fit("x" * 50, 10, len).text == "x" * 10


@given(st.text(max_size=300), st.integers(1, 40))
def test_the_end_is_kept_and_the_rest_is_counted(text: str, room: int) -> None:
    for count in (len, words):
        kept = fit(text, room, count)
        assert text.endswith(kept.text)
        assert kept.tokens == count(kept.text) <= room
        assert kept.dropped == count(text) - kept.tokens
