"""Errors over HTTP: typed, with the next step, and the documents tell the truth."""

import re
import sqlite3
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from hub.answers import RefusedError, status_of, typed_errors
from hub.app import STUDIO
from hub.errors import DecidedError, UnknownError
from hub.worker import OverloadedError
from sync.errors import BusyError, ContentError, SpaceError, TrustError
from tests.hub_web.world import Client, World

ROW = re.compile(r"^\| `(GET|POST) (/[^`]*)` \|(?:.*\| (anyone|reader|editor) \|$)?", re.MULTILINE)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (RefusedError(422, "clock", "ahead", "set it"), 422, ("ahead", "set it")),
        (OverloadedError("busy", "later"), 503, ("busy", "later")),
        (sqlite3.OperationalError("database is locked"), 503, None),
        (OSError(28, "No space left on device", "x"), 507, None),
        (SpaceError("full", "free some"), 507, ("full", "free some")),
        (UnknownError("no candidate 3"), 404, ("no candidate 3", "")),
        (DecidedError("decided"), 409, ("decided", "")),
        (BusyError("publishing"), 409, ("publishing", "")),
        (ContentError("object 12 is damaged"), 500, ("object 12 is damaged", "")),
        (TrustError("keys do not fit"), 500, ("keys do not fit", "")),
        (sqlite3.OperationalError("no such table: secret"), 500, None),
        (ZeroDivisionError("in /etc/secret"), 500, None),
    ],
)
async def test_an_error_becomes_its_status_and_tells_no_secret(
    error: Exception, status: int, told: tuple[str, str] | None
) -> None:
    async def fail(request: web.Request) -> web.Response:
        raise error

    app = web.Application(middlewares=[typed_errors])
    app.router.add_get("/", fail)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/")
        body = await answer.json()
    assert answer.status == status
    assert body["error"]
    assert "secret" not in str(body)
    assert ("Retry-After" in answer.headers) == (status == 503)
    if told:
        assert (body["error"], body["hint"]) == told


def test_what_nobody_foresaw_is_our_fault() -> None:
    assert status_of(KeyError("x")) == 500


async def test_the_document_lists_every_route_and_whom_it_is_for(
    root: Path, world: World, client: Client
) -> None:
    document = (root / "docs" / "hub-http.md").read_text(encoding="utf-8")
    listed = {(method, path): access for method, path, access in ROW.findall(document)}
    assert client.app is not None
    served = {
        (route.method, route.resource.canonical): ""
        for route in client.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    studio = {(r.method, f"/studio{r.path}"): r.access for r in client.app[STUDIO].routes()}
    assert dict.fromkeys(served, "") | studio == listed
