"""Idle: closes connections that never ask for anything.

aiohttp times a connection only after its first request; one that sends nothing, or half a
header, would stay for ever, and a few thousand of those take every file descriptor. Called
twice a period, `sweep` ends what has been silent since the call before.
"""

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

SWEEP_SECONDS = 30.0
Connections = Callable[[], Iterable[RequestHandler]]


class Idle:
    """Knows which connections have asked; `asked` is its middleware."""

    def __init__(self) -> None:
        self._asked: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self._seen: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    @web.middleware
    async def asked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Notes that this connection asked for something."""
        if request.transport is not None:
            self._asked.add(request.transport)
        return await handler(request)

    def sweep(self, connections: Iterable[RequestHandler]) -> int:
        """Closes those of `connections` that were there at the last sweep and never asked."""
        open_ = [c.transport for c in connections if c.transport is not None]
        silent = [t for t in open_ if isinstance(t, asyncio.Transport) and t not in self._asked]
        closing = [transport for transport in silent if transport in self._seen]
        for transport in closing:
            transport.abort()
        self._seen.update(silent)
        return len(closing)

    async def keep(self, connections: Connections, seconds: float = SWEEP_SECONDS) -> None:
        """Sweeps every `seconds` until it is cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(seconds)
                self.sweep(connections())
