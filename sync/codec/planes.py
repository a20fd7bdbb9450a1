"""Planes: the difference of two runs of numbers as bytes, and back. No library is needed.

* Numbers are `width` bytes, least first. A difference is taken modulo 2^(8·width) and made
  zigzag, so that a small change has zero high bytes whatever its sign; then all first bytes
  stand together, all second bytes, and so on: `width` planes.
* All lanes are worked on at once, as one long integer.
* A plane whose bytes are small is folded: as many to a byte as fit, so that an entropy coder
  that spends whole bits on a symbol loses little.
* Callers keep runs short (see FORMAT.md): memory is a few times their length.
"""

from functools import lru_cache


def subtract(new: bytes, old: bytes, width: int) -> bytes:
    """The planes that lead from `old` to `new`, of equal length, a multiple of `width`."""
    ones, tops = _lanes(len(new), width)
    a, b = int.from_bytes(new, "little"), int.from_bytes(old, "little")
    difference = ((a | tops) - (b & ~tops)) ^ ((a ^ ~b) & tops)
    signs = (difference >> (8 * width - 1)) & ones
    zigzag: int = ((difference & ~tops) << 1) ^ signs * _full(width)
    data = zigzag.to_bytes(len(new), "little")
    return b"".join(data[plane::width] for plane in range(width))


def add(planes: bytes, old: bytes, width: int) -> bytes:
    """The numbers that `subtract` was given as `new`."""
    ones, tops = _lanes(len(old), width)
    data, count = bytearray(len(old)), len(old) // width
    for plane in range(width):
        data[plane::width] = planes[plane * count : (plane + 1) * count]
    zigzag = int.from_bytes(data, "little")
    difference = ((zigzag >> 1) & ~tops) ^ (zigzag & ones) * _full(width)
    b = int.from_bytes(old, "little")
    total = ((difference & ~tops) + (b & ~tops)) ^ ((difference ^ b) & tops)
    return total.to_bytes(len(old), "little")


def per_byte(highest: int) -> int:
    """How many values from 0 to `highest` fit into a byte."""
    count, span = 1, highest + 1
    while span * (highest + 1) <= 256:
        span *= highest + 1
        count += 1
    return count


def fold(values: bytes, highest: int) -> bytes:
    """`values`, none above `highest`, some to a byte; the last byte is filled with zeros."""
    count = per_byte(highest)
    padded = values + bytes(-len(values) % count)
    total = 0
    for place in range(count):
        factor = (highest + 1) ** place
        table = bytes(min(value * factor, 255) for value in range(256))
        total += int.from_bytes(padded[place::count].translate(table), "little")
    return total.to_bytes(len(padded) // count, "little")


def unfold(folded: bytes, highest: int, size: int) -> bytes:
    """The `size` values that were folded. Any bytes give some values."""
    count = per_byte(highest)
    values = bytearray(len(folded) * count)
    for place in range(count):
        factor = (highest + 1) ** place
        table = bytes(value // factor % (highest + 1) for value in range(256))
        values[place::count] = folded.translate(table)
    return bytes(values[:size])


def _full(width: int) -> int:
    """A lane of ones."""
    return (1 << 8 * width) - 1


@lru_cache(maxsize=8)
def _lanes(size: int, width: int) -> tuple[int, int]:
    """The lowest bit of every lane, and the highest."""
    ones = int.from_bytes((b"\1" + bytes(width - 1)) * (size // width), "little")
    return ones, ones << (8 * width - 1)
