"""Parcel: a lesson that a teacher hands in, with its photos and PDFs, on its way to the hub.

* Its bytes are `CHP1`, the length of a canonical JSON header, the header, and the files one
  after the other. Its name is their digest: the same lesson handed in twice is one parcel.
* It travels in parts, each an event `upload_part` in a block of its own, with a digest of its
  own, so that a link that dies costs one part.
* Everything has a bound. Text is NFC and holds no control characters but line ends. Pictures
  hold nothing about who made them (`attachment.py`).
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from sync import varint
from sync.attachment import AttachmentKind, cleaned, kind_of
from sync.canonical import Digest, decode, digest, encode
from sync.errors import ContentError
from sync.lesson import Grade, Language, LessonId, Slug

Licence = Literal["CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0"]

MAGIC = b"CHP1"
MAX_PARCEL_BYTES = 4 * 1024 * 1024
MAX_HEADER_BYTES = 256 * 1024
MAX_PARCEL_CHARS = 60_000
MAX_FILES = 4
PART_BYTES = 48 * 1024
MAX_PARTS = -(-MAX_PARCEL_BYTES // PART_BYTES)
_UNSAFE = re.compile(r"[^\w. ()-]+")
_HINT = "send it as text with smaller pictures"

Short = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class Attached(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a parcel."""

    name: Short
    kind: AttachmentKind
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARCEL_BYTES)]


class Cover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of a parcel: what the teacher typed, and which files follow."""

    title: Short
    author: Short
    licence: Licence
    language: Language
    topic: Slug
    grade: Grade
    text: Annotated[str, msgspec.Meta(max_length=MAX_PARCEL_CHARS)]
    files: Annotated[tuple[Attached, ...], msgspec.Meta(max_length=MAX_FILES)] = ()


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is handed in. `contents`: the bytes of each file of the cover."""

    cover: Cover
    contents: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a parcel's bytes; `number` counts from 0."""

    upload: Digest
    number: int
    parts: int
    data: bytes


def parcel(
    title: str,
    author: str,
    licence: str,
    language: str,
    topic: str,
    grade: str,
    text: str,
    files: Sequence[tuple[str, bytes]] = (),
) -> Parcel:
    """A parcel of what somebody typed and chose: tidied, files known by their bytes and cleaned.

    Raises ContentError, in words for the teacher: what is missing, too long or not taken.
    """
    size = sum(len(data) for _, data in files)
    if size > MAX_PARCEL_BYTES:
        raise ContentError(
            f"the files are {size:,} bytes, at most {MAX_PARCEL_BYTES:,} travel", hint=_HINT
        )
    named = tuple((file_name(name), data) for name, data in files)
    contents = tuple(cleaned(data, name) for name, data in named)
    body = tidy_text(text)
    if not body and not contents:
        raise ContentError("there is neither text nor a file", hint="write or attach something")
    attached = [
        {"name": name, "kind": kind_of(data, name), "size": len(data)}
        for (name, _), data in zip(named, contents, strict=True)
    ]
    fields = {
        "title": line(title), "author": line(author), "licence": licence, "language": language,
        "topic": topic, "grade": grade, "text": body, "files": attached,
    }  # fmt: skip
    try:
        made = Parcel(msgspec.convert(fields, Cover), contents)
    except msgspec.ValidationError as error:
        said = re.sub(r" - at `\$\.?(.*)`$", r" (\1)", str(error))
        raise ContentError(f"the lesson: {said}", hint="fill in every field") from error
    to_bytes(made)
    return made


def to_bytes(value: Parcel) -> bytes:
    """The bytes that travel. Raises ContentError when they are too many."""
    header = encode(value.cover)
    out = bytearray(MAGIC)
    varint.append(out, len(header))
    out += header + b"".join(value.contents)
    if len(out) > MAX_PARCEL_BYTES or len(header) > MAX_HEADER_BYTES:
        raise ContentError(
            f"the lesson and its files are {len(out):,} bytes, at most {MAX_PARCEL_BYTES:,} travel",
            hint=_HINT,
        )
    return bytes(out)


def from_bytes(data: bytes) -> Parcel:
    """Raises ContentError when `data` is no parcel, or breaks a rule of one."""
    if len(data) > MAX_PARCEL_BYTES or not data.startswith(MAGIC):
        raise ContentError("not a parcel", hint="hand it in again")
    cursor = varint.Cursor(data[len(MAGIC) :], "parcel")
    header = cursor.take(cursor.number(MAX_HEADER_BYTES))
    cover = decode(header, Cover, limit=MAX_HEADER_BYTES, what="parcel")
    contents = tuple(cursor.take(file.size) for file in cover.files)
    found = Parcel(cover, contents)
    if to_bytes(found) != data:
        raise ContentError("parcel: its bytes are not in their one form")
    for file, content in zip(cover.files, contents, strict=True):
        if file_name(file.name) != file.name or kind_of(content, file.name) != file.kind:
            raise ContentError(f"parcel: {file.name!r} is not what it says")
        if cleaned(content, file.name) != content:
            raise ContentError(f"parcel: {file.name!r} was not cleaned")
    if tidy_text(cover.text) != cover.text or not (cover.text or contents):
        raise ContentError("parcel: its text is not tidy, or there is nothing in it")
    if line(cover.title) != cover.title or line(cover.author) != cover.author:
        raise ContentError("parcel: title or author is not tidy")
    return found


def parts(data: bytes) -> list[Part]:
    """A parcel's bytes in pieces."""
    name = digest(data)
    pieces = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
    return [Part(name, n, len(pieces), piece) for n, piece in enumerate(pieces)]


def part_data(part: Part) -> dict[str, str]:
    """A part as the data of its event."""
    return {
        "upload": part.upload,
        "number": str(part.number),
        "parts": str(part.parts),
        "check": digest(part.data),
        "data": base64.b64encode(part.data).decode("ascii"),
    }


def part_from(data: Mapping[str, str]) -> Part:
    """The part in an event's data. Raises ContentError when it is damaged or out of bounds."""
    try:
        number, count = int(data["number"]), int(data["parts"])
        content = base64.b64decode(data["data"], validate=True)
        upload, check = data["upload"], data["check"]
    except (KeyError, ValueError, binascii.Error) as error:
        raise ContentError(f"part of an upload: {error}") from error
    if not (0 <= number < count <= MAX_PARTS and 0 < len(content) <= PART_BYTES):
        raise ContentError(f"part of an upload: number {number} of {count}")
    if number < count - 1 and len(content) != PART_BYTES:
        raise ContentError(f"part of an upload: {len(content)} bytes in the middle")
    if digest(content) != check:
        raise ContentError("part of an upload: damaged, its digest does not fit")
    return Part(Digest(upload), number, count, content)


def lesson_id(upload: Digest, title: str) -> LessonId:
    """The id that the lesson in a parcel gets, known to the node before the hub has it."""
    folded = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z0-9]+", folded))[:60].strip("-") or "leccion"
    return LessonId(f"{words}-{upload[:8]}")


def line(text: str) -> str:
    """`text` as one tidy line."""
    whole = unicodedata.normalize("NFC", text[:2000])
    return " ".join("".join(c if c.isprintable() else " " for c in whole).split())


def tidy_text(text: str) -> str:
    """`text` with `\\n` at the end of lines, and no character that cannot be seen."""
    whole = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = "".join(c if c == "\n" or c.isprintable() else " " for c in whole)
    return "\n".join(row.rstrip() for row in kept.split("\n")).strip("\n")


def file_name(name: str) -> str:
    """`name` without folders and odd characters, at most 80 characters."""
    last = re.split(r"[/\\]", line(name))[-1]
    return _UNSAFE.sub("_", last)[-80:].strip(" .") or "archivo"
