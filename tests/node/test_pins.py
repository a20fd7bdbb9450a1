"""Lessons that a class works with stay as they are, whatever happens around them."""

from pathlib import Path

import pytest

from node.store.pins import MAX_PINS, Pins
from node.store.store import Store
from sync.errors import ChaskiError, ContentError
from sync.lesson import Lesson
from tests.node.village import AT, Village, lesson, village

SUMA = "lessons/suma.es.json"


def lessons(text: str, *more: Lesson) -> list[Lesson]:
    return [lesson(body=[text]), lesson("resta", body=[f"Restar {text}"]), *more]


@pytest.fixture
def place(tmp_path: Path) -> Village:
    made = village(tmp_path)
    made.install(1, lessons("Uno."))
    return made


def pins(place: Village) -> Pins:
    return Pins(place.store, place.blobs.get)


def text(place: Village, id_: str = "suma") -> str:
    found = place.library.lesson(id_, "es")
    assert found is not None
    return found.markdown


def tidy(place: Village) -> None:
    """What the updater does after each install."""
    place.blobs.collect(place.store.kept())


def test_a_pinned_lesson_stays_while_new_versions_install_around_it(place: Village) -> None:
    pins(place).add(SUMA, AT)
    for number, words in ((2, "Dos."), (3, "Tres."), (4, "Cuatro.")):
        place.install(number, lessons(words))
        tidy(place)
        assert (text(place), text(place, "resta")) == ("Uno.", f"Restar {words}")
        assert place.search.find("uno", "es")
    [(pin, newer)] = pins(place).all()
    assert (pin.path, pin.at, newer) == (SUMA, AT, "revision")


def test_a_release_shows_the_newest_at_once(place: Village) -> None:
    pins(place).add(SUMA, AT)
    place.install(2, lessons("Dos."))
    pins(place).release(SUMA)
    assert text(place) == "Dos."
    assert place.search.find("dos", "es")
    assert not place.search.find("uno", "es")
    assert pins(place).all() == []


def test_a_removed_lesson_stays_readable_until_it_is_released(place: Village) -> None:
    pins(place).add(SUMA, AT)
    for number in (2, 3, 4):
        place.install(number, [lesson("resta", body=["Restar."])])
        tidy(place)
    assert text(place) == "Uno."
    assert [c.id for c in place.library.lessons("matematica", "es")] == ["resta", "suma"]
    [(_, newer)] = pins(place).all()
    assert newer == "removed"
    manifest, shown = place.store.manifest(), place.store.shown()
    assert manifest is not None
    assert shown is not None
    assert {e.path for e in shown.entries} - {e.path for e in manifest.entries} == {SUMA}
    pins(place).release(SUMA)
    assert place.library.lesson("suma", "es") is None


def test_a_pin_survives_a_restart_and_a_rollback(place: Village) -> None:
    place.install(2, lessons("Dos."))
    pins(place).add(SUMA, AT)
    place.store.turn_back(place.blobs.get, AT)
    assert (text(place), text(place, "resta")) == ("Dos.", "Restar Uno.")
    place.store.close()
    again = village(place.folder)
    assert (text(again), text(again, "resta")) == ("Dos.", "Restar Uno.")
    again.store.turn_back(again.blobs.get, AT, forward=True)
    assert (text(again), text(again, "resta")) == ("Dos.", "Restar Dos.")
    assert pins(again).all()[0][1] == "same"
    again.store.close()


def test_another_program_may_pin_while_this_one_reads(place: Village) -> None:
    other = Store(place.folder / "node.db")
    Pins(other, place.blobs.get).add(SUMA, AT)
    other.close()
    place.install(2, lessons("Dos."))
    assert text(place) == "Uno."


def test_to_pin_twice_keeps_the_first_revision(place: Village) -> None:
    first = pins(place).add(SUMA, AT)
    place.install(2, lessons("Dos."))
    assert pins(place).add(SUMA, AT + 60) == first
    assert text(place) == "Uno."


def test_only_what_is_shown_can_be_pinned_and_only_a_lesson(place: Village) -> None:
    for path in ("lessons/nada.es.json", "channel.json", "../x", ""):
        with pytest.raises(ChaskiError, match="there is no lesson"):
            pins(place).add(path, AT)
    with pytest.raises(ChaskiError, match="is not pinned"):
        pins(place).release(SUMA)


def test_a_damaged_lesson_is_not_pinned(place: Village) -> None:
    manifest = place.store.manifest()
    assert manifest is not None
    place.blobs.path(manifest.by_path()[SUMA].hash).write_bytes(b"x")
    with pytest.raises(ContentError):
        pins(place).add(SUMA, AT)
    assert pins(place).all() == []


def test_a_release_of_which_the_newest_is_damaged_keeps_the_pin(place: Village) -> None:
    pins(place).add(SUMA, AT)
    place.install(2, lessons("Dos."))
    manifest = place.store.manifest()
    assert manifest is not None
    place.blobs.path(manifest.by_path()[SUMA].hash).write_bytes(b"x")
    with pytest.raises(ContentError):
        pins(place).release(SUMA)
    assert text(place) == "Uno."
    assert pins(place).on(SUMA) is not None


def test_pins_are_bounded(tmp_path: Path) -> None:
    made = village(tmp_path)
    made.install(1, [lesson(f"l{number}") for number in range(MAX_PINS + 1)])
    for number in range(MAX_PINS):
        pins(made).add(f"lessons/l{number}.es.json", AT)
    with pytest.raises(ChaskiError, match="are pinned"):
        pins(made).add(f"lessons/l{MAX_PINS}.es.json", AT)
    made.store.close()
