"""The server as a whole: it starts, refuses to start, and stops."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner

from hub.app import IDLE, serve
from hub.cli import main
from hub.config import HubConfig, HubTable, ServerTable
from hub.studio.session import Storage
from sync.errors import ContentError, SettingsError
from tests.hub_web.world import Client


def config(folder: Path, host: str = "127.0.0.1", port: int = 0) -> HubConfig:
    return HubConfig(HubTable(str(folder)), ServerTable(host, port))


def left_open(folder: Path) -> list[Path]:
    """Databases that somebody did not close."""
    return list(folder.glob("*.db-wal"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_it_after_open_answers(tmp_path: Path, number: int) -> None:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(config(tmp_path), ready=told.set_result))
    url = await told
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as answer:
        assert answer.status == 200
    os.kill(os.getpid(), number)
    await running
    assert left_open(tmp_path) == []
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/healthz")


def test_a_taken_port_ends_the_program_with_9_and_a_hint(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {"CHASKI_HUB__HUB__DATA": str(tmp_path), "CHASKI_HUB__SERVER__PORT": str(port)}
        done = CliRunner().invoke(main, ["serve"], env=environ)
    assert done.exit_code == 9
    assert f"port {port} of 127.0.0.1 is taken" in done.output
    assert "hint: " in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
async def test_an_address_that_is_not_ours_is_a_wrong_setting(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await serve(config(tmp_path, host))
    assert host in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["hub.db", "users.db", "intake.db"])
async def test_a_damaged_database_is_named_before_anything_listens(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"not a database, but long enough to look like one " * 40)
    with pytest.raises(ContentError, match=name):
        await serve(config(tmp_path))


async def test_a_connection_that_never_asks_is_closed(client: Client) -> None:
    assert client.app is not None
    handler, idle = client.server.handler, client.app[IDLE]
    assert handler is not None
    mute_reader, mute = await asyncio.open_connection(client.host, client.port)
    half_reader, half = await asyncio.open_connection(client.host, client.port)
    half.write(b"GET /healthz HT")
    assert (await client.get("/healthz")).status == 200
    assert idle.sweep(handler.connections) == 0
    assert idle.sweep(handler.connections) == 2
    assert await mute_reader.read() == b""
    assert await half_reader.read() == b""
    for writer in (mute, half):
        writer.close()
        await writer.wait_closed()
    assert (await client.get("/healthz")).status == 200


def test_secure_cookies_follow_the_public_address(tmp_path: Path) -> None:
    plain = config(tmp_path)
    public = msgspec.structs.replace(plain.server, public_url="https://hub.example.org")
    secure = msgspec.structs.replace(plain, server=public)
    for settings, expected in ((plain, False), (secure, True)):
        storage = Storage(b"k" * 32, secure=settings.url.startswith("https:"))
        assert storage.cookie_params["secure"] is expected
