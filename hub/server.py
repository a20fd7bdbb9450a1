"""Server: the wire routes, over the shelf and the intake. docs/hub-http.md lists them.

* What is published is files: read in threads, any number at once. Offers may have to be
  built, which takes seconds: one worker thread of their own. The intake's database belongs
  to another worker thread. The event loop waits for none of them.
* A body is read up to its route's limit and no further; a sender that sends nothing for
  `stall_seconds` gets 408 and is cut off, however few bytes are missing.
* The head may be asked for often: an ETag, 304, no-cache. What is named by its digest never
  changes and may be kept for ever.
* These routes take no cookie and know no user; nodes are anonymous until they are enrolled
  with keys of their own. What they can do wrong is bounded by the intake.
"""

import asyncio
import re
from collections.abc import Callable

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from hub import download
from hub.answers import RefusedError
from hub.intake import MAX_BLOCK_BYTES, Intake, Receipt
from hub.metrics import Metrics
from hub.publisher import published
from hub.shelf import Shelf
from hub.worker import Worker
from sync.canonical import Digest, digest, encode
from sync.errors import SettingsError
from sync.head import PACKED_TYPE, pack_head
from sync.ranges import names, tag

BODY_STALL_SECONDS = 60.0
_NUMBER = re.compile(r"[1-9][0-9]{0,6}\Z", re.ASCII)


class Server:
    """The routes that nodes and monitors use."""

    def __init__(
        self,
        shelf: Shelf,
        packer: Worker,
        intake: Intake,
        clerk: Worker,
        metrics: Metrics,
        *,
        channel: str,
        stall_seconds: float = BODY_STALL_SECONDS,
    ) -> None:
        self._shelf, self._packer = shelf, packer
        self._intake, self._clerk = intake, clerk
        self._metrics, self._channel = metrics, channel
        self._stall_seconds = stall_seconds

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to add to an application."""
        return [
            web.get("/v1/channels/{channel}/head", self.head),
            web.get("/v1/root/{number}", self.root),
            web.get("/v1/channels/{channel}/bundles/{base}/{target}", self.offer),
            web.get("/v1/channels/{channel}/bundles/{base}/{target}/digests", self.digests),
            web.get("/v1/bundles/{digest}", self.bundle),
            web.get("/v1/objects/{digest}", self.object),
            web.get("/v1/manifests/{root}", self.manifest),
            web.post("/v1/samples", self.samples),
            web.post("/v1/events", self.events),
            web.get("/metrics", self.metrics),
            web.get("/healthz", self.health),
        ]

    async def head(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/channels/{channel}/head: the signed head, packed for who accepts it so."""
        channel = request.match_info["channel"]
        data = await asyncio.to_thread(self._shelf.head, channel)
        if data is None:
            raise web.HTTPNotFound(text=f"channel {channel[:80]!r} has no published version here")
        packed = PACKED_TYPE in request.headers.get("Accept", "")
        answer = (
            _fresh(request, pack_head(data), PACKED_TYPE)
            if packed
            else _fresh(request, data, "application/json")
        )
        answer.headers["Vary"] = "Accept"
        return answer

    async def root(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/root/{number}: one version of the root keys."""
        number = request.match_info["number"]
        known = _NUMBER.match(number)
        data = await asyncio.to_thread(self._shelf.root, int(number)) if known else None
        if data is None:
            raise web.HTTPNotFound(text=f"there are no root keys {number[:20]!r}")
        return _fresh(request, data, "application/json")

    async def offer(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/channels/{channel}/bundles/{base}/{target}: which bundle leads there."""
        channel, base, target = (request.match_info[k] for k in ("channel", "base", "target"))
        offer = await self._packer.call(self._shelf.offer, channel, base, target)
        if offer is None:
            raise web.HTTPNotFound(text="this hub never published that base or target; ask 'none'")
        return _fresh(request, encode(offer), "application/json")

    async def digests(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/channels/{channel}/bundles/{base}/{target}/digests: what its objects hash to."""
        channel, base, target = (request.match_info[k] for k in ("channel", "base", "target"))
        data = await self._packer.call(self._shelf.digests, channel, base, target)
        if data is None:
            raise web.HTTPNotFound(text="this hub never published that base or target")
        return _fresh(request, data, "application/octet-stream")

    async def bundle(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/bundles/{digest}: the bundle or a range of it."""
        name = request.match_info["digest"]
        path = await asyncio.to_thread(self._shelf.bundle_path, name)
        if path is None:
            raise web.HTTPNotFound(text="that bundle is not here (any more)")
        sent = self._metrics.bundle_bytes.inc
        return await download.send(request, path, Digest(name), sent=sent)

    async def object(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/objects/{digest}: one whole object."""
        name = request.match_info["digest"]
        return _named(request, name, await asyncio.to_thread(self._shelf.object, name))

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/manifests/{root}: the canonical manifest with that root."""
        name = request.match_info["root"]
        return _named(request, name, await asyncio.to_thread(self._shelf.manifest, name))

    async def samples(self, request: web.Request) -> web.Response:
        """POST /v1/samples: one sealed block of samples."""
        return await self._take(request, "samples", self._intake.samples)

    async def events(self, request: web.Request) -> web.Response:
        """POST /v1/events: one sealed block of events."""
        return await self._take(request, "events", self._intake.events)

    async def metrics(self, request: web.Request) -> web.Response:
        """GET /metrics: Prometheus or OpenMetrics text, as the reader prefers."""
        version = await asyncio.to_thread(self.published_version)
        self._metrics.published_version.labels(self._channel).set(version)
        self._metrics.nodes.set(await self._clerk.call(self._intake.nodes))
        encoder, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encoder(self._metrics.registry), headers={"Content-Type": kind})

    async def health(self, request: web.Request) -> web.Response:
        """GET /healthz: 200 while the hub can read what it published and write what it hears."""
        version = await asyncio.to_thread(self.published_version)
        nodes = await self._clerk.call(self._intake.nodes)
        body = {"ok": True, "channel": self._channel, "version": version, "nodes": nodes}
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    def published_version(self) -> int:
        """The version that the head names; 0 before the first. Reads files."""
        try:
            verdict = published(self._shelf, self._channel)
        except SettingsError:  # no keys yet
            return 0
        return verdict.version if verdict else 0

    async def _take(
        self, request: web.Request, kind: str, store: Callable[[bytes], Receipt]
    ) -> web.Response:
        try:
            body = await read_body(request, MAX_BLOCK_BYTES, self._stall_seconds)
            receipt = await self._clerk.call(store, body)
        except RefusedError as error:
            self._metrics.blocks.labels(kind, error.reason).inc()
            raise
        self._metrics.took(kind, len(body), receipt)
        return web.json_response({"stored": receipt.stored}, headers={"Cache-Control": "no-store"})


async def read_body(request: web.Request, limit: int, stall_seconds: float) -> bytes:
    """The whole body of `request`. Raises RefusedError: longer than `limit`, or it never ends."""
    too_long = RefusedError(413, "size", f"a body of more than {limit} bytes", "send less at once")
    if (request.content_length or 0) > limit:
        raise too_long
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(stall_seconds):
                part = await request.content.readany()
        except TimeoutError as error:
            raise RefusedError(
                408, "stalled", f"nothing came for {stall_seconds:.0f} s", "send it again"
            ) from error
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > limit:
            raise too_long
        parts.append(part)


def _fresh(request: web.Request, data: bytes, kind: str) -> web.Response:
    """`data` that may change under its address: to be asked for again, cheaply."""
    etag = tag(digest(data))
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if names(request.headers.get("If-None-Match", ""), etag, weak=True):
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, content_type=kind, headers=headers)


def _named(request: web.Request, name: str, data: bytes | None) -> web.Response:
    """`data` whose address is its digest: may be kept for ever."""
    if data is None:
        raise web.HTTPNotFound(text=f"{name[:12]!r} is not here")
    headers = {"ETag": tag(Digest(name)), "Cache-Control": download.FOREVER}
    if names(request.headers.get("If-None-Match", ""), headers["ETag"], weak=True):
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, content_type="application/octet-stream", headers=headers)
