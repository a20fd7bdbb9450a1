"""Fetcher: brings the objects of a signed version into the store, and nothing else.

* Offer -> plan -> journal -> objects -> manifest, which must have the signed root.
* A bundle that will take long, exceeds the budget or was cut before comes in instalments: the
  signed manifest first, then group by group in the planner's order, each told to `arrived`.
* A bundle that is wrong is fetched a second time, then the whole channel instead of the
  difference; then it is a ContentError. An object of the base that is damaged here is
  fetched by itself, once.
* Space is asked for before a byte is fetched. Whatever goes wrong leaves only objects that
  nobody refers to yet, and a journal that the next call resumes.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from node.agenda import Terms
from node.carrier import Carrier, Progress, SpoiltError, runs
from node.instalments import Instalments
from node.planner import portion
from node.repair import fetch_long
from node.store.blobs import Blobs
from node.store.store import no_step
from node.worker import Worker
from sync import manifest as manifests
from sync.bundle import BundleReader, DamagedBaseError, Offer, digests_from_bytes
from sync.bundle.header import MAX_WHOLE_BYTES
from sync.canonical import Digest, digest
from sync.errors import ChaskiError, ContentError, SpaceError
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


Arrived = Callable[[Manifest], Awaitable[None]]
"""Hears, with the manifest of the version to come, that more of its objects are here."""


async def unheard(target: Manifest) -> None:
    """The default `Arrived`."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a fetch came to: the version's manifest, and how many bytes of it have to wait.

    The manifest is None when not even that is known yet.
    """

    target: Manifest | None
    bytes_left: int = 0


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
        self.carrier = Carrier(worker, step)

    async def bring(
        self,
        source: Source,
        base: Manifest | None,
        verdict: Verdict,
        terms: Terms | None = None,
        arrived: Arrived = unheard,
    ) -> Brought:
        """The manifest of the version judged; all its objects in the store, as far as `terms`
        allow.

        `base` is the newest manifest that is here whole. Raises ContentError, TransportError,
        SpaceError.
        """
        try:
            return await self._bring(source, base, verdict, terms or Terms(), arrived)
        finally:
            self.carrier.progress = None

    async def _bring(
        self,
        source: Source,
        base: Manifest | None,
        verdict: Verdict,
        terms: Terms,
        arrived: Arrived,
    ) -> Brought:
        trouble: ChaskiError | None = None
        for known in (base, None) if base else (None,):
            for _ in range(TRIES):
                try:
                    brought = await self._through(source, known, verdict, terms, arrived)
                    if brought.target and not brought.bytes_left:
                        await self.mend(source, brought.target, deep=False)
                    return brought
                except _NoOfferError as error:
                    trouble = trouble or error
                    break
                except (ContentError, RefusedError) as error:
                    log.warning("%s", error)
                    trouble = error
        assert trouble is not None
        raise trouble

    async def _through(
        self,
        source: Source,
        base: Manifest | None,
        verdict: Verdict,
        terms: Terms,
        arrived: Arrived,
    ) -> Brought:
        """One bundle, fetched, decoded and compared with the verdict."""
        download = await self._offered(source, base, verdict)
        size = download.offer.size
        left = download.cost(0, size)
        self.carrier.progress = Progress(verdict.version, left, size)
        begun = size - left >= download.offer.chunk_size
        try:
            if begun or not terms.at_once(left):
                brought = await self._in_instalments(
                    source, download, base, verdict, terms, arrived
                )
                if brought:
                    return brought
            if terms.budget is not None and left > terms.budget:
                await self.carrier.ahead(source, download, terms.budget)
                return Brought(None, download.cost(0, size))
            await self.carrier.bring(source, download, 0, size)
            target = await self._unpack(source, download.complete(), base, verdict)
        except SpoiltError:
            raise
        except ContentError:
            download.discard()
            raise
        self._step("unpacked")
        download.discard()
        return Brought(target)

    async def _offered(self, source: Source, base: Manifest | None, verdict: Verdict) -> Download:
        """The bundle on offer, with what of it is here. Raises SpaceError: it does not fit."""
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
        return download

    async def survey(
        self, source: Source, base: Manifest | None, verdict: Verdict
    ) -> tuple[Download, BundleReader]:
        """What is on offer, as far as its header says; that is all that is fetched.

        Raises as `bring`.
        """
        trouble: ChaskiError | None = None
        for known in (base, None) if base else (None,):
            try:
                download = await self._offered(source, known, verdict)
            except _NoOfferError as error:
                trouble = trouble or error
                continue
            try:
                return download, await self.carrier.header(source, download, known)
            except ContentError:
                download.discard()
                raise
        assert trouble is not None
        raise trouble

    async def _in_instalments(
        self,
        source: Source,
        download: Download,
        base: Manifest | None,
        verdict: Verdict,
        terms: Terms,
        arrived: Arrived,
    ) -> Brought | None:
        """Group by group; None when nobody tells the digests. Raises as `bring`."""
        reader = await self.carrier.header(source, download, base)
        target = _promised(reader, download.noted(), verdict)
        if target is None:
            base_root = base.root if base else None
            told = await source.digests(verdict.channel, base_root, verdict.root)
            target = _promised(reader, told, verdict)
            if target is None or told is None:
                return None
            await self._worker.run(download.note, told)
        self._step("promised")
        coming = Instalments(download, reader, target, self._blobs)
        await self._take_in(source, coming, arrived)
        await arrived(target)
        plan = await self._worker.run(
            lambda: portion(terms.planner.order(coming.parts(terms)), terms.budget)
        )
        for start, stop in runs(coming.span(part.number) for part in plan.now):
            async for _ in self.carrier.pieces(source, download, start, stop):
                await self._take_in(source, coming, arrived)
        if plan.begun:
            span = coming.span(plan.begun.number)
            await self.carrier.ahead(source, download, plan.begun_bytes, *span)
        if coming.whole:
            self._step("unpacked")
            download.discard()
        return Brought(target, coming.bytes_left)

    async def _take_in(self, source: Source, coming: Instalments, arrived: Arrived) -> None:
        """Unpacks what is ready, mending each damaged base object once, and tells of it."""
        for number in coming.ready():
            mended: set[Digest] = set()
            while True:
                self._step("object")
                try:
                    await self._worker.run(coming.unpack, number)
                    break
                except DamagedBaseError as error:
                    if error.digest in mended:
                        raise
                    mended.add(error.digest)
                    await self._fetch(source, error.entry)
                except ContentError as error:
                    if coming.doubt(number):
                        raise SpoiltError(str(error), error.hint) from error
                    raise
            await arrived(coming.target)

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
        _proved(target, verdict, path.stem)
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


def _promised(reader: BundleReader, told: bytes | None, verdict: Verdict) -> Manifest | None:
    """The signed manifest, from a header and digests; None when these do not lead to it."""
    if told is None:
        return None
    try:
        target = reader.promised(digests_from_bytes(told))
        _proved(target, verdict, reader.name)
    except ContentError as error:
        log.warning("%s; it has to come whole", error)
        return None
    return target


def _proved(target: Manifest, verdict: Verdict, name: str) -> None:
    """Raises ContentError unless `target` is what was signed."""
    size = len(manifests.to_bytes(target))
    if (target.root, size) != (verdict.root, verdict.manifest_size):
        raise ContentError(f"bundle {name[:12]} leads to another manifest than was signed")


def _bounded(offer: Offer, verdict: Verdict) -> None:
    """Raises ContentError for an offer larger than anything the signed version could need."""
    most = verdict.full_size + verdict.manifest_size + SLACK_BYTES
    if max(offer.size, offer.unpacked) > most:
        raise ContentError(
            f"bundle {offer.bundle[:12]} of {offer.size:,} bytes for a channel of"
            f" {verdict.full_size:,}",
            hint="the offer is false; nothing was fetched",
        )
