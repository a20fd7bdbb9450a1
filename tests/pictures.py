"""Small whole pictures and PDFs, with everything in them that a phone puts there."""

import struct
import zlib

SECRET = b"GPS -13.53 -71.97, telefono de Rosa"


def jpeg(
    width: int = 2, height: int = 2, *, told: bytes = SECRET, body: bytes = b"\x12\x34"
) -> bytes:
    """A JPEG with `told` in its EXIF and a comment, and `body` as the compressed picture."""

    def segment(marker: int, data: bytes) -> bytes:
        return bytes((0xFF, marker)) + (len(data) + 2).to_bytes(2, "big") + data

    size = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    parts = [segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")]
    if told:
        parts += [segment(0xE1, b"Exif\0\0" + told), segment(0xFE, told)]
    parts += [segment(0xC0, size), segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")]
    return b"\xff\xd8" + b"".join(parts) + body + b"\xff\xd9"


def png(width: int = 2, height: int = 2, *, told: bytes = SECRET) -> bytes:
    """A PNG with `told` in a text chunk."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
        )

    rows = b"".join(b"\0" + bytes(3 * width) for _ in range(height if width * height < 99 else 0))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    text = chunk(b"tEXt", b"Comment\0" + told) if told else b""
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + body + chunk(b"IEND", b"")


def pdf(inside: bytes = b"") -> bytes:
    """A PDF as far as we look."""
    return b"%PDF-1.4\n1 0 obj<<" + inside + b">>endobj\ntrailer<<>>\n%%EOF\n"
