"""Captive: answers to the probes by which a phone decides whether a Wi-Fi is worth keeping.

A phone that joins asks a known address of its maker. A wrong answer makes it show a "sign in"
window that closes as soon as it likes, or drop the school's Wi-Fi for mobile data. So each
probe gets, to the byte, what the real server would say, and the phone stays.

* The network must resolve every name to this node (dnsmasq `address=/#/…`); probes are plain
  HTTP, so nothing has to be signed. Android 10 and later also probe by HTTPS, which nobody can
  answer for Google: such a phone says "limited connection" once, and stays when told to.
* A probe's answer is never compressed, redirected, cached or given a cookie, and carries no
  `Server` line: Android 7 was seen to doubt embellished ones (PirateBox #198).
* The path decides. The host decides only where a probe asks for `/`, which is the home page
  for everybody else.
"""

from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe must be told."""

    system: str
    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


_ANDROID = Probe("android", 204)
_APPLE = Probe(
    "apple",
    200,
    b"<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>",
    "text/html",
)
_CONNECTTEST = Probe("windows", 200, b"Microsoft Connect Test", "text/plain")
_NCSI = Probe("windows", 200, b"Microsoft NCSI", "text/plain")
_CANONICAL = Probe(
    "firefox",
    200,
    b'<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>',
    "text/html",
)
_SUCCESS = Probe("firefox", 200, b"success\n", "text/plain")
_GNOME = Probe(
    "linux",
    200,
    b"NetworkManager is online\n",
    "text/plain",
    (("X-NetworkManager-Status", "online"),),
)
_UBUNTU = Probe("linux", 204, headers=(("X-NetworkManager-Status", "online"),))

BY_PATH = MappingProxyType(
    {
        "/generate_204": _ANDROID,
        "/gen_204": _ANDROID,
        "/hotspot-detect.html": _APPLE,
        "/library/test/success.html": _APPLE,
        "/connecttest.txt": _CONNECTTEST,
        "/ncsi.txt": _NCSI,
        "/canonical.html": _CANONICAL,
        "/success.txt": _SUCCESS,
        "/check_network_status.txt": _GNOME,
    }
)
BY_HOST = MappingProxyType(
    {
        "captive.apple.com": _APPLE,
        "connectivity-check.ubuntu.com": _UBUNTU,
    }
)


def probe(host: str, path: str) -> Probe | None:
    """The probe that a request to `path` at `host` is, or None for an ordinary page."""
    if path == "/":
        return BY_HOST.get(host.partition(":")[0].lower())
    return BY_PATH.get(path)


def respond(found: Probe) -> web.Response:
    """The response to a probe."""
    headers = dict(found.headers)
    if found.content_type:
        headers["Content-Type"] = found.content_type
        headers["Cache-Control"] = "no-store"
    return web.Response(status=found.status, body=found.body or None, headers=headers)
