"""The whole node: pages, chores beside them, a clean end."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from node import app
from node.config import NodeConfig, PortalTable, load
from node.errand import look_through
from node.meter import Meter
from node.timer import SPREAD, guarded, repeat
from sync.errors import BusyError, TransportError
from tests.node.city import CHANNEL, City
from tests.node.stick import fill, settings
from tests.node.village import lesson


def world(folder: Path, more: str = "") -> tuple[City, NodeConfig]:
    """A city that has published, and a node that knows its stick."""
    city = City(folder / "city", time.time())
    city.publish([lesson(body=["Sumar es juntar papas."])])
    config = settings(folder / "node", city, more)
    fill(folder / "node" / "stick", city)
    return city, load(config, {})


@contextlib.asynccontextmanager
async def serving(config: NodeConfig) -> AsyncIterator[str]:
    """The address of a node that serves; at the end it gets SIGTERM and must end."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(app.serve(config, address.set_result))
    either: set[asyncio.Future[Any]] = {server, address}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        await server
    try:
        yield await address
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await server


async def version(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(f"{url}/api/status") as answer:
        return int((await answer.json())["version"])


async def until(
    session: aiohttp.ClientSession, url: str, holds: Callable[[int], bool], asks: int = 20_000
) -> None:
    """Asks for the version until `holds` says so of it."""
    for _ in range(asks):
        if holds(await version(session, url)):
            return
    pytest.fail("it never came")


async def measured(session: aiohttp.ClientSession, url: str, line: str) -> None:
    """Asks for the figures until they say `line`: they are told after the version is in place."""
    text = ""
    for _ in range(20_000):
        if line in text:
            return
        async with session.get(f"{url}/metrics") as answer:
            text = await answer.text()
    pytest.fail(f"never: {line}")


async def test_a_node_syncs_by_itself_shows_news_and_reports(tmp_path: Path) -> None:
    city, _ = world(tmp_path)
    stick = tmp_path / "node" / "stick"
    quick = load(tmp_path / "node" / "node.toml", {"CHASKI_NODE__SYNC__EVERY_SECONDS": "0.01"})
    async with serving(quick) as url, aiohttp.ClientSession() as session:
        await until(session, url, lambda found: found == 1)
        city.publish([lesson(body=["Sumar es juntar quinua."])])
        fill(stick, city)
        await until(session, url, lambda found: found == 2)
        async with session.get(f"{url}/leccion/suma/es") as answer:
            assert "quinua" in await answer.text()
        await until(session, url, lambda _: any(stick.glob("samples/*")))
        await measured(session, url, "chaski_node_installed_version 2.0")


async def test_a_plan_is_asked_of_the_node_that_serves(tmp_path: Path) -> None:
    city, config = world(tmp_path)
    config = msgspec.structs.replace(
        config, sync=msgspec.structs.replace(config.sync, every_seconds=3600.0)
    )
    async with serving(config) as url, aiohttp.ClientSession() as session:
        await until(session, url, lambda found: found == 1)
        city.publish([lesson(body=["Sumar es juntar quinua."])])
        fill(tmp_path / "node" / "stick", city)
        portal = PortalTable(port=int(url.rpartition(":")[2]))
        seen = await look_through(portal)
        assert (seen.version, seen.installed, seen.changed) == (2, 1, 1)
        shutil.rmtree(tmp_path / "node" / "stick")
        with pytest.raises(TransportError, match="not found"):
            await look_through(portal)
        assert await version(session, url) == 1


async def test_a_node_without_a_hub_serves_what_it_has(tmp_path: Path) -> None:
    _, config = world(tmp_path)
    async with app.build(config) as node:
        await node.updater.sync()
    path = tmp_path / "node" / "node.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('hub = "stick"', ""))
    async with serving(load(path, {})) as url, aiohttp.ClientSession() as session:
        assert await version(session, url) == 1
        async with session.get(f"{url}/") as answer:
            assert answer.status == 200


async def test_a_missing_model_costs_the_explanations_and_not_the_lessons(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, config = world(tmp_path, '[tutor]\nmodel = "none-such"\n')
    async with app.build(config) as node:
        await node.updater.sync()
        assert node.services.engine is None
        answer = node.services.tutor.ask("¿Qué es sumar papas?", "es")
        assert answer.kind == "lesson_only"
    assert "none-such" in caplog.text


async def test_a_damaged_spool_is_put_aside(tmp_path: Path) -> None:
    _, config = world(tmp_path)
    async with app.build(config):
        pass
    spool = Path(config.node.data) / "spool.db"
    spool.write_bytes(b"garbage " * 500)
    async with app.build(config) as node:
        node.services.record_event("search_missed", {"query": "x", "language": "es"})
    assert spool.with_name("spool.db.damaged").exists()


async def test_what_a_killed_node_left_is_tidied_at_the_start(tmp_path: Path) -> None:
    _, config = world(tmp_path)
    async with app.build(config) as node:
        await node.updater.sync()
        left = node.blobs.put(b"half of an update")
    async with app.build(config) as node:
        assert not node.blobs.has(left)
        assert node.services.library.lesson("suma", "es")


@pytest.mark.fault(22, "in one process")
async def test_a_data_folder_has_one_owner(tmp_path: Path) -> None:
    _, config = world(tmp_path)
    async with app.build(config):
        with pytest.raises(BusyError):
            async with app.build(config):
                pass
    async with app.build(config):
        pass


async def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    _, config = world(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = msgspec.structs.replace(
            config, portal=msgspec.structs.replace(config.portal, port=port)
        )
        with pytest.raises(BusyError, match="is taken"):
            await app.serve(busy)


def test_the_program_ends_cleanly_on_ctrl_c(tmp_path: Path, root: Path) -> None:
    world(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "node.cli", "--config", tmp_path / "node" / "node.toml", "serve"],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("portal: http://127.0.0.1:")
    with urllib.request.urlopen(line.split()[1] + "/api/version", timeout=30) as answer:
        json.load(answer)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


# The small parts


async def test_work_is_repeated_with_jitter_and_survives_its_errors() -> None:
    waits: list[float] = []
    chances = iter([0.0, 1.0, 0.5])
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise TransportError("no link")
        if calls == 2:
            raise RuntimeError("a defect")

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await repeat(100, work, sleep=sleep, chance=lambda: next(chances))
    assert calls == 3
    assert waits == [100 * (1 - SPREAD), 100 * (1 + SPREAD), 100]


async def test_a_defect_keeps_its_traceback_and_a_known_error_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def known() -> None:
        raise TransportError("no link")

    async def defect() -> None:
        raise RuntimeError("oops")

    await guarded(known)
    assert caplog.records[-1].exc_info is None
    await guarded(defect)
    assert caplog.records[-1].exc_info


async def test_a_meter_counts_every_byte_that_came(tmp_path: Path) -> None:
    city = City(tmp_path)
    city.publish([lesson()])
    meter = Meter(city)
    head = await meter.head(CHANNEL)
    root = await meter.root(1)
    assert root
    assert await meter.root(2) is None
    offer = await meter.offer(CHANNEL, None, city.versions[0].root)
    assert offer
    before = meter.bytes_down
    assert before > len(head) + len(root)
    assert len(await meter.chunk_range(offer.bundle, 0, offer.size)) == offer.size
    data = await meter.object(city.versions[0].entries[0].hash)
    assert meter.bytes_down == before + offer.size + len(data)
