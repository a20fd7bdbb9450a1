"""Choice: what should be done about the model now. Pure.

The channel's edition is used where it carries the model, else the shipped one; what is refused
is not tried. A channel that carries the very version that ships costs no copy.
"""

from dataclasses import dataclass

from models.edition import Edition
from node.model.pointer import Pointer, id_of


@dataclass(frozen=True, slots=True)
class Stay:
    """All is as it should be, or nothing better may be tried."""


@dataclass(frozen=True, slots=True)
class Try:
    """Place this edition, test it, switch to it; None: switch to the shipped one."""

    edition: Edition | None


def choose(pointer: Pointer, carried: Edition | None, shipped: str | None) -> Stay | Try:
    """`shipped`: version of the shipped model that can be opened; None: there is none."""
    wanted = carried
    if carried and shipped == carried.version:
        wanted = None
    if wanted is None and shipped is None:
        return Stay()
    if id_of(wanted) == id_of(pointer.current) or pointer.refusal(id_of(wanted)):
        return Stay()
    return Try(wanted)


def first_of(pointer: Pointer) -> tuple[Edition | None, ...]:
    """What may be opened, the best first; None is the shipped one."""
    wanted = (pointer.current, pointer.previous, None)
    return tuple({id_of(edition): edition for edition in wanted}.values())
