"""Phones that look for the internet hear, to the byte, what their maker's server would say."""

import pytest

from node.portal import captive
from tests.portal.conftest import Client

APPLE = "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"
FIREFOX = (
    '<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'
)
PROBES = (
    ("connectivitycheck.gstatic.com", "/generate_204", 204, ""),
    ("clients3.google.com", "/generate_204", 204, ""),
    ("www.google.com", "/gen_204", 204, ""),
    ("captive.apple.com", "/hotspot-detect.html", 200, APPLE),
    ("captive.apple.com", "/", 200, APPLE),
    ("www.apple.com", "/library/test/success.html", 200, APPLE),
    ("www.msftconnecttest.com", "/connecttest.txt", 200, "Microsoft Connect Test"),
    ("www.msftncsi.com", "/ncsi.txt", 200, "Microsoft NCSI"),
    ("detectportal.firefox.com", "/canonical.html", 200, FIREFOX),
    ("detectportal.firefox.com", "/success.txt?ipv4", 200, "success\n"),
    ("nmcheck.gnome.org", "/check_network_status.txt", 200, "NetworkManager is online\n"),
    ("connectivity-check.ubuntu.com", "/", 204, ""),
)


@pytest.mark.parametrize(("host", "path", "status", "body"), PROBES)
async def test_a_probe_is_told_that_the_network_is_fine(
    client: Client, host: str, path: str, status: int, body: str
) -> None:
    headers = {"Host": host, "Accept-Encoding": "gzip"}
    async with client.get(path, headers=headers, allow_redirects=False) as answer:
        assert (answer.status, await answer.text()) == (status, body)
        for name in ("Server", "Content-Encoding", "Set-Cookie", "Location", "ETag"):
            assert name not in answer.headers
        assert ("Content-Type" in answer.headers) == bool(body)
        if body:
            assert answer.headers["Content-Length"] == str(len(body))


async def test_the_hosts_that_probe_the_root_do_not_take_the_home_page_from_others(
    client: Client,
) -> None:
    async with client.get("/", headers={"Host": "chaski.lan"}) as answer:
        assert "<h1>" in await answer.text()


def test_the_host_is_compared_without_port_and_case() -> None:
    assert captive.probe("Captive.Apple.com:80", "/") is not None
    assert captive.probe("chaski.lan", "/leccion/generate_204") is None
