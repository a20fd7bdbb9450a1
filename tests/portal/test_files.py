"""Books, pictures and other files over the school's Wi-Fi: whole, in part, and harmless."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from node.portal.media import mark
from node.store.files import Files
from node.store.store import Release
from sync import recipe as recipes
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.manifest import Entry, manifest
from tests.node.village import AT, lesson
from tests.portal.cargo import about, loaded
from tests.portal.conftest import Client
from tests.portal.page import read
from tests.portal.school import CHANNEL, School, school

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
EPUB = {
    "mimetype": b"application/epub+zip",
    "EPUB/1.xhtml": b"<html xmlns='http://www.w3.org/1999/xhtml'/>",
    "EPUB/foto.jpg": bytes(range(256)) * 9000,
}
FILES = {
    "assets/agua.svg": SVG,
    "assets/puna ñusta.png": b"\x89PNG",
    "books/tabla.pdf": b"%PDF-1.4",
    "books/raro.xyz": b"?",
    "books/pagina.html": b"<script>alert(1)</script>",
}
BOOK = "books/agua.epub"
ABOUTS = (
    about("assets/agua.svg", "El agua", topic="salud"),
    about(BOOK, "Libro del agua", topic="salud", language="es", grade="primaria-3"),
    about("books/tabla.pdf", "Tabla periódica"),
    about("books/retirado.pdf", "Ya no está"),
)
LESSON = lesson(
    topic="salud",
    body=(
        "![El ciclo del agua](assets/agua.svg)",
        "![La puna](assets/puna%20ñusta.png) y ![Otra](assets/no-hay.svg) "
        "y ![De fuera](http://evil.example/x.png) y ![Un libro](books/agua.epub)",
    ),
)


class Kiosk:
    """A school whose channel carries files."""

    def __init__(self, place: School) -> None:
        self.place = place
        release, self.whole = loaded(
            place.village.blobs, 1, [LESSON], CHANNEL,
            files=FILES, books={BOOK: EPUB}, abouts=ABOUTS,
        )  # fmt: skip
        place.village.store.install(release, place.village.blobs.get, AT)
        self.release = release

    @property
    def files(self) -> Files:
        return Files(self.place.village.store, self.place.village.blobs)

    def object(self, path: str) -> Path:
        return self.place.village.blobs.path(self.release.manifest.by_path()[path].hash)


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[Kiosk]:
    place = school(tmp_path)
    yield Kiosk(place)
    place.close()


async def page(phone: Client, address: str) -> str:
    """The text of a page whose elements close as they opened."""
    async with phone.get(address) as answer:
        assert answer.status == 200
        text = await answer.text()
        read(text)
        return text


@pytest.fixture
async def phone(kiosk: Kiosk, aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(kiosk.place.portal())


@pytest.mark.parametrize("path", [BOOK, *FILES, f"{BOOK}/EPUB/1.xhtml"])
async def test_a_file_arrives_as_it_was_published(kiosk: Kiosk, phone: Client, path: str) -> None:
    async with phone.get(f"/recurso/{quote(path)}") as answer:
        data = await answer.read()
        assert answer.status == 200
        assert data == kiosk.whole.get(path, EPUB["EPUB/1.xhtml"])
        assert answer.headers["ETag"] == f'"{digest(data)}"'
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Encoding" not in answer.headers
        assert answer.content_length == len(data)
    async with phone.head(f"/recurso/{quote(path)}") as answer:
        assert (answer.status, answer.content_length) == (200, len(data))
        assert await answer.read() == b""


async def test_an_epub_opens_with_everything_in_it(phone: Client) -> None:
    async with phone.get(f"/recurso/{BOOK}") as answer:
        assert answer.content_type == "application/epub+zip"
        assert 'attachment; filename="agua.epub"' in answer.headers["Content-Disposition"]
        with zipfile.ZipFile(io.BytesIO(await answer.read())) as opened:
            assert opened.testzip() is None
            assert {name: opened.read(name) for name in opened.namelist()} == EPUB


@pytest.mark.parametrize("path", [BOOK, "books/pagina.html"])
@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=3-17", 3, 18), ("bytes=-5", -5, None), ("bytes=7-", 7, None)],
)
async def test_a_range_is_that_part_of_it(
    kiosk: Kiosk, phone: Client, path: str, wanted: str, start: int, stop: int | None
) -> None:
    whole = kiosk.whole[path]
    async with phone.get(f"/recurso/{path}", headers={"Range": wanted}) as answer:
        data = await answer.read()
        assert (answer.status, data) == (206, whole[start:stop])
        at = start if start >= 0 else len(whole) + start
        assert answer.headers["Content-Range"] == f"bytes {at}-{at + len(data) - 1}/{len(whole)}"


async def test_a_download_that_broke_goes_on_where_it_was(kiosk: Kiosk, phone: Client) -> None:
    whole = kiosk.whole[BOOK]
    tag = f'"{digest(whole)}"'
    parts = []
    for at in range(0, len(whole), 500_000):
        headers = {"Range": f"bytes={at}-{at + 499_999}", "If-Range": tag}
        async with phone.get(f"/recurso/{BOOK}", headers=headers) as answer:
            parts.append(await answer.read())
    assert b"".join(parts) == whole
    headers = {"Range": "bytes=5-", "If-Range": '"another"'}
    async with phone.get(f"/recurso/{BOOK}", headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, whole)


async def test_conditions_and_impossible_ranges(kiosk: Kiosk, phone: Client) -> None:
    tag = f'"{digest(kiosk.whole[BOOK])}"'
    for headers, status in (
        ({"If-None-Match": tag}, 304),
        ({"If-Match": '"another"'}, 412),
        ({"Range": "bytes=99999999-"}, 416),
        ({"Range": "bytes=1-2,4-5"}, 200),
        ({"Range": "lines=1-2"}, 200),
    ):
        async with phone.get(f"/recurso/{BOOK}", headers=headers) as answer:
            assert answer.status == status, headers
    async with phone.get(f"/recurso/{BOOK}", headers={"Range": "bytes=99999999-"}) as answer:
        assert answer.headers["Content-Range"] == f"bytes */{len(kiosk.whole[BOOK])}"


@pytest.mark.parametrize(
    "path",
    [
        "books", "books/", "no", f"{BOOK}/", f"{BOOK}/no", "channel.json", "inventory.json",
        "lessons/suma.es.json", "../node.db", "%2e%2e/node.db", "..%2f..%2fetc%2fpasswd",
        "assets/Agua.svg", "assets//agua.svg", "%00", "assets/agua.svg%00",
    ],
)  # fmt: skip
async def test_what_is_no_file_of_the_channel_is_not_there(phone: Client, path: str) -> None:
    async with phone.get(f"/recurso/{path}") as answer:
        assert answer.status == 404


async def test_what_a_browser_would_run_stands_in_a_sandbox(phone: Client) -> None:
    for path in ("assets/agua.svg", "books/pagina.html", f"{BOOK}/EPUB/1.xhtml"):
        async with phone.get(f"/recurso/{path}") as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("sandbox; default-src 'none'")
            assert "script-src" not in policy
            assert "allow-scripts" not in policy
    async with phone.get("/recurso/books/raro.xyz") as answer:
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    async with phone.get("/recurso/" + quote("assets/puna ñusta.png")) as answer:
        assert answer.headers["Content-Disposition"] == (
            "inline; filename=\"puna _usta.png\"; filename*=UTF-8''puna%20%C3%B1usta.png"
        )


async def test_an_address_with_the_right_mark_is_kept_for_ever(kiosk: Kiosk, phone: Client) -> None:
    file = kiosk.files.find(BOOK)
    assert file is not None
    for address, kept in ((f"?v={mark(file)}", True), ("?v=000000000000", False), ("", False)):
        async with phone.get(f"/recurso/{BOOK}{address}") as answer:
            assert ("immutable" in answer.headers["Cache-Control"]) == kept


async def test_a_lesson_shows_the_pictures_that_are_here_and_tells_the_others(
    phone: Client,
) -> None:
    text = await page(phone, "/leccion/suma/es")
    images = list(read(text).one("article").all("img"))
    assert [(image["alt"], image["src"].partition("?")[0]) for image in images] == [
        ("El ciclo del agua", "/recurso/assets/agua.svg"),
        ("La puna", "/recurso/assets/puna%20%C3%B1usta.png"),
    ]
    for told in ("Otra", "De fuera", "Un libro"):
        assert f'<span class="picture">{told}</span>' in text
    for image in images:
        async with phone.get(image["src"]) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("address", "titles"),
    [
        ("/recursos", ["Libro del agua", "Tabla periódica", "El agua"]),
        ("/tema/salud", ["Libro del agua"]),
    ],
)
async def test_lists_name_title_size_and_licence(
    phone: Client, address: str, titles: list[str]
) -> None:
    text = await page(phone, address)
    places = [text.index(f"<b>{title}</b>") for title in titles]
    assert places == sorted(places)
    assert "EPUB · 2.3 MB" in text
    assert "CC-BY-4.0" in text
    assert "Ana Quispe" in text
    assert "Ya no está" not in text


async def test_home_leads_to_the_files_when_there_are_any(
    phone: Client, tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    text = await page(phone, "/")
    assert 'href="/recursos"' in text
    assert "2 archivos" in text
    (tmp_path / "empty").mkdir()
    empty = school(tmp_path / "empty")
    other: Client = await aiohttp_client(empty.portal())
    assert "/recursos" not in await page(other, "/")
    assert "Todavía no hay libros" in await page(other, "/recursos")
    async with other.get("/recurso/assets/agua.svg") as answer:
        assert answer.status == 404
    empty.close()


async def test_a_damaged_member_is_an_error_page_and_never_a_wrong_book(
    kiosk: Kiosk, phone: Client
) -> None:
    kiosk.object(f"{BOOK}/EPUB/foto.jpg").write_bytes(b"x" * len(EPUB["EPUB/foto.jpg"]))
    async with phone.get(f"/recurso/{BOOK}") as answer:
        assert answer.status == 503
    kiosk.object(f"{BOOK}/EPUB/1.xhtml").unlink()
    async with phone.get(f"/recurso/{BOOK}") as answer:
        assert answer.status == 503


def test_an_archive_is_verified_once_and_again_when_it_changes(kiosk: Kiosk) -> None:
    store = kiosk.place.village.store
    file = kiosk.files.find(BOOK)
    assert file is not None
    assert store.archive_checks(file.digest) is None
    kiosk.files.open(file)
    assert store.archive_checks(file.digest) is not None
    store.keep_archive(file.digest, b"")
    with pytest.raises(ContentError, match="checks"):
        kiosk.files.open(file)


def test_archives_are_verified_before_a_pupil_asks(kiosk: Kiosk) -> None:
    assert (kiosk.files.prepare(), kiosk.files.prepare()) == (1, 0)


def test_an_archive_that_does_not_come_out_is_named_once(
    kiosk: Kiosk, caplog: pytest.LogCaptureFixture
) -> None:
    kiosk.object(f"{BOOK}/EPUB/1.xhtml").unlink()
    files = kiosk.files
    assert (files.prepare(), files.prepare()) == (0, 0)
    assert caplog.text.count(BOOK) == 1


def test_a_recipe_that_tells_another_digest_is_never_served(tmp_path: Path) -> None:
    place = school(tmp_path)
    blobs = place.village.blobs
    release, _ = loaded(blobs, 1, [LESSON], CHANNEL, files={}, books={BOOK: EPUB}, abouts=ABOUTS)
    entry = release.manifest.by_path()[BOOK]
    recipe = recipes.from_bytes(blobs.get(entry.hash))
    data = recipes.to_bytes(recipes.Recipe(1, Digest("ab" * 32), members=recipe.members))
    wrong = Entry(BOOK, blobs.put(data), len(data), "archive")
    others = [e for e in release.manifest.entries if e.path != BOOK]
    made = manifest("escuela", [*others, wrong])
    place.village.store.install(Release("escuela", 1, made, release.trust), blobs.get, AT)
    files = Files(place.village.store, blobs)
    file = files.find(BOOK)
    assert file is not None
    for _ in range(2):
        with pytest.raises(ContentError, match="other bytes"):
            files.open(file)
    place.close()
