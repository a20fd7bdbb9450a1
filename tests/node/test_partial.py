"""What can be shown of a version that is here in part: each lesson of one revision, files too."""

from collections.abc import Iterable

import pytest

from node.store.partial import shown, uses
from sync.canonical import Digest, digest
from sync.manifest import Entry, Kind, Manifest, manifest


class Shop:
    """Objects, and which of them are here."""

    def __init__(self) -> None:
        self.data: dict[Digest, bytes] = {}
        self.missing: set[Digest] = set()

    def entry(self, path: str, text: str, kind: Kind = "lesson", *, here: bool = True) -> Entry:
        data = text.encode()
        self.data[digest(data)] = data
        if not here:
            self.missing.add(digest(data))
        return Entry(path, digest(data), len(data), kind)

    def version(self, *entries: Entry) -> Manifest:
        return manifest("escuela", entries)

    def here(self, entry: Entry) -> bool:
        return entry.hash not in self.missing

    def seen(self, target: Manifest, before: Manifest | None) -> dict[str, str]:
        """The text shown at each path."""
        found = shown(target, before, self.here, self.data.__getitem__)
        return {entry.path: self.data[entry.hash].decode() for entry in found.entries}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_what_is_here_is_new_and_the_rest_as_before(shop: Shop) -> None:
    old = shop.version(shop.entry("a", "a1"), shop.entry("b", "b1"), shop.entry("c", "c1"))
    new = shop.version(
        shop.entry("a", "a2"),
        shop.entry("b", "b2", here=False),
        shop.entry("d", "d2"),
        shop.entry("e", "e2", here=False),
    )
    assert shop.seen(new, old) == {"a": "a2", "b": "b1", "c": "c1", "d": "d2"}
    assert shop.seen(new, None) == {"a": "a2", "d": "d2"}


def test_what_is_here_whole_is_the_target_but_for_what_leaves(shop: Shop) -> None:
    old = shop.version(shop.entry("a", "a1"))
    new = shop.version(shop.entry("a", "a2"), shop.entry("b", "b2"))
    assert shown(new, old, shop.here, shop.data.__getitem__) == new


def test_a_path_that_changes_its_case_is_there_once(shop: Shop) -> None:
    old = shop.version(shop.entry("Mapa", "old"))
    assert shop.seen(shop.version(shop.entry("mapa", "new")), old) == {"mapa": "new"}
    late = shop.version(shop.entry("mapa", "late", here=False))
    assert shop.seen(late, old) == {"Mapa": "old"}


def test_a_lesson_waits_for_its_picture(shop: Shop) -> None:
    picture = shop.entry("recursos/mapa.png", "png", "asset", here=False)
    text = shop.entry("l", "mira ![mapa](recursos/mapa.png)")
    other = shop.entry("m", "sin nada")
    new = shop.version(picture, text, other)
    assert shop.seen(new, None) == {"m": "sin nada"}
    shop.missing.clear()
    assert set(shop.seen(new, None)) == {"l", "m", "recursos/mapa.png"}


def test_a_picture_that_changes_under_its_name_waits_with_its_lessons(shop: Shop) -> None:
    old = shop.version(
        shop.entry("p.png", "png1", "asset"), shop.entry("l", "uno p.png"), shop.entry("k", "k1")
    )
    new = shop.version(
        shop.entry("p.png", "png2", "asset"),
        shop.entry("l", "dos p.png"),
        shop.entry("k", "k2"),
        shop.entry("n", "n2", here=False),
    )
    assert shop.seen(new, old) == {"p.png": "png1", "l": "uno p.png", "k": "k2"}


def test_a_model_waits_for_the_whole_version(shop: Shop) -> None:
    new = shop.version(shop.entry("m.onnx", "model", "model"), shop.entry("l", "l"))
    assert shop.seen(new, None) == {"l": "l"}
    assert shop.seen(new, shop.version(shop.entry("m.onnx", "model", "model"))) == {
        "l": "l", "m.onnx": "model",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ('"![x](recursos/mapa.png)"', {"recursos/mapa.png"}),
        ("[x](./recursos/mapa.png)", {"recursos/mapa.png"}),
        ("![x](mapa.png)", {"recursos/mapa.png"}),
        ("<recursos/el%20r%C3%ADo.png>", {"recursos/el río.png"}),
        ("recursos/mapa.png.exe mapa_png", set()),
        ("", set()),
    ],
)
def test_a_lesson_names_its_files_as_markdown_does(said: str, used: Iterable[str]) -> None:
    assert uses(said.encode(), ["recursos/mapa.png", "recursos/el río.png"]) == used


def test_bytes_that_are_no_text_name_nothing() -> None:
    assert uses(bytes(range(256)), ["a"]) == set()
