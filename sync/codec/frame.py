"""Frames: the only way bytes are squeezed inside a bundle. Everything zstandard is here.

* A frame is one byte 0 and the bytes as they are; or a zstd frame without magic, checksum
  and dictionary id, that declares its content size (its first byte is never 0, and its bit 3
  never set); or, with bit 3 set, LZMA2 (`lzma2.py`), which is 3-10 % shorter for texts.
* `unpack` is told the size it must get and allocates no more; the window is the content.
* A dictionary is raw old bytes: both sides must hold the same.
* `compress` and `decompress` make and read ordinary zstd frames, with a checksum, for
  what is stored or travels by itself.
"""

from collections.abc import Iterator

import zstandard

from sync.codec import lzma2
from sync.errors import ContentError

STORED = 0
LZMA = 0x08
"""Set in the first byte of an LZMA2 frame; bits 4-6 are its lc, bits 0-1 its pb."""
MANY = 0x80
"""Also set: whole chunks follow. Else the inside of a single one, the size of the content."""
MIN_DICTIONARY = 8
"""zstd takes no shorter one."""

_FAST_FROM = 8 * 1024 * 1024
_BEST, _FAST, _QUICK, _QUICKEST = 22, 19, 9, 1
_SMALL, _ALL = 256 * 1024, 2**63
_CHAINS = ((_ALL, 2, 0), (4 * 1024 * 1024, 1, 0), (_SMALL, 0, 0), (_SMALL, 3, 0), (_SMALL, 4, 0),
           (_SMALL, 0, 2), (_SMALL, 3, 2))  # fmt: skip
"""Up to how many bytes with the dictionary, lc and pb."""


def pack(data: bytes, dictionary: bytes = b"", *, text: bool = False) -> bytes:
    """`data` as the shortest of its forms; of `text`, LZMA2 is taken to be shorter than zstd."""
    if not data:
        return bytes([STORED])
    dictionary = dictionary if len(dictionary) >= MIN_DICTIONARY else b""
    forms = [bytes([STORED]) + data, *_chained(data, dictionary)]
    if not (text and len(forms) > 1):
        forms.append(_squeezed(data, dictionary))
    return min(forms, key=len)


def pack_quickly(data: bytes, dictionary: bytes = b"") -> bytes:
    """`data` as a zstd frame or as it is, a hundred times faster than `pack`."""
    return min(bytes([STORED]) + data, _squeezed(data, dictionary, _QUICK), key=len)


def _squeezed(data: bytes, dictionary: bytes, level: int = 0) -> bytes:
    level = level or (_FAST if len(data) + len(dictionary) > _FAST_FROM else _BEST)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(data),
        dict_size=len(dictionary),
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(
        compression_params=parameters, dict_data=_dictionary(dictionary)
    ).compress(data)


def _chained(data: bytes, dictionary: bytes) -> Iterator[bytes]:
    """The LZMA2 forms worth a try: more of them where they take no time."""
    total = len(data) + len(dictionary)
    for most, lc, pb in _CHAINS:
        if total > most:
            continue
        chunks = lzma2.chunks(data, dictionary, lc, pb)
        if chunks is not None:
            inside = lzma2.bare(chunks, len(data))
            first = LZMA | lc << 4 | pb
            yield bytes([first | MANY]) + chunks if inside is None else bytes([first]) + inside


def unpack(packed: bytes, size: int, dictionary: bytes = b"") -> bytes:
    """The `size` bytes that were packed. Raises ContentError when it is anything else."""
    if not packed:
        raise ContentError("frame: empty")
    if packed[0] == STORED:
        if len(packed) - 1 != size:
            raise ContentError(f"frame: {len(packed) - 1} bytes stored where {size} were declared")
        return packed[1:]
    if packed[0] & LZMA:
        return _unchained(packed, size, dictionary)
    return _inflate(
        packed, size, size, dictionary=dictionary, layout=zstandard.FORMAT_ZSTD1_MAGICLESS
    )


def _unchained(packed: bytes, size: int, dictionary: bytes) -> bytes:
    dictionary = dictionary if len(dictionary) >= MIN_DICTIONARY else b""
    first = packed[0]
    lc, pb = first >> 4 & 7, first & 3
    if first & 4 or lc > 4 or pb > 2 or not size:
        raise ContentError(f"frame: unknown form {first:#04x}")
    try:
        chunks = packed[1:]
        if not first & MANY:
            chunks = lzma2.dressed(chunks, size, lc, pb, alone=not dictionary)
        return lzma2.unpack(chunks, size, dictionary)
    except lzma2.UnreadableError as error:
        raise ContentError(f"frame: {error}") from error


def roughly(data: bytes, dictionary: bytes = b"") -> int:
    """About how long a frame of `data` will be, found quickly."""
    level = _QUICK if dictionary else _QUICKEST
    squeezer = zstandard.ZstdCompressor(level=level, dict_data=_dictionary(dictionary))
    return min(len(squeezer.compress(data)), len(data) + 1)


def compress(data: bytes, level: int = 19) -> bytes:
    """`data` as one ordinary zstd frame with its content size and a checksum."""
    return zstandard.ZstdCompressor(
        level=level, write_content_size=True, write_checksum=True
    ).compress(data)


def decompress(data: bytes, limit: int) -> bytes:
    """The content of one frame made by `compress`, at most `limit` bytes.

    Raises ContentError when it is damaged, declares no size or a larger one.
    """
    return _inflate(data, 0, limit, dictionary=b"", layout=zstandard.FORMAT_ZSTD1)


def _inflate(data: bytes, least: int, most: int, *, dictionary: bytes, layout: int) -> bytes:
    """Checks the declared size before anything is allocated."""
    try:
        declared = zstandard.get_frame_parameters(data, format=layout).content_size
        if not least <= declared <= most:
            raise ContentError(f"frame: declares {declared} bytes where {most} are allowed")
        return zstandard.ZstdDecompressor(
            dict_data=_dictionary(dictionary), format=layout
        ).decompress(data, max_output_size=most, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ContentError(f"frame: {error}") from error


def _dictionary(data: bytes) -> zstandard.ZstdCompressionDict | None:
    if len(data) < MIN_DICTIONARY:
        return None
    return zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
