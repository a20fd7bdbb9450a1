"""A city, its stick, and nodes that are copies of one folder; what a node shows when it is
started again over whatever was left of its folder."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from node import app
from node.app import Node
from node.config import load
from node.outcome import OutcomeKind
from node.portal.app import build_portal
from tests.node.city import City
from tests.node.stick import fill, settings
from tests.node.village import lesson

OLD, NEW = "El texto de antes.", "El texto de ahora."
DATA = "data"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the portal shows and the disk holds. `version` 0: nothing was ever installed."""

    version: int
    texts: tuple[str, ...]
    whole: bool
    healthy: bool
    """What was asked of the portal was served."""


NONE = Shown(0, (), True, True)
FIRST = Shown(1, (OLD,), True, True)
SECOND = Shown(2, (NEW,), True, True)


def lessons(text: str) -> list[Any]:
    """Three lessons that say `text`, one of which is the same in every version."""
    changing = [lesson(f"leccion-{n}", body=[text, f"Bloque {n}."]) for n in range(2)]
    return [*changing, lesson("fija", body=["Esto no cambia."])]


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is such a one: hundreds of installs do not wait for a disk,
    and what a killed process left is the same there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name).resolve()


class World:
    """`new`: a node that was never synced. `old`: version 1 installed, version 2 on its stick."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.city = City(home / "city", time.time())
        self.city.publish(lessons(OLD))
        self.new, self.old = home / "new", home / "old"
        settings(self.new, self.city)
        fill(self.new / "stick", self.city)

    async def settle(self) -> None:
        """Installs version 1 and publishes version 2."""
        shutil.copytree(self.new, self.old)
        assert (await visit(self.old)).after == FIRST
        self.city.publish(lessons(NEW))
        shutil.rmtree(self.old / "stick")
        fill(self.old / "stick", self.city)

    def copy(self, of: Path, name: str) -> Path:
        """A folder of its own with the same content, in place of any before."""
        folder = self.home / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(of, folder)
        return folder


@dataclass(frozen=True, slots=True)
class Visit:
    """A node that was started over what was left of its folder, and then synced."""

    before: Shown
    outcome: OutcomeKind | None
    after: Shown | None


async def visit(folder: Path, *, pages: bool = False, sync: bool = True) -> Visit:
    """Starts the node in `folder`, looks, syncs, looks again; `pages`: also at its pages."""
    async with app.build(load(folder / "node.toml", {}), model=False) as node:
        before = await _shown(node, pages=pages)
        if not sync:
            return Visit(before, None, None)
        outcome = (await node.updater.sync()).kind
        return Visit(before, outcome, await _shown(node, pages=False))


async def _shown(node: Node, *, pages: bool) -> Shown:
    node.store.check()
    installed, manifest = node.store.installed(), node.store.manifest()
    healthy = True
    async with TestClient(TestServer(build_portal(node.services))) as visitor:
        paths = ["/api/status", *(["/leccion/fija/es", "/salud"] if pages and installed else [])]
        for path in paths:
            async with visitor.get(path) as page:
                healthy &= page.status == 200
    if installed is None or manifest is None:
        return Shown(0, (), not (installed or manifest), healthy)
    found = (node.services.library.lesson(f"leccion-{n}", "es") for n in range(2))
    texts = tuple(sorted({one.body[0] if one else "" for one in found}))
    searched = sorted({hit.passage for hit in node.services.search.find("texto", "es")})
    whole = installed.root == manifest.root and not list(node.blobs.damaged(manifest))
    return Shown(installed.version, texts, whole and searched == list(texts), healthy)
