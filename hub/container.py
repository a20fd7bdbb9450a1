"""Container: an EPUB or zip from outside, taken apart into members so that an edit travels small.

* What could harm who unpacks it is refused: paths that leave the folder, links, members over
  one another, sizes that are not what was declared, bytes that fail their CRC-32.
* What is sound but cannot be taken apart (passwords, two members of one name, names that a
  manifest cannot hold, methods other than stored and deflated) travels in one piece; `Whole`
  says why.
* A plain container keeps names, order and contents; times, attributes, comments and empty
  folders are dropped. An exact one keeps every byte.
* Nothing is believed of the archive's own account: each member is unpacked within its declared
  size and hashed, and the result is composed again and compared before anybody hears of it.
"""

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sync.archive import LOCAL, Member, checks, compose, digest_of, verify
from sync.canonical import Digest
from sync.errors import ContentError
from sync.manifest import MAX_PATH_CHARS, check_path
from sync.recipe import MAX_ARCHIVE_BYTES, MAX_MEMBERS, MAX_RECIPE_BYTES, Piece, Recipe, to_bytes

SUFFIXES = (
    ".epub", ".zip", ".h5p", ".odt", ".odp", ".ods", ".docx", ".pptx", ".xlsx",
)  # fmt: skip
"""What is taken apart."""
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
LITERAL_BYTES = 64
"""A smaller member of an exact archive stands in the recipe."""
MAX_DEFLATED_BYTES = 32 * 1024 * 1024
"""A larger member is not deflated again: it would have to be in memory to find the level."""
RAW = ".deflate"
"""What a member is called that travels as it is packed."""
LEVELS = (6, 9, 1, 5, 8, 7, 4, 3, 2)
COPY_BYTES = 1024 * 1024
FIRST = "mimetype"
EPUB_TYPE = b"application/epub+zip"
ENCRYPTED, UTF8 = 0x1, 0x800
_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, ValueError,
    EOFError, OverflowError, struct.error, zlib.error, OSError,
)  # fmt: skip

Put = Callable[[Iterator[bytes], str], tuple[Digest, int]]
"""Stores an object: its pieces, and what it is; gives its name and size."""
Read = Callable[[Digest, int, int], bytes]


class Whole(Exception):  # noqa: N818 - it is no failure: the file travels in one piece
    """Why an archive cannot be taken apart."""


@dataclass(frozen=True, slots=True)
class Container:
    """An archive taken apart: its recipe, its members by name, the size of the whole."""

    recipe: Recipe
    members: dict[str, Member]
    whole: int


def is_archive(path: str) -> bool:
    """True when a file of this name is taken apart."""
    return path.lower().endswith(SUFFIXES)


def take_apart(file: Path, path: str, put: Put, read: Read, *, exact: bool) -> Container:
    """Stores the members of `file`, which the channel carries as `path`.

    Raises ContentError: damaged, or made to do harm. Whole: sound, but to be carried in one
    piece. SpaceError: the disk is full.
    """
    if file.stat().st_size > MAX_UNPACKED_BYTES:
        raise ContentError(f"{path}: more than the {MAX_UNPACKED_BYTES:,} bytes allowed")
    with _words(path), zipfile.ZipFile(file) as opened:
        infos = opened.infolist()
        _safe(path, infos, file.stat().st_size)
        if path.lower().endswith(".epub"):
            _check_epub(path, opened)
        names = _names(path, infos)
        made = _exact(file, opened, names, put) if exact else _plain(opened, names, put)
        recipe, members = made
    return _proved(path, file if exact else None, recipe, members, read)


def _proved(
    path: str, file: Path | None, recipe: Recipe, members: dict[str, Member], read: Read
) -> Container:
    """The container with its digest; that of `file`, where its bytes must come out."""
    archive = compose(recipe, members, checks(recipe, members, read), read)
    if file is not None:
        verify(recipe, archive)
    else:
        recipe = Recipe(1, digest_of(archive), recipe.members, recipe.pieces)
    if len(to_bytes(recipe)) > MAX_RECIPE_BYTES:
        raise Whole("it would need too long a recipe")
    return Container(recipe, members, archive.size)


def _safe(path: str, infos: list[zipfile.ZipInfo], size: int) -> None:
    """Raises ContentError for an archive that could harm who unpacks it."""
    if len(infos) > MAX_MEMBERS:
        raise ContentError(f"{path}: {len(infos):,} members, more than {MAX_MEMBERS:,}")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > min(MAX_UNPACKED_BYTES, MAX_ARCHIVE_BYTES):
        raise ContentError(
            f"{path}: {unpacked:,} bytes unpacked, more than {MAX_UNPACKED_BYTES:,}",
            hint="a bomb, or a book that is better split",
        )
    for info in infos:
        name = info.filename
        parts = name.rstrip("/").split("/")
        if "\0" in info.orig_filename:
            raise ContentError(f"{path}: member {name[:80]!r} has a name with an end in it")
        if name.startswith(("/", "\\")) or ".." in parts or "\\" in name or name[1:2] == ":":
            raise ContentError(f"{path}: member {name[:80]!r} would land outside its folder")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ContentError(f"{path}: member {name[:80]!r} is a link")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise ContentError(f"{path}: member {info.filename[:80]!r} lies over another")
        end = info.header_offset + LOCAL.size + info.compress_size
        if end > size:
            raise ContentError(f"{path}: member {info.filename[:80]!r} ends after the file")


def _check_epub(path: str, opened: zipfile.ZipFile) -> None:
    names = opened.namelist()
    hint = "save the book as EPUB 3 again, or give it another suffix"
    if FIRST not in names or "META-INF/container.xml" not in names:
        raise ContentError(f"{path}: no EPUB: mimetype or META-INF/container.xml is missing", hint)
    with opened.open(FIRST) as member:
        if member.read(64).strip() != EPUB_TYPE:
            raise ContentError(f"{path}: no EPUB: its mimetype says something else", hint)


def _names(path: str, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The files by name, mimetype first. Raises Whole."""
    names: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    for info in infos:
        if info.is_dir():
            continue
        name = _name(info)
        if info.flag_bits & ENCRYPTED:
            raise Whole(f"member {name[:80]!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Whole(f"member {name[:80]!r} is packed by method {info.compress_type}")
        try:
            check_path(name)
        except ContentError:
            raise Whole(f"the name {name[:80]!r} does not fit every system") from None
        if len(path) + 1 + len(name) > MAX_PATH_CHARS:
            raise Whole(f"the name {name[:80]!r} is too long")
        if name.casefold() in folded:
            raise Whole(f"two members are called {name[:80]!r}")
        folded.add(name.casefold())
        names[name] = info
    if not names:
        raise Whole("it is empty")
    if FIRST in names:
        names = {FIRST: names[FIRST], **names}
    return names


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name. Without the flag, zipfile takes CP437; EPUB writers mean UTF-8."""
    if info.flag_bits & UTF8 or info.filename.isascii():
        return info.filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise Whole(f"nobody knows how the name {info.filename[:80]!r} is encoded") from None


def _plain(
    opened: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], put: Put
) -> tuple[Recipe, dict[str, Member]]:
    members = {name: Member(*put(_unpacked(opened, info), name)) for name, info in names.items()}
    return Recipe(1, Digest("0" * 64), members=tuple(members)), members


def _unpacked(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The member's bytes, as many as it declares; zipfile checks their CRC-32 at the end."""
    left = info.file_size
    with opened.open(info) as member:
        while piece := member.read(COPY_BYTES):
            left -= len(piece)
            if left < 0:
                break
            yield piece
    if left:
        raise zipfile.BadZipFile(f"member {info.filename[:80]!r} is not as long as it says")


def _exact(
    file: Path, opened: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], put: Put
) -> tuple[Recipe, dict[str, Member]]:
    """Members where they stand, everything between them as literal pieces."""
    pieces: list[Piece] = []
    members: dict[str, Member] = {}
    with file.open("rb") as raw:
        at = 0
        for name, info in sorted(names.items(), key=lambda item: item[1].header_offset):
            if info.compress_size < LITERAL_BYTES:
                continue
            raw.seek(info.header_offset)
            header = LOCAL.unpack(raw.read(LOCAL.size))
            start = info.header_offset + LOCAL.size + header[-2] + header[-1]
            if start < at:
                raise ContentError(f"member {name[:80]!r} lies over another")
            raw.seek(at)
            pieces.append(Piece(literal=raw.read(start - at)))
            piece, member = _member(opened, raw, start, (name, info), put)
            if piece.member.casefold() in {held.casefold() for held in members}:
                raise Whole(f"two members would be called {piece.member[:80]!r}")
            pieces.append(piece)
            members[piece.member] = member
            at = start + info.compress_size
        raw.seek(at)
        pieces.append(Piece(literal=raw.read()))
        raw.seek(0)
        name = Digest(hashlib.file_digest(raw, "sha256").hexdigest())
    if not members:
        raise Whole("its members are too small to be worth it")
    return Recipe(1, name, pieces=tuple(pieces)), members


def _member(
    opened: zipfile.ZipFile,
    raw: BinaryIO,
    start: int,
    named: tuple[str, zipfile.ZipInfo],
    put: Put,
) -> tuple[Piece, Member]:
    """One member of an exact archive: unpacked where zlib packs it again to the same bytes,
    else as it stands in the file."""
    name, info = named
    raw.seek(start)
    if info.compress_type == zipfile.ZIP_STORED:
        return Piece(member=name), Member(*put(_unpacked(opened, info), name))
    packed = raw.read(info.compress_size)
    if info.file_size <= MAX_DEFLATED_BYTES:
        data = b"".join(_unpacked(opened, info))
        level = next((level for level in LEVELS if _packs_to(data, level, packed)), 0)
        if level:
            piece = Piece(member=name, level=level, size=len(packed))
            return piece, Member(*put(iter((data,)), name))
    else:
        for _ in _unpacked(opened, info):
            pass
    check_path(name + RAW)
    return Piece(member=name + RAW), Member(*put(iter((packed,)), name))


def _packs_to(data: bytes, level: int, packed: bytes) -> bool:
    """True when zlib makes `packed` of `data` at this level; stops at the first difference."""
    if "ng" in zlib.ZLIB_RUNTIME_VERSION:
        return False
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    at = 0
    for place in range(0, len(data), COPY_BYTES):
        made = packer.compress(data[place : place + COPY_BYTES])
        if packed[at : at + len(made)] != made:
            return False
        at += len(made)
    return packed[at:] == packer.flush()


@contextmanager
def _words(path: str) -> Iterator[None]:
    """Says of a broken archive which one it is."""
    try:
        yield
    except _BROKEN as error:
        raise ContentError(
            f"{path}: a damaged archive: {error}", hint="copy it again from where it came"
        ) from error
