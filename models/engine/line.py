"""The waiting line: whose turn it is. Pure.

* Pupils go before teachers, teachers before batches. In each class at most `limit` wait; one
  more is Overloaded.
* Within a class: first come, first served, and clients take turns. Who has a request running
  or waiting stands, with the next one, behind all who came in the meantime.
* Nobody starves: every PATIENCE-th turn belongs to the request that came first of all,
  whatever its class and client, and what starts in such a turn is not pre-empted.
* Who lost a slot comes back to the place that its number gives it, also into a full line.
"""

from collections.abc import Iterable, Iterator

from models.engine.ticket import PRIORITIES, Ticket
from models.errors import Overloaded

PATIENCE = 8
"""Turns. A batch gets at least one in eight, however many pupils ask."""


class Line:
    """Tickets that wait."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: list[Ticket] = []
        self._rounds = [0] * len(PRIORITIES)
        """By class: the latest round that has started."""
        self._turns = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._waiting)

    def join(self, ticket: Ticket, running: Iterable[Ticket]) -> None:
        """A new request comes; `running` are those that have a slot.

        Raises:
            Overloaded: too many of its class wait; it does not.
        """
        waiting = sum(other.rank == ticket.rank for other in self._waiting)
        if waiting >= self._limit:
            raise Overloaded(position=waiting + 1, limit=self._limit)
        own = [
            other.round + 1
            for other in (*self._waiting, *running)
            if ticket.client and (other.client, other.rank) == (ticket.client, ticket.rank)
        ]
        ticket.round = max([self._rounds[ticket.rank], *own])
        self._waiting.append(ticket)

    def come_back(self, ticket: Ticket) -> None:
        """A request has lost its slot."""
        self._waiting.append(ticket)

    def first(self) -> Ticket | None:
        """Whose turn it is."""
        if not self._waiting:
            return None
        if self._of_the_oldest:
            return min(self._waiting, key=lambda ticket: ticket.number)
        return min(self._waiting, key=_order)

    def start(self, ticket: Ticket) -> None:
        """`ticket`, the first, takes its turn."""
        ticket.sure = ticket.sure or self._of_the_oldest
        self._turns += 1
        self._rounds[ticket.rank] = max(self._rounds[ticket.rank], ticket.round)
        self._waiting.remove(ticket)

    def leave(self, gone: Iterable[Ticket]) -> None:
        """They do not wait any more."""
        left = {ticket.number for ticket in gone}
        self._waiting = [ticket for ticket in self._waiting if ticket.number not in left]

    def position(self, number: int) -> int:
        """Place of request `number`, 1 for the first; 0 when it does not wait."""
        order = [ticket.number for ticket in sorted(self._waiting, key=_order)]
        return order.index(number) + 1 if number in order else 0

    @property
    def _of_the_oldest(self) -> bool:
        return self._turns % PATIENCE == PATIENCE - 1


def _order(ticket: Ticket) -> tuple[int, int, int]:
    return ticket.rank, ticket.round, ticket.number
