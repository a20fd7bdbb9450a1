"""Recipe: how an archive (EPUB, zip) that travels as its members is put together again.

* It is the object at the archive's path; the member NAME is the object at PATH/NAME.
* A **plain** archive lists its members; every byte around them follows from a rule without
  freedom: stored, dated 1980-01-01, no extra fields. An **exact** one lists pieces: bytes as
  they stand here, members as they are, members deflated again by zlib at a level.
* JSON indented like a lesson, one member after the other, so that an edited chapter changes
  one line of it, the digest of the whole.
"""

from typing import Annotated, Literal

import msgspec

from sync.canonical import Digest, decode, parse_digest
from sync.errors import ContentError
from sync.manifest import MAX_PATH_CHARS, check_path

MAX_RECIPE_BYTES = 4 * 1024 * 1024
MAX_MEMBERS = 10_000
MAX_PIECES = 3 * MAX_MEMBERS
MAX_ARCHIVE_BYTES = 2**31 - 1

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH_CHARS)]


class Piece(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A run of bytes of an exact archive: `literal`, or those of `member`, deflated at zlib
    `level` to `size` bytes where a level is given."""

    literal: bytes = b""
    member: str = ""
    level: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_ARCHIVE_BYTES)] = 0


class Recipe(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One archive. `digest` is that of all its bytes. Either members or pieces are given."""

    version: Literal[1]
    digest: Digest
    members: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_MEMBERS)] = ()
    pieces: Annotated[tuple[Piece, ...], msgspec.Meta(max_length=MAX_PIECES)] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The members, in order of the archive."""
        return self.members or tuple(piece.member for piece in self.pieces if piece.member)


def to_bytes(value: Recipe) -> bytes:
    """The bytes that are hashed and travel."""
    # omit_defaults leaves out what equals the default; the version has none.
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def from_bytes(data: bytes) -> Recipe:
    """Raises ContentError when `data` is no recipe that can be followed."""
    found = decode(data, Recipe, limit=MAX_RECIPE_BYTES, what="recipe")
    parse_digest(found.digest)
    if bool(found.members) == bool(found.pieces):
        raise ContentError("recipe: either members or pieces, and at least one")
    for name in found.names:
        check_path(name)
    if len({name.casefold() for name in found.names}) != len(found.names):
        raise ContentError("recipe: a member is there twice")
    for number, piece in enumerate(found.pieces):
        if bool(piece.literal) == bool(piece.member):
            raise ContentError(f"recipe: piece {number} is neither literal nor a member, or both")
        if bool(piece.level) != bool(piece.size) or (piece.level and piece.literal):
            raise ContentError(f"recipe: piece {number}: level and size go together, with a member")
    return found
