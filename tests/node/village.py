"""A small whole world for the node's tests: lessons, releases, a store that holds them."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from node.store.blobs import Blobs
from node.store.lessons import Library
from node.store.search import Search
from node.store.store import Release, Store, Trust
from sync.canonical import Digest, digest
from sync.lesson import CHANNEL_PATH, Channel, Lesson, Provenance, Question, Topic, blocks, to_bytes
from sync.manifest import Entry, Manifest, manifest
from sync.trust import Floors

SAMPLE = Path(__file__).resolve().parents[2] / "hub" / "sample_library"
TOPICS = ("matematica", "comunicacion", "ciencia-y-tecnologia", "ciencias-sociales", "salud")
AT = 1_760_000_000.0


def lesson(
    id_: str = "suma",
    language: str = "es",
    body: Iterable[str] = ("Sumar es juntar papas.",),
    title: str = "La suma",
    **more: Any,
) -> Lesson:
    """A lesson with everything that is required."""
    fields = {
        "id": id_,
        "language": language,
        "title": title,
        "topic": "matematica",
        "grade": "primaria-1",
        "summary": f"Resumen de {title}.",
        "keywords": (),
        "body": tuple(body),
        "provenance": Provenance("Ana", "CC-BY-4.0", "original"),
    }
    return msgspec.convert(fields | more, Lesson)


def channel(topics: Iterable[str] = TOPICS) -> Channel:
    """A channel with these topics."""
    return Channel(
        id="escuela",
        titles={"es": "Escuela"},
        description={"es": "Lecciones"},
        license="CC-BY-4.0",
        topics=tuple(Topic(t, {"es": t.capitalize(), "en": f"{t} (en)"}, "📘") for t in topics),
    )


def sample_lessons() -> list[Lesson]:
    """The real sample library, read straight from its Markdown."""
    return [_read(path) for path in sorted(SAMPLE.rglob("*.*.md"))]


def _read(path: Path) -> Lesson:
    _, front, body = path.read_text(encoding="utf-8").split("+++\n", 2)
    fields = tomllib.loads(front)
    who = {key: fields.pop(key) for key in ("author", "license", "source")}
    quiz = msgspec.convert(fields.pop("quiz", []), tuple[Question, ...])
    made = {"body": blocks(body), "quiz": quiz, "provenance": who}
    return msgspec.convert(fields | made, Lesson)


def packed(
    lessons: Iterable[Lesson], about: Channel | None = None
) -> tuple[Manifest, dict[Digest, bytes]]:
    """`lessons` as a manifest and its objects."""
    about = about or channel()
    data = to_bytes(about)
    entries = [Entry(CHANNEL_PATH, digest(data), len(data), "channel", 0)]
    objects = {digest(data): data}
    for one in {one.path: one for one in lessons}.values():
        data = to_bytes(one)
        entries.append(
            Entry(one.path, digest(data), len(data), "lesson", 50, one.grade, one.language)
        )
        objects[digest(data)] = data
    return manifest(about.id, entries), objects


def release(
    blobs: Blobs, version: int, lessons: Iterable[Lesson], about: Channel | None = None
) -> Release:
    """`lessons` as a release whose objects are in `blobs`."""
    made, objects = packed(lessons, about)
    for data in objects.values():
        blobs.put(data)
    floors = Floors(root=1, timestamp=version, snapshot=version, targets=version, signed_at=AT)
    return Release(made.channel, version, made, Trust(digest(b"keys"), b"keys", floors))


@dataclass
class Village:
    """A data folder with a store, and the readers over it."""

    folder: Path
    store: Store
    blobs: Blobs
    library: Library
    search: Search

    def install(self, version: int, lessons: Iterable[Lesson]) -> Release:
        """Makes these lessons the installed version."""
        made = release(self.blobs, version, lessons)
        self.store.install(made, self.blobs.get, AT)
        return made


def village(folder: Path) -> Village:
    """An empty node in `folder`."""
    store = Store(folder / "node.db")
    blobs = Blobs(folder / "objects")
    return Village(folder, store, blobs, Library(store, blobs), Search(store))
