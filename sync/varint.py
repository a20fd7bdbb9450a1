"""Varints: whole numbers in as few bytes as they need, and a cursor that reads them.

* Seven bits a byte, least first; the top bit says that more follow (LEB128). The shortest
  form is the only legal one, at most nine bytes (63 bits).
* Signed numbers are zigzag: 0, -1, 1, -2 become 0, 1, 2, 3.
* Reading past the end or above a bound is a ContentError, never another exception.
"""

from sync.errors import ContentError

MAX_BYTES = 9


def append(out: bytearray, number: int) -> None:
    """Adds `number` (0 or more, below 2^63) to `out`."""
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def zigzag(number: int) -> int:
    """A signed number as an unsigned one, small if it is near zero."""
    return number << 1 if number >= 0 else (-number << 1) - 1


def unzigzag(number: int) -> int:
    """The signed number that `zigzag` was given."""
    return number >> 1 if not number & 1 else -(number >> 1) - 1


class Cursor:
    """Reads `data` from front to back; `what` names it in errors."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    @property
    def at(self) -> int:
        """Bytes read so far."""
        return self._at

    def number(self, limit: int) -> int:
        """The next varint. Raises ContentError above `limit` or when cut short."""
        value = shift = 0
        start = self._at
        for byte in self._data[start : start + MAX_BYTES]:
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise ContentError(f"{self._what}: a number is not in its shortest form")
                if value > limit:
                    raise ContentError(f"{self._what}: {value} where at most {limit} is allowed")
                return value
            shift += 7
        raise ContentError(f"{self._what}: a number is cut short or too long")

    def signed(self, limit: int) -> int:
        """The next zigzag varint, from -limit to limit."""
        return unzigzag(self.number(2 * limit))

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise ContentError(f"{self._what}: ends {count - len(piece)} bytes early")
        self._at += count
        return piece

    def text(self, limit: int) -> str:
        """The next string: its length in bytes (at most `limit`), then UTF-8."""
        piece = self.take(self.number(limit))
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ContentError(f"{self._what}: {error}") from error

    def end(self) -> None:
        """Raises ContentError when anything is left."""
        if self._at != len(self._data):
            raise ContentError(f"{self._what}: {len(self._data) - self._at} bytes too many")


def append_text(out: bytearray, text: str) -> None:
    """Adds the string that `Cursor.text` reads."""
    data = text.encode("utf-8")
    append(out, len(data))
    out += data
