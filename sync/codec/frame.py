"""Frames: the only way bytes are squeezed inside a bundle. Everything zstandard is here.

* A frame is one byte 0 and the bytes as they are, or a zstd frame without magic, checksum
  and dictionary id, that declares its content size (its first byte is never 0).
* `unpack` is told the size it must get and allocates no more; the window is the content.
* A dictionary is raw old bytes: both sides must hold the same.
* `compress` and `decompress` make and read ordinary zstd frames, with a checksum, for
  what is stored or travels by itself.
"""

import zstandard

from sync.errors import ContentError

STORED = 0
MIN_DICTIONARY = 8
"""zstd takes no shorter one."""

_FAST_FROM = 8 * 1024 * 1024
_BEST, _FAST = 22, 19


def pack(data: bytes, dictionary: bytes = b"") -> bytes:
    """`data` as the smaller of its two forms."""
    if not data:
        return bytes([STORED])
    dictionary = dictionary if len(dictionary) >= MIN_DICTIONARY else b""
    level = _FAST if len(data) + len(dictionary) > _FAST_FROM else _BEST
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(data),
        dict_size=len(dictionary),
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    squeezed = zstandard.ZstdCompressor(
        compression_params=parameters, dict_data=_dictionary(dictionary)
    ).compress(data)
    return squeezed if len(squeezed) <= len(data) else bytes([STORED]) + data


def unpack(packed: bytes, size: int, dictionary: bytes = b"") -> bytes:
    """The `size` bytes that were packed. Raises ContentError when it is anything else."""
    if not packed:
        raise ContentError("frame: empty")
    if packed[0] == STORED:
        if len(packed) - 1 != size:
            raise ContentError(f"frame: {len(packed) - 1} bytes stored where {size} were declared")
        return packed[1:]
    return _inflate(
        packed, size, size, dictionary=dictionary, layout=zstandard.FORMAT_ZSTD1_MAGICLESS
    )


def roughly(data: bytes) -> int:
    """About how long a frame of `data` will be, found quickly."""
    return min(len(zstandard.ZstdCompressor(level=1).compress(data)), len(data) + 1)


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
