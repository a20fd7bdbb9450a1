"""A program that kills nodes: forks one, lets it sync, and sends it SIGKILL at its n-th step or
SQL statement (every third of these); then looks at what the next start finds. Prints JSON.

It is a program of its own so that forking happens in a process without threads.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from node.agenda import Agenda
from node.config import NodeConfig, NodeTable, SyncTable
from node.fetcher import Fetcher, Room
from node.link import LinkTable
from node.outcome import Outcome
from node.store.ledger import Ledger
from node.store.store import Store
from node.telemetry.clock import Clock
from node.updater import Subscription, Updater
from node.worker import Worker
from sync.journal import Journal
from tests.node.city import CHANNEL, City
from tests.node.village import AT, Village, lesson, village

OLD, NEW = "El texto de antes.", "El texto de ahora."
MOST = 400


class Fuse:
    """Burns down by one a call and kills the process at zero; 0 never does."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.burnt = 0

    def burn(self, what: object = None) -> None:
        self.burnt += 1
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class TracedStore(Store):
    """Tells a fuse of every statement of the writing connection."""

    def trace(self, fuse: Fuse) -> None:
        self._writer.set_trace_callback(fuse.burn)


def lessons(text: str) -> list[Any]:
    return [lesson(f"leccion-{n}", body=[text, f"Bloque {n}."]) for n in range(3)]


def slowly(place: Village) -> Agenda:
    """An agenda by which everything comes in instalments."""
    link = LinkTable(kilobits_per_second=1, patience_seconds=0)
    hub = SyncTable(hub="http://hub.example")
    config = NodeConfig(NodeTable("nodo", str(place.folder)), hub, link=link)
    return Agenda(config, place.store, Ledger(place.store), lambda: AT)


async def sync(place: Village, city: City, fuse: Fuse, *, slow: bool = False) -> Outcome:
    worker = Worker("crash")
    room = Room(lambda: 10**12, 0)
    fetcher = Fetcher(place.blobs, Journal(place.folder / "journal"), worker, room, fuse.burn)
    subscription = Subscription(CHANNEL, city.roots[0])
    clock = Clock(AT, lambda: AT)
    updater = Updater(
        subscription,
        place.store,
        place.blobs,
        city,
        fetcher,
        worker,
        clock,
        agenda=slowly(place) if slow else None,
        step=fuse.burn,
    )
    try:
        return await updater.sync()
    finally:
        await updater.close()


def attempt(folder: Path, city: City, steps: int, statements: int, *, slow: bool) -> int:
    """Syncs in a child process; how it ended, as `os.waitpid` says."""
    child = os.fork()
    if child == 0:
        place = village(folder)
        store = TracedStore(folder / "node.db")
        store.trace(Fuse(statements))
        place.store = store
        asyncio.run(sync(place, city, Fuse(steps), slow=slow))
        os._exit(0)
    return os.waitpid(child, 0)[1]


def found(folder: Path) -> dict[str, Any]:
    """What the next start sees."""
    place = village(folder)
    try:
        place.store.check()
        installed, manifest = place.store.installed(), place.store.manifest()
        assert installed
        assert manifest
        found = [place.library.lesson(f"leccion-{n}", "es") for n in range(3)]
        texts = [one.body[0] for one in found if one]
        return {
            "version": installed.version,
            "root": installed.root == manifest.root,
            "texts": sorted(set(texts)),
            "new": texts.count(NEW),
            "searched": sorted({hit.passage for hit in place.search.find("texto", "es")}),
            "whole": len(texts) == 3 and not list(place.blobs.damaged(manifest)),
        }
    finally:
        place.store.close()


def main(home: Path) -> None:
    city = City(home)
    city.publish(lessons(OLD))
    before = home / "before"
    before.mkdir()
    place = village(before)
    asyncio.run(sync(place, city, Fuse(0)))
    place.store.close()
    city.publish(lessons(NEW))
    told = []
    city.group_bytes = 1000  # a lesson a group
    city.bundle(*city.versions)
    for kind, stride in (("step", 1), ("statement", 3), ("slow step", 1), ("slow statement", 7)):
        for number in range(1, MOST, stride):
            folder = home / f"{kind}{number}".replace(" ", "")
            shutil.copytree(before, folder)
            fuses = (number, 0) if kind.endswith("step") else (0, number)
            status = attempt(folder, city, *fuses, slow=kind.startswith("slow"))
            first = found(folder)
            place = village(folder)
            again = asyncio.run(sync(place, city, Fuse(0), slow=kind.startswith("slow")))
            place.store.close()
            told.append(
                {"kind": kind, "number": number, "first": first, "again": again.kind}
                | {"then": found(folder)}
            )
            shutil.rmtree(folder)
            if os.WIFEXITED(status):
                break
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
