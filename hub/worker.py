"""Worker: one thread that owns a database, so that the event loop never waits for a disk.

* What a worker calls, it calls one at a time and in order; whatever the functions open
  (SQLite connections above all) belongs to that thread alone.
* The queue is bounded. When it is full the caller gets OverloadedError at once.
* A caller that goes away does not stop the work it asked for: half a transaction helps nobody.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from sync.errors import BusyError

P = ParamSpec("P")
T = TypeVar("T")


class OverloadedError(BusyError):
    """More is waiting than a worker's queue may hold. Try again later."""


class Worker:
    """One thread with a bounded queue. Close it from the loop that used it."""

    def __init__(self, name: str, *, limit: int = 256) -> None:
        self._name = name
        self._limit = limit
        self._waiting = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"chaski-{name}")

    @property
    def waiting(self) -> int:
        """Calls that have not ended, the running one included."""
        return self._waiting

    def make(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `call`, but waits: for building what the thread will own, before the loop runs."""
        return self._thread.submit(function, *args, **kwargs).result()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises, run in the worker's thread.

        Raises OverloadedError when `limit` calls are waiting.
        """
        if self._waiting >= self._limit:
            raise OverloadedError(
                f"{self._waiting} requests wait for {self._name}",
                hint="the hub is busy; try again in a minute",
            )
        self._waiting += 1
        future = self._thread.submit(function, *args, **kwargs)
        wrapped = asyncio.wrap_future(future)
        wrapped.add_done_callback(self._ended)
        # Shielded: cancelling the caller must not take the call out of the queue unseen.
        return await asyncio.shield(wrapped)

    def _ended(self, future: "asyncio.Future[T]") -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # seen, even when the caller has gone

    async def close(self) -> None:
        """Ends the thread after the calls that were accepted."""
        await asyncio.to_thread(self._thread.shutdown, wait=True)
