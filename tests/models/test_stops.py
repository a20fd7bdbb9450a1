"""Stop strings in a text that comes in pieces."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.engine.stops import StopText

SHORT = st.text("abc", max_size=12)
STOPS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3)


def filtered(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    text = StopText(stops)
    out = "".join([*map(text.push, pieces), text.flush()])
    return out, text.hit


def test_a_stop_string_may_come_in_two_pieces() -> None:
    text = StopText(["\n\nPregunta:"])
    assert [text.push("uno\n"), text.push("\nPreg"), text.push("untas")] == [
        "uno",
        "",
        "\n\nPreguntas",
    ]
    assert [text.push("\n\nPregunta"), text.push(": dos"), text.push("tres")] == ["", "", ""]
    assert text.hit
    assert text.flush() == ""


def test_what_was_held_back_comes_at_the_end() -> None:
    text = StopText(["stop"])
    assert text.push("no sto") == "no "
    assert text.flush() == "sto"


def test_the_stop_string_complete_first_ends_the_text() -> None:
    assert filtered(["xabcd"], ["abcd", "c"]) == ("xab", True)


@given(SHORT, STOPS, st.lists(st.integers(0, 12), max_size=6))
def test_the_pieces_do_not_matter(text: str, stops: list[str], cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert filtered(pieces, stops) == filtered(list(text), stops)


@given(SHORT, STOPS)
def test_what_comes_out_is_a_beginning_without_a_stop(text: str, stops: list[str]) -> None:
    out, hit = filtered(list(text), stops)
    assert text.startswith(out)
    assert not any(stop in out for stop in stops)
    assert hit == any(stop in text for stop in stops)
    assert hit or out == text
