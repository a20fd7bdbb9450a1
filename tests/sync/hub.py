"""A small hub on loopback that misbehaves by switches. It serves one `Shelf`, nothing more.

Each fault holds for so many answers, then the hub is good again.
"""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from sync.bundle import Offer, offer_to_bytes
from sync.canonical import Digest

Fault = Literal[
    "busy",  # 503
    "forbidden",  # 403
    "truncate",  # close in the middle, against the announced length
    "short",  # end in the middle, cleanly, without an announced length
    "stall",  # half, then silence
    "whole",  # 200 with everything instead of 206
    "elsewhere",  # 206 for a range that was not asked for
    "unsaid",  # 206 without Content-Range
    "changed",  # right frame, wrong bytes
    "recoded",  # gzip on the way
    "other",  # another ETag
    "endless",  # never stops
    "nonsense",  # 200 with a page of a captive portal
    "moved",  # 302
]


@dataclass
class Shelf:
    """What a road has to give. The same for a hub and for a stick."""

    heads: dict[str, bytes] = field(default_factory=dict)
    roots: dict[int, bytes] = field(default_factory=dict)
    offers: list[tuple[Offer, bytes]] = field(default_factory=list)
    objects: dict[Digest, bytes] = field(default_factory=dict)
    digests: dict[Digest, bytes] = field(default_factory=dict)


class Hub:
    """`app` serves `shelf`; `faults` says how many answers are wrong in which way."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.faults: dict[Fault, int] = {}
        self.blocks: dict[str, set[bytes]] = {"samples": set(), "events": set()}
        self.requests: list[web.BaseRequest] = []
        self.sent: Counter[str] = Counter()
        self._released = asyncio.Event()
        self.app = web.Application(client_max_size=2**20)
        self.app.on_shutdown.append(self._release)
        self.app.add_routes(
            [
                web.get("/v1/channels/{channel}/head", self._head),
                web.get("/v1/root/{number}", self._root),
                web.get("/v1/channels/{channel}/bundles/{base}/{target}", self._offer),
                web.get("/v1/channels/{channel}/bundles/{base}/{target}/digests", self._digests),
                web.get("/v1/bundles/{name}", self._bundle),
                web.get("/v1/objects/{name}", self._object),
                web.post("/v1/{kind:samples|events}", self._take),
            ]
        )

    async def _release(self, app: web.Application) -> None:
        self._released.set()

    def _due(self, *faults: Fault) -> Fault | None:
        for fault in faults:
            if self.faults.get(fault, 0):
                self.faults[fault] -= 1
                return fault
        return None

    def _answer(self, request: web.Request, data: bytes | None) -> web.Response:
        self.requests.append(request)
        fault = self._due("busy", "forbidden", "recoded", "nonsense", "moved")
        if fault == "busy":
            return web.json_response({"error": "busy", "hint": "later"}, status=503)
        if fault == "forbidden":
            return web.json_response({"error": "no", "hint": ""}, status=403)
        if fault == "moved":
            return web.Response(status=302, headers={"Location": "http://portal.invalid/"})
        if fault == "nonsense":
            return web.Response(text="<html>Pay here</html>", content_type="text/html")
        if data is None:
            return web.json_response({"error": "not found", "hint": ""}, status=404)
        answer = web.Response(body=data)
        if fault == "recoded":
            answer.enable_compression(web.ContentCoding.gzip, strategy=0)
        return answer

    async def _head(self, request: web.Request) -> web.StreamResponse:
        if self._due("endless"):
            return await self._pour(request)
        return self._answer(request, self.shelf.heads.get(request.match_info["channel"]))

    async def _root(self, request: web.Request) -> web.Response:
        return self._answer(request, self.shelf.roots.get(int(request.match_info["number"])))

    async def _offer(self, request: web.Request) -> web.Response:
        offer = self._wanted(request)
        return self._answer(request, offer_to_bytes(offer) if offer else None)

    async def _digests(self, request: web.Request) -> web.Response:
        offer = self._wanted(request)
        return self._answer(request, self.shelf.digests.get(offer.bundle) if offer else None)

    def _wanted(self, request: web.Request) -> Offer | None:
        wanted = tuple(request.match_info[key] for key in ("channel", "base", "target"))
        return next(
            (o for o, _ in self.shelf.offers if (o.channel, o.base or "none", o.target) == wanted),
            None,
        )

    async def _object(self, request: web.Request) -> web.Response:
        return self._answer(request, self.shelf.objects.get(Digest(request.match_info["name"])))

    async def _take(self, request: web.Request) -> web.Response:
        kind, block = request.match_info["kind"], await request.read()
        if block == b"bad block":
            return web.json_response({"error": "bad", "hint": ""}, status=422)
        answer = self._answer(request, b"")
        if answer.status != 200 or answer.content_type == "text/html":
            return answer
        stored = block not in self.blocks[kind]
        self.blocks[kind].add(block)
        return web.json_response({"stored": stored})

    async def _bundle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        bundles = {offer.bundle: data for offer, data in self.shelf.offers}
        data = {**self.shelf.objects, **bundles}.get(Digest(name))
        if data is None or self._due("busy"):
            return self._answer(request, None) if data is None else web.Response(status=503)
        self.requests.append(request)
        if request.headers.get("If-Match") != f'"{name}"':
            return web.Response(status=412)
        if self._due("changed"):
            data = bytes(byte ^ 1 for byte in data)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["Range"])
        assert found
        start, stop = int(found[1]), int(found[2]) + 1
        if stop > len(data):
            return web.Response(status=416)
        return await self._part(request, data, start, stop)

    async def _part(
        self, request: web.Request, data: bytes, start: int, stop: int
    ) -> web.StreamResponse:
        answer = web.StreamResponse(status=206)
        name = request.match_info["name"]
        answer.headers["ETag"] = '"0"' if self._due("other") else f'"{name}"'
        fault = self._due("whole", "elsewhere", "unsaid", "truncate", "short", "stall")
        if fault == "whole":
            answer.set_status(200)
            start, stop = 0, len(data)
        elif fault == "elsewhere":
            answer.headers["Content-Range"] = f"bytes {start + 1}-{stop}/{len(data)}"
        elif fault != "unsaid":
            answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        if fault == "short":
            answer.force_close()
        else:
            answer.content_length = stop - start
        await answer.prepare(request)
        half = (start + stop) // 2
        if fault in ("truncate", "short", "stall"):
            await answer.write(data[start:half])
            self.sent["bundle"] += half - start
            if fault == "stall":
                await self._released.wait()
            if fault != "short":
                assert request.transport is not None
                request.transport.close()
            return answer
        await answer.write(data[start:stop])
        self.sent["bundle"] += stop - start
        return answer

    async def _pour(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while not self._released.is_set():
                await answer.write(bytes(65536))
        except ConnectionError:
            pass
        return answer
