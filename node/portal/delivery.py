"""Delivery: how a finished page leaves: tag, 304, compression, and the security headers.

* The tag is strong: it is the hash of the bytes as sent, so that the compressed and the plain
  form differ in it.
* A page is checked again on each visit (`no-cache`); unchanged, it costs 304 and no body.
* Streamed pages pass untouched: compressed, they would sit in buffers.
* The policy allows our own style and script only: nothing inline, nothing from elsewhere.
"""

import gzip
import hashlib
from types import MappingProxyType

from aiohttp import web

WORTH_COMPRESSING = 1024
"""Bytes; below that the compressed form wins nothing."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
)


def accepts_gzip(header: str) -> bool:
    """True when an `Accept-Encoding` header takes gzip."""
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def matches(header: str, tag: str) -> bool:
    """True when an `If-None-Match` header names `tag` (weak comparison, as GET wants it)."""
    named = {part.strip().removeprefix("W/") for part in header.split(",")}
    return "*" in named or tag in named


def deliver(request: web.Request, response: web.Response) -> web.Response:
    """`response` tagged and compressed as `request` allows, or the 304 in its place."""
    body = response.body
    if not isinstance(body, bytes) or response.headers.get("Content-Encoding"):
        return response
    text = response.content_type.startswith("text/") or response.content_type.endswith("json")
    if text and len(body) >= WORTH_COMPRESSING:
        response.headers["Vary"] = ", ".join(
            filter(None, (response.headers.get("Vary"), "Accept-Encoding"))
        )
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            response.body = body = gzip.compress(body, 6, mtime=0)
            response.headers["Content-Encoding"] = "gzip"
    if response.status != 200 or request.method not in ("GET", "HEAD"):
        return response
    if response.headers.get("Cache-Control") == "no-store":
        return response
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    response.headers["ETag"] = tag
    if not matches(request.headers.get("If-None-Match", ""), tag):
        return response
    unchanged = web.Response(status=304)
    for name in ("ETag", "Vary", "Cache-Control"):
        if name in response.headers:
            unchanged.headers[name] = response.headers[name]
    unchanged.cookies.update(response.cookies)
    return unchanged
