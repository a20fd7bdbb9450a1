"""Inventory: what a channel says about the assets it carries besides its lessons.

* It is the object at `inventory.json`: title, author, licence, source, and where each belongs.
* JSON indented like a lesson, one file after the other by path, so that a small change is a
  small delta. Without assets there is no inventory.
* It describes; whether a path is there is the manifest's affair.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from sync.canonical import decode
from sync.errors import ContentError
from sync.lesson import Grade, Language, Line
from sync.manifest import MAX_PATH_CHARS

INVENTORY_PATH = "inventory.json"
MAX_INVENTORY_BYTES = 4 * 1024 * 1024
MAX_ASSETS = 5_000
PICTURES = frozenset({".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp"})
"""What a lesson may show, by the end of its name: every phone and every reader of books can."""


class About(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who made one asset, under which licence, and for whom. Empty: for everybody."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH_CHARS)]
    title: Line
    author: Line
    license: Line
    source: Annotated[str, msgspec.Meta(max_length=400)] = ""
    language: Literal[""] | Language = ""
    grade: Literal[""] | Grade = ""
    topic: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9]+(-[a-z0-9]+)*)?$", max_length=80)] = ""


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All assets of one version, by path."""

    assets: Annotated[tuple[About, ...], msgspec.Meta(max_length=MAX_ASSETS)]


def inventory(assets: Iterable[About]) -> Inventory:
    """The inventory of `assets`, sorted."""
    return Inventory(tuple(sorted(assets, key=lambda about: about.path)))


def to_bytes(value: Inventory) -> bytes:
    """The bytes that are hashed and travel."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def from_bytes(data: bytes) -> Inventory:
    """Raises ContentError when `data` is no inventory, or lists a path twice."""
    found = decode(data, Inventory, limit=MAX_INVENTORY_BYTES, what=INVENTORY_PATH)
    if len({about.path for about in found.assets}) != len(found.assets):
        raise ContentError(f"{INVENTORY_PATH}: a path is there twice")
    return found
