"""Pages leave compressed, tagged and under the policy."""

import gzip
import re
from pathlib import Path

import pytest

from node.portal.assets import FOREVER, Assets
from node.portal.delivery import SECURITY, accepts_gzip, matches
from tests.portal.conftest import Client

MAX_SCRIPT_BYTES = 3 * 1024


@pytest.mark.parametrize("header", ["gzip", "br, gzip;q=0.8", "*", "GZIP"])
def test_gzip_is_used_where_it_is_understood(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize("header", ["", "br", "gzip;q=0", "gzip; q=0.0", "xgzip"])
def test_gzip_is_left_out_where_it_is_not(header: str) -> None:
    assert not accepts_gzip(header)


def test_a_tag_matches_in_a_list_and_when_weak() -> None:
    assert matches('"a", W/"b"', '"b"')
    assert matches("*", '"b"')
    assert not matches("", '"b"')


async def test_an_unchanged_page_costs_no_body(client: Client) -> None:
    first = await client.get("/")
    tag = first.headers["ETag"]
    again = await client.get("/", headers={"If-None-Match": tag})
    assert (again.status, await again.read()) == (304, b"")
    assert again.headers["ETag"] == tag
    changed = await client.get("/?idioma=en", headers={"If-None-Match": tag})
    assert changed.status == 200


async def test_an_unchanged_page_still_remembers_where_the_pupil_was(client: Client) -> None:
    path = "/leccion/soroche/es"
    tag = (await client.get(path)).headers["ETag"]
    client.session.cookie_jar.clear()
    again = await client.get(path, headers={"If-None-Match": tag})
    assert again.status == 304
    assert "chaski" in again.cookies


async def test_the_compressed_form_has_its_own_tag(client: Client) -> None:
    tags = set()
    for coding in ("gzip", "identity"):
        async with client.get("/", headers={"Accept-Encoding": coding}) as answer:
            tags.add(answer.headers["ETag"])
            assert answer.headers.get("Content-Encoding", "identity") == coding
            assert answer.headers["Vary"] == "Cookie, Accept-Encoding"
    assert len(tags) == 2


async def test_small_answers_are_not_compressed(client: Client) -> None:
    async with client.get("/api/version", headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert "ETag" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/nada", "/api/status", "/preguntar?q=papa", "/metrics"])
async def test_every_answer_is_under_the_policy(client: Client, path: str) -> None:
    answer = await client.get(path)
    for name, value in SECURITY.items():
        assert answer.headers[name] == value
    assert "Server" not in answer.headers


async def test_static_files_are_kept_forever_and_only_under_their_hash(client: Client) -> None:
    url = Assets().url("portal.css")
    answer = await client.get(url)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == FOREVER
    old = await client.get("/static/portal.00000000.css")
    assert (old.status, old.headers["Cache-Control"]) == (200, "no-cache")
    for name in ("portal.css", "nada.00000000.css", "..%2Fapp.00000000.py", "portal.0.0.css"):
        assert (await client.get(f"/static/{name}")).status == 404


def test_files_are_compressed_once_and_whole(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_bytes(b"b{}" * 400)
    assets = Assets(tmp_path)
    url = assets.url("a.css")
    assert re.fullmatch(r"/static/a\.[0-9a-f]{8}\.css", url)
    (tmp_path / "a.css").write_bytes(b"i{}" * 400)
    assert Assets(tmp_path).url("a.css") != url


async def test_the_script_stays_small(client: Client) -> None:
    async with client.get(Assets().url("portal.js")) as answer:
        assert len(await answer.read()) < MAX_SCRIPT_BYTES


async def test_a_raw_reader_gets_what_gzip_unpacks(client: Client) -> None:
    session = client.session
    url = client.make_url("/")
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as plain:
        text = await plain.read()
    async with session.get(url, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as raw:
        assert gzip.decompress(await raw.read()) == text
