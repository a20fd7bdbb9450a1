"""Archive: the bytes of a zip file out of its recipe and its members, from any place on.

* Nothing is put together on the disk: what is read is made while it is read, and its length is
  known before. At most `BLOCK_BYTES` of a member are in memory at a time.
* The bytes of a plain archive (APPNOTE.TXT 6.3.3, all members stored) depend on names, sizes
  and CRC-32 alone, on every machine. Those of an exact one may depend on zlib, where a member
  is deflated: `verify` tells.
* Who reads an archive that was not verified may read other bytes than the hub published.
"""

import hashlib
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sync.canonical import Digest
from sync.errors import ContentError
from sync.manifest import Manifest
from sync.recipe import MAX_ARCHIVE_BYTES, Recipe

BLOCK_BYTES = 256 * 1024
CHECK_BYTES = 4
LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
NEEDED = 10
"""Version 1.0: files that are stored."""
DATE = 0x0021
"""1980-01-01, the first day there is."""
UTF8 = 0x0800

Read = Callable[[Digest, int, int], bytes]
"""Bytes of an object: its name, from where, how many. Raises ContentError."""


@dataclass(frozen=True, slots=True)
class Member:
    """The object of one member."""

    hash: Digest
    size: int


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of bytes of the archive: `literal`, or a member, deflated again if there is a level."""

    size: int
    literal: bytes = b""
    member: Member | None = None
    level: int = 0


class Archive:
    """One archive, ready to be read. `size` in bytes."""

    def __init__(self, runs: Sequence[_Run], read: Read) -> None:
        self._runs = runs
        self._read = read
        self._starts = list(accumulate((run.size for run in runs), initial=0))
        self.size = self._starts[-1]

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to `stop`, in pieces. Raises ContentError."""
        at = bisect_right(self._starts, start) - 1
        while start < stop and at < len(self._runs):
            run, begin = self._runs[at], self._starts[at]
            end = min(stop, begin + run.size)
            yield from self._of(run, start - begin, end - begin)
            start, at = end, at + 1

    def _of(self, run: _Run, start: int, stop: int) -> Iterator[bytes]:
        if run.member is None:
            yield run.literal[start:stop]
        elif run.level:
            yield from _cut(_deflated(run, self._read), start, stop)
        else:
            yield from _stored(run.member, self._read, start, stop)


def members_of(manifest: Manifest, path: str) -> dict[str, Member]:
    """The members of the archive at `path`, by name."""
    below = path + "/"
    return {
        entry.path.removeprefix(below): Member(entry.hash, entry.size)
        for entry in manifest.entries
        if entry.path.startswith(below)
    }


def checks(recipe: Recipe, members: Mapping[str, Member], read: Read) -> bytes:
    """The CRC-32 of every member of a plain archive, 4 bytes each; reads them all.

    Nothing for an exact one. Raises ContentError.
    """
    return b"".join(
        _check(member, read).to_bytes(CHECK_BYTES, "little")
        for member in _named(recipe.members, members)
    )


def compose(
    recipe: Recipe, members: Mapping[str, Member], found: bytes | None, read: Read
) -> Archive:
    """The archive, with `found` as `checks` gave it; None, where only its size is asked for.

    Raises ContentError: a member is missing, or the archive would be too large.
    """
    if found is None:
        found = bytes(CHECK_BYTES * len(recipe.members))
    if len(found) != CHECK_BYTES * len(recipe.members):
        raise ContentError(f"archive {recipe.digest[:12]}: checks of other members")
    runs = _exact(recipe, members) if recipe.pieces else _plain(recipe, members, found)
    archive = Archive(runs, read)
    if archive.size > MAX_ARCHIVE_BYTES:
        raise ContentError(
            f"archive {recipe.digest[:12]}: {archive.size:,} bytes, more than "
            f"the {MAX_ARCHIVE_BYTES:,} allowed"
        )
    return archive


def verify(recipe: Recipe, archive: Archive) -> None:
    """Raises ContentError unless `archive` is what the recipe says. Reads all of it."""
    if digest_of(archive) != recipe.digest:
        raise ContentError(
            f"archive {recipe.digest[:12]}: other bytes come out than were published",
            hint="its members are deflated and this machine's zlib writes them otherwise: "
            "add the file at the hub without --exact",
        )


def digest_of(archive: Archive) -> Digest:
    """The digest of all its bytes."""
    hashed = hashlib.sha256()
    for piece in archive.read(0, archive.size):
        hashed.update(piece)
    return Digest(hashed.hexdigest())


def _plain(recipe: Recipe, members: Mapping[str, Member], found: bytes) -> list[_Run]:
    runs: list[_Run] = []
    directory: list[bytes] = []
    at = 0
    for place, member in enumerate(_named(recipe.members, members)):
        name = recipe.members[place].encode()
        flags = 0 if name.isascii() else UTF8
        check = int.from_bytes(found[CHECK_BYTES * place :][:CHECK_BYTES], "little")
        about = (NEEDED, flags, 0, 0, DATE, check, member.size, member.size, len(name), 0)
        directory.append(CENTRAL.pack(b"PK\1\2", NEEDED, *about, 0, 0, 0, 0, at) + name)
        header = LOCAL.pack(b"PK\3\4", *about) + name
        runs += [_Run(len(header), header), _Run(member.size, member=member)]
        at += len(header) + member.size
        if at > MAX_ARCHIVE_BYTES:
            raise ContentError(f"archive {recipe.digest[:12]}: larger than {MAX_ARCHIVE_BYTES:,}")
    count, size = len(directory), sum(map(len, directory))
    directory.append(END.pack(b"PK\5\6", 0, 0, count, count, size, at, 0))
    tail = b"".join(directory)
    return [*runs, _Run(len(tail), tail)]


def _exact(recipe: Recipe, members: Mapping[str, Member]) -> list[_Run]:
    named = iter(_named(recipe.names, members))
    runs = []
    for piece in recipe.pieces:
        if piece.literal:
            runs.append(_Run(len(piece.literal), piece.literal))
        else:
            member = next(named)
            size = piece.size or member.size
            runs.append(_Run(size, member=member, level=piece.level))
    return runs


def _named(names: Sequence[str], members: Mapping[str, Member]) -> Iterator[Member]:
    for name in names:
        if name not in members:
            raise ContentError(f"archive: its member {name!r} is not in the version")
        yield members[name]


def _check(member: Member, read: Read) -> int:
    check = 0
    for piece in _stored(member, read, 0, member.size):
        check = zlib.crc32(piece, check)
    return check


def _stored(member: Member, read: Read, start: int, stop: int) -> Iterator[bytes]:
    while start < stop:
        piece = read(member.hash, start, min(BLOCK_BYTES, stop - start))
        if not piece:
            raise ContentError(f"object {member.hash[:12]} is shorter than the version says")
        yield piece
        start += len(piece)


def _deflated(run: _Run, read: Read) -> Iterator[bytes]:
    assert run.member is not None
    packer = zlib.compressobj(run.level, zlib.DEFLATED, -zlib.MAX_WBITS)
    made = 0
    for piece in _packed(packer, run.member, read):
        made += len(piece)
        yield piece
    if made != run.size:
        raise ContentError(
            f"object {run.member.hash[:12]}: deflated to {made:,} bytes, not {run.size:,}"
        )


def _packed(packer: "zlib._Compress", member: Member, read: Read) -> Iterator[bytes]:
    for piece in _stored(member, read, 0, member.size):
        yield packer.compress(piece)
    yield packer.flush()


def _cut(pieces: Iterator[bytes], start: int, stop: int) -> Iterator[bytes]:
    """What lies between `start` and `stop` of the joined pieces; all are read."""
    at = 0
    for piece in pieces:
        found = piece[max(0, start - at) : max(0, stop - at)]
        at += len(piece)
        if found:
            yield found
