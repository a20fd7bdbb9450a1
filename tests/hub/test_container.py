"""Archives from outside: taken apart so that they come out again, or refused, in words."""

import io
import stat
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.container import RAW, Container, Whole, take_apart
from sync.archive import checks, compose, verify
from sync.canonical import Digest
from sync.errors import ContentError
from sync.files import ObjectStore
from tests.hub import zips
from tests.hub.zips import EPUB, made

LIMIT = 4 * 1024 * 1024


class Shelf:
    """Takes archives apart, and puts them together again."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "file.zip"
        self.store = ObjectStore(folder / "objects")

    def take(self, data: bytes, *, path: str = "books/x.zip", exact: bool = False) -> Container:
        self.file.write_bytes(data)

        def put(pieces: object, what: str) -> tuple[Digest, int]:
            return self.store.put_bounded(pieces, LIMIT, what)  # type: ignore[arg-type]

        return take_apart(self.file, path, put, self.store.slice, exact=exact)

    def give(self, found: Container) -> bytes:
        recipe, members = found.recipe, found.members
        archive = compose(
            recipe, members, checks(recipe, members, self.store.slice), self.store.slice
        )
        verify(recipe, archive)
        assert archive.size == found.whole
        return b"".join(archive.read(0, archive.size))

    def contents(self, data: bytes) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            assert opened.testzip() is None
            return {name: opened.read(name) for name in opened.namelist()}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


GOOD = {
    "deflated": made(EPUB),
    "stored": made(EPUB, packed=zipfile.ZIP_STORED),
    "before 1980 was": made(EPUB, when=(1980, 1, 1, 0, 0, 0)),
    "with a comment": made(EPUB, comment=b"hecho en la puna"),
    "with data descriptors": zips.streamed(EPUB),
    "zip64": zips.streamed(EPUB, zip64=True),
    "behind a program": b"#!/bin/sh\nexit 0\n" + made(EPUB),
    "with folders": made({**EPUB, "EPUB/": b"", "vacío.txt": b""}),
}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", GOOD)
def test_a_sound_archive_comes_out_with_the_same_files(
    shelf: Shelf, kind: str, exact: bool
) -> None:
    found = shelf.take(GOOD[kind], exact=exact)
    out = shelf.give(found)
    files = {n: d for n, d in shelf.contents(GOOD[kind]).items() if not n.endswith("/")}
    assert {n: d for n, d in shelf.contents(out).items() if not n.endswith("/")} == files
    if exact:
        assert out == GOOD[kind]


def test_what_programs_write_by_the_way_does_not_reach_a_plain_archive(shelf: Shelf) -> None:
    plain = [shelf.take(GOOD[kind]).recipe for kind in GOOD if kind != "with folders"]
    assert len(set(plain)) == 1


def test_a_plain_epub_begins_with_its_type_wherever_it_stood(shelf: Shelf) -> None:
    last = dict(reversed(EPUB.items()))
    found = shelf.take(made(last), path="books/x.epub")
    assert next(iter(found.members)) == "mimetype"
    assert shelf.give(found)[30:58] == b"mimetypeapplication/epub+zip"


@pytest.mark.parametrize("level", range(1, 10))
def test_an_exact_archive_travels_unpacked_where_zlib_can_pack_it_again(
    shelf: Shelf, level: int
) -> None:
    data = made(EPUB, level=level)
    found = shelf.take(data, exact=True)
    assert shelf.give(found) == data
    assert found.members["EPUB/1.xhtml"].size == len(EPUB["EPUB/1.xhtml"])


def test_and_packed_as_it_is_where_it_cannot(shelf: Shelf) -> None:
    """Another deflater: one that flushes in the middle, as no level of zlib does."""
    text = EPUB["EPUB/1.xhtml"]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    odd = packer.compress(text[:500]) + packer.flush(zlib.Z_FULL_FLUSH)
    odd += packer.compress(text[500:]) + packer.flush()
    data = made({"a.txt": odd}, packed=zipfile.ZIP_STORED)
    raw = bytearray(data)
    for mark, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        place = raw.index(mark)
        raw[place + at] = zipfile.ZIP_DEFLATED
        raw[place + at + 6 : place + at + 10] = zlib.crc32(text).to_bytes(4, "little")
        raw[place + at + 14 : place + at + 18] = len(text).to_bytes(4, "little")
    data = bytes(raw)
    assert shelf.contents(data) == {"a.txt": text}
    found = shelf.take(data, exact=True)
    assert list(found.members) == ["a.txt" + RAW]
    assert shelf.give(found) == data


def test_names_without_the_flag_are_read_as_utf_8_or_left_alone(shelf: Shelf) -> None:
    data = zips.without_utf8_flag(made({"capítulo.txt": b"agua" * 30}))
    assert list(shelf.take(data).members) == ["capítulo.txt"]
    with pytest.raises(Whole, match="encoded"):
        shelf.take(data.replace("í".encode(), b"\xed\xa1"))


WHOLE = {
    "encrypted": (zips.encrypted(made(EPUB)), "encrypted"),
    "of one name": (zips.with_duplicate(), "two members"),
    "differing in case": (made({"a.txt": b"1", "A.txt": b"2"}), "two members"),
    "packed by lzma": (made(EPUB, packed=zipfile.ZIP_LZMA), "method 14"),
    "with a colon": (made({"12:30.txt": b"1"}), "every system"),
    "ending in a dot": (made({"fin.": b"1"}), "every system"),
    "in decomposed letters": (made({"capi\u0301tulo.txt": b"1"}), "every system"),
    "with too long a name": (made({"x" * 235: b"1"}), "too long"),
    "empty": (made({}), "empty"),
    "of folders only": (made({"a/": b""}), "empty"),
}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_sound_archive_that_cannot_be_taken_apart_says_why(
    shelf: Shelf, kind: str, exact: bool
) -> None:
    data, why = WHOLE[kind]
    with pytest.raises(Whole, match=why):
        shelf.take(data, exact=exact)


def linked(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


BAD = {
    "absolute": (made({"/etc/passwd": b"1"}), "outside"),
    "climbing": (made({"a/../../b": b"1"}), "outside"),
    "of Windows": (made({"C:/a": b"1"}), "outside"),
    "with backslashes": (made({"..\\a": b"1"}), "outside"),
    "a link": (made({"a": b"/etc/passwd"}, change=linked), "link"),
    "overlapping": (zips.overlapping(), "over another"),
    "lying about a size": (zips.lying(5), "damaged"),
    "a bomb by its own account": (zips.lying(2**31), "bytes unpacked"),
    "longer than an object": (made({"a": b"\0" * (LIMIT + 1)}), "more than"),
    "no archive": (b"PK\3\4" + b"\0" * 100, "damaged"),
    "nothing": (b"", "damaged"),
    "cut short": (made(EPUB)[:-30], "damaged"),
    "with a spoiled member": (
        made(EPUB, packed=zipfile.ZIP_STORED).replace(bytes(range(20, 40)), bytes(20), 1),
        "damaged",
    ),
}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", BAD)
def test_an_archive_that_is_damaged_or_would_do_harm_is_refused(
    shelf: Shelf, kind: str, exact: bool
) -> None:
    data, why = BAD[kind]
    with pytest.raises(ContentError, match=why):
        shelf.take(data, exact=exact)


@pytest.mark.parametrize(
    "contents",
    [
        {k: v for k, v in EPUB.items() if k != "mimetype"},
        {k: v for k, v in EPUB.items() if k != "META-INF/container.xml"},
        EPUB | {"mimetype": b"application/zip"},
    ],
)
def test_what_calls_itself_an_epub_must_be_one(shelf: Shelf, contents: dict[str, bytes]) -> None:
    with pytest.raises(ContentError, match="no EPUB"):
        shelf.take(made(contents), path="books/x.epub")
    shelf.take(made(contents), path="books/x.zip")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_is_refused_or_comes_out_to_the_byte(
    shelf: Shelf, data: st.DataObject
) -> None:
    raw = bytearray(data.draw(st.sampled_from([made(EPUB), zips.streamed(EPUB, zip64=True)])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    exact = data.draw(st.booleans())
    try:
        found = shelf.take(bytes(raw), exact=exact)
    except (ContentError, Whole):
        return
    out = shelf.give(found)
    assert out == bytes(raw) if exact else shelf.contents(out)
