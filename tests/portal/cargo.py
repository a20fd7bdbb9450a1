"""Cargo: a release that carries files besides its lessons, as a hub would publish it."""

import tomllib
from collections.abc import Iterable, Mapping

from node.store.blobs import Blobs
from node.store.store import Release
from sync import inventory as inventories
from sync import recipe as recipes
from sync.archive import Member, checks, compose, digest_of
from sync.canonical import Digest
from sync.inventory import INVENTORY_PATH, About
from sync.lesson import Channel, Lesson
from sync.manifest import Entry, manifest
from sync.recipe import Recipe
from tests.node.village import SAMPLE, release


def sample_files() -> tuple[dict[str, bytes], list[About]]:
    """The files of the sample library, and what it says of them."""
    table = tomllib.loads((SAMPLE / "files.toml").read_text(encoding="utf-8"))["files"]
    known = About.__struct_fields__
    abouts = [About(**{k: v for k, v in one.items() if k in known}) for one in table]
    return {one.path: (SAMPLE / one.path).read_bytes() for one in abouts}, abouts


def about(path: str, title: str, **more: str) -> About:
    """What the inventory says of one file."""
    return About(path, title, "Ana Quispe", "CC-BY-4.0", **more)  # type: ignore[arg-type]


def loaded(
    blobs: Blobs,
    version: int,
    lessons: Iterable[Lesson],
    channel: Channel,
    *,
    files: Mapping[str, bytes],
    books: Mapping[str, Mapping[str, bytes]],
    abouts: Iterable[About],
) -> tuple[Release, dict[str, bytes]]:
    """A release with `files` and archives `books`, whose bytes as readers get them it returns."""
    plain = release(blobs, version, lessons, channel)
    whole = dict(files)
    entries = list(plain.manifest.entries)
    entries += [Entry(path, blobs.put(data), len(data), "asset") for path, data in files.items()]
    for path, contents in books.items():
        members = {name: Member(blobs.put(data), len(data)) for name, data in contents.items()}
        draft = Recipe(1, Digest("0" * 64), members=tuple(members))
        found = checks(draft, members, blobs.slice)
        archive = compose(draft, members, found, blobs.slice)
        whole[path] = b"".join(archive.read(0, archive.size))
        data = recipes.to_bytes(Recipe(1, digest_of(archive), members=tuple(members)))
        entries.append(Entry(path, blobs.put(data), len(data), "archive"))
        for name, member in members.items():
            entries.append(Entry(f"{path}/{name}", member.hash, member.size, "asset"))
    said = inventories.to_bytes(inventories.inventory(abouts))
    entries.append(Entry(INVENTORY_PATH, blobs.put(said), len(said), "channel"))
    made = manifest(plain.channel, entries)
    return Release(plain.channel, version, made, plain.trust), whole
