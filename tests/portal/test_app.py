"""Routes: each is documented, and none falls over."""

import re
from pathlib import Path

import pytest
from yarl import URL

from tests.portal.conftest import Client
from tests.portal.school import School

README = Path(__file__).resolve().parents[2] / "node" / "portal" / "README.md"
ROW = re.compile(r"^\| `(GET|POST) (/[^`]*)` \| `(\w+)` \|", re.MULTILINE)

HOSTILE = (
    "/buscar?q=%00",
    "/buscar?q=%ff%fe",
    "/buscar?q=%ED%A0%80",
    "/buscar?q=%22%20OR%20NEAR(%20*%20%3A%20-",
    "/buscar?q=" + "a%20" * 1500,
    "/buscar?q=%F0%9F%A6%99",
    "/preguntar?q=%00%0A%0D",
    "/preguntar?q=%3C!--live--%3E",
    "/preguntar?q=%20%20",
    "/leccion/%2e%2e/es",
    "/leccion/..%2f..%2fetc%2fpasswd/es",
    "/leccion/soroche/es?r=%F0%9F%A6%99.......",
    "/leccion/soroche/es?junto=xx&idioma=%00",
    "/tema/%00",
    "/static/%00.%00.css",
    "/%ff",
    "//evil.example/",
)


def test_each_route_is_documented_and_each_documented_route_is_there(place: School) -> None:
    there = {
        (route.method, route.resource.canonical, route.name)
        for route in place.portal().router.routes()
        if route.method != "HEAD" and route.resource
    }
    assert set(ROW.findall(README.read_text(encoding="utf-8"))) == there


@pytest.mark.parametrize("address", HOSTILE)
async def test_no_address_is_our_failure(client: Client, address: str) -> None:
    raw = URL(f"{client.make_url('/')}"[:-1] + address, encoded=True)
    async with client.session.get(raw) as answer:
        assert answer.status < 500, address
        assert await answer.text()


@pytest.mark.parametrize("cookie", ["chaski=%00", "chaski=a.b.c", 'chaski="', "idioma=fr; chaski="])
async def test_no_cookie_is_our_failure(client: Client, cookie: str) -> None:
    async with client.get("/", headers={"Cookie": cookie}) as answer:
        assert answer.status == 200
