"""Publisher: approved lessons -> objects, manifest, bundles, and a signed head moved in last.

* A version is made only when the manifest's root differs from the published one.
* The head on the shelf is the truth about what is current; the library's list of versions is
  mended from it, so a crash between the two costs nothing.
* Whatever stops a publication before its last step leaves the old head valid: all files
  before it are new names.
* Our own head is judged like a node would judge it before it is moved into place: keys that
  do not fit the published root never reach a village.
* A head past half its lifetime is signed again without a new version.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, get_args

from hub.config import PublisherTable
from hub.errors import UnknownError
from hub.library import Library
from hub.records import Version
from hub.shelf import MAX_ROOT_VERSION, Shelf
from hub.stock import Carried, Stock
from sync import inventory as inventories
from sync.bundle import Offer
from sync.canonical import Digest, digest
from sync.errors import SettingsError, TrustError
from sync.head import Head, head_from_bytes, head_to_bytes
from sync.inventory import INVENTORY_PATH, inventory
from sync.lesson import CHANNEL_PATH, Channel, Grade, Lesson, to_bytes
from sync.manifest import Entry, Manifest, from_bytes, manifest
from sync.trust import Floors, TrustedState
from sync.verdict import Verdict

DAY = 86_400.0
GRADES: tuple[Grade, ...] = get_args(Grade)
TOPICS_IN_PRIORITY = 8
NOTHING = Carried()
Progress = Callable[[str], None]


class Signing(Protocol):
    """What holds the keys; `sync.signing.Publisher`."""

    def sign_head(
        self,
        channel: str,
        version: int,
        manifest: Manifest,
        now: float,
        previous: Head | None,
        lifetime_days: float,
    ) -> Head:
        """The signed head of a version."""
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """What `publish` did. Sizes in bytes, `seconds` of work.

    `state`: "published" a new version, "renewed" the signature, or "nothing" to publish.
    """

    state: str
    channel: str
    version: int
    root: Digest
    lessons: int
    full_size: int
    seconds: float
    offers: tuple[Offer, ...] = field(default=())


class Publisher:
    """Publishes one channel from `library` to `shelf`."""

    def __init__(
        self,
        library: Library,
        shelf: Shelf,
        signing: Signing,
        channel: str,
        settings: PublisherTable,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._library = library
        self._shelf = shelf
        self._stock = Stock(library, shelf, clock)
        self._signing = signing
        self._channel = channel
        self._settings = settings
        self._clock = clock

    def publish(self, progress: Progress = lambda _: None) -> Publication:
        """Publishes what is approved, if it differs from what is published.

        Raises UnknownError: nothing was imported or approved. SettingsError: no keys.
        TrustError: the keys do not fit the published root. SpaceError: the disk is full.
        BusyError: somebody is publishing.
        """
        started = time.perf_counter()
        with self._shelf.publishing():
            state, verdict, made, offers = self._publish(progress)
        return Publication(
            state, self._channel, verdict.version, verdict.root, lesson_count(made), made.size,
            time.perf_counter() - started, offers,
        )  # fmt: skip

    def sign_again(self) -> Verdict | None:
        """A fresh head for the current version, after the keys changed; None before the first.

        Raises as `publish`.
        """
        with self._shelf.publishing():
            current, _ = said(self._shelf, self._channel)
            data = self._shelf.manifest(current.root) if current else None
            if current is None or data is None:
                return None
            return self._sign(current.version, from_bytes(data), self._head())

    def _publish(self, progress: Progress) -> tuple[str, Verdict, Manifest, tuple[Offer, ...]]:
        previous = self._head()
        current, fits = said(self._shelf, self._channel)
        if current:
            self._note(current)
        made, objects = build(self._library_channel(), self._lessons(), self._stock.carried())
        if current and current.root == made.root:
            half = self._settings.lifetime_days * DAY / 2
            if fits and current.expires - self._clock() > half:
                return "nothing", current, made, ()
            progress("signing the head again")
            return "renewed", self._sign(current.version, made, previous), made, ()
        version = current.version + 1 if current else 1
        progress(f"storing {len(objects)} objects")
        for data in objects:
            self._shelf.put_object(data)
        self._shelf.put_manifest(made)
        offers = self._build_offers(made, progress)
        progress(f"signing version {version}")
        verdict = self._sign(version, made, previous)
        self._note(verdict)
        recent = self._library.versions(self._channel)[: self._settings.prebuilt + 1]
        self._shelf.deltas.prune(self._channel, {v.root for v in recent})
        return "published", verdict, made, offers

    def _lessons(self) -> list[Lesson]:
        lessons = [revision.lesson for revision in self._library.lessons()]
        if not lessons:
            raise UnknownError(
                "no lesson is approved yet", hint="`chaski-hub review list` shows what waits"
            )
        return lessons

    def _library_channel(self) -> Channel:
        channel = self._library.channel(self._channel)
        if channel is None:
            raise UnknownError(
                f"there is no channel {self._channel!r} in the library",
                hint="`chaski-hub import FOLDER` brings one in; its id is in channel.toml",
            )
        return channel

    def _build_offers(self, target: Manifest, progress: Progress) -> tuple[Offer, ...]:
        """The whole bundle, then those from the last versions, newest first."""
        progress("building the whole bundle")
        offers = [self._shelf.deltas.offer(self._channel, None, target)]
        seen = {target.root}
        for version in self._library.versions(self._channel)[: self._settings.prebuilt]:
            data = self._shelf.manifest(version.root)
            if data is None or version.root in seen:
                continue
            seen.add(version.root)
            progress(f"building the delta from version {version.version}")
            offers.append(self._shelf.deltas.offer(self._channel, from_bytes(data), target))
        return tuple(offers)

    def _sign(self, version: int, made: Manifest, previous: Head | None) -> Verdict:
        """Signs, judges and only then moves the head into place."""
        now = self._clock()
        head = self._signing.sign_head(
            self._channel, version, made, now, previous, self._settings.lifetime_days
        )
        verdict = trusted_state(self._shelf, self._channel).judge(head, now)
        self._shelf.put_head(self._channel, head_to_bytes(head))
        return verdict

    def _note(self, verdict: Verdict) -> None:
        data = self._shelf.manifest(verdict.root)
        count = lesson_count(from_bytes(data)) if data else 0
        version = Version(
            verdict.channel, verdict.version, verdict.root, count, verdict.full_size,
            verdict.signed_at,
        )  # fmt: skip
        with self._library.transaction():
            self._library.add_version(version)

    def _head(self) -> Head | None:
        data = self._shelf.head(self._channel)
        return head_from_bytes(data) if data is not None else None


def published(shelf: Shelf, channel: str) -> Verdict | None:
    """What the head on the shelf says, expired or not; None before the first version.

    Raises SettingsError: there are no root keys. TrustError: the head does not fit them.
    """
    state = trusted_state(shelf, channel)
    data = shelf.head(channel)
    return state.judge(head_from_bytes(data), 0.0) if data is not None else None


def said(shelf: Shelf, channel: str) -> tuple[Verdict | None, bool]:
    """What the head on the shelf says, and whether it fits the newest root.

    After a rotation it may fit an older root only: it must be signed again. Raises
    SettingsError: no root keys. TrustError: it fits none of them.
    """
    newest = trusted_state(shelf, channel).root_version
    data = shelf.head(channel)
    if data is None:
        return None, True
    head = head_from_bytes(data)
    for version in range(newest, 1, -1):
        with contextlib.suppress(TrustError):
            return trusted_state(shelf, channel, version).judge(head, 0.0), version == newest
    return trusted_state(shelf, channel, 1).judge(head, 0.0), newest == 1


def trusted_state(shelf: Shelf, channel: str, last: int = MAX_ROOT_VERSION) -> TrustedState:
    """How a node that knows the first root judges heads; `last` is the newest root it goes to.

    Raises SettingsError, TrustError.
    """
    first = shelf.root(1)
    if first is None:
        raise SettingsError("this hub has no keys yet", hint="make them: `chaski-hub keys create`")
    state = TrustedState(first, Floors(), channel)
    for n in shelf.roots():
        data = shelf.root(n)
        if 1 < n <= last and data is not None:
            state.update_root(data)
    return state


def build(
    channel: Channel, lessons: Sequence[Lesson], carried: Carried = NOTHING
) -> tuple[Manifest, tuple[bytes, ...]]:
    """The manifest of a channel with `lessons` and what else it carries, and the bytes of its
    own objects; those carried are on the shelf already. ContentError."""
    about = to_bytes(channel)
    bodies = [to_bytes(lesson) for lesson in lessons]
    entries = [Entry(CHANNEL_PATH, digest(about), len(about), "channel", 0), *carried.entries]
    for lesson, data in zip(lessons, bodies, strict=True):
        entry = Entry(
            lesson.path, digest(data), len(data), "lesson", priority(lesson, channel),
            lesson.grade, lesson.language,
        )  # fmt: skip
        entries.append(entry)
    objects = [about, *bodies]
    if carried.abouts:
        said = inventories.to_bytes(inventory(carried.abouts))
        entries.append(Entry(INVENTORY_PATH, digest(said), len(said), "channel", 0))
        objects.append(said)
    return manifest(channel.id, entries), tuple(objects)


def priority(lesson: Lesson, channel: Channel) -> int:
    """1..99: the lower grades travel first, within a grade the topics as the channel has them."""
    topics = [topic.id for topic in channel.topics]
    place = topics.index(lesson.topic) if lesson.topic in topics else len(topics)
    return 1 + GRADES.index(lesson.grade) * TOPICS_IN_PRIORITY + min(place, TOPICS_IN_PRIORITY - 1)


def lesson_count(made: Manifest) -> int:
    """How many lessons a manifest has, each language counted."""
    return sum(entry.kind == "lesson" for entry in made.entries)
