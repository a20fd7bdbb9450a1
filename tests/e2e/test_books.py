"""A book goes from an editor's disk to a pupil's phone: the same file, and later its edit alone.

The hub by its command line and its server, the node whole, HTTP between them and to the phone.
"""

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from hub import config as hub_config
from hub.app import build_app
from hub.book import members
from hub.cli import main as hub
from hub.ingest import markdown
from node import app
from node.config import load
from node.portal.app import build_portal
from sync.lesson import Lesson
from tests.bench.epub import deflated
from tests.hub.fakes import a_lesson
from tests.hub.test_book import book, check
from tests.hub.test_cli import CHANNEL
from tests.hub_web.world import CHEAP

CHAPTERS = 110
EDITED = 4
DELTA_BYTES = 300
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def chapter(number: int, more: str = "") -> Lesson:
    """One chapter of about 10 kB, of words that no other has in this order."""
    drawn = [hashlib.sha256(f"{number} {n}".encode()).hexdigest()[:9] for n in range(1000)]
    text = [f"El párrafo {n} dice {' '.join(drawn[n : n + 20])}." for n in range(0, 1000, 20)]
    if more:
        text[25] += f" {more}"
    return a_lesson(f"capitulo-{number}", title=f"Capítulo {number}", body=tuple(text))


def written(edited: bool) -> bytes:
    """The book as an editor's program saves it."""
    more = dict.fromkeys(range(EDITED), "Una frase nueva.") if edited else {}
    return deflated(members(book(*(chapter(n, more.get(n, "")) for n in range(CHAPTERS)))))


@dataclass
class Desk:
    """An editor's machine."""

    folder: Path

    def run(self, *words: str | Path) -> Any:
        arguments = ["--config", str(self.folder / "hub.toml"), *map(str, words)]
        done = CliRunner().invoke(hub, arguments)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in words else done.stdout

    def add(self, name: str, data: bytes, *more: str) -> Any:
        file = self.folder / name
        file.write_bytes(data)
        said = ("--title", f"El {name}", "--author", "Ana", "--license", "CC-BY-4.0")
        return self.run("files", "add", file, *said, "--editor", "Rosa", "--json", *more)

    def publish(self) -> list[int]:
        """The next version; the bytes of its bundles, from nothing and from the last ones."""
        return [bundle["size"] for bundle in self.run("publish", "--json")["bundles"]]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    (tmp_path / "hub.toml").write_text('[hub]\ndata = "data"\n', encoding="utf-8")
    library = tmp_path / "lessons"
    (library / "assets").mkdir(parents=True)
    (library / "channel.toml").write_text(CHANNEL, encoding="utf-8")
    (library / "assets" / "papas.svg").write_bytes(SVG)
    (library / "files.toml").write_text(
        '[[files]]\npath = "assets/papas.svg"\ntitle = "Papas"\nauthor = "Ana"\nlicense = "CC0"\n',
        encoding="utf-8",
    )
    lesson = a_lesson(body=("Dos papas.", "![Dos papas](assets/papas.svg)"))
    (library / "sumar.es.md").write_text(markdown.render(lesson), encoding="utf-8")
    made.run("keys", "create")
    made.run("import", library, "--approver", "Rosa")
    return made


@contextlib.asynccontextmanager
async def village(desk: Desk) -> AsyncIterator[tuple[app.Node, TestClient[Any, Any]]]:
    """A node of the hub, and a phone on its Wi-Fi."""
    config = hub_config.load(desk.folder / "hub.toml", {})
    async with TestServer(build_app(config, passwords=CHEAP)) as server:
        path = desk.folder / "node" / "node.toml"
        url = str(server.make_url("/")).rstrip("/")
        desk.run("enrol", "puno", "--hub", url, "--out", path)
        async with (
            app.build(load(path, {}), model=False) as node,
            TestClient(TestServer(build_portal(node.services))) as phone,
        ):
            yield node, phone


async def fetched(phone: TestClient[Any, Any], path: str) -> bytes:
    """A file as a phone whose link breaks gets it: in two parts."""
    async with phone.get(f"/recurso/{path}", headers={"Range": "bytes=0-99999"}) as answer:
        assert answer.status == 206
        first, tag = await answer.read(), answer.headers["ETag"]
    headers = {"Range": "bytes=100000-", "If-Range": tag}
    async with phone.get(f"/recurso/{path}", headers=headers) as answer:
        assert answer.status == 206
        data = first + await answer.read()
    assert tag == f'"{hashlib.sha256(data).hexdigest()}"'
    return bytes(data)


def contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


async def test_a_book_reaches_the_phone_whole_and_its_edit_travels_alone(desk: Desk) -> None:
    first, second = written(edited=False), written(edited=True)
    item = desk.add("libro.epub", first)
    desk.publish()
    async with village(desk) as (node, phone):
        assert (await node.updater.sync()).kind == "updated"
        got = await fetched(phone, "books/libro.epub")
        assert (len(got), contents(got)) == (item["whole"], contents(first))
        check(got)

        desk.add("libro.epub", second)
        _, delta = desk.publish()
        outcome = await node.updater.sync()
        assert (outcome.kind, outcome.to_version) == ("updated", 2)
        assert delta <= DELTA_BYTES
        again = await fetched(phone, "books/libro.epub")
        assert contents(again) == contents(second)
        assert again != got
        check(again)

        desk.add("libro.epub", first)
        desk.publish()
        await node.updater.sync()
        assert await fetched(phone, "books/libro.epub") == got


async def test_a_foreign_archive_is_the_same_byte_for_byte_when_it_is_asked_for(desk: Desk) -> None:
    first, second = written(edited=False), written(edited=True)
    desk.add("ajeno.epub", first, "--exact")
    desk.publish()
    async with village(desk) as (node, phone):
        await node.updater.sync()
        assert await fetched(phone, "books/ajeno.epub") == first
        desk.add("ajeno.epub", second, "--exact")
        _, delta = desk.publish()
        assert (await node.updater.sync()).kind == "updated"
        assert await fetched(phone, "books/ajeno.epub") == second
        assert delta < 10 * DELTA_BYTES


async def test_a_lesson_shows_its_picture_and_the_file_leaves_when_it_is_removed(
    desk: Desk,
) -> None:
    desk.add("tabla.pdf", b"%PDF-1.4")
    desk.publish()
    async with village(desk) as (node, phone):
        await node.updater.sync()
        async with phone.get("/leccion/sumar/es") as answer:
            page = await answer.text()
        address = page.partition('src="/recurso/')[2].partition('"')[0]
        async with phone.get(f"/recurso/{address}") as answer:
            assert await answer.read() == SVG
        async with phone.get("/recursos") as answer:
            assert "El tabla.pdf" in await answer.text()
        desk.run("files", "remove", "books/tabla.pdf")
        desk.publish()
        await node.updater.sync()
        async with phone.get("/recurso/books/tabla.pdf") as answer:
            assert answer.status == 404
