"""The stream: what the caller of a request reads while the engine writes.

* The engine's thread is the only writer of a Stream; one consumer reads it, by `for` in a
  thread or by `async for` in an event loop.
* A consumer that leaves its loop early (a closed tab) cancels the request.
* The last Piece has `done` and the reason:
  "end" the model ended its text, "stop" a stop string came, "length" max_tokens or the context
  is used up, "deadline", "cancelled" (also when the engine closes).
  A request that failed has no last Piece: its reader gets the ModelError.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from models.errors import ModelError

Reason = Literal["", "stop", "length", "cancelled", "deadline", "end", "failed"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of an answer, whole characters; the last one says why it ends."""

    text: str
    done: bool = False
    reason: Reason = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    text: str
    tokens: int
    reason: Reason


class Stream:
    """The answer to one request as it is written."""

    def __init__(self, cancel: Callable[[], None], position: Callable[[], int]) -> None:
        self._cancel = cancel
        self._position = position
        self._changed = threading.Condition()
        self._pieces: deque[Piece] = deque()
        self._closed = False
        self._error: ModelError | None = None
        self._wake: Callable[[], None] | None = None
        self.tokens = 0
        """Tokens written so far."""

    @property
    def position(self) -> int:
        """Place in the queue, 1 for the next to run; 0 once it runs or has ended."""
        return self._position()

    def cancel(self) -> None:
        """Give the request up; the stream ends with the reason "cancelled"."""
        self._cancel()

    def completion(self) -> Completion:
        """Wait for the whole answer.

        Raises:
            ModelError: the engine failed.
        """
        pieces = list(self)
        return Completion("".join(p.text for p in pieces), self.tokens, pieces[-1].reason)

    def __iter__(self) -> Iterator[Piece]:
        """The pieces, blocking. Raises ModelError when the engine failed."""
        try:
            while (piece := self._wait()) is not None:
                yield piece
        finally:
            self.cancel()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """The pieces, in an event loop. Raises ModelError when the engine failed."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        with self._changed:
            self._wake = lambda: _wake(loop, ready)
        try:
            while True:
                ready.clear()
                with self._changed:
                    piece, ended = self._take()
                if piece is not None:
                    yield piece
                elif ended:
                    return
                else:
                    await ready.wait()
        finally:
            self.cancel()

    def put(self, piece: Piece) -> None:
        """The engine's side: add a piece; the one that is `done` closes the stream."""
        self._change(piece, None)

    def fail(self, error: ModelError) -> None:
        """The engine's side: close the stream with an error."""
        self._change(None, error)

    def _change(self, piece: Piece | None, error: ModelError | None) -> None:
        with self._changed:
            if piece is not None:
                self._pieces.append(piece)
            self._error = error
            self._closed = error is not None or (piece is not None and piece.done)
            wake = self._wake
            self._changed.notify_all()
        if wake is not None:
            wake()

    def _wait(self) -> Piece | None:
        with self._changed:
            while True:
                piece, ended = self._take()
                if piece is not None or ended:
                    return piece
                self._changed.wait()

    def _take(self) -> tuple[Piece | None, bool]:
        """The next piece if there is one, and whether no more will come."""
        if self._pieces:
            return self._pieces.popleft(), False
        if self._error is not None:
            raise self._error
        return None, self._closed


def _wake(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the consumer's loop has closed; nobody listens
        loop.call_soon_threadsafe(ready.set)
