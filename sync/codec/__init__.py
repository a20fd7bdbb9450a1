"""Codecs: how the objects of one group become its payload and come back. See FORMAT.md.

* `olds[i]` is the base of `news[i]`, empty when it has none; equal bases travel once.
* Encoding is for the hub and may be slow; decoding is for the node and is bounded by the
  sizes it is told. What does not give exactly these sizes is a ContentError.
* A codec checks no hashes: whoever called it does.
"""

from collections.abc import Sequence
from typing import Protocol, overload


class Sliceable(Protocol):
    """Bytes, or a file that is read like them: `sync.files.Held`."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytes: ...


class Codec(Protocol):
    """One way to write a group. `name` is what FORMAT.md calls it."""

    @property
    def name(self) -> str: ...

    def encode(self, olds: Sequence[bytes], news: Sequence[bytes]) -> bytes:
        """The payload for `news`, given that the reader holds `olds`."""
        ...

    def decode(self, payload: bytes, olds: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """The objects, of `sizes` bytes each. Raises ContentError."""
        ...


def joined(olds: Sequence[bytes]) -> bytes:
    """Every different base once, in order: the dictionary of a group."""
    return b"".join(dict.fromkeys(olds))


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`data` cut into pieces of `sizes` bytes, which add up to it."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return pieces
