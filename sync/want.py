"""Want: what a node that has only Kafka asks for, and where the hub says that it lies.

* A want is a few bytes on the topic `up` and carries no signature: it can cost the hub what its
  own bounds allow, and nobody else anything. What comes of it is judged like any other bytes.
* An answer is a few bytes on the topic `answers`, under the want's key; who asks nothing never
  reads that topic.

FORMAT.md, "Kafka", has the bytes.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from sync.announcement import short
from sync.bundle.header import MAX_OBJECT_BYTES
from sync.canonical import Digest, decode, encode, parse_digest
from sync.errors import ContentError

MAGIC = b"CHW1"
MAX_BYTES = 1024
"""Of a want, and of an answer."""
OBJECT_CHUNK_BYTES = 65536
"""One record of an object; the last may be shorter."""


class Want(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle to `target` from `base` (None: the whole), or one object."""

    channel: Annotated[str, Meta(max_length=80)]
    target: Digest | None = None
    base: Digest | None = None
    object: Digest | None = None

    @property
    def key(self) -> str:
        """What its answer is filed under."""
        return f"object/{self.object}" if self.object else f"{self.channel}/{short(self.base)}"

    @property
    def name(self) -> Digest:
        """The digest that the answer must be about."""
        name = self.object or self.target
        assert name is not None
        return name


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it lies in the topic of bundles: the first record. None: the hub has no such thing."""

    name: Digest
    at: Annotated[int, Meta(ge=0, lt=2**53)] | None
    size: Annotated[int, Meta(ge=0, le=2**31)] = 0
    """Bytes of a bundle or an object."""


def object_key(name: Digest, number: int) -> str:
    """The key of record `number` (from 0) of an object."""
    return f"object/{name[:16]}/{number}"


def want_to_bytes(want: Want) -> bytes:
    """The value of the record in `up`."""
    return MAGIC + encode(want)


def want_from_bytes(data: bytes) -> Want:
    """Raises ContentError when `data` asks for nothing that can be given."""
    if not data.startswith(MAGIC):
        raise ContentError("no want of version 1", hint="the node may be newer than this hub")
    want = decode(data[len(MAGIC) :], Want, limit=MAX_BYTES, what="want")
    if (want.object is None) == (want.target is None) or (want.object and want.base):
        raise ContentError("a want for a bundle and an object, or for neither")
    for name in (want.object, want.target, want.base):
        if name is not None:
            parse_digest(name)
    return want


def answer_to_bytes(answer: Answer) -> bytes:
    """The value of the record in `answers`."""
    return encode(answer)


def answer_from_bytes(data: bytes) -> Answer:
    """Raises ContentError when `data` is no answer."""
    answer = decode(data, Answer, limit=MAX_BYTES, what="answer")
    parse_digest(answer.name)
    return answer


def object_fits(answer: Answer) -> int:
    """How many records the object of `answer` has. Raises ContentError when it is too large."""
    if answer.size > MAX_OBJECT_BYTES:
        raise ContentError(f"an object of {answer.size:,} bytes")
    return -(-answer.size // OBJECT_CHUNK_BYTES)
