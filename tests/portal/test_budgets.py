"""What a phone has to fetch: few requests, few bytes. Counted as they go over the wire."""

import pytest

from tests.portal.conftest import Client
from tests.portal.page import Element, read

HOME_BYTES, HOME_REQUESTS = 20 * 1024, 5
LESSON_BYTES = 25 * 1024
PAGE_BYTES = 12 * 1024
"""Compressed HTML of any page."""


async def weigh(client: Client, path: str) -> tuple[Element, int]:
    """The page at `path` and how many bytes its body is as it travels."""
    headers = {"Accept-Encoding": "gzip"}
    url = client.make_url(path)
    async with client.session.get(url, headers=headers, auto_decompress=False) as answer:
        assert answer.status == 200
        travelled = len(await answer.read())
    async with client.session.get(url, headers=headers) as answer:
        return read(await answer.text()), travelled


def resources(page: Element) -> list[str]:
    """What a browser fetches for the page without being asked."""
    links = [link["href"] for link in page.all("link")]
    return links + [e["src"] for e in page.all("script", "img", "iframe", "audio", "video")]


async def whole(client: Client, path: str) -> tuple[int, int]:
    """Requests and bytes of a first visit."""
    page, total = await weigh(client, path)
    addresses = resources(page)
    for address in addresses:
        assert address.startswith("/static/")
        url = client.make_url(address)
        headers = {"Accept-Encoding": "gzip"}
        async with client.session.get(url, headers=headers, auto_decompress=False) as answer:
            total += len(await answer.read())
    return 1 + len(addresses), total


async def test_a_first_visit_home_is_light(client: Client) -> None:
    requests, total = await whole(client, "/")
    assert requests <= HOME_REQUESTS
    assert total <= HOME_BYTES


@pytest.mark.parametrize(
    "path", ["/leccion/promedio-barras-lluvia/es", "/leccion/ayni-minka/es?junto=qu"]
)
async def test_a_first_visit_to_a_lesson_is_light(client: Client, path: str) -> None:
    requests, total = await whole(client, path)
    assert requests <= HOME_REQUESTS
    assert total <= LESSON_BYTES


@pytest.mark.parametrize(
    "path", ["/tema/matematica", "/buscar?q=agua", "/salud", "/preguntar", "/gracias"]
)
async def test_every_other_page_is_light(client: Client, path: str) -> None:
    _, travelled = await weigh(client, path)
    assert travelled <= PAGE_BYTES
