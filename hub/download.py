"""Download: one immutable file over HTTP, so that a dead link costs what was not yet sent.

* The ETag is strong: it is the digest of the bytes. A file never changes under its name.
* What is asked for is judged by `sync/ranges.py`. aiohttp's FileResponse is not used: it
  ignores an ETag in If-Range and would splice two files.
* Bytes are never content-encoded: a byte offset must mean the same on every road.
* A reader that takes nothing for `stall_seconds` is cut off; slow is allowed, dead is not.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from sync.canonical import Digest
from sync.ranges import Answer, judge, tag

BLOCK_BYTES = 64 * 1024
STALL_SECONDS = 120.0
FOREVER = "public, max-age=31536000, immutable, no-transform"


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
