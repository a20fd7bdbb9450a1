"""Acknowledgements: which blocks the hub has, said on a stick, so that nodes may forget theirs.

* Signed by the key that signs timestamps: who carries a stick, or fills one of his own, cannot
  make a node drop what the hub never got.
* What is said stays true: an old stick says less, never anything wrong. There is no floor.
* Blocks are named by node, epoch and number; numbers of one epoch come as ranges.

FORMAT.md, "Directory", has the bytes.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from sync.canonical import decode, encode
from sync.errors import ContentError
from sync.transport.directory import MAX_ACKS_BYTES
from sync.trust import TrustedState

if TYPE_CHECKING:  # a node does not load what signs
    from sync.signing import Publisher

MAX_BYTES = MAX_ACKS_BYTES
MAX_NODES = 20_000
MAX_EPOCHS = 256
"""Of one node, the newest."""
MAX_RANGES = 4096
"""Of one epoch."""
PREFIX = b"chaski acknowledgements 1\n"
"""Comes before the bytes that are signed, so that they are nothing else that this key signs."""

Number = Annotated[int, Meta(ge=0, lt=2**53)]
Ranges = Annotated[tuple[tuple[Number, Number], ...], Meta(max_length=MAX_RANGES)]
Epochs = Annotated[dict[str, Ranges], Meta(max_length=MAX_EPOCHS)]


class Acks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The blocks that a hub has, by node and epoch: ranges of numbers, both ends included."""

    channel: Annotated[str, Meta(max_length=80)]
    at: Number
    """Unix seconds."""
    nodes: Annotated[dict[str, Epochs], Meta(max_length=MAX_NODES)]

    def has(self, node: str, epoch: str, seq: int) -> bool:
        """True when the hub has this block."""
        ranges = self.nodes.get(node, {}).get(epoch, ())
        return any(first <= seq <= last for first, last in ranges)


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    acks: Acks
    signatures: Annotated[dict[str, str], Meta(max_length=8)]


def acks(channel: str, at: int, blocks: Iterable[tuple[str, str, int]]) -> Acks:
    """Acknowledges `blocks` (node, epoch, number), each epoch from the newest on that is named."""
    numbers: dict[str, dict[str, set[int]]] = {}
    for node, epoch, seq in blocks:
        if node in numbers or len(numbers) < MAX_NODES:
            epochs = numbers.setdefault(node, {})
            if epoch in epochs or len(epochs) < MAX_EPOCHS:
                epochs.setdefault(epoch, set()).add(seq)
    return Acks(
        channel,
        at,
        {
            node: {epoch: _ranges(found) for epoch, found in epochs.items()}
            for node, epochs in numbers.items()
        },
    )


def to_bytes(value: Acks, signing: "Publisher") -> bytes:
    """The file. Raises SettingsError when the key is missing, ContentError when it is too long."""
    data = encode(_Signed(value, signing.vouch("timestamp", PREFIX + encode(value))))
    if len(data) > MAX_BYTES:
        raise ContentError(f"acknowledgements of {len(data):,} bytes")
    return data


def from_bytes(data: bytes, state: TrustedState) -> Acks:
    """Raises ContentError, and TrustError when no key of the hub's signed them."""
    found = decode(data, _Signed, limit=MAX_BYTES, what="acknowledgements")
    signatures: Mapping[str, str] = found.signatures
    state.check("timestamp", PREFIX + encode(found.acks), signatures)
    return found.acks


def _ranges(numbers: set[int]) -> tuple[tuple[int, int], ...]:
    """The newest ranges of `numbers`, ascending."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found[-MAX_RANGES:])
