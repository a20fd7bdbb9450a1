"""Lane: one thread for a library that blocks, beside an event loop.

* What runs in it runs one at a time and in order; what it opens belongs to it.
* It never holds up the end of the program: closing waits `patience_s` and no longer.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """Begins at its first use. Close it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns or raises. Cancelled, it still ends what it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._go, name=self._name, daemon=True)
            self._thread.start()
        return await self._put(partial(work, *args, **kwargs))

    async def close(self, last: Callable[[], None], patience_s: float = 2.0) -> None:
        """Does `last` after what was begun, and ends the thread."""
        if self._thread is None:
            return
        ended = self._put(last)
        self._work.put(None)
        await asyncio.wait({ended}, timeout=patience_s)
        ended.cancel()

    def _put(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._work.put(partial(_do, work, loop, future))
        return future

    def _go(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _do(
    work: Callable[[], T], loop: asyncio.AbstractEventLoop, future: "asyncio.Future[T]"
) -> None:
    answer: Callable[[], None]
    try:
        answer = partial(future.set_result, work())
    except BaseException as error:
        answer = partial(future.set_exception, error)
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(lambda: None if future.done() else answer())
