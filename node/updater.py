"""Updater: one sync, from the head to the flip. It decides what is fatal; it never raises
for what the hub, the road or the disk did: that comes back as an `Outcome`.

* Head -> judge -> fetch -> one transaction. Until the last step nothing that pages read has
  changed; after a refusal nothing at all has.
* `updated` is only said after the transaction: nothing applied is never a success.
* One sync at a time; who asks meanwhile gets the outcome of the one that runs.
* What comes in instalments is shown as it comes, each time in one transaction; the version
  counts as installed when it is whole. A version that waits for the next day is `partial`.
* A version that was rolled back from here is held: it is not installed again, a newer one is.
* What a road says and the judge or the bundle's root refuses is asked again of `spare`, the
  other roads; `roster` knows which one lied. The road's place is stored in the transaction of
  what it led to.
* The first sync that finds nothing new hashes every object; later ones look at sizes only.
  What is damaged or missing is fetched again.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from node.agenda import Agenda
from node.carrier import Progress
from node.fetcher import Fetcher
from node.meter import Meter
from node.outcome import Outcome, OutcomeKind, PausedError, from_bytes, kind_of, to_bytes
from node.store.blobs import Blobs
from node.store.partial import shown
from node.store.store import Release, Store, Trust, no_step
from node.telemetry.clock import Clock
from node.worker import Worker
from sync.bundle import BundleReader
from sync.canonical import Digest, digest
from sync.errors import ChaskiError, ContentError, TransportError
from sync.journal import Download
from sync.lesson import CHANNEL_PATH
from sync.manifest import Manifest
from sync.transport import Journey, Source
from sync.transport.health import Roster
from sync.trust import Floors, TrustedState, Verdict, head_from_bytes

__all__ = ["Outcome", "OutcomeKind", "Subscription", "Updater"]

MAX_ROTATIONS = 32
SPARE_EVERY = 24
"""After so many syncs in a row without news the hub itself is asked."""

STICK = "stick"
"""The road of a stick, as an outcome names it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which channel, and by whose keys."""

    channel: str
    root: bytes | None
    """The root keys as the operator gave them; None: go by what was trusted before."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What a look at the hub told: its version and, unless that is here, what is on offer."""

    verdict: Verdict
    download: Download | None
    reader: BundleReader | None


@dataclass(frozen=True, slots=True)
class _Done:
    """What an attempt came to."""

    kind: OutcomeKind
    version: int
    message: str


def unheard(outcome: Outcome) -> None:
    """The default listener."""


class Updater:
    """Brings the store of one node up to date. Close it."""

    def __init__(
        self,
        subscription: Subscription,
        store: Store,
        blobs: Blobs,
        source: Source,
        fetcher: Fetcher,
        worker: Worker,
        clock: Clock,
        *,
        agenda: Agenda | None = None,
        spare: Source | None = None,
        journey: Journey | None = None,
        roster: Roster | None = None,
        step: Callable[[str], None] = no_step,
        heard: Callable[[Outcome], None] = unheard,
    ) -> None:
        """`step` hears each step before it is taken, `heard` each outcome."""
        self._agenda = agenda
        self._turn = asyncio.Lock()
        self._spare = spare
        self._quiet = 0
        self._journey = journey
        self._roster = roster or Roster()
        self._subscription = subscription
        self._store = store
        self._blobs = blobs
        self._source = source
        self._fetcher = fetcher
        self._worker = worker
        self._clock = clock
        self._step = step
        self._heard = heard
        self._running: asyncio.Task[Outcome] | None = None
        self._offered: Verdict | None = None
        self._verified = False

    @property
    def last(self) -> Outcome | None:
        """The newest outcome, also of an earlier run of the program."""
        held = self._store.last_sync()
        return from_bytes(held) if held else None

    @property
    def last_update(self) -> Outcome | None:
        """The newest outcome that changed what pages show."""
        held = self._store.last_sync("updated")
        return from_bytes(held) if held else None

    async def sync(self, source: Source | None = None) -> Outcome:
        """Syncs once, from the hub or from `source` (a stick).

        A call while a sync runs waits for that one and gives its outcome; with a `source` it
        waits and then begins its own. Journal and trust are the same for every road.
        """
        while self._running and not self._running.done():
            outcome = await asyncio.shield(self._running)
            if source is None:
                return outcome
        self._running = asyncio.create_task(self._timed(source))
        return await asyncio.shield(self._running)

    @property
    def progress(self) -> Progress | None:
        """What is on its way in just now."""
        return self._fetcher.carrier.progress

    def halt(self, *, halted: bool) -> None:
        """Stops what travels at its next piece, and what would begin to; or lets it go on."""
        self._fetcher.carrier.halted = halted

    async def look(self) -> Glimpse:
        """What the hub has that is not here, as far as headers say; nothing else is fetched.

        Waits for a sync that runs. Raises ChaskiError.
        """
        async with self._turn:
            journey, source = self._journey, Meter(self._source)
            try:
                _, verdict = await self._judge(source)
                base, held = self._store.base(), self._store.held()
                installed = self._store.installed()
                if installed and verdict.root in (installed.root, held and held.root):
                    return Glimpse(verdict, None, None)
                if base and base.root == verdict.root:
                    return Glimpse(verdict, None, None)
                return Glimpse(verdict, *await self._fetcher.survey(source, base, verdict))
            finally:
                if journey:
                    await journey.rest()

    async def close(self) -> None:
        """Stops a sync that runs, at its next step; the journal resumes it."""
        if self._running and not self._running.done():
            self._running.cancel()
            await asyncio.wait({self._running})
        await self._worker.close()

    async def _timed(self, stick: Source | None) -> Outcome:
        meter = Meter(stick or self._source)
        journey = None if stick else self._journey
        spare = Meter(self._spare) if self._spare and not stick else None
        began = time.monotonic()
        version = self._store.whole_version()
        hint, rule, self._offered = "", "", None
        try:
            async with self._turn:
                done = await self._ways(meter, spare, journey, stick=stick is not None)
        except (ChaskiError, OSError, sqlite3.Error) as error:
            done = _Done(kind_of(error), version, f"{error}{self._so_far()}")
            hint, rule = getattr(error, "hint", ""), getattr(error, "rule", "")
        outcome = Outcome(
            kind=done.kind,
            at=self._clock.now(),
            from_version=version,
            to_version=done.version,
            bytes_down=meter.bytes_down + (spare.bytes_down if spare else 0),
            full_size=self._offered.full_size if self._offered else 0,
            seconds=time.monotonic() - began,
            message=done.message,
            hint=hint,
            offered_version=self._offered.version if self._offered else 0,
            rule=rule,
            carried={STICK: meter.bytes_down} if stick else self._roster.carried(),
        )
        with contextlib.suppress(ChaskiError, sqlite3.Error):  # a full disk must not hide it
            self._store.record_sync(outcome.at, outcome.kind, to_bytes(outcome))
        self._heard(outcome)
        return outcome

    async def _ways(
        self, source: Meter, spare: Meter | None, journey: Journey | None, *, stick: bool
    ) -> _Done:
        """By the road with news, and when that told a falsehood, by the spare one."""
        try:
            done = await self._attempt(source, journey, stick=stick)
            if spare and done.kind in ("current", "held"):
                self._quiet += 1
                if self._quiet % SPARE_EVERY == 0:  # an announcement may have been lost
                    with contextlib.suppress(TransportError):
                        return await self._attempt(spare, None)
            return done
        except ContentError as error:
            if spare is None:
                raise
            return await self._others(error, spare)
        finally:
            if journey:
                await journey.rest()

    async def _others(self, error: ContentError, spare: Meter) -> _Done:
        """By each road that has not told a falsehood in this sync, one after the other."""
        left = True
        while left:
            self._roster.doubt()
            log.warning("%s; asking another road", error)
            try:
                return await self._attempt(spare, None)
            except ContentError as again:
                error, left = again, self._roster.doubt()
        raise error

    async def _attempt(
        self, source: Meter, journey: Journey | None, *, stick: bool = False
    ) -> _Done:
        self._step("head")
        trust, verdict = await self._judge(source)
        place = journey.place if journey else None
        installed, seen = self._store.installed(), self._store.manifest()
        mended = 0
        if seen and ((installed and installed.part) or seen.root == verdict.root):
            mended = await self._fetcher.mend(source, seen, deep=not self._verified)
            self._verified = True
        base = self._store.base()
        if installed and seen and seen.root == verdict.root:
            if installed.version == verdict.version:
                self._settle(trust, place, journey)
                note = f"; {mended} damaged objects were fetched again" if mended else ""
                return _Done(
                    "current", verdict.version, f"version {verdict.version} is current{note}"
                )
            target = seen
        elif base and base.root == verdict.root:
            target = base
        elif (held := self._store.held()) and held.root == verdict.root:
            self._settle(trust, place, journey)
            version = installed.version if installed else 0
            return _Done(
                "held",
                version,
                f"version {held.version} was rolled back here and waits for a newer one;"
                " `chaski-node rollback --to-latest` shows it again",
            )
        else:
            terms = self._agenda.terms(stick=stick) if self._agenda else None

            async def arrived(target: Manifest) -> None:
                await self._worker.run(self._show, verdict, trust, target)

            brought = await self._fetcher.bring(source, base, verdict, terms, arrived)
            if brought.bytes_left or brought.target is None:
                waits = f"{brought.bytes_left:,} bytes of version {verdict.version} wait"
                return _Done(
                    "partial",
                    self._store.whole_version(),
                    f"{waits} for the next day or window{self._so_far()}",
                )
            target = brought.target
            self._not_held(verdict)
        release = Release(verdict.channel, verdict.version, target, trust, place)
        now = self._clock.now()
        await self._worker.run(self._store.install, release, self._blobs.get, now, self._step)
        if journey:
            journey.settled()
        self._step("collect")
        with contextlib.suppress(OSError):  # the version is in place; the next start tidies
            await self._worker.run(lambda: self._blobs.collect(self._store.kept()))
        message = f"version {verdict.version} is installed, {source.bytes_down:,} bytes came down"
        return _Done("updated", verdict.version, message)

    def _show(self, verdict: Verdict, trust: Trust, target: Manifest) -> None:
        """Puts in place what of `target` is here; nothing when that changes no page.

        Raises PausedError: somebody rolled back from it meanwhile, in another program.
        """
        self._not_held(verdict)
        now = self._store.manifest()
        held = {entry.hash for entry in now.entries} if now else set()
        seen = shown(target, now, lambda e: e.hash in held or self._blobs.holds(e), self._blobs.get)
        if seen.root in (target.root, now and now.root) or CHANNEL_PATH not in seen.by_path():
            return
        release = Release(verdict.channel, verdict.version, seen, trust, None, target)
        self._store.install(release, self._blobs.get, self._clock.now(), self._step)

    def _not_held(self, verdict: Verdict) -> None:
        held = self._store.held()
        if held and held.root == verdict.root:
            raise PausedError(f"version {held.version} was rolled back here meanwhile")

    def _so_far(self) -> str:
        """What to say of a version that is here in part."""
        installed = self._store.installed()
        if installed is None or installed.part is None:
            return ""
        part = installed.part
        return (
            f"; version {installed.version} is shown in part,"
            f" {part.lessons_here} of {part.lessons} lessons"
        )

    def _settle(self, trust: Trust, place: bytes | None, journey: Journey | None) -> None:
        """Nothing new: the road's place alone is stored, where it has moved."""
        if journey and place is not None:
            if place != self._store.place():
                self._store.advance(trust, place)
            journey.settled()

    async def _judge(self, source: Meter) -> tuple[Trust, Verdict]:
        """What the hub says is current, believed; the judge's memory is stored."""
        held = self._store.trust()
        anchor, state = _trusted(self._subscription, held)
        for _ in range(MAX_ROTATIONS):
            root = await source.root(state.root_version + 1)
            if root is None:
                break
            state.update_root(root)
        head = head_from_bytes(await source.head(self._subscription.channel))
        self._step("judge")
        verdict = state.judge(head, self._clock.now(), credible=self._clock.credible)
        self._offered = verdict
        self._clock.learn(verdict.signed_at)
        trust = Trust(anchor, state.root_bytes, verdict.floors)
        if trust != held:
            self._store.advance(trust)
        return trust, verdict


def _trusted(subscription: Subscription, held: Trust | None) -> tuple[Digest, TrustedState]:
    """Where trust began, and the judge. A new root file from the operator starts anew."""
    channel, root = subscription.channel, subscription.root
    if held and (root is None or digest(root) == held.anchor):
        return held.anchor, TrustedState(held.metadata, held.floors, channel)
    if root is None:
        raise TransportError("this node has no hub's root keys", hint="enrol it at a hub")
    floors = Floors(signed_at=held.floors.signed_at if held else 0.0)
    return digest(root), TrustedState(root, floors, channel)
