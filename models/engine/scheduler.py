"""Who runs next: admission, chunked prefill, batched decode. Pure: no clock, thread or model.

* First come, first served. At most `queue_limit` wait; one more is Overloaded.
* One sequence at a time reads its prompt, `chunk` tokens a step; in the same step every other
  running sequence gets one token. So nobody waits for a long prompt, and a prompt of n tokens
  is read in ceil(n / chunk) steps whatever the load.
* The cuts of a prompt depend on the prompt alone, so its logits do too.
* Slots stay packed: those that decode hold slots 0..n-1, the one that reads holds n. When
  one leaves, the last moves into its place.
* A Plan is carried out whole, or the scheduler is of no more use.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from models.errors import Overloaded

Dropped = Literal["cancelled", "deadline"]


@dataclass(eq=False, slots=True)
class Ticket:
    """One request as the scheduler sees it."""

    number: int
    prompt: int
    """Tokens of the prompt, at least one."""
    deadline: float | None = None
    """In seconds of the caller's clock."""
    cached: int = 0
    """Tokens whose keys and values are in the slot."""
    slot: int = -1
    cancelled: bool = False
    finished: bool = False

    @property
    def reading(self) -> bool:
        """Its prompt is not in the slot yet."""
        return self.cached < self.prompt

    def dropped(self, now: float) -> Dropped | None:
        """Why it is not to run any more."""
        if self.cancelled:
            return "cancelled"
        return "deadline" if self.deadline is not None and now >= self.deadline else None


@dataclass(frozen=True, slots=True)
class Move:
    """Copy the first `length` tokens of one slot to another. In order."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Read prompt tokens [start, stop) of request `number` into `slot`."""

    number: int
    slot: int
    start: int
    stop: int
    last: bool
    """The prompt ends here: its logits give the first token."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One token more for request `number`, whose slot holds `length` tokens."""

    number: int
    length: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One step."""

    dropped: tuple[tuple[int, Dropped], ...] = ()
    moves: tuple[Move, ...] = ()
    chunk: Chunk | None = None
    turns: tuple[Turn, ...] = ()
    """Turn i is of slot i."""


class Scheduler:
    """The queue and the slots. Not thread-safe: its owner holds a lock."""

    def __init__(self, slots: int, queue_limit: int, chunk: int) -> None:
        if min(slots, queue_limit, chunk) < 1:
            raise ValueError(f"slots {slots}, queue_limit {queue_limit}, chunk {chunk}: all >= 1")
        self._slots = slots
        self._limit = queue_limit
        self._chunk = chunk
        self._waiting: deque[Ticket] = deque()
        self._running: list[Ticket] = []

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    @property
    def active(self) -> int:
        """Requests in a slot."""
        return sum(not ticket.finished for ticket in self._running)

    def submit(self, ticket: Ticket) -> None:
        """Queue a new request.

        Raises:
            Overloaded: the queue is full; the ticket is not queued.
        """
        if len(self._waiting) >= self._limit:
            raise Overloaded(position=len(self._waiting) + 1, limit=self._limit)
        self._waiting.append(ticket)

    def position(self, number: int) -> int:
        """Place in the queue, 1 for the next to run; 0 once it runs or is gone."""
        places = (i for i, ticket in enumerate(self._waiting, 1) if ticket.number == number)
        return next(places, 0)

    def cancel(self, number: int) -> None:
        """The next plan drops request `number`, if it is still there."""
        for ticket in (*self._waiting, *self._running):
            if ticket.number == number:
                ticket.cancelled = True

    def finish(self, number: int) -> None:
        """Request `number` has its answer; its slot is free in the next plan."""
        for ticket in self._running:
            if ticket.number == number:
                ticket.finished = True

    def plan(self, now: float) -> Plan:
        """Decide one step at time `now`."""
        self._running = [ticket for ticket in self._running if not ticket.finished]
        dropped = tuple(self._drop(now, (*self._running, *self._waiting)))
        moves = self._pack()
        readers = [ticket for ticket in self._running if ticket.reading]
        turns = tuple(self._turns())
        if not readers and self._waiting and len(self._running) < self._slots:
            readers = [self._admit()]
        chunk = self._read(readers[0]) if readers else None
        return Plan(dropped, moves, chunk, turns)

    def _drop(self, now: float, tickets: Iterable[Ticket]) -> Iterable[tuple[int, Dropped]]:
        reasons = [(t, reason) for t in tickets if (reason := t.dropped(now)) is not None]
        gone = {ticket.number for ticket, _ in reasons}
        self._running = [t for t in self._running if t.number not in gone]
        self._waiting = deque(t for t in self._waiting if t.number not in gone)
        return [(ticket.number, reason) for ticket, reason in reasons]

    def _pack(self) -> tuple[Move, ...]:
        """Fill the holes from the end: decoders first, then the one that reads."""
        decoders = [ticket for ticket in self._running if not ticket.reading]
        taken = {ticket.slot for ticket in decoders}
        holes = [slot for slot in range(len(decoders)) if slot not in taken]
        outside = [ticket for ticket in decoders if ticket.slot >= len(decoders)]
        readers = [ticket for ticket in self._running if ticket.reading]
        targets = [*holes, *range(len(decoders), len(self._running))]
        moves = []
        for ticket, target in zip([*outside, *readers], targets, strict=True):
            if ticket.slot != target:
                moves.append(Move(ticket.slot, target, ticket.cached))
                ticket.slot = target
        self._running.sort(key=lambda ticket: ticket.slot)
        return tuple(moves)

    def _turns(self) -> Iterable[Turn]:
        for ticket in self._running:
            if not ticket.reading:
                yield Turn(ticket.number, ticket.cached)
                ticket.cached += 1

    def _admit(self) -> Ticket:
        ticket = self._waiting.popleft()
        ticket.slot = len(self._running)
        self._running.append(ticket)
        return ticket

    def _read(self, ticket: Ticket) -> Chunk:
        start = ticket.cached
        ticket.cached = min(start + self._chunk, ticket.prompt)
        return Chunk(ticket.number, ticket.slot, start, ticket.cached, not ticket.reading)
