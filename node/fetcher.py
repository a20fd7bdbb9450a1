"""Fetcher: brings the objects of a signed version into the store, and nothing else.

* Offer -> plan -> journal -> objects -> manifest, which must have the signed root.
* A bundle that is wrong is fetched a second time, then the whole channel instead of the
  difference; then it is a ContentError. An object of the base that is damaged here is
  fetched by itself, once.
* Space is asked for before a byte is fetched. Whatever goes wrong leaves only objects that
  nobody refers to yet, and a journal that the next call resumes.
"""

import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from node.repair import fetch_long
from node.store.blobs import Blobs
from node.store.store import no_step
from node.worker import Worker
from sync import manifest as manifests
from sync.bundle import BundleReader, DamagedBaseError, Offer
from sync.bundle.header import MAX_WHOLE_BYTES
from sync.canonical import Digest, digest
from sync.errors import ChaskiError, ContentError, SpaceError, TransportError
from sync.journal import Download, Journal
from sync.manifest import Entry, Manifest
from sync.plan import FLOOR_BYTES, choose
from sync.transport import RefusedError, Source
from sync.trust import Verdict

TRIES = 2
"""How often a bundle is fetched before something else is tried."""
SLACK_BYTES = 1024 * 1024
"""By how much a bundle may exceed the channel that it carries."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """The disk: bytes free where the objects are, and how many must stay free."""

    free: Callable[[], int]
    floor_bytes: int = FLOOR_BYTES


class _NoOfferError(RefusedError):
    """The source has no such bundle."""


class Fetcher:
    """Owner of the journal; writes the objects."""

    def __init__(
        self,
        blobs: Blobs,
        journal: Journal,
        worker: Worker,
        room: Room,
        step: Callable[[str], None] = no_step,
    ) -> None:
        """`step` hears each step before it is taken."""
        self._blobs = blobs
        self._journal = journal
        self._worker = worker
        self._room = room
        self._step = step

    async def bring(self, source: Source, base: Manifest | None, verdict: Verdict) -> Manifest:
        """The manifest of the version judged, all its objects in the store.

        `base` is the manifest installed. Raises ContentError, TransportError, SpaceError.
        """
        trouble: ChaskiError | None = None
        for known in (base, None) if base else (None,):
            for _ in range(TRIES):
                try:
                    target = await self._through(source, known, verdict)
                    await self.mend(source, target, deep=False)
                    return target
                except _NoOfferError as error:
                    trouble = trouble or error
                    break
                except (ContentError, RefusedError) as error:
                    log.warning("%s", error)
                    trouble = error
        assert trouble is not None
        raise trouble

    async def _through(self, source: Source, base: Manifest | None, verdict: Verdict) -> Manifest:
        """One bundle, fetched, decoded and compared with the verdict."""
        self._step("offer")
        offer = await source.offer(verdict.channel, base.root if base else None, verdict.root)
        if offer is None:
            raise _NoOfferError(
                f"the hub has no bundle for version {verdict.version}",
                hint="see that the hub finished publishing",
            )
        _bounded(offer, verdict)
        download = await self._worker.run(self._journal.open, offer)
        choose(
            offer,
            self._room.free(),
            held_bytes=download.bytes_arrived,
            floor_bytes=self._room.floor_bytes,
        )
        await self._download(source, download)
        try:
            target = await self._unpack(source, download.complete(), base, verdict)
        except ContentError:
            download.discard()
            raise
        self._step("unpacked")
        download.discard()
        return target

    async def _download(self, source: Source, download: Download) -> None:
        while wanted := download.wanted():
            at, stop = wanted
            async with aclosing(source.chunks(download.offer.bundle, at, stop)) as pieces:
                async for piece in pieces:
                    self._step("chunk")
                    await self._worker.run(download.feed, at, piece)
                    at += len(piece)
            if at < stop:
                raise TransportError(f"bundle {download.offer.bundle[:12]} ended early")

    async def _unpack(
        self, source: Source, path: Path, base: Manifest | None, verdict: Verdict
    ) -> Manifest:
        """Decodes the bundle, mending each damaged base object once."""
        mended: set[Digest] = set()
        while True:
            try:
                return await self._worker.run(self._decode, path, base, verdict)
            except DamagedBaseError as error:
                if error.digest in mended:
                    raise
                mended.add(error.digest)
                await self._fetch(source, error.entry)

    def _decode(self, path: Path, base: Manifest | None, verdict: Verdict) -> Manifest:
        reader = BundleReader(path, base)
        header = reader.header
        if header.channel != verdict.channel or not header.leads_to(verdict.root):
            raise ContentError(f"bundle {path.stem[:12]} is for another version than was signed")
        if header.unpacked > verdict.full_size:
            raise ContentError(f"bundle {path.stem[:12]} holds more than the signed version")
        for _ in reader.pour(self._blobs):
            self._step("object")
        target = reader.target_manifest()
        size = len(manifests.to_bytes(target))
        if (target.root, size) != (verdict.root, verdict.manifest_size):
            raise ContentError(f"bundle {path.stem[:12]} leads to another manifest than was signed")
        return target

    async def mend(self, source: Source, manifest: Manifest, *, deep: bool) -> int:
        """Fetches the objects of `manifest` that are missing here; `deep`: the damaged too.

        Returns how many. Raises TransportError, ContentError, SpaceError.
        """
        look = self._blobs.damaged if deep else self._blobs.missing
        broken = await self._worker.run(lambda: list(look(manifest)))
        for entry in broken:
            await self._fetch(source, entry)
        return len(broken)

    async def _fetch(self, source: Source, entry: Entry) -> None:
        self._step("repair")
        if entry.size > MAX_WHOLE_BYTES:
            if self._room.free() - entry.size < self._room.floor_bytes:
                raise SpaceError(
                    f"object {entry.hash[:12]} of {entry.size:,} bytes does not fit on the disk",
                    hint="free some space; the next sync fetches it",
                )
            await fetch_long(source, self._blobs, self._worker, entry)
            return
        data = await source.object(entry.hash)
        if digest(data) != entry.hash:
            raise ContentError(
                f"object {entry.hash[:12]} came damaged", hint="the next sync asks again"
            )
        await self._worker.run(self._blobs.put, data)


def _bounded(offer: Offer, verdict: Verdict) -> None:
    """Raises ContentError for an offer larger than anything the signed version could need."""
    most = verdict.full_size + verdict.manifest_size + SLACK_BYTES
    if max(offer.size, offer.unpacked) > most:
        raise ContentError(
            f"bundle {offer.bundle[:12]} of {offer.size:,} bytes for a channel of"
            f" {verdict.full_size:,}",
            hint="the offer is false; nothing was fetched",
        )
