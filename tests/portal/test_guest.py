"""A guest's progress lives in a signed cookie."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from node.portal.guest import (
    KEY_BYTES,
    MAX_COOKIE_CHARS,
    MAX_SCORES,
    Guestbook,
    Progress,
    Score,
    guest_key,
)

BOOK = Guestbook(b"k" * KEY_BYTES)


def test_what_was_written_is_read() -> None:
    progress = Progress().opened("la-papa", "qu").scored("la-papa", 2, 3)
    again = BOOK.read(BOOK.write(progress))
    assert again == progress
    assert again.score("la-papa") == Score(2, 3)
    assert again.score("otra") is None


def test_a_forged_cookie_is_an_empty_one() -> None:
    value = BOOK.write(Progress().scored("la-papa", 3, 3))
    payload, mac = value.split(".")
    other = Guestbook(b"x" * KEY_BYTES).write(Progress().scored("la-papa", 3, 3))
    for forged in (other, payload, f"{payload}.", f".{mac}", f"{payload[:-2]}AA.{mac}", value * 9):
        assert BOOK.read(forged) == Progress()


@given(st.text(max_size=200))
def test_any_text_can_stand_in_the_cookie(text: str) -> None:
    assert BOOK.read(text) == Progress()


def test_the_best_score_stays() -> None:
    progress = Progress().scored("la-papa", 3, 3).scored("la-papa", 1, 3)
    assert progress.score("la-papa") == Score(3, 3)


def test_a_quiz_that_changed_its_length_is_scored_anew() -> None:
    assert Progress().scored("la-papa", 3, 3).scored("la-papa", 1, 5).score("la-papa") == Score(
        1, 5
    )


def test_the_cookie_stays_small_and_keeps_the_newest() -> None:
    progress = Progress().opened("x" * 80, "es")
    for number in range(MAX_SCORES + 50):
        progress = progress.scored(f"leccion-{number}", 10, 10)
    value = BOOK.write(progress)
    assert len(value) < MAX_COOKIE_CHARS
    read = BOOK.read(value)
    assert read.score("leccion-0") is None
    assert read.score(f"leccion-{MAX_SCORES + 49}") == Score(10, 10)


def test_the_key_is_made_once_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    key = guest_key(tmp_path)
    assert guest_key(tmp_path) == key
    assert (tmp_path / "portal.key").stat().st_mode & 0o077 == 0


def test_a_damaged_key_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "portal.key").write_bytes(b"short")
    assert len(guest_key(tmp_path)) == KEY_BYTES
