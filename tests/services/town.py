"""A real hub and real nodes with Kafka between them; the broker is the test's."""

import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hub.announcer import Announced, Announcer
from hub.library import Library
from node import app
from node.app import Node
from node.config import KafkaTable, NodeConfig, NodeTable, SyncTable, TutorTable
from sync import keys
from sync.broker import BrokerTable
from sync.head import PUBLISHING
from sync.signing import Publisher as Signing
from sync.transport.kafka import Producer
from tests.hub.fakes import Clock, a_lesson
from tests.hub.publishing import CHANNEL_ID, Hub

INLINE = 900_000


class Town:
    """A hub in `folder`, and what its nodes are set up with. Close it."""

    def __init__(self, folder: Path, broker: BrokerTable) -> None:
        self.folder, self.broker = folder, broker
        (folder / "hub").mkdir(parents=True)
        self.library = Library(folder / "hub" / "hub.db")
        self.clock = Clock(time.time())
        self.hub = Hub(folder / "hub", self.library, self.clock)
        self.root = folder / "root.json"
        first = self.hub.shelf.root(1)
        assert first
        self.root.write_bytes(first)

    def close(self) -> None:
        """Closes the library."""
        self.library.close()

    def publish(self, title: str = "") -> int:
        """The next version, in which the one lesson is called `title`."""
        if title:
            self.hub.write(a_lesson(title=title))
        self.clock.now += 1
        return self.hub.publisher().publish().version

    def announce(self, inline: int = INLINE) -> Announced:
        """Says on Kafka what is published."""
        versions = self.library.versions(CHANNEL_ID)
        announcer = Announcer(self.library, self.hub.shelf, self.broker, CHANNEL_ID, inline)
        with contextlib.closing(Producer(self.broker)) as producer:
            return announcer.announce(producer, versions[0].root)

    def rotate(self) -> None:
        """A new root key; those of the other roles stay."""
        new = self.hub.folder / "keys-2"
        keys.create(new)
        for role in PUBLISHING:
            shutil.copy(keys.path(self.hub.folder / "keys", role), keys.path(new, role))
        old = self.hub.shelf.root(1)
        assert old
        made = Signing(new).next_root(old, self.hub.folder / "keys", self.clock.now)
        self.hub.shelf.put_root(2, made)
        (self.hub.folder / "keys").rename(self.hub.folder / "keys-1")
        new.rename(self.hub.folder / "keys")

    def config(self, name: str = "nodo-1", hub: str = "", **kafka: object) -> NodeConfig:
        """The settings of a node; `hub` is a folder or address beside Kafka."""
        table = {field: getattr(self.broker, field) for field in self.broker.__struct_fields__}
        return NodeConfig(
            node=NodeTable(id=name, data=str(self.folder / name), keep_free_megabytes=0),
            sync=SyncTable(hub=hub, channel=CHANNEL_ID, root=str(self.root)),
            tutor=TutorTable(enabled=False),
            kafka=KafkaTable(**(table | kafka)),
        )

    @asynccontextmanager
    async def node(self, name: str = "nodo-1", hub: str = "") -> AsyncIterator[Node]:
        """A node that runs; the same name is the same disk."""
        async with app.build(self.config(name, hub), model=False) as node:
            yield node


def titles(node: Node) -> set[str]:
    """The titles of the lessons that pages show."""
    rows = node.store.reader().execute("SELECT title FROM lessons")
    return {str(row[0]) for row in rows}


def version(node: Node) -> int:
    """The version that pages show."""
    installed = node.store.installed()
    return installed.version if installed else 0
