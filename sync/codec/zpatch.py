"""Zpatch: all objects of a group as one frame, with their old versions as dictionary.

For binaries and for texts that changed too much for an edit script.
"""

from collections.abc import Sequence

from sync.codec import cut, joined
from sync.codec.frame import pack, unpack


class ZpatchCodec:
    """Solid zstd of the new bytes; the different bases, in order, are the raw dictionary."""

    name = "zpatch"

    def encode(self, olds: Sequence[bytes], news: Sequence[bytes]) -> bytes:
        """See `Codec`."""
        return pack(b"".join(news), joined(olds))

    def decode(self, payload: bytes, olds: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """See `Codec`."""
        return cut(unpack(payload, sum(sizes), joined(olds)), sizes)
