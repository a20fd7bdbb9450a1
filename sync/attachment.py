"""Attachment: a photo or PDF that somebody hands in, known by its bytes and not by its name.

* Only JPEG, PNG and PDF; what the file is called says nothing.
* `cleaned` takes out of pictures what says where, when and with which telephone they were
  made. It never looks at the picture itself.
* A PDF that would start something (script, program, file within) is refused.
* Pictures larger than `MAX_PIXELS` are refused: they would be unpacked on somebody's screen.
"""

import re
from typing import Literal

from sync.errors import ContentError

AttachmentKind = Literal["jpeg", "png", "pdf"]
MEDIA: dict[AttachmentKind, str] = {
    "jpeg": "image/jpeg", "png": "image/png", "pdf": "application/pdf",
}  # fmt: skip
MAX_PIXELS = 50_000_000
PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB", b"cHRM", b"sBIT", b"bKGD",
}  # fmt: skip
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_TOLD = {*range(0xE1, 0xEE), 0xEF, 0xFE}
"""Segments with EXIF, XMP, comments and the like; E0 (JFIF) and EE (Adobe's colours) stay."""
_END = b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_STARTS = (b"/JavaScript", b"/Launch", b"/EmbeddedFile", b"/RichMedia")
_HINT = "hand in a JPEG or PNG picture, or a PDF"


def kind_of(data: bytes, what: str) -> AttachmentKind:
    """What `data` is; `what` names it in errors. Raises ContentError: nothing that is taken."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(PNG):
        return "png"
    if data.startswith(b"%PDF-"):
        return "pdf"
    raise ContentError(f"{what}: neither JPEG nor PNG nor PDF", hint=_HINT)


def cleaned(data: bytes, what: str) -> bytes:
    """`data` without what a picture tells about its maker; done twice it changes nothing more.

    Raises ContentError: not of a kind that is taken, damaged, too large a picture, or a PDF
    that starts something.
    """
    match kind_of(data, what):
        case "jpeg":
            return _jpeg(data, what)
        case "png":
            return _png(data, what)
        case "pdf":
            return _pdf(data, what)


def _jpeg(data: bytes, what: str) -> bytes:
    """Segment by segment to the end of the picture; what a phone hangs behind it goes too."""
    kept = bytearray(data[:2])
    sized, at = False, 2
    while at + 4 <= len(data) or data[at : at + 2] == _END:
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise _damaged(what)
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == _END[1] and sized:
            return bytes(kept) + _END
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            raise _damaged(what)
        if marker in _JPEG_SIZES:
            if end < at + 9:
                raise _damaged(what)
            height, width = (int.from_bytes(data[n : n + 2], "big") for n in (at + 5, at + 7))
            _refuse_huge(width, height, what)
            sized = True
        if marker == 0xDA:  # a scan: coded bytes follow, up to the next marker
            found = _MARKER.search(data, end)
            end = found.start() if found else len(data)
        if marker not in _JPEG_TOLD:
            kept += data[at:end]
        at = end
    raise _damaged(what)


def _png(data: bytes, what: str) -> bytes:
    kept = bytearray(PNG)
    at = len(PNG)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(data) or (at == len(PNG)) != (name == b"IHDR"):
            raise _damaged(what)
        if name == b"IHDR":
            width, height = (int.from_bytes(data[n : n + 4], "big") for n in (at + 8, at + 12))
            _refuse_huge(width, height, what)
        if name in _PNG_KEPT:
            kept += data[at:end]
        if name == b"IEND":
            return bytes(kept)
        at = end
    raise _damaged(what)


def _pdf(data: bytes, what: str) -> bytes:
    if b"%%EOF" not in data[-1024:]:
        raise _damaged(what)
    for word in _STARTS:
        if word in data:
            raise ContentError(
                f"{what}: a PDF that would start something ({word.decode()})",
                hint="print it to a new PDF, or hand in a photo of it",
            )
    return data


def _refuse_huge(width: int, height: int, what: str) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise ContentError(
            f"{what}: a picture of {width} x {height} points, at most {MAX_PIXELS:,} in all",
            hint="take a smaller photo",
        )


def _damaged(what: str) -> ContentError:
    return ContentError(f"{what}: the file is damaged or cut short", hint="copy it again")
