"""A school with a portal: the real store, index and tutor over the sample library, and an
engine and an updater that do what a test tells them.
"""

import asyncio
import dataclasses
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from hub.book import Book, members
from models.engine import Engine, EngineStats, Piece, Sampling, Stream
from models.errors import ModelError, Overloaded
from node.agenda import Agenda
from node.carrier import Progress
from node.config import NodeConfig, NodeTable, SyncTable
from node.delivery import Delivery
from node.handing import Handing
from node.model.seat import Seat
from node.model.status import ModelStatus
from node.portal.app import build_portal
from node.services import Services
from node.sticks import Sticks
from node.store.files import Files
from node.store.ledger import Ledger
from node.store.pins import Pins
from node.telemetry.clock import Clock
from node.telemetry.forwarder import Forwarded
from node.telemetry.metrics import Metrics
from node.telemetry.spool import Spool
from node.tutor import Tutor
from node.updater import Glimpse, Outcome, Updater
from sync.errors import TransportError
from sync.lesson import Channel, Language, Lesson
from sync.transport import Sink, Source
from tests.node.village import AT, SAMPLE, Village, lesson, release, sample_lessons, village
from tests.portal.cargo import about, loaded, sample_files

NOW = AT + 300

CHANNEL = msgspec.convert(
    tomllib.loads((SAMPLE / "channel.toml").read_text(encoding="utf-8")), Channel
)
EXPLANATION = (
    "Las plantas fabrican su alimento ",
    "con la energía de la luz. ",
    "La fotosíntesis ocurre en las hojas.",
)


class ScriptedEngine:
    """Writes `pieces` at once; holds them back while it is silent or others have a `place` before.

    full: the queue refuses. dead: nothing can begin. broken: fails after the pieces. sick: does
    not even tell how busy it is.
    """

    name = "tutor-es-small"
    version = "0123456789ab"
    context = 512

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Well again, with nobody waiting."""
        self.status = ModelStatus("running", self.name, self.version, "shipped")
        self.pieces: tuple[str, ...] = EXPLANATION
        self.place = 0
        self.silent = self.full = self.dead = self.broken = self.sick = False
        self.prompts: list[str] = []
        self.streams: list[Stream] = []
        self.on_place: Callable[[], None] = lambda: None
        self.on_cancel: Callable[[], None] = lambda: None

    def count(self, text: str) -> int:
        return len(text.split())

    def submit(
        self,
        prompt: str,
        sampling: Sampling,
        deadline_s: float | None = None,
        *,
        client: str = "",
    ) -> Stream:
        if self.dead:
            raise ModelError("the engine is closed")
        if self.full:
            raise Overloaded(33, 32)
        self.prompts.append(prompt)
        stream = Stream(self._cancel, self._position)
        self.streams.append(stream)
        if not self.place and not self.silent:
            self.write(stream)
        return stream

    def write(self, stream: Stream) -> None:
        """All the pieces at once."""
        for text in self.pieces:
            stream.put(Piece(text))
        if self.broken:
            stream.fail(ModelError("the model failed"))
        else:
            stream.put(Piece("", done=True, reason="end"))

    def stats(self) -> EngineStats:
        if self.sick:
            raise RuntimeError("the engine sank")
        return EngineStats(
            active=1,
            waiting=self.place,
            tokens_total=0,
            prompt_tokens_total=0,
            requests_total=0,
            refused_total=0,
            seconds_total=0.0,
            ended_total={},
        )

    def _cancel(self) -> None:
        self.on_cancel()

    def _position(self) -> int:
        self.on_place()
        return self.place


class ScriptedUpdater:
    """A sync that begins, waits at the gate if there is one, and is current."""

    def __init__(self) -> None:
        self.reset()

    def halt(self, *, halted: bool) -> None:
        self.halted = halted

    async def look(self) -> Glimpse:
        self.looks += 1
        if self.gate:
            await self.gate.wait()
        self.looked.set()
        raise TransportError("nobody answers", hint="wait for the link")

    def reset(self) -> None:
        """As if it had never synced."""
        self.looks = 0
        self.looked = asyncio.Event()
        self.halted = False
        self.progress: Progress | None = None
        self.last: Outcome | None = None
        self.calls = 0
        self.sources: list[Source | None] = []
        self.gate: asyncio.Event | None = None
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def sync(self, source: Source | None = None) -> Outcome:
        self.calls += 1
        self.sources.append(source)
        self.begun.set()
        if self.gate:
            await self.gate.wait()
        self.last = outcome()
        self.ended.set()
        return self.last


async def no_acks(folder: Path) -> int:
    return 0


async def nothing_waits(sink: Sink) -> Forwarded:
    """A node that has nothing for the hub."""
    return Forwarded(0, 0, 0, 0)


def outcome(**changed: object) -> Outcome:
    """An outcome that is current, five minutes before `NOW`; `changed` says otherwise."""
    fields: dict[str, object] = {
        "kind": "current",
        "at": NOW - 300,
        "from_version": 1,
        "to_version": 1,
        "offered_version": 1,
        "bytes_down": 0,
        "full_size": 0,
        "seconds": 0.4,
        "message": "version 1 is current",
    }
    return Outcome(**(fields | changed))  # type: ignore[arg-type]


@dataclass
class School:
    """The portal of one node and everything behind it."""

    village: Village
    engine: ScriptedEngine
    updater: ScriptedUpdater
    services: Services
    events: list[tuple[str, dict[str, str]]]
    spool: Spool

    def install(self, version: int, lessons: Iterable[Lesson], at: float = AT) -> None:
        """Makes these lessons the installed version."""
        made = release(self.village.blobs, version, lessons, CHANNEL)
        self.village.store.install(made, self.village.blobs.get, at)

    def install_part(self, version: int, here: Iterable[Lesson], all_: Iterable[Lesson]) -> None:
        """Shows the lessons `here` of a version that will have `all_`."""
        now = release(self.village.blobs, version, here, CHANNEL)
        target = release(self.village.blobs, version, all_, CHANNEL).manifest
        made = dataclasses.replace(now, target=target)
        self.village.store.install(made, self.village.blobs.get, AT)

    def portal(self) -> web.Application:
        """A new application over the school."""
        return build_portal(self.services, tick=0.005)

    def forget(self) -> None:
        """As after a restart: no event, an engine and an updater that do as they should."""
        self.events.clear()
        self.engine.reset()
        self.updater.reset()

    def told(self, kind: str) -> list[dict[str, str]]:
        """What the events of one kind say."""
        return [data for name, data in self.events if name == kind]

    def close(self) -> None:
        """Closes the databases."""
        self.spool.close()
        self.village.store.close()


def school(
    folder: Path,
    *,
    tutor: bool = True,
    language: Language = "es",
    hub: str = "http://hub.example:8080",
) -> School:
    """A school without lessons. Close it."""
    place = village(folder)
    engine, updater = ScriptedEngine(), ScriptedUpdater()
    settings = NodeConfig(
        node=NodeTable(id="nodo-ocongate", data=str(folder), language=language),
        sync=SyncTable(hub=hub, channel="escuela"),
    )
    events: list[tuple[str, dict[str, str]]] = []
    ledger = Ledger(place.store)
    delivery = Delivery(
        cast(Updater, updater),
        Agenda(settings, place.store, ledger, lambda: NOW),
        ledger,
        Pins(place.store, place.blobs.get),
        place.store,
        lambda: NOW,
    )
    spool = Spool(folder / "spool.db", 1_000_000, "boot")
    services = Services(
        settings=settings,
        store=place.store,
        library=place.library,
        files=Files(place.store, place.blobs),
        search=place.search,
        tutor=Tutor(place.search, place.library, engine if tutor else None),
        seat=Seat(cast(Engine, engine) if tutor else None),
        updater=cast(Updater, updater),
        delivery=delivery,
        sticks=Sticks(
            [folder / "sticks"], "escuela", cast(Updater, updater), nothing_waits, no_acks
        ),
        metrics=Metrics(CollectorRegistry()),
        clock=Clock(wall=lambda: NOW),
        record_event=lambda kind, data: events.append((kind, data)),
        model=lambda: engine.status if tutor else ModelStatus("off"),
        handing=Handing(spool, place.library, Clock(wall=lambda: NOW), "nodo-ocongate", folder, 0),
    )
    return School(place, engine, updater, services, events, spool)


@cache
def all_lessons() -> tuple[Lesson, ...]:
    """The sample library."""
    return tuple(sample_lessons())


def full_school(folder: Path) -> School:
    """A school with the whole sample library, its files and a book. Close it."""
    made = school(folder)
    blobs = made.village.blobs
    files, abouts = sample_files()
    book = about("books/agua.epub", "El libro del agua", topic="salud", language="es")
    chapters = [
        lesson for lesson in all_lessons() if (lesson.topic, lesson.language) == ("salud", "es")
    ]
    bound = Book("escuela", "salud", book.title, "es", "CC-BY-4.0", AT, chapters, {})
    release, _ = loaded(
        blobs, 1, all_lessons(), CHANNEL, files=files, abouts=[*abouts, book],
        books={book.path: members(bound)},
    )  # fmt: skip
    made.village.store.install(release, blobs.get, AT)
    return made


__all__ = ["School", "all_lessons", "full_school", "lesson", "outcome", "school"]
