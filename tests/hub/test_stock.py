"""Files besides lessons: kept with provenance, refused in words, carried by the next version."""

from pathlib import Path

import msgspec
import pytest

from hub.errors import UnknownError
from hub.library import Library
from hub.shelf import Shelf
from hub.stock import MAX_FILE_BYTES, Stock, StockKind
from sync import inventory
from sync import recipe as recipes
from sync.archive import checks, compose, members_of, verify
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.inventory import INVENTORY_PATH, About
from tests.hub import zips
from tests.hub.fakes import Clock, a_lesson
from tests.hub.publishing import Hub, Village

WATER = About("assets/agua.svg", "El agua", "Ana", "CC-BY-4.0", topic="salud")


def at(path: str) -> About:
    return msgspec.structs.replace(WATER, path=path)


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.fixture
def stock(tmp_path: Path, library: Library, clock: Clock) -> Stock:
    return Stock(library, Shelf(tmp_path / "published"), clock)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "dibujo.svg"
    path.write_bytes(SVG)
    return path


def test_a_file_is_kept_with_who_made_it_and_who_added_it(
    stock: Stock, picture: Path, clock: Clock
) -> None:
    item = stock.add(picture, WATER, person="Rosa")
    assert stock.items() == [item]
    assert (item.hash, item.size, item.whole) == (digest(SVG), len(SVG), len(SVG))
    assert (item.author, item.license, item.person, item.at) == (
        "Ana", "CC-BY-4.0", "Rosa", clock.now,
    )  # fmt: skip
    assert [entry.path for entry in stock.carried().entries] == ["assets/agua.svg"]


def test_the_same_again_changes_nothing_and_new_bytes_replace(
    stock: Stock, picture: Path, clock: Clock
) -> None:
    first = stock.add(picture, WATER, person="Rosa")
    clock.now += 60
    assert stock.add(picture, WATER, person="Luz") == first
    picture.write_bytes(SVG + b"\n")
    second = stock.add(picture, WATER, person="Luz")
    assert stock.items() == [second]
    assert (second.size, second.person) == (len(SVG) + 1, "Luz")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("../agua.svg", "asset"), ("/agua.svg", "asset"), ("assets//agua.svg", "asset"),
        ("lessons/sumar.es.json", "asset"), ("Lessons/x.svg", "asset"), ("lessons", "asset"),
        ("channel.json", "asset"), ("inventory.json", "asset"), ("CHANNEL.json/x", "asset"),
        ("models/m/model.onnx", "asset"), ("assets/model.onnx", "model"),
    ],
)  # fmt: skip
def test_a_place_that_is_not_for_files_is_refused(
    stock: Stock, picture: Path, path: str, kind: StockKind
) -> None:
    with pytest.raises(ContentError):
        stock.add(picture, at(path), person="Rosa", kind=kind)
    assert stock.items() == []


@pytest.mark.parametrize("other", ["Assets/Agua.svg", "assets/agua.svg/x.svg", "ASSETS"])
def test_two_paths_that_would_collide_are_refused(stock: Stock, picture: Path, other: str) -> None:
    stock.add(picture, WATER, person="Rosa")
    with pytest.raises(ContentError, match="collide"):
        stock.add(picture, at(other), person="Rosa")


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""}, {"author": "x" * 401}, {"license": ""}, {"language": "fr"},
        {"grade": "1"}, {"topic": "Salud"}, {"source": "x" * 401}, {"path": ""},
    ],
)  # fmt: skip
def test_words_out_of_bounds_are_refused(
    stock: Stock, picture: Path, change: dict[str, object]
) -> None:
    about = msgspec.structs.replace(WATER, **change)
    with pytest.raises(ContentError):
        stock.add(picture, about, person="Rosa")
    assert stock.items() == []


@pytest.mark.parametrize(("priority", "person"), [(100, "Rosa"), (-1, "Rosa"), (50, "")])
def test_priority_and_person_have_bounds(
    stock: Stock, picture: Path, priority: int, person: str
) -> None:
    with pytest.raises(ContentError):
        stock.add(picture, WATER, person=person, priority=priority)
    assert stock.items() == []


def test_a_file_that_fits_no_object_is_refused_and_leaves_nothing(
    stock: Stock, tmp_path: Path
) -> None:
    large = tmp_path / "video.mp4"
    with large.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ContentError, match=f"{MAX_FILE_BYTES:,}"):
        stock.add(large, at("assets/video.mp4"), person="Rosa")
    assert [p for p in (tmp_path / "published").rglob("*") if p.is_file()] == []
    with pytest.raises(ContentError, match="cannot be read"):
        stock.add(tmp_path / "no", at("assets/x.mp4"), person="Rosa")


def test_what_is_not_there_cannot_be_removed(stock: Stock) -> None:
    with pytest.raises(UnknownError, match="carries no"):
        stock.remove("assets/agua.svg")


def test_files_travel_with_the_next_version_and_leave_with_the_one_after(
    tmp_path: Path, library: Library, clock: Clock, picture: Path
) -> None:
    hub = Hub(tmp_path, library, clock)
    stock = Stock(library, hub.shelf, clock)
    item = stock.add(picture, WATER, person="Rosa")
    stock.add(picture, at("models/m/card.toml"), person="Rosa", kind="model", priority=95)
    hub.publisher().publish()
    village = Village(hub.shelf, clock)
    village.sync()
    assert village.manifest is not None
    entries = village.manifest.by_path()
    assert village.objects[entries["assets/agua.svg"].hash] == SVG
    assert entries["models/m/card.toml"].kind == "model"
    said = inventory.from_bytes(village.objects[entries[INVENTORY_PATH].hash])
    assert said.assets == (item.about,)
    stock.remove("assets/agua.svg")
    assert hub.publisher().publish().state == "published"
    village.sync()
    assert INVENTORY_PATH not in village.manifest.by_path()


def test_a_version_without_files_is_what_it_was(hub_: Hub) -> None:
    hub_.publisher().publish()
    manifest = hub_.shelf.manifest(hub_.library.versions("escuela")[0].root)
    assert manifest is not None
    assert b"inventory" not in manifest


def test_bytes_that_went_missing_stop_the_publication(
    hub_: Hub, picture: Path, library: Library
) -> None:
    item = Stock(library, hub_.shelf).add(picture, WATER, person="Rosa")
    hub_.publisher().publish()
    hub_.write(a_lesson("otra"))
    (hub_.folder / "published" / "objects" / item.hash[:2] / item.hash).unlink()
    with pytest.raises(ContentError, match="bytes are gone"):
        hub_.publisher().publish()


@pytest.fixture
def hub_(tmp_path: Path, library: Library, clock: Clock) -> Hub:
    return Hub(tmp_path, library, clock)


def a_book(chapters: dict[str, str]) -> bytes:
    extra = {f"EPUB/{name}.xhtml": text.encode() for name, text in chapters.items()}
    return zips.made(zips.EPUB | extra)


BOOK = About("books/agua.epub", "El agua", "Ana", "CC-BY-4.0", language="es")


def test_an_epub_travels_as_members_and_an_edited_chapter_as_its_edit(
    hub_: Hub, library: Library, clock: Clock, tmp_path: Path
) -> None:
    chapters = {f"c{n}": f"<p>capítulo {n}: {n * 7919}</p>\n" * 100 for n in range(40)}
    file = tmp_path / "agua.epub"
    file.write_bytes(a_book(chapters))
    stock = Stock(library, hub_.shelf, clock)
    item = stock.add(file, BOOK, person="Rosa")
    assert (item.kind, item.note) == ("archive", "")
    assert len(stock.members(BOOK.path)) == 44
    hub_.publisher().publish()
    file.write_bytes(a_book(chapters | {"c3": chapters["c3"] + "<p>más</p>\n"}))
    assert stock.add(file, BOOK, person="Rosa") != item
    done = hub_.publisher().publish()
    assert done.offers[1].size < 400
    village = Village(hub_.shelf, clock)
    village.sync()
    assert village.manifest is not None
    entry = village.manifest.by_path()[BOOK.path]
    recipe = recipes.from_bytes(village.objects[entry.hash])
    found = members_of(village.manifest, BOOK.path)

    def read(name: Digest, start: int, length: int) -> bytes:
        return village.objects[name][start : start + length]

    archive = compose(recipe, found, checks(recipe, found, read), read)
    verify(recipe, archive)
    assert archive.size == stock.item(BOOK.path).whole
    stock.remove(BOOK.path)
    assert stock.members(BOOK.path) == {}
    assert hub_.publisher().publish().full_size < done.full_size


def test_the_same_book_again_is_the_same_whoever_packed_it(stock: Stock, tmp_path: Path) -> None:
    file = tmp_path / "agua.epub"
    file.write_bytes(zips.made(zips.EPUB))
    first = stock.add(file, BOOK, person="Rosa")
    file.write_bytes(zips.streamed(zips.EPUB))
    assert stock.add(file, BOOK, person="Luz") == first
    assert stock.add(file, BOOK, person="Luz", exact=True) != first


def test_an_archive_that_cannot_be_taken_apart_travels_in_one_piece_and_says_why(
    stock: Stock, tmp_path: Path
) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(zips.with_duplicate())
    item = stock.add(file, at("books/a.zip"), person="Rosa")
    assert (item.kind, item.whole) == ("asset", file.stat().st_size)
    assert "two members" in item.note
    assert stock.items() == [item]
