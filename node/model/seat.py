"""Seat: the engine that answers now, and how another takes its place.

* Who wants an answer is lent the engine for as long as it takes to ask. Answers that are being
  written are finished by the engine that began them.
* `see_out` waits for those, within a bound, and closes an engine that sits no longer.
* Figures that only grow are those of all engines that ever sat here.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import EngineStats

TICK_SECONDS = 0.05
"""How often a leaving engine is asked whether it is done."""


class Sitter(Protocol):
    """The part of `models.engine.Engine` that is exchanged."""

    def stats(self) -> "EngineStats":
        """How busy it is."""
        ...

    def close(self) -> None:
        """Ends it, and every request that is left."""
        ...


E = TypeVar("E")
S = TypeVar("S", bound=Sitter)


class Seat(Generic[E]):
    """Holds one engine or none. Safe from any thread."""

    def __init__(self, engine: E | None = None) -> None:
        self._changed = threading.Condition()
        self._engine = engine
        self._lent: dict[int, int] = {}

    @property
    def engine(self) -> E | None:
        """Who sits there now. To look at; who asks it something borrows it."""
        return self._engine

    @contextmanager
    def lend(self) -> Iterator[E | None]:
        """The engine; it is not closed while it is lent."""
        with self._changed:
            engine = self._engine
            self._lent[id(engine)] = self._lent.get(id(engine), 0) + 1
        try:
            yield engine
        finally:
            with self._changed:
                self._lent[id(engine)] -= 1
                if not self._lent[id(engine)]:
                    del self._lent[id(engine)]
                self._changed.notify_all()

    def put(self, engine: E | None) -> E | None:
        """Sits `engine` down; who sat there before, to be seen out."""
        with self._changed:
            before, self._engine = self._engine, engine
            return before

    def returned(self, engine: E, seconds: float) -> bool:
        """Waits until nobody has borrowed `engine`, at most `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: id(engine) not in self._lent, seconds)


class Tally:
    """The figures of the engine that sits now, and of those before it."""

    def __init__(self, sits: Callable[[], Sitter | None]) -> None:
        self._sits = sits
        self._leaving: tuple[Sitter, ...] = ()
        self._gone: EngineStats | None = None

    def stats(self) -> "EngineStats | None":
        """Busy as the engine now, totals of all; None before the first engine."""
        total = self._gone
        now = self._sits()
        for engine in (*self._leaving, *((now,) if now else ())):
            stats = engine.stats()
            total = _sum(total, stats) if total else stats
        return total

    def leaves(self, engine: Sitter) -> None:
        """`engine` sits no longer and writes its last answers."""
        self._leaving = (*self._leaving, engine)

    def left(self, engine: Sitter) -> None:
        """Keeps the totals of an engine that is closed next."""
        last = replace(engine.stats(), active=0, waiting=0)
        self._leaving = tuple(one for one in self._leaving if one is not engine)
        self._gone = _sum(self._gone, last) if self._gone else last


def see_out(
    seat: Seat[S], engine: S, seconds: float, stop: threading.Event, left: Callable[[S], None]
) -> None:
    """Closes `engine`, which sits no longer, when its answers are written: after `seconds`, or
    once `stop` is set, in any case."""
    seat.returned(engine, seconds)
    ticks = int(seconds / TICK_SECONDS)
    for _ in range(ticks):
        stats = engine.stats()
        if not (stats.active or stats.waiting) or stop.wait(TICK_SECONDS):
            break
    left(engine)
    engine.close()


def _sum(one: "EngineStats", other: "EngineStats") -> "EngineStats":
    """Totals added, all else as in `other`."""
    added: dict[str, object] = {}
    for field in fields(one):
        if field.name.endswith("_total"):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if isinstance(a, Mapping):
                added[field.name] = {key: a.get(key, 0) + b.get(key, 0) for key in {*a, *b}}
            else:
                added[field.name] = a + b
    return replace(other, **added)  # type: ignore[arg-type]
