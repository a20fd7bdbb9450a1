"""What a stick can bring, in every state in which sticks arrive."""

import asyncio
import json
import shutil
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from node.cli import main
from node.config import PortalTable, load
from node.errand import import_through
from node.sticks import Sticks
from node.telemetry.forwarder import Forwarded
from sync.canonical import Digest, digest
from sync.errors import BusyError, ContentError, TransportError
from sync.events import decode_events
from sync.head import head_to_bytes
from sync.lesson import Lesson
from sync.transport import Sink
from sync.transport.directory import STICK, DirectorySource
from sync.transport.http import HttpSource
from tests.node.city import CHANNEL, City
from tests.node.stick import fill, settings
from tests.node.test_app import serving
from tests.node.test_updater import Bench, bench, library
from tests.node.village import lesson
from tests.sync.hub import Hub, Shelf

__all__ = ["bench"]  # the fixture
BUNDLES = "bundles"


def shelf(city: City) -> Shelf:
    """What `city` has published, as a hub on loopback serves it."""
    assert city.signed
    target = city.versions[-1]
    return Shelf(
        heads={CHANNEL: head_to_bytes(city.signed)},
        roots=dict(enumerate(city.roots, 1)),
        offers=[city.bundle(base, target) for base in (None, *city.versions[:-1])],
        objects=dict(city.objects),
    )


def only(folder: Path) -> Path:
    """The only file in `folder`."""
    (path,) = folder.iterdir()
    return path


# One journal, one judge


class Watched(DirectorySource):
    """A stick that notes from where a bundle is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[int] = []

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(start)
        async with aclosing(super().chunks(bundle, start, stop)) as pieces:
            async for piece in pieces:
                yield piece


def heavy() -> list[Lesson]:
    """Lessons that nothing can squeeze to a chunk or two."""
    return [
        lesson(f"l-{n}", body=[digest(b"%d %d" % (n, line)) for line in range(60)])
        for n in range(8)
    ]


async def test_a_bundle_begun_over_http_is_finished_from_a_stick(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(heavy())
    hub = Hub(shelf(bench.city))
    offer = hub.shelf.offers[0][0]
    assert offer.chunk_count > 20
    server = TestServer(hub.app, host="127.0.0.1")
    await server.start_server()
    hub.faults["truncate"] = 1
    async with aiohttp.ClientSession() as session:
        cut = await bench.updater.sync(HttpSource(session, str(server.make_url("/"))))
    await server.close()
    assert (cut.kind, bench.version) == ("unreachable", 0)
    fill(tmp_path / "stick", bench.city)
    bench.restart()
    stick = Watched(tmp_path / "stick")
    rest = await bench.updater.sync(stick)
    assert (rest.kind, bench.version) == ("updated", 1)
    assert offer.size // 4 < stick.asked[0] < offer.size
    assert len(stick.asked) == 1


async def test_a_bundle_begun_from_a_stick_is_finished_by_the_hub(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library())
    fill(tmp_path / "stick", bench.city)
    path = only(tmp_path / "stick" / BUNDLES)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    short = await bench.updater.sync(DirectorySource(tmp_path / "stick"))
    assert (short.kind, bench.version) == ("unreachable", 0)
    assert "ended" in short.message
    bench.city.asked.clear()
    assert (await bench.updater.sync()).kind == "updated"
    (asked,) = [what for what in bench.city.asked if what.startswith("bundle")]
    assert int(asked.split()[-1]) >= len(whole) // 2


@pytest.mark.fault(19, "two sticks of different age")
async def test_an_older_stick_after_a_newer_one_changes_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library("Uno."))
    fill(tmp_path / "old", bench.city)
    bench.city.publish(library("Dos."))
    fill(tmp_path / "new", bench.city)
    assert (await bench.updater.sync(DirectorySource(tmp_path / "new"))).to_version == 2
    refused = await bench.updater.sync(DirectorySource(tmp_path / "old"))
    assert (refused.kind, bench.version) == ("refused", 2)
    assert "stick" in refused.hint
    assert "Dos." in bench.text()
    assert (await bench.updater.sync(DirectorySource(tmp_path / "new"))).kind == "current"


async def test_a_newer_stick_after_an_older_one_brings_a_delta(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library("Uno."))
    fill(tmp_path / "old", bench.city)
    bench.city.publish(library("Dos."))
    fill(tmp_path / "new", bench.city)
    first = await bench.updater.sync(DirectorySource(tmp_path / "old"))
    second = await bench.updater.sync(DirectorySource(tmp_path / "new"))
    assert (first.to_version, second.to_version) == (1, 2)
    assert second.bytes_down < first.bytes_down


class Pulled(DirectorySource):
    """A stick that somebody pulls out after so many bytes of a bundle."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self._stick, self._after = folder, after

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        stop = min(stop, start + self._after)
        async with aclosing(super().chunks(bundle, start, stop)) as pieces:
            async for piece in pieces:
                yield piece
        await asyncio.to_thread(self._stick.rename, self._stick.with_name("pocket"))
        raise TransportError("Input/output error")


@pytest.mark.fault(19, "pulled out while it is read")
async def test_a_stick_pulled_out_while_it_is_read_goes_on_where_it_stopped(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library())
    fill(tmp_path / "stick", bench.city)
    cut = await bench.updater.sync(Pulled(tmp_path / "stick", 1500))
    assert (cut.kind, bench.version) == ("unreachable", 0)
    gone = await bench.updater.sync(DirectorySource(tmp_path / "stick"))
    assert gone.kind == "unreachable"
    rest = await bench.updater.sync(DirectorySource(tmp_path / "pocket"))
    assert (rest.kind, bench.version) == ("updated", 1)
    assert rest.bytes_down <= gone.full_size + cut.full_size


DAMAGE = {
    "head cut": ("channels/escuela/head.json", 0.5, "damaged"),
    "head empty": ("channels/escuela/head.json", 0.0, "damaged"),
    "offer cut": ("channels/escuela/bundles/none/*.json", 0.5, "damaged"),
    "bundle cut": ("bundles/*", 0.5, "unreachable"),
    "bundle empty": ("bundles/*", 0.0, "unreachable"),
}


@pytest.mark.fault(19, "copied in part")
@pytest.mark.parametrize("what", DAMAGE)
async def test_a_copy_that_was_cut_short_installs_nothing_and_loses_nothing(
    bench: Bench, tmp_path: Path, what: str
) -> None:
    pattern, share, kind = DAMAGE[what]
    bench.city.publish(library())
    fill(tmp_path / "stick", bench.city)
    (path,) = (tmp_path / "stick").glob(pattern)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    outcome = await bench.updater.sync(DirectorySource(tmp_path / "stick"))
    assert (outcome.kind, bench.version) == (kind, 0)
    path.write_bytes(data)
    assert (await bench.updater.sync(DirectorySource(tmp_path / "stick"))).kind == "updated"


async def test_a_stick_waits_for_the_sync_that_runs_and_then_begins_its_own(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library("Uno."))
    fill(tmp_path / "stick", bench.city)
    by_hub, by_stick, joined = await asyncio.gather(
        bench.updater.sync(),
        bench.updater.sync(DirectorySource(tmp_path / "stick")),
        bench.updater.sync(),
    )
    assert (by_hub.kind, by_stick.kind) == ("updated", "current")
    assert joined in (by_hub, by_stick)
    assert len(bench.heard) == 2


# What is plugged in


async def nothing(sink: Sink) -> Forwarded:
    return Forwarded(0, 0, 0, 0)


async def no_acks(folder: Path) -> int:
    return 0


def test_a_stick_is_ours_when_it_carries_our_channel(bench: Bench, tmp_path: Path) -> None:
    bench.city.publish(library())
    media = tmp_path / "media"
    fill(media / "ROJA" / STICK, bench.city)
    fill(media / "AZUL", bench.city)
    (media / "MUSICA").mkdir()
    (media / "file").touch()
    found = Sticks([media, tmp_path / "none"], CHANNEL, bench.updater, nothing, no_acks)
    assert [one.name for one in found.mounted()] == ["AZUL", "ROJA"]
    assert found.find("ROJA") == found.find(str(media / "ROJA")) == media / "ROJA"
    assert Sticks([media], "otra", bench.updater, nothing, no_acks).mounted() == []
    for name in ("MUSICA", "../AZUL", str(tmp_path), ""):
        with pytest.raises(ContentError, match="no stick"):
            found.find(name)


# The command line


@dataclass
class World:
    """A city, sticks, and a node that knows neither hub nor stick by its settings."""

    folder: Path
    city: City
    config: Path
    stick: Path

    def publish(self, text: str) -> None:
        """A new version, on the stick."""
        self.city.publish([lesson("papa", title="La papa", body=[text] * 30)])
        fill(self.stick / STICK, self.city)

    def run(self, *arguments: str) -> Result:
        """One command of `chaski-node`."""
        return CliRunner().invoke(main, ["--config", str(self.config), *arguments])

    def waiting(self) -> int:
        """Blocks in the node's spool."""
        return int(json.loads(self.run("status", "--json").stdout)["waiting_blocks"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    city = City(tmp_path / "city", time.time())
    config = settings(tmp_path / "node", city)
    made = World(tmp_path, city, config, tmp_path / "media" / "ROJA")
    made.publish("La papa crece.")
    hub(made, "")
    return made


def hub(world: World, address: str, port: int = 0) -> None:
    """Lets the node know this hub, and the folder of sticks."""
    text = world.config.read_text(encoding="utf-8")
    sticks = f'stick_folders = ["{world.stick.parent}"]'
    text = text.replace('hub = "stick"', f'hub = "{address}"\n{sticks}')
    world.config.write_text(text.replace("port = 0", f"port = {port}"), encoding="utf-8")


def test_an_import_installs_and_leaves_on_the_stick_what_waits_for_the_hub(world: World) -> None:
    done = world.run("import", str(world.stick))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("updated: version 0 -> 1, ")
    (event,) = decode_events(only(world.stick / STICK / "events").read_bytes()).events
    assert (event.kind, event.data["outcome"]) == ("sync", "updated")
    assert len(list((world.stick / STICK / "samples").iterdir())) == 1
    assert world.waiting() == 2
    assert world.run("import", str(world.stick)).stdout.startswith("current: version 1 -> 1")


def test_a_node_with_a_hub_keeps_what_it_copies_onto_a_stick(world: World) -> None:
    text = world.config.read_text(encoding="utf-8")
    world.config.write_text(text.replace('hub = ""', 'hub = "http://127.0.0.1:9"'))
    assert world.run("import", str(world.stick)).exit_code == 0
    assert list((world.stick / STICK / "samples").iterdir())
    assert world.waiting() == 2


def test_a_stick_that_is_not_there_is_not_made(world: World) -> None:
    done = world.run("import", str(world.folder / "media" / "VERDE"))
    assert done.exit_code == 8
    assert "plug the stick in" in done.stderr
    assert not (world.folder / "media" / "VERDE").exists()


def test_a_stick_of_another_hub_is_refused_and_gets_nothing_of_ours_for_free(
    world: World,
) -> None:
    thief = City(world.folder / "thief", time.time())
    thief.publish([lesson()])
    shutil.rmtree(world.stick)
    fill(world.stick, thief)
    done = world.run("import", str(world.stick))
    assert done.exit_code == 5
    assert "signature" in done.stderr


async def test_an_import_beside_a_node_that_serves_is_done_by_that_node(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = world.config.read_text(encoding="utf-8")
    world.config.write_text(text.replace("port = 0", f"port = {port}"))
    async with serving(load(world.config, {})):
        done = await asyncio.to_thread(world.run, "import", str(world.stick), "--json")
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["kind"] == "updated"
        elsewhere = await asyncio.to_thread(world.run, "import", str(world.folder))
        assert elsewhere.exit_code == 8
        assert "sync.stick_folders" in elsewhere.stderr
    assert "papa" in world.run("search", "papa").stdout


async def test_a_node_whose_portal_is_silent_is_busy() -> None:
    with pytest.raises(BusyError, match="not in its settings"):
        await import_through(PortalTable(port=0), "/media/x")
    with pytest.raises(BusyError, match="does not answer"):
        await import_through(PortalTable(port=9), "/media/x")
