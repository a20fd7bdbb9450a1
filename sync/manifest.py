"""Manifest: one channel version as a sorted list of entries; its root is what gets signed.

* Paths are relative, forward-slash, NFC, no `..`, no empty part, no control character, no name
  that Windows keeps for itself, no two that differ only in case and none that is another's
  folder; entries are sorted by path and unique.
* `root` is the digest of the canonical entries: same content, same root.
* `diff` is pure and tells how to come from one manifest to another.
"""

import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from sync.canonical import Digest, decode, digest, encode, parse_digest
from sync.errors import ContentError

Kind = Literal["channel", "lesson", "asset", "model", "archive"]
MAX_ENTRIES = 200_000
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_PATH_CHARS = 240
_FORBIDDEN = frozenset('\\:*?"<>|')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)
"""Names that are devices on Windows, with any ending."""


class Entry(msgspec.Struct, frozen=True, order=True, array_like=True, forbid_unknown_fields=True):
    """One object of a channel version. Lower `priority` travels first."""

    path: str
    hash: Digest
    size: Annotated[int, msgspec.Meta(ge=0)]
    kind: Kind
    priority: Annotated[int, msgspec.Meta(ge=0, le=99)] = 50
    grade: str = ""
    language: str = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of one channel. Make it with `manifest()`, which checks the rules."""

    channel: str
    entries: tuple[Entry, ...]

    @property
    def root(self) -> Digest:
        """Digest of the canonical entries."""
        return digest(encode(self.entries))

    @property
    def size(self) -> int:
        """Bytes of all objects, each counted once."""
        return sum({e.hash: e.size for e in self.entries}.values())

    def by_path(self) -> dict[str, Entry]:
        """The entries by path."""
        return {e.path: e for e in self.entries}


class Delta(msgspec.Struct, frozen=True):
    """How `target` differs from `base`.

    `moved` pairs (old path, new path) have equal content; `changed` pairs (old, new) share
    the path.
    """

    added: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]
    moved: tuple[tuple[Entry, Entry], ...]
    removed: tuple[Entry, ...]

    @property
    def empty(self) -> bool:
        """True when nothing differs."""
        return not (self.added or self.changed or self.moved or self.removed)


def manifest(channel: str, entries: Iterable[Entry]) -> Manifest:
    """A manifest of `entries`, sorted. Raises ContentError when a rule is broken."""
    ordered = tuple(sorted(entries, key=lambda e: e.path))
    if len(ordered) > MAX_ENTRIES:
        raise ContentError(f"channel {channel}: {len(ordered)} entries, more than {MAX_ENTRIES}")
    seen: dict[str, str] = {}
    files: set[str] = set()  # nothing lies below these; below an archive lie its members
    for entry in ordered:
        check_path(entry.path)
        parse_digest(entry.hash)
        folded = entry.path.casefold()
        if folded in seen:
            raise ContentError(
                f"channel {channel}: paths {seen[folded]!r} and {entry.path!r} collide"
            )
        seen[folded] = entry.path
        if entry.kind != "archive":
            files.add(folded)
    for folded, path in seen.items():
        parts = folded.split("/")
        above = ("/".join(parts[:n]) for n in range(1, len(parts)))
        if outer := next((seen[one] for one in above if one in files), None):
            raise ContentError(f"channel {channel}: paths {outer!r} and {path!r} collide")
    return Manifest(channel, ordered)


def check_path(path: str) -> None:
    """Raises ContentError when `path` could escape its folder or differ between systems."""
    parts = path.split("/")
    bad = (
        not path
        or len(path) > MAX_PATH_CHARS
        or path != unicodedata.normalize("NFC", path)
        or any(c in _FORBIDDEN or unicodedata.category(c).startswith("C") for c in path)
        or any(p in ("", ".", "..") or p != p.strip(" ") or p.endswith(".") for p in parts)
        or any(p.split(".")[0].rstrip(" ").casefold() in _DEVICES for p in parts)
    )
    if bad:
        raise ContentError(f"unsafe path in a manifest: {path[:120]!r}")


def to_bytes(value: Manifest) -> bytes:
    """The canonical bytes of a manifest."""
    return encode(value)


def from_bytes(data: bytes) -> Manifest:
    """Raises ContentError when `data` is not a manifest in order."""
    loose = decode(data, Manifest, limit=MAX_MANIFEST_BYTES, what="manifest")
    checked = manifest(loose.channel, loose.entries)
    if checked.entries != loose.entries:
        raise ContentError(f"channel {loose.channel}: manifest entries are not sorted")
    return checked


def diff(base: Manifest | None, target: Manifest) -> Delta:
    """The delta from `base` (nothing when None) to `target`."""
    old = base.by_path() if base else {}
    new = target.by_path()
    gone = [old[p] for p in old if p not in new]
    by_hash: dict[Digest, list[Entry]] = {}
    for entry in gone:
        by_hash.setdefault(entry.hash, []).append(entry)
    added, moved = [], []
    for path, entry in new.items():
        if path in old:
            continue
        sources = by_hash.get(entry.hash)
        if sources:
            moved.append((sources.pop(0), entry))
        else:
            added.append(entry)
    left = {e.path for e, _ in moved}
    return Delta(
        added=tuple(added),
        changed=tuple((old[p], e) for p, e in new.items() if p in old and old[p] != e),
        moved=tuple(moved),
        removed=tuple(e for e in gone if e.path not in left),
    )
