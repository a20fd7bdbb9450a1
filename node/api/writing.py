"""Writing: several answers at once, told in the order in which their pieces come.

* A client that went away frees its places within one `tick`: all its requests are cancelled.
* Between two pieces the waiting is told as None, so that a stream can say that it lives.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from models.engine import Piece


class Writing(Protocol):
    """An answer being written; `models.engine.Stream`."""

    def __aiter__(self) -> AsyncIterator[Piece]:
        """Its pieces, until one is done."""
        ...

    def cancel(self) -> None:
        """Stops it."""
        ...


async def told(
    request: web.Request, writings: Sequence[Writing], tick: float
) -> AsyncGenerator[tuple[int, Piece] | None, None]:
    """(number of the answer, piece) as they come; None after each `tick` without one.

    Ends early, and stops the writing, when the client has gone. Raises ModelError.
    """
    coming: asyncio.Queue[tuple[int, Piece] | None] = asyncio.Queue()

    async def follow(number: int, writing: Writing) -> None:
        async for piece in writing:
            coming.put_nowait((number, piece))

    async with contextlib.AsyncExitStack() as stack:
        tasks = []
        for number, writing in enumerate(writings):
            stack.callback(writing.cancel)
            tasks.append(asyncio.create_task(follow(number, writing)))
        stack.push_async_callback(_end, tasks)
        open_ = len(tasks)
        while open_:
            try:
                piece = await asyncio.wait_for(coming.get(), tick)
            except TimeoutError:
                for task in tasks:
                    if task.done():
                        task.result()
                if gone(request):
                    return
                piece = None
            open_ -= piece is not None and piece[1].done
            yield piece


def gone(request: web.Request) -> bool:
    """True when nobody reads any more."""
    return request.transport is None or request.transport.is_closing()


async def _end(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
