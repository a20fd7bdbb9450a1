"""One request as the scheduler sees it: how long it is, whose, and how far it has come."""

from dataclasses import dataclass
from typing import Literal, get_args

Priority = Literal["pupil", "teacher", "batch"]
"""Who waits for the answer: a child, a teacher, or nobody (drafts, files of prompts)."""
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
Dropped = Literal["cancelled", "deadline"]


@dataclass(eq=False, slots=True)
class Ticket:
    """A request's numbers. Its owner is the scheduler."""

    number: int
    """Counts up: a smaller number came earlier."""
    prompt: int
    """Tokens of the prompt, at least one."""
    answer: int = 1
    """Tokens it may write, at least one."""
    deadline: float | None = None
    """In seconds of the caller's clock."""
    priority: Priority = "pupil"
    client: str = ""
    """Who asks; requests of one client take turns with those of others. Empty: unknown."""
    round: int = 0
    """Its turn among the requests of its class; see the line."""
    written: int = 0
    """Tokens of the answer so far."""
    cached: int = 0
    """Tokens whose keys and values are in the slot."""
    slot: int = -1
    sure: bool = False
    """It gives its slot to nobody."""
    cancelled: bool = False
    finished: bool = False

    @property
    def rank(self) -> int:
        """Its class as a number; smaller goes first."""
        return PRIORITIES.index(self.priority)

    @property
    def rows(self) -> int:
        """Places in a slot that it needs; nobody reads on after the last token."""
        return self.prompt + self.answer - 1

    @property
    def reads(self) -> int:
        """Tokens to read before it writes on: the prompt, and what it wrote before it lost its
        slot, but for the last token, which the next turn reads."""
        return self.prompt + max(self.written - 1, 0)

    @property
    def reading(self) -> bool:
        """Not all of that is in the slot yet."""
        return self.cached < self.reads

    def yields_to(self, other: "Ticket") -> bool:
        """Whether it gives its slot to `other`."""
        return self.rank > other.rank and not self.sure

    def dropped(self, now: float) -> Dropped | None:
        """Why it is not to run any more."""
        if self.cancelled:
            return "cancelled"
        return "deadline" if self.deadline is not None and now >= self.deadline else None
