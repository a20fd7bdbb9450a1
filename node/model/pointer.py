"""Pointer: which edition of a model is used, and what is known of the others. Pure values.

* `current` None is the model that ships with the program; so is `previous` None.
* A switch begins a trial. Until the trial is over every start counts as a boot and any failure
  leads back; when it is over, only failing again does.
* What was left for a reason is refused: it is not tried again unless a person says so.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from models.edition import Edition
from models.store import NAME

SHIPPED = "shipped"
"""Stands for the id of the shipped model."""
MAX_BOOTS = 3
MAX_TESTS = 3
MAX_REFUSED = 16
MAX_DETAIL = 400  # characters

Why = Literal[
    "answer", "crash", "slow", "memory", "invalid",  # the self-test
    "damaged", "open", "engine", "boots", "hand",  # what came after
]  # fmt: skip
ChangeKind = Literal["switched", "refused", "rolled_back"]
Id = Annotated[str, Meta(min_length=1, max_length=40)]
Short = Annotated[str, Meta(max_length=MAX_DETAIL)]


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The current edition has yet to prove itself. `since` Unix seconds."""

    since: float
    boots: Annotated[int, Meta(ge=0)] = 0
    """Starts with it that did not end in order."""


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A self-test that was begun, and how often; so that one that fells the machine ends."""

    edition: Id
    tries: Annotated[int, Meta(ge=1)]


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edition that is not tried again, and why."""

    edition: Id
    version: Short
    why: Why
    detail: Short
    at: float


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last thing that happened; `why` is empty for a switch."""

    kind: ChangeKind
    from_version: Short
    to_version: Short
    """What was switched to, refused, or gone back to."""
    at: float
    why: Literal[""] | Why = ""
    detail: Short = ""


class Pointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it, for one model name."""

    name: Annotated[str, Meta(pattern=NAME)]
    current: Edition | None = None
    previous: Edition | None = None
    trial: Trial | None = None
    attempt: Attempt | None = None
    refused: Annotated[tuple[Refusal, ...], Meta(max_length=MAX_REFUSED)] = ()
    last: Change | None = None
    format: Literal[1] = 1

    def refusal(self, edition: str) -> Refusal | None:
        """Why the edition with this id is not tried."""
        return next((one for one in self.refused if one.edition == edition), None)


def id_of(edition: Edition | None) -> str:
    """Its id; None is the shipped one."""
    return edition.id if edition else SHIPPED


def version_of(edition: Edition | None) -> str:
    """What people read."""
    return edition.version if edition else SHIPPED


def begin_test(pointer: Pointer, edition: Edition) -> Pointer:
    """One more self-test of `edition` begins."""
    held = pointer.attempt
    tries = held.tries + 1 if held and held.edition == edition.id else 1
    return replace(pointer, attempt=Attempt(edition.id, tries))


def end_test(pointer: Pointer) -> Pointer:
    """The self-test ended, or was given up in order."""
    return replace(pointer, attempt=None)


def switch(pointer: Pointer, edition: Edition | None, at: float) -> Pointer:
    """`edition` is used from now on, on trial. What has proven itself last is kept behind it."""
    before = pointer.previous if pointer.trial else pointer.current
    change = Change("switched", version_of(pointer.current), version_of(edition), at)
    return replace(
        allow(pointer, id_of(edition)),
        current=edition, previous=before, trial=Trial(at), attempt=None, last=change,
    )  # fmt: skip


def refuse(pointer: Pointer, edition: Edition | None, why: Why, detail: str, at: float) -> Pointer:
    """`edition` is not used, nor tried again."""
    change = Change(
        "refused", version_of(pointer.current), version_of(edition), at, why, detail[:MAX_DETAIL]
    )
    return replace(
        pointer, attempt=None, refused=_with(pointer, edition, why, detail, at), last=change
    )


def back(pointer: Pointer, why: Why, detail: str, at: float) -> Pointer:
    """The edition before is used again; the one left is refused. From the shipped one with
    nothing before it there is no way back: then only the trial ends."""
    if pointer.current is None and pointer.previous is None:
        return replace(pointer, trial=None)
    change = Change(
        "rolled_back", version_of(pointer.current), version_of(pointer.previous), at, why,
        detail[:MAX_DETAIL],
    )  # fmt: skip
    refused = _with(pointer, pointer.current, why, detail, at)
    return replace(
        pointer, current=pointer.previous, previous=None, trial=None, attempt=None,
        refused=tuple(one for one in refused if one.edition != id_of(pointer.previous)),
        last=change,
    )  # fmt: skip


def boot(pointer: Pointer, at: float) -> Pointer:
    """A program that will use the model starts."""
    trial = pointer.trial
    if trial is None:
        return pointer
    if trial.boots >= MAX_BOOTS:
        detail = f"the program ended {trial.boots} times while this model was on trial"
        return back(pointer, "boots", detail, at)
    return replace(pointer, trial=replace(trial, boots=trial.boots + 1))


def rest(pointer: Pointer) -> Pointer:
    """The program ends in order: this start is no sign of anything."""
    trial = pointer.trial
    if trial is None or trial.boots == 0:
        return pointer
    return replace(pointer, trial=replace(trial, boots=trial.boots - 1))


def prove(pointer: Pointer) -> Pointer:
    """The trial is over."""
    return replace(pointer, trial=None)


def fail(pointer: Pointer, detail: str, at: float) -> Pointer:
    """The engine stopped while it answered: on trial the way back, else on trial again."""
    if pointer.trial:
        return back(pointer, "engine", detail, at)
    return replace(pointer, trial=Trial(at, boots=1))


def allow(pointer: Pointer, edition: str) -> Pointer:
    """The edition with this id may be tried again."""
    kept = tuple(one for one in pointer.refused if one.edition != edition)
    return replace(pointer, refused=kept)


def _with(
    pointer: Pointer, edition: Edition | None, why: Why, detail: str, at: float
) -> tuple[Refusal, ...]:
    made = Refusal(id_of(edition), version_of(edition), why, detail[:MAX_DETAIL], at)
    kept = tuple(one for one in pointer.refused if one.edition != made.edition)
    return (*kept, made)[-MAX_REFUSED:]
