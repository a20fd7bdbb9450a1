"""Archives as the world makes them: good, odd and hostile."""

import io
import struct
import zipfile
from collections.abc import Callable

from hub.book import CONTAINER

CHAPTER = "".join(f"<p>El agua baja {n * n} metros de la puna al valle.</p>\n" for n in range(90))
EPUB = {
    "mimetype": b"application/epub+zip",
    "META-INF/container.xml": CONTAINER.encode(),
    "EPUB/1.xhtml": CHAPTER.encode(),
    "EPUB/foto.jpg": bytes(range(256)) * 4,
}
Change = Callable[[zipfile.ZipInfo], None]


def made(
    contents: dict[str, bytes],
    *,
    packed: int = zipfile.ZIP_DEFLATED,
    level: int = 6,
    when: tuple[int, int, int, int, int, int] = (2026, 11, 21, 8, 0, 0),
    change: Change = lambda info: None,
    comment: bytes = b"",
) -> bytes:
    """A zip of `contents`; `change` may spoil each member's header beforehand."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        opened.comment = comment
        for name, data in contents.items():
            info = zipfile.ZipInfo(name, when)
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else packed
            change(info)
            opened.writestr(info, data, compresslevel=level)
    return out.getvalue()


def streamed(contents: dict[str, bytes], *, zip64: bool = False) -> bytes:
    """As a program writes it that cannot go back: sizes follow in data descriptors."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.taken = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.taken += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in contents.items():
            with opened.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
    return bytes(pipe.taken)


def with_duplicate(name: str = "a.txt") -> bytes:
    """Two members of one name."""
    first = made({name: b"one", "b.txt": b"two"}, packed=zipfile.ZIP_STORED)
    return first.replace(b"b.txt", name.encode())


def encrypted(data: bytes) -> bytes:
    """`data` with the flag that says a password is needed, on every member."""
    return _flags(data, lambda flags: flags | 0x1)


def without_utf8_flag(data: bytes) -> bytes:
    """`data` whose names are UTF-8 but do not say so."""
    return _flags(data, lambda flags: flags & ~0x800)


def overlapping() -> bytes:
    """Two members that share the bytes of one: many members, one kernel, a bomb."""
    data = made({"a": b"x" * 500, "b": b"x" * 500}, packed=zipfile.ZIP_STORED)
    second = data.index(b"PK\3\4", 4)
    place = data.rindex(b"PK\1\2") + 42
    return data[:place] + struct.pack("<I", second - 200) + data[place + 4 :]


def lying(size: int) -> bytes:
    """A member that unpacks to more than it declares."""
    data = made({"a": b"x" * 100_000})
    at = data.rindex(b"PK\1\2") + 24
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def _flags(data: bytes, change: Callable[[int], int]) -> bytes:
    raw = bytearray(data)
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = raw.find(mark)
        while at >= 0:
            flags = struct.unpack_from("<H", raw, at + place)[0]
            struct.pack_into("<H", raw, at + place, change(flags))
            at = raw.find(mark, at + 4)
    return bytes(raw)
