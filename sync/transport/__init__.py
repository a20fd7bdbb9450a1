"""Roads: who gives bytes (Source) and who takes them (Sink), over whatever there is.

* They move bytes and judge none of them: no signature, no digest. Only an offer is read,
  to see that it answers the question.
* A road that fails is a TransportError and may be tried again; one that answered and said
  no is a RefusedError and need not be.
* `chunks` gives bytes as they arrive, so that an interruption loses none of them; ending
  before `stop` without an error is against the contract.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from sync.bundle.offer import Offer, offer_from_bytes
from sync.canonical import Digest, parse_digest
from sync.errors import ContentError, TransportError

MAX_SMALL_BYTES = 1024 * 1024
"""No head or root is longer."""

_CHANNEL = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")


class RefusedError(TransportError):
    """The other side answered, and asking again will not change the answer."""


class Source(Protocol):
    """The end of a road that gives. Every method raises TransportError."""

    async def head(self, channel: str) -> bytes:
        """The signed head of `channel`."""
        ...

    async def root(self, number: int) -> bytes | None:
        """Version `number` of the root metadata; None past the last."""
        ...

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """The offer of the bundle from `base` to `target`; None where there is none."""
        ...

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """The digests of the objects in that bundle; None where they are not told."""
        ...

    def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes of `bundle` from `start` up to `stop`, as they arrive.

        It may be the digest of an object too: that is how a long one is fetched whole.
        """
        ...

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """The same, all or nothing."""
        ...

    async def object(self, name: Digest) -> bytes:
        """One object whole, of at most MAX_WHOLE_BYTES."""
        ...


class Sink(Protocol):
    """The end of a road that takes. True: stored; False: it was there already."""

    async def samples(self, block: bytes) -> bool:
        """Hands over one sealed block of samples."""
        ...

    async def events(self, block: bytes) -> bool:
        """Hands over one sealed block of events."""
        ...


class Journey(Protocol):
    """What a road that is travelled in sessions has besides: a place, and an end."""

    @property
    def place(self) -> bytes | None:
        """Where it stands; to be stored with what was made of the head it gave last."""
        ...

    def settled(self) -> None:
        """That was done: the head was believed and the place is stored."""
        ...

    async def rest(self) -> None:
        """Disconnects until the next question."""
        ...


def slug(channel: str) -> str:
    """`channel` as part of an address. Raises ContentError when it could be anything else."""
    if len(channel) > 80 or not _CHANNEL.match(channel):
        raise ContentError(f"not a channel: {channel[:80]!r}")
    return channel


def base_name(base: Digest | None) -> str:
    """`base` as part of an address."""
    return parse_digest(base) if base else "none"


async def gathered(pieces: AsyncIterator[bytes]) -> bytes:
    """All of `pieces`, joined."""
    return b"".join([piece async for piece in pieces])


def answered(data: bytes, channel: str, base: Digest | None, target: Digest) -> Offer:
    """The offer that `data` is. Raises ContentError when it is for another question."""
    offer = offer_from_bytes(data)
    if (offer.channel, offer.base, offer.target) != (channel, base, target):
        raise ContentError(
            f"offer {offer.bundle[:12]} is for another version than was asked for",
            hint="the hub or the stick is wrong; another road may help",
        )
    return offer
