"""Archives come out of members and recipe to the byte, from any place, on any machine."""

import io
import random
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import recipe as recipes
from sync.archive import Archive, Member, checks, compose, digest_of, members_of, verify
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.manifest import Entry, manifest
from sync.recipe import MAX_ARCHIVE_BYTES, Piece, Recipe

NOTHING = Digest("0" * 64)
BOOK = {
    "mimetype": b"application/epub+zip",
    "EPUB/capítulo-1.xhtml": b"<p>El agua</p>" * 40_000,
    "EPUB/vacío.css": b"",
    "EPUB/foto.jpg": random.Random(7).randbytes(5000),
}


class Objects:
    """Objects in memory; `lose` forgets one, `cut` shortens one."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.held = {digest(data): data for data in contents.values()}
        self.members = {name: Member(digest(d), len(d)) for name, d in contents.items()}

    def read(self, name: Digest, start: int, length: int) -> bytes:
        if name not in self.held:
            raise ContentError(f"object {name[:12]} is gone")
        return self.held[name][start : start + length]

    def lose(self, name: str) -> None:
        del self.held[self.members[name].hash]

    def cut(self, name: str) -> None:
        self.held[self.members[name].hash] = self.held[self.members[name].hash][:-1]

    def plain(self) -> Archive:
        return self.compose(Recipe(1, NOTHING, members=tuple(self.members)))

    def compose(self, recipe: Recipe) -> Archive:
        found = checks(recipe, self.members, self.read)
        return compose(recipe, self.members, found, self.read)


def whole(archive: Archive) -> bytes:
    data = b"".join(archive.read(0, archive.size))
    assert len(data) == archive.size
    return data


def test_a_plain_archive_is_a_zip_with_everything_stored_in_order() -> None:
    data = whole(Objects(BOOK).plain())
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == list(BOOK)
        assert {name: opened.read(name) for name in BOOK} == BOOK
        for info in opened.infolist():
            assert (info.compress_type, info.date_time) == (0, (1980, 1, 1, 0, 0, 0))
            assert (info.extra, info.comment, info.external_attr) == (b"", b"", 0)
            assert bool(info.flag_bits) == (not info.filename.isascii())
    # OCF 3.3: where programs look for it.
    assert data[30:38] == b"mimetype"
    assert data[38:58] == b"application/epub+zip"


@pytest.mark.parametrize("form", ["plain", "exact"])
def test_the_golden_archives_come_out_of_their_recipes(root: Path, form: str) -> None:
    folder = root / "tests" / "vectors" / "archive-1"
    recipe = recipes.from_bytes((folder / f"{form}.json").read_bytes())
    objects = Objects({p.name: p.read_bytes() for p in (folder / "members").iterdir()})
    archive = objects.compose(recipe)
    verify(recipe, archive)
    assert whole(archive) == (folder / f"{form}.zip").read_bytes()
    assert recipes.to_bytes(recipe) == (folder / f"{form}.json").read_bytes()


def test_its_size_is_known_before_anything_is_read() -> None:
    objects = Objects(BOOK)
    recipe = Recipe(1, NOTHING, members=tuple(objects.members))
    size = objects.compose(recipe).size
    objects.held.clear()
    assert compose(recipe, objects.members, None, objects.read).size == size


@given(st.data())
def test_any_range_is_that_part_of_the_whole(data: st.DataObject) -> None:
    archive = Objects(BOOK).plain()
    everything = whole(archive)
    start = data.draw(st.integers(0, archive.size + 3))
    stop = data.draw(st.integers(0, archive.size + 3))
    assert b"".join(archive.read(start, stop)) == everything[start:stop]


@pytest.mark.parametrize("level", range(1, 10))
def test_an_exact_archive_is_literals_and_members_deflated_again(level: int) -> None:
    out = io.BytesIO()
    name, data = "EPUB/capítulo-1.xhtml", BOOK["EPUB/capítulo-1.xhtml"]
    with zipfile.ZipFile(out, "w") as made:
        made.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, level)
    file = out.getvalue()
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    at = file.index(packed)
    recipe = Recipe(
        1,
        digest(file),
        pieces=(
            Piece(literal=file[:at]),
            Piece(member=name, level=level, size=len(packed)),
            Piece(literal=file[at + len(packed) :]),
        ),
    )
    assert recipes.from_bytes(recipes.to_bytes(recipe)) == recipe
    archive = Objects(BOOK).compose(recipe)
    verify(recipe, archive)
    for start in range(0, archive.size, 311):
        assert b"".join(archive.read(start, start + 200)) == file[start : start + 200]


def test_what_comes_out_otherwise_than_published_is_refused() -> None:
    objects = Objects(BOOK)
    recipe = Recipe(1, digest_of(objects.plain()), members=tuple(objects.members))
    verify(recipe, objects.compose(recipe))
    other = msgspec.structs.replace(recipe, members=tuple(reversed(recipe.members)))
    with pytest.raises(ContentError, match="other bytes"):
        verify(other, objects.compose(other))


def test_a_member_that_is_gone_short_or_unknown_is_a_content_error() -> None:
    objects = Objects(BOOK)
    recipe = Recipe(1, NOTHING, members=tuple(objects.members))
    archive = objects.compose(recipe)
    objects.cut("EPUB/foto.jpg")
    with pytest.raises(ContentError, match="shorter"):
        whole(archive)
    objects.lose("EPUB/foto.jpg")
    with pytest.raises(ContentError, match="gone"):
        whole(archive)
    with pytest.raises(ContentError, match="not in the version"):
        compose(recipe, {}, None, objects.read)
    with pytest.raises(ContentError, match="other members"):
        compose(recipe, objects.members, b"1234", objects.read)
    wrong = Recipe(1, NOTHING, pieces=(Piece(member="EPUB/foto.jpg", level=6, size=3),))
    with pytest.raises(ContentError):
        whole(Objects(BOOK).compose(wrong))


def test_an_archive_that_no_zip_can_hold_is_refused_before_anything_is_read() -> None:
    member = Member(NOTHING, MAX_ARCHIVE_BYTES)
    recipe = Recipe(1, NOTHING, members=("a", "b"))
    with pytest.raises(ContentError, match="larger"):
        compose(recipe, {"a": member, "b": member}, None, Objects({}).read)
    pieces = tuple(Piece(member=name) for name in "ab")
    with pytest.raises(ContentError, match="more than"):
        compose(
            Recipe(1, NOTHING, pieces=pieces), {"a": member, "b": member}, None, Objects({}).read
        )


def test_members_are_the_entries_below_the_archive() -> None:
    entries = [
        Entry(path, digest(path.encode()), 1, "asset")
        for path in ("b/x.epub/m", "b/x.epub/a/b", "b/x.epubs/no", "b/y")
    ]
    found = members_of(
        manifest("c", [*entries, Entry("b/x.epub", NOTHING, 9, "archive")]), "b/x.epub"
    )
    assert list(found) == ["a/b", "m"]


GOOD = Recipe(1, NOTHING, members=("a", "b"))
BAD = {
    "neither": Recipe(1, NOTHING),
    "both": Recipe(1, NOTHING, members=("a",), pieces=(Piece(member="a"),)),
    "twice": Recipe(1, NOTHING, members=("a", "A")),
    "escapes": Recipe(1, NOTHING, members=("../a",)),
    "no digest": Recipe(1, Digest("0")),
    "version": Recipe(2, NOTHING, members=("a",)),  # type: ignore[arg-type]
    "empty piece": Recipe(1, NOTHING, pieces=(Piece(),)),
    "two in one": Recipe(1, NOTHING, pieces=(Piece(literal=b"x", member="a"),)),
    "level alone": Recipe(1, NOTHING, pieces=(Piece(member="a", level=3),)),
    "size alone": Recipe(1, NOTHING, pieces=(Piece(member="a", size=3),)),
    "packed literal": Recipe(1, NOTHING, pieces=(Piece(literal=b"x", level=3, size=1),)),
    "level 10": Recipe(1, NOTHING, pieces=(Piece(member="a", level=10, size=1),)),
    "negative": Recipe(1, NOTHING, pieces=(Piece(member="a", level=1, size=-1),)),
    "member twice": Recipe(1, NOTHING, pieces=(Piece(member="a"), Piece(member="a"))),
}


@pytest.mark.parametrize("what", BAD)
def test_a_recipe_that_nobody_can_follow_is_refused(what: str) -> None:
    assert recipes.from_bytes(recipes.to_bytes(GOOD)) == GOOD
    with pytest.raises(ContentError):
        recipes.from_bytes(recipes.to_bytes(BAD[what]))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_recipe_are_refused(data: bytes) -> None:
    with pytest.raises(ContentError):
        recipes.from_bytes(data)


@given(st.data())
def test_a_damaged_recipe_is_refused_or_composes_within_its_bounds(data: st.DataObject) -> None:
    objects = Objects({name: content[:500] for name, content in BOOK.items()})
    pieces = (
        Piece(literal=b"PK\3\4" * 9), Piece(member="mimetype"), Piece(literal=b"\0"),
        Piece(member="EPUB/foto.jpg", level=6, size=506),
    )  # fmt: skip
    recipe = data.draw(
        st.sampled_from(
            [Recipe(1, NOTHING, members=tuple(objects.members)), Recipe(1, NOTHING, pieces=pieces)]
        )
    )
    raw = bytearray(recipes.to_bytes(recipe))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = recipes.from_bytes(bytes(raw))
        archive = objects.compose(found)
        assert len(b"".join(archive.read(0, archive.size))) == archive.size
    except ContentError:
        pass
