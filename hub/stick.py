"""Stick: what is published, put on a USB stick; and what nodes left on it, taken home.

* Payload first, pointer last: roots, objects, bundles, each with its offer, and then the head.
  A stick pulled out at any moment shows the old version or the new one, never half of it.
* What leads to older versions is removed only after the new head.
* What nodes left and the hub has is acknowledged on the next export: only then do they forget it.
* A block goes off the stick only when the intake has it, now or from before. One that is
  damaged or refused stays on it and is counted.
* The folder must be there: a stick that is not plugged in must not fill the disk below.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hub.answers import RefusedError
from hub.intake import MAX_BLOCK_BYTES, Intake, Receipt
from hub.publisher import published
from hub.shelf import Shelf
from sync import manifest as manifests
from sync.acks import Acks
from sync.acks import to_bytes as acks_to_bytes
from sync.bundle import Offer
from sync.canonical import Digest
from sync.errors import ContentError, TransportError
from sync.files import FULL, file_pieces, flush_all, reserve
from sync.signing import Publisher as Signing
from sync.transport.directory import STICK, DirectoryWriter, Letters, on_stick

SLACK_BYTES = 1024 * 1024
"""Stays free on the stick, for blocks on their way home."""

_PULLED = "put the stick back and run the command again; it shows the old version or the new one"


@dataclass(frozen=True, slots=True)
class Filled:
    """What is on the stick now. Sizes in bytes; `offers` begins with the whole bundle."""

    folder: Path
    channel: str
    version: int
    root: Digest
    offers: tuple[Offer, ...]
    objects: int
    size: int
    acknowledged: int = 0
    """Nodes whose blocks are acknowledged on it."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of the blocks on a stick."""

    stored: int = 0
    known: int = 0
    """The hub had them already."""
    damaged: int = 0
    refused: int = 0
    size: int = 0
    """Bytes of those stored."""


def fill(
    folder: Path,
    shelf: Shelf,
    channel: str,
    bases: Iterable[Digest],
    *,
    objects: bool = False,
    acks: tuple[Acks, Signing] | None = None,
    writer_to: Callable[[Path], DirectoryWriter] = DirectoryWriter,
    slack: int = SLACK_BYTES,
    flush: Callable[[], None] = flush_all,
) -> Filled:
    """Puts the current version of `channel` on the stick at `folder`.

    `bases` are the roots that a delta is wanted from; `objects` adds every object, so that a
    damaged one on a node is repaired without the hub; `acks` are signed and put on it, so that
    nodes forget what has arrived; `slack` bytes stay free. Raises
    TransportError: no stick, or pulled out. ContentError: nothing is published. SpaceError:
    the stick is too small.
    """
    home = _there(folder)
    home = home if home.name == STICK else home / STICK
    verdict, head = published(shelf, channel), shelf.head(channel)
    if verdict is None or head is None:
        raise ContentError(
            f"channel {channel} has no published version", hint="run `chaski-hub publish` first"
        )
    data = shelf.manifest(verdict.root)
    if data is None:
        raise ContentError(
            f"the manifest of version {verdict.version} is missing",
            hint="restore the folder of published files from its copy",
        )
    entries = manifests.from_bytes(data).entries
    names = sorted({e.hash for e in entries}) if objects else []
    known = ["none", *(b for b in dict.fromkeys(bases) if b != verdict.root)]
    wanted = (shelf.offer(channel, base, verdict.root) for base in known)
    offers = tuple(offer for offer in wanted if offer is not None)
    need = sum(o.size for o in offers) + (verdict.full_size if objects else 0)
    writer = writer_to(home)
    try:
        # All that may be there already is counted as new: a stick is cheap.
        reserve(folder, need, slack)
        for number in shelf.roots():
            writer.put_root(number, shelf.root(number) or b"")
        for name in names:
            _put_object(writer, shelf, name)
        for offer in offers:
            told = shelf.digests(channel, offer.base or "none", verdict.root)
            writer.put_digests(offer, told or b"")
            writer.put_bundle(offer, file_pieces(shelf.deltas.path(offer.bundle)))
        writer.put_head(channel, head)
        if acks:
            writer.put_acks(channel, acks_to_bytes(*acks))
        writer.prune(channel, verdict.root, {o.bundle for o in offers})
    except OSError as error:
        if error.errno in FULL:
            raise
        raise TransportError(f"{home}: {error.strerror}", hint=_PULLED) from error
    flush()
    said = len(acks[0].nodes) if acks else 0
    return Filled(home, channel, verdict.version, verdict.root, offers, len(names), need, said)


def _put_object(writer: DirectoryWriter, shelf: Shelf, name: Digest) -> None:
    data = shelf.object(name)
    path = shelf.bundle_path(name)
    if data is not None:
        writer.put_object(data)
    elif path is not None and writer.put_long_object(file_pieces(path)) != name:
        raise ContentError(f"object {name[:12]} is damaged", hint="restore it from its copy")


def collect(folder: Path, intake: Intake, *, keep: bool = False) -> Collected:
    """Gives every block on the stick at `folder` to `intake`; with `keep` they stay on it too.

    Raises TransportError: no stick, or pulled out; what was stored until then is stored.
    """
    letters = Letters(on_stick(_there(folder)))
    counts = dict.fromkeys(("stored", "known", "damaged", "refused", "size"), 0)
    kinds: dict[str, Callable[[bytes], Receipt]] = {
        "events": intake.events,
        "samples": intake.samples,
    }
    for kind, take in kinds.items():
        for name in letters.waiting(kind):
            try:
                block = letters.read(kind, name, MAX_BLOCK_BYTES)
                receipt = take(block)
            except ContentError as error:  # also what the intake refuses, with a reason
                reason = error.reason if isinstance(error, RefusedError) else "damaged"
                counts["damaged" if reason == "damaged" else "refused"] += 1
                continue
            counts["stored" if receipt.stored else "known"] += 1
            counts["size"] += len(block) if receipt.stored else 0
            if not keep:
                letters.remove(kind, name)
    return Collected(**counts)


def _there(folder: Path) -> Path:
    if not folder.is_dir():
        raise TransportError(
            f"{folder}: there is no such folder", hint="plug the stick in and give where it is"
        )
    return folder
