"""Wire: a TCP relay on loopback before a server, which does to connections what bad links do.

One fault for each connection, in turn, then none: a list says what comes.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, Self

Trouble = Literal[
    "",  # nothing
    "drop",  # closed as soon as it is opened
    "half-open",  # taken, and never answered
    "cut",  # closed in the middle of the answer
    "trickle",  # the answer comes a byte at a time, and the clock goes on
]


class Wire:
    """Relays to `port`. `troubles` are used up one a connection; `clock` is for trickles."""

    def __init__(self, port: int, troubles: Iterable[Trouble] = ()) -> None:
        self.port = port
        self.troubles = list(troubles)
        self.connections = 0
        self.now = 0.0
        """Seconds; each byte that trickles takes one."""
        self.cut_at = 500
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where the server seems to be."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def clock(self) -> float:
        """For the reader at the other end."""
        return self.now

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        trouble = self.troubles.pop(0) if self.troubles else ""
        self.connections += 1
        try:
            if trouble == "half-open":
                await asyncio.Event().wait()
            if trouble != "drop":
                await self._relay(reader, writer, trouble)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trouble: Trouble
    ) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self.port)
        up = asyncio.create_task(_pour(reader, forth))
        try:
            left = self.cut_at
            while data := await back.read(65536):
                if trouble == "cut":
                    data, left = data[:left], left - len(data)
                if trouble == "trickle":
                    await self._trickle(data, writer)
                else:
                    writer.write(data)
                    await writer.drain()
                if left <= 0:
                    return
        finally:
            up.cancel()
            forth.transport.abort()

    async def _trickle(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for n in range(len(data)):
            self.now += 1
            writer.write(data[n : n + 1])
            await writer.drain()
            await asyncio.sleep(0)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
