"""The scheduler: slots, rows, chunked prefill, batched decode. Pure: no clock, thread or model.

* Who waits, and who is next, is the line's business (`line`).
* One sequence at a time reads, `chunk` tokens a step; in the same step every other running
  sequence gets a token or more. So nobody waits for a long prompt, and a prompt of n tokens is
  read in ceil(n / chunk) steps whatever the load.
* The cuts of a prompt depend on the prompt alone, so its logits do too. What is held of it
  elsewhere (`held`) is taken over in whole chunks, and one token at least is read.
* A sequence starts when a slot is free and `rows` leaves room for its prompt and its longest
  answer: what has begun to speak never lacks memory. For one of a better class, those of
  worse classes give up their slots, the latest first; they keep what they wrote, and read it
  again when their turn comes.
* Slots stay packed: those that decode hold slots 0..n-1, the one that reads holds n. When
  one leaves, the last moves into its place.
* A Plan is carried out whole, then `wrote` and `finish` tell what came of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from models.engine.line import Line
from models.engine.ticket import Dropped, Ticket

MAX_DRAFT = 15
"""Tokens a sequence may guess in one step: sixteen rows with the one it has."""


@dataclass(frozen=True, slots=True)
class Move:
    """Copy the first `length` tokens of one slot to another. In order."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Load:
    """Copy the first `length` tokens of request `number`, held elsewhere, into `slot`."""

    number: int
    slot: int
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Read tokens [start, stop) of request `number` into `slot`."""

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
    draft: int = 0
    """Tokens that may be guessed and checked beside it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One step."""

    dropped: tuple[tuple[int, Dropped], ...] = ()
    preempted: tuple[int, ...] = ()
    moves: tuple[Move, ...] = ()
    load: Load | None = None
    chunk: Chunk | None = None
    turns: tuple[Turn, ...] = ()
    """Turn i is of slot i."""
    used: int = 0
    """Slots from here on hold nothing that is needed."""


class Scheduler:
    """The line and the slots. Not thread-safe: its owner holds a lock."""

    def __init__(self, slots: int, queue_limit: int, chunk: int, rows: int) -> None:
        if min(slots, queue_limit, chunk, rows) < 1:
            raise ValueError(
                f"slots {slots}, queue_limit {queue_limit}, chunk {chunk}, rows {rows}"
            )
        self._slots = slots
        self._chunk = chunk
        self._rows = rows
        self._line = Line(queue_limit)
        self._running: list[Ticket] = []

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self._line)

    @property
    def active(self) -> int:
        """Requests in a slot."""
        return sum(not ticket.finished for ticket in self._running)

    @property
    def rows(self) -> int:
        """Rows of the slots that are promised to those that run."""
        return sum(ticket.rows for ticket in self._running if not ticket.finished)

    def submit(self, ticket: Ticket) -> None:
        """Queue a new request.

        Raises:
            Overloaded: the line is full; the ticket is not queued.
            ValueError: it would never fit.
        """
        if ticket.rows > self._rows:
            raise ValueError(f"request {ticket.number} needs {ticket.rows} of {self._rows} rows")
        self._line.join(ticket, [t for t in self._running if not t.finished])

    def position(self, number: int) -> int:
        """Place in the line, 1 for the next to run; 0 once it runs or is gone."""
        return self._line.position(number)

    def cancel(self, number: int) -> None:
        """The next plan drops request `number`, if it is still there."""
        for ticket in self._tickets(number):
            ticket.cancelled = True

    def wrote(self, number: int, tokens: int) -> None:
        """Request `number` has written `tokens` more; all but the last are in its slot."""
        for ticket in self._tickets(number):
            ticket.written += tokens
            ticket.cached = ticket.reads

    def finish(self, number: int) -> None:
        """Request `number` has its answer; its slot is free in the next plan."""
        for ticket in self._tickets(number):
            ticket.finished = True

    def plan(self, now: float, held: Callable[[int], int] = lambda number: 0) -> Plan:
        """Decide one step at time `now`.

        `held` tells how many tokens of a request's prompt could be copied instead of read.
        """
        self._running = [ticket for ticket in self._running if not ticket.finished]
        dropped = tuple(self._drop(now))
        newcomer, preempted = self._admit()
        moves = self._pack()
        turns = tuple(self._turns())
        load = None if newcomer is None else self._take(newcomer, held(newcomer.number))
        readers = [ticket for ticket in self._running if ticket.reading]
        chunk = self._read(readers[0]) if readers else None
        gone = tuple(ticket.number for ticket in preempted)
        return Plan(dropped, gone, moves, load, chunk, turns, len(self._running))

    def _tickets(self, number: int) -> list[Ticket]:
        return [t for t in (*self._running, *self._line) if t.number == number]

    def _drop(self, now: float) -> Iterable[tuple[int, Dropped]]:
        everybody = (*self._running, *self._line)
        reasons = [(t, reason) for t in everybody if (reason := t.dropped(now)) is not None]
        gone = [ticket for ticket, _ in reasons]
        self._running = [ticket for ticket in self._running if ticket not in gone]
        self._line.leave(gone)
        return [(ticket.number, reason) for ticket, reason in reasons]

    def _admit(self) -> tuple[Ticket | None, list[Ticket]]:
        """Who starts, and who gives up a slot for that."""
        first = self._line.first()
        if first is None:
            return None, []
        reader = next((ticket for ticket in self._running if ticket.reading), None)
        if reader is not None and not reader.yields_to(first):
            return None, []
        victims = [] if reader is None else [reader]
        weak = [t for t in self._running if t.yields_to(first) and t is not reader]
        weak.sort(key=lambda ticket: (ticket.rank, ticket.number))
        while not self._fits(first, victims):
            if not weak:
                return None, []
            victims.append(weak.pop())
        self._line.start(first)
        for ticket in victims:
            self._running.remove(ticket)
            ticket.slot, ticket.cached = -1, 0
            self._line.come_back(ticket)
        self._running.append(first)
        return first, victims

    def _fits(self, newcomer: Ticket, victims: list[Ticket]) -> bool:
        staying = [ticket for ticket in self._running if ticket not in victims]
        rows = sum(ticket.rows for ticket in staying) + newcomer.rows
        return len(staying) < self._slots and rows <= self._rows

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
                if ticket.cached:
                    moves.append(Move(ticket.slot, target, ticket.cached))
                ticket.slot = target
        self._running.sort(key=lambda ticket: ticket.slot)
        return tuple(moves)

    def _turns(self) -> Iterable[Turn]:
        """All guesses of one step together are no more than a chunk."""
        decoders = [ticket for ticket in self._running if not ticket.reading]
        for ticket in decoders:
            left = ticket.rows - ticket.cached - 1
            draft = min(MAX_DRAFT, self._chunk // len(decoders), left)
            yield Turn(ticket.number, ticket.cached, max(draft, 0))

    def _take(self, newcomer: Ticket, held: int) -> Load | None:
        """Take over whole chunks; the last token of the prompt is always read."""
        most = (newcomer.prompt - 1) // self._chunk * self._chunk
        newcomer.cached = min(held // self._chunk * self._chunk, most)
        if not newcomer.cached:
            return None
        return Load(newcomer.number, newcomer.slot, newcomer.cached)

    def _read(self, ticket: Ticket) -> Chunk:
        start = ticket.cached
        border = ticket.prompt if start < ticket.prompt else ticket.reads
        ticket.cached = min(start + self._chunk, border)
        last = ticket.cached == ticket.prompt and not ticket.written
        return Chunk(ticket.number, ticket.slot, start, ticket.cached, last)
