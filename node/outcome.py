"""Outcome: what one sync did, as a value that is kept, shown and counted."""

import errno
from typing import Literal

import msgspec

from sync.canonical import decode, encode
from sync.errors import ChaskiError, ContentError, SpaceError, TransportError, TrustError
from sync.transport.rationed import SpentError

OutcomeKind = Literal[
    "current", "updated", "partial", "paused", "held", "refused", "unreachable", "damaged", "full"
]
MAX_OUTCOME_BYTES = 64 * 1024


class PausedError(TransportError):
    """Somebody said to wait."""


class Outcome(msgspec.Struct, frozen=True):
    """What one sync did.

    `current`: nothing new. `updated`: a new version is served. `partial`: a new version is served
    as far as the budget allowed, or waits for more of it. `paused`: somebody said to wait.
    `held`: the newest version was rolled back from here and waits for a newer one. `refused`: a
    rule of trust said no. `unreachable`: the road failed. `damaged`: what came, or what is here,
    does not fit, even as a whole. `full`: no space. In all but `updated` the old version stays,
    with what came in part of the new one.
    """

    kind: OutcomeKind
    at: float
    """Unix seconds when the sync ended."""
    from_version: int
    """0: nothing was installed."""
    to_version: int
    """The newest version that is here whole afterwards."""
    bytes_down: int
    full_size: int
    """Bytes of the whole channel; 0 when not known."""
    seconds: float
    message: str
    """One line in English for operators."""
    hint: str = ""
    offered_version: int = 0
    """What the hub has, believed; 0 when it was not heard."""
    rule: str = ""
    """Which rule of trust said no (`sync.verdict.Rule`), when one did."""
    carried: dict[str, int] = {}
    """Bytes of payload by the road that brought them."""

    @property
    def good(self) -> bool:
        """True when all is as the hub, or the operator of this node, wants it."""
        return self.kind in ("current", "updated", "partial", "paused", "held")


_ERRORS: dict[OutcomeKind, type[ChaskiError]] = {
    "refused": TrustError,
    "unreachable": TransportError,
    "damaged": ContentError,
    "full": SpaceError,
}


def error_of(outcome: Outcome) -> ChaskiError | None:
    """What a program that was asked to sync must raise; None when all is well."""
    kind = _ERRORS.get(outcome.kind)
    return kind(outcome.message, outcome.hint) if kind else None


def kind_of(error: Exception) -> OutcomeKind:
    """What a sync that ended in `error` is called."""
    if isinstance(error, TrustError):
        return "refused"
    if isinstance(error, SpentError):
        return "partial"
    if isinstance(error, PausedError):
        return "paused"
    if isinstance(error, TransportError):
        return "unreachable"
    if isinstance(error, SpaceError) or getattr(error, "errno", None) in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
    ):
        return "full"
    return "damaged"


def to_bytes(outcome: Outcome) -> bytes:
    """As it is kept."""
    return encode(outcome)


def from_bytes(data: bytes) -> Outcome:
    """Raises ContentError when `data` is not an outcome."""
    return decode(data, Outcome, limit=MAX_OUTCOME_BYTES, what="sync outcome")
