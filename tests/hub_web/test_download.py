"""One immutable file over HTTP: what is asked for, and never a splice of two files."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from hub.download import send
from sync.canonical import Digest, digest
from sync.ranges import Answer, judge, tag
from tests.hub_web.world import Client

DATA = bytes(range(256)) * 1000
NAME = digest(DATA)
ETAG = tag(NAME)
OTHER = tag(Digest("0" * 64))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Answer(200, 0, 100)),
        ({"Range": "bytes=10-19"}, Answer(206, 10, 20)),
        ({"Range": "bytes=10-"}, Answer(206, 10, 100)),
        ({"Range": "bytes=-10"}, Answer(206, 90, 100)),
        ({"Range": "bytes=-1000"}, Answer(206, 0, 100)),
        ({"Range": "bytes=90-1000"}, Answer(206, 90, 100)),
        ({"Range": "Bytes=0-0"}, Answer(206, 0, 1)),
        ({"Range": "bytes=100-"}, Answer(416)),
        ({"Range": "bytes=-0"}, Answer(416)),
        ({"Range": "bytes=20-10"}, Answer(200, 0, 100)),
        ({"Range": "bytes=-"}, Answer(200, 0, 100)),
        ({"Range": "bytes=0-1,5-6"}, Answer(200, 0, 100)),
        ({"Range": "lines=0-1"}, Answer(200, 0, 100)),
        ({"Range": "bytes=0-" + "9" * 40}, Answer(200, 0, 100)),
        ({"If-Match": ETAG}, Answer(200, 0, 100)),
        ({"If-Match": "*"}, Answer(200, 0, 100)),
        ({"If-Match": f"{OTHER}, {ETAG}"}, Answer(200, 0, 100)),
        ({"If-Match": OTHER}, Answer(412)),
        ({"If-Match": f"W/{ETAG}"}, Answer(412)),
        ({"If-Match": OTHER, "Range": "bytes=10-"}, Answer(412)),
        ({"If-None-Match": ETAG}, Answer(304)),
        ({"If-None-Match": f"W/{ETAG}"}, Answer(304)),
        ({"If-None-Match": OTHER}, Answer(200, 0, 100)),
        # A splice would be born here: the reader holds the first bytes of another file.
        ({"Range": "bytes=10-", "If-Range": ETAG}, Answer(206, 10, 100)),
        ({"Range": "bytes=10-", "If-Range": OTHER}, Answer(200, 0, 100)),
        ({"Range": "bytes=10-", "If-Range": f"W/{ETAG}"}, Answer(200, 0, 100)),
        ({"Range": "bytes=10-", "If-Range": "Sat, 21 Nov 2026 07:00:00 GMT"}, Answer(200, 0, 100)),
        ({"Range": "bytes=100-", "If-Range": OTHER}, Answer(200, 0, 100)),
    ],
)
def test_conditions_are_judged_in_the_order_of_the_rfc(
    headers: dict[str, str], expected: Answer
) -> None:
    assert judge(headers, ETAG, 100) == expected


@given(st.text(max_size=40), st.integers(0, 1000))
def test_no_range_header_leads_out_of_the_file(header: str, size: int) -> None:
    answer = judge({"Range": header}, ETAG, size)
    assert 0 <= answer.start <= answer.stop <= size
    assert answer.status in (200, 206, 416)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Client]:
    path = tmp_path / NAME
    path.write_bytes(DATA)

    async def bundle(request: web.Request) -> web.StreamResponse:
        return await send(request, path, NAME, stall_seconds=0.2)

    app = web.Application()
    app.router.add_get("/b", bundle)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_broken_download_goes_on_where_it_stopped(served: Client) -> None:
    first = await (await served.get("/b", headers={"Range": "bytes=0-99999"})).read()
    answer = await served.get("/b", headers={"Range": "bytes=100000-", "If-Match": ETAG})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes 100000-{len(DATA) - 1}/{len(DATA)}"
    assert digest(first + await answer.read()) == NAME


async def test_a_whole_file_says_that_it_never_changes(served: Client) -> None:
    answer = await served.get("/b", headers={"Accept-Encoding": "gzip, deflate"})
    assert answer.status == 200
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "Content-Encoding" not in answer.headers
    assert await answer.read() == DATA


async def test_head_tells_the_size_and_sends_nothing(served: Client) -> None:
    answer = await served.head("/b")
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert await answer.read() == b""


async def test_not_modified_has_no_body(served: Client) -> None:
    answer = await served.get("/b", headers={"If-None-Match": ETAG})
    assert (answer.status, await answer.read()) == (304, b"")


async def test_a_file_that_is_gone_is_not_found(served: Client, tmp_path: Path) -> None:
    (tmp_path / NAME).unlink()
    assert (await served.get("/b")).status == 404


async def test_a_reader_that_takes_nothing_is_cut_off_and_knows_it(tmp_path: Path) -> None:
    """More than every buffer on the way holds, to somebody who reads only the first bytes."""
    path = tmp_path / NAME
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    given_up = asyncio.Event()

    async def bundle(request: web.Request) -> web.StreamResponse:
        response = await send(request, path, NAME, stall_seconds=0.05)
        given_up.set()
        return response

    app = web.Application()
    app.router.add_get("/b", bundle)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port, limit=1024)
        writer.write(b"GET /b HTTP/1.1\r\nHost: hub\r\n\r\n")
        got = len(await reader.readexactly(100))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await given_up.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 20):
                got += len(piece)
        writer.close()
    assert got < path.stat().st_size
