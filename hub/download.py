"""Download: one immutable file over HTTP, so that a dead link costs what was not yet sent.

* The ETag is strong: it is the digest of the bytes. A file never changes under its name.
* `judge` is pure and follows RFC 9110 §13.2.2 and §14: If-Match first (412), If-None-Match
  (304), then Range, which If-Range may take back. aiohttp's FileResponse is not used: it
  ignores an ETag in If-Range and would splice two files.
* One range at a time; a request for several, or in another unit, gets the whole file.
* Bytes are never content-encoded: a byte offset must mean the same on every road.
* A reader that takes nothing for `stall_seconds` is cut off; slow is allowed, dead is not.
"""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from sync.canonical import Digest

BLOCK_BYTES = 64 * 1024
STALL_SECONDS = 120.0
FOREVER = "public, max-age=31536000, immutable, no-transform"

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: an HTTP status and, for 200 and 206, the bytes from `start` to `stop`."""

    status: int
    start: int = 0
    stop: int = 0


def tag(name: Digest) -> str:
    """The strong ETag of the bytes called `name`."""
    return f'"{name}"'


def names(header: str, etag: str, *, weak: bool) -> bool:
    """True when a list of entity tags (or `*`) has `etag`; `weak` also accepts W/ forms."""
    tags = [part.strip() for part in header.split(",")]
    return "*" in tags or etag in tags or (weak and f"W/{etag}" in tags)


def judge(headers: Mapping[str, str], etag: str, size: int) -> Answer:
    """What a GET or HEAD with `headers` gets of a file of `size` bytes."""
    if "If-Match" in headers and not names(headers["If-Match"], etag, weak=False):
        return Answer(412)
    if "If-None-Match" in headers and names(headers["If-None-Match"], etag, weak=True):
        return Answer(304)
    whole = Answer(200, 0, size)
    if "Range" not in headers:
        return whole
    # There is no Last-Modified, so a date never matches: the whole file, as the RFC wants.
    if "If-Range" in headers and headers["If-Range"].strip() != etag:
        return whole
    return _slice(headers["Range"], size) or whole


def _slice(header: str, size: int) -> Answer | None:
    match = _RANGE.match(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    return Answer(206, start, stop) if start < stop else Answer(416)


async def send(
    request: web.Request,
    path: Path,
    name: Digest,
    *,
    stall_seconds: float = STALL_SECONDS,
    sent: Callable[[int], None] = lambda count: None,
) -> web.StreamResponse:
    """Answers `request` with what it wants of the file at `path`, whose digest is `name`.

    `sent` is told the bytes of each piece that the network took.

    Raises HTTPNotFound when there is no such file (any more).
    """
    try:
        handle = await asyncio.to_thread(os.open, path, os.O_RDONLY)
    except OSError as error:
        raise web.HTTPNotFound(text=f"bundle {name[:12]} is not here") from error
    try:
        return await _send(request, handle, tag(name), stall_seconds, sent)
    finally:
        os.close(handle)


async def _send(
    request: web.Request,
    handle: int,
    etag: str,
    stall_seconds: float,
    sent: Callable[[int], None],
) -> web.StreamResponse:
    size = os.fstat(handle).st_size
    answer = judge(request.headers, etag, size)
    if answer.status == 412:
        raise web.HTTPPreconditionFailed(text="this is not the file that If-Match names")
    if answer.status == 416:
        raise web.HTTPRequestRangeNotSatisfiable(
            text=f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    response = web.StreamResponse(status=answer.status)
    response.headers.update({"ETag": etag, "Cache-Control": FOREVER, "Accept-Ranges": "bytes"})
    if answer.status != 304:
        response.content_type = "application/octet-stream"
        response.content_length = answer.stop - answer.start
    if answer.status == 206:
        response.headers["Content-Range"] = f"bytes {answer.start}-{answer.stop - 1}/{size}"
    await response.prepare(request)
    if request.method == "GET" and answer.status != 304:
        try:
            await _pour(response, handle, answer, stall_seconds, sent)
        except (TimeoutError, ConnectionError):
            # The reader asks for the rest when it comes back; it must not take this for the end.
            if request.transport is not None:
                request.transport.abort()
    return response


async def _pour(
    response: web.StreamResponse,
    handle: int,
    answer: Answer,
    stall_seconds: float,
    sent: Callable[[int], None],
) -> None:
    at = answer.start
    while at < answer.stop:
        wanted = min(BLOCK_BYTES, answer.stop - at)
        data = await asyncio.to_thread(os.pread, handle, wanted, at)
        if not data:
            raise ConnectionError("the file became shorter while it was sent")
        async with asyncio.timeout(stall_seconds):
            await response.write(data)
        sent(len(data))
        at += len(data)
