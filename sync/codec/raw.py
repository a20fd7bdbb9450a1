"""Raw: all objects of a group as one frame, without looking at their bases.

For first installs and for what resembles nothing the node has. `compress` and
`decompress` are here for everyone else who needs zstd with bounds.
"""

from collections.abc import Sequence

from sync.codec import cut
from sync.codec.frame import compress, decompress, pack, unpack

__all__ = ["RawCodec", "compress", "decompress"]


class RawCodec:
    """Solid zstd of the new bytes, or the bytes themselves."""

    name = "raw"

    def encode(self, olds: Sequence[bytes], news: Sequence[bytes]) -> bytes:
        """See `Codec`. Never longer than all news and one byte."""
        return pack(b"".join(news))

    def decode(self, payload: bytes, olds: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """See `Codec`."""
        return cut(unpack(payload, sum(sizes)), sizes)
