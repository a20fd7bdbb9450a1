"""Lzma2: chunks of LZMA2 that begin with a dictionary. The standard library's liblzma, no other.

* A decoder of LZMA2 is told its dictionary as chunks that are not compressed: what it gives
  for them is the dictionary itself and is thrown away. So the library that every Python has
  reads what was written with a preset dictionary, though it offers none.
* To write them, liblzma itself is called, in the copy that Python's own module uses. Where
  that cannot be reached there are no such frames (`available`), and zstd's serve.
* Reading allocates the dictionary and the declared size, no more.
"""

import ctypes
import importlib
import lzma
from functools import lru_cache

CHUNK_BYTES = 65_536
"""Longest chunk that is not compressed, and longest packed one."""
LONGEST_PIECE = 2 * 1024 * 1024
"""Unpacked bytes of a packed chunk."""
MIN_WINDOW = 4096
_FIRST, _NEXT = 1, 2
_RESET_ALL, _RESET_STATE = 0xE0, 0xC0
_HEADER = 6
END = b"\0"

_FILTER = 0x21
_NO_FILTER = 2**64 - 1
_NORMAL, _BINARY_TREE, _NICE, _DEPTH = 2, 0x14, 273, 1000
_SLACK = 4096


class UnreadableError(Exception):
    """The chunks are not what they should be. `frame.py` makes a ContentError of it."""


class _Options(ctypes.Structure):
    """lzma_options_lzma; what follows `depth` is reserved and zero."""

    _fields_ = (
        ("dict_size", ctypes.c_uint32),
        ("preset_dict", ctypes.c_char_p),
        ("preset_dict_size", ctypes.c_uint32),
        ("lc", ctypes.c_uint32),
        ("lp", ctypes.c_uint32),
        ("pb", ctypes.c_uint32),
        ("mode", ctypes.c_int),
        ("nice_len", ctypes.c_uint32),
        ("mf", ctypes.c_int),
        ("depth", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 128),
    )


class _Filter(ctypes.Structure):
    """lzma_filter."""

    _fields_ = (("id", ctypes.c_uint64), ("options", ctypes.c_void_p))


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(getattr(importlib.import_module("_lzma"), "__file__", None))
        found.lzma_raw_buffer_encode.restype = ctypes.c_int
    except (OSError, AttributeError):
        return None
    return found


def available() -> bool:
    """True when chunks can be written here. They can be read everywhere."""
    return _library() is not None


def chunks(data: bytes, dictionary: bytes, lc: int, pb: int) -> bytes | None:
    """The chunks of `data` and their end; None when they would be no shorter, or not here.

    `lc` 0-4: how many bits of the byte before tell literals apart; `pb` 0-2: of the place.
    """
    library = _library()
    if library is None or not data:
        return None
    options = _Options(
        dict_size=_window(data, dictionary),
        preset_dict=dictionary or None,
        preset_dict_size=len(dictionary),
        lc=lc,
        lp=0,
        pb=pb,
        mode=_NORMAL,
        nice_len=_NICE,
        mf=_BINARY_TREE,
        depth=_DEPTH,
    )
    filters = (_Filter * 2)()
    filters[0].id = _FILTER
    filters[0].options = ctypes.cast(ctypes.pointer(options), ctypes.c_void_p)
    filters[1].id = _NO_FILTER
    out = ctypes.create_string_buffer(len(data) + _SLACK)
    used = ctypes.c_size_t(0)
    failed = library.lzma_raw_buffer_encode(
        filters, None, data, ctypes.c_size_t(len(data)), out, ctypes.byref(used),
        ctypes.c_size_t(len(out)),
    )  # fmt: skip
    return None if failed else out.raw[: used.value]


def unpack(packed: bytes, size: int, dictionary: bytes) -> bytes:
    """The `size` bytes that the chunks hold. Raises UnreadableError for anything else."""
    window = _window(size, dictionary)
    reader = lzma.LZMADecompressor(
        lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": window}]
    )
    try:
        for at in range(0, len(dictionary), CHUNK_BYTES):
            piece = dictionary[at : at + CHUNK_BYTES]
            kind = _NEXT if at else _FIRST
            if reader.decompress(_plain(kind, piece)) != piece:
                raise UnreadableError("a dictionary that does not come back")
        out = reader.decompress(packed, max_length=size)
        if not reader.eof and reader.decompress(b"", max_length=1):
            raise UnreadableError(f"more than the {size} bytes declared")
    except (lzma.LZMAError, EOFError) as error:
        raise UnreadableError(str(error)) from error
    if not reader.eof or reader.unused_data or len(out) != size:
        raise UnreadableError(f"{len(out)} bytes where {size} were declared")
    return out


def bare(packed: bytes, size: int) -> bytes | None:
    """What `dressed` needs of chunks that are a single packed one; None for any others."""
    high = size - 1 >> 16
    single = (
        size <= LONGEST_PIECE
        and packed[0] in (_RESET_STATE | high, _RESET_ALL | high)
        and len(packed) == _HEADER + 1 + int.from_bytes(packed[3:5], "big") + len(END)
        and packed[_HEADER] == 0
    )  # fmt: skip
    return packed[_HEADER + 1 : -1] if single else None


def dressed(inside: bytes, size: int, lc: int, pb: int, *, alone: bool) -> bytes:
    """Chunks from what `bare` gave; `alone`: there is no dictionary before them."""
    if not 0 < size <= LONGEST_PIECE or len(inside) >= CHUNK_BYTES:
        raise UnreadableError(f"{size} bytes in one chunk of {len(inside)}")
    head = bytearray([(_RESET_ALL if alone else _RESET_STATE) | size - 1 >> 16])
    head += (size - 1 & 0xFFFF).to_bytes(2, "big") + len(inside).to_bytes(2, "big")
    head.append(pb * 45 + lc)
    return bytes(head) + b"\0" + inside + END


def _plain(kind: int, piece: bytes) -> bytes:
    """A chunk that is not compressed."""
    return bytes([kind]) + (len(piece) - 1).to_bytes(2, "big") + piece


def _window(data: bytes | int, dictionary: bytes) -> int:
    size = data if isinstance(data, int) else len(data)
    return max(MIN_WINDOW, len(dictionary) + size)
