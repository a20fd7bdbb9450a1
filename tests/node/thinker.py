"""A node's model, whole: copies, pointer, seat and switch over a real store, real tiny engines and
a real self-test; the clock, the memory and what ships are the test's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from models.edition import Edition
from models.engine import Engine
from models.errors import ModelError
from models.examiner import Examiner
from models.store import ModelFolder, ModelStore, write_lock
from node.model.copies import Copies
from node.model.models import Models
from node.model.pointer import Change
from node.model.seat import Seat
from node.model.switch import Switch
from node.store.store import Release, Trust, no_step
from sync.canonical import Digest, digest
from sync.manifest import Entry, manifest
from sync.modelfiles import PRIORITY, model_path
from sync.trust import Floors
from tests.models.editions import NAME
from tests.node.village import AT, Village, lesson, packed, village


def entries(folder: Path) -> tuple[list[Entry], dict[Digest, bytes]]:
    """The files of a model folder as a channel carries them, and their bytes by digest."""
    made: list[Entry] = []
    objects: dict[Digest, bytes] = {}
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        path = model_path(folder.name, file.name)
        made.append(Entry(path, digest(data), len(data), "model", PRIORITY))
        objects[digest(data)] = data
    return made, objects


def carry(place: Village, version: int, *folders: Path) -> None:
    """Installs a version whose channel carries these models."""
    made, objects = packed([lesson()])
    more: list[Entry] = []
    for folder in folders:
        added, data = entries(folder)
        more += added
        objects |= data
    for value in objects.values():
        place.blobs.put(value)
    whole = manifest(made.channel, [*made.entries, *more])
    floors = Floors(root=1, timestamp=version, snapshot=version, targets=version, signed_at=AT)
    trust = Trust(digest(b"keys"), b"keys", floors)
    place.store.install(Release(made.channel, version, whole, trust), place.blobs.get, AT)


@dataclass
class Thinker:
    """See the module. A switch is a life of the program: `start`, then `look`, then `close`."""

    folder: Path
    shipped: Path
    name: str = NAME
    place: Village = field(init=False)
    seat: Seat[Engine] = field(init=False)
    switch: Switch = field(init=False)
    now: float = AT
    ticks: float = 0.0
    """What the monotonic clock says, in seconds."""
    memory: int | None = None
    slots: int = 2
    refuses: set[str] = field(default_factory=set)
    """Versions that do not open."""
    opened: list[str] = field(default_factory=list)
    told: list[Change] = field(default_factory=list)
    examiner: Callable[[], Examiner] = Examiner
    step: Callable[[str], None] = no_step

    def __post_init__(self) -> None:
        self.place = village(self.folder)
        self.born()

    def born(self) -> None:
        """A new life of the program, not yet started."""
        self.seat = Seat()
        self.switch = Switch(
            self.models,
            self.place.store,
            self.seat,
            self._open,
            self.examiner(),
            lambda: self.now,
            told=lambda change, seconds: self.told.append(change),
            available=lambda: self.memory,
            monotonic=lambda: self.ticks,
            drain_seconds=10,
            step=self.step,
        )

    @property
    def models(self) -> Models:
        """As another program would see them."""
        copies = Copies(self.folder / "models", self.name, self.place.blobs, step=self.step)
        return Models(copies, ModelStore(self.shipped))

    def again(self) -> None:
        """The program ends in order and starts again."""
        self.switch.close()
        self.restart()

    def killed(self) -> None:
        """The program is killed and starts again."""
        if engine := self.seat.put(None):
            engine.close()
        self.restart()

    def restart(self) -> None:
        self.born()
        self.switch.start()

    def close(self) -> None:
        self.switch.close()
        self.place.store.close()

    @property
    def version(self) -> str:
        """Of the engine that sits."""
        return self.seat.engine.version if self.seat.engine else ""

    @property
    def kept(self) -> set[str]:
        """Copies on the disk."""
        home = self.folder / "models" / self.name
        return {p.name for p in home.iterdir() if p.is_dir()} if home.is_dir() else set()

    def edition(self, folder: Path) -> Edition:
        """What the channel would carry of `folder`."""
        made = manifest("escuela", entries(folder)[0])
        found = self.models.carried(made)
        assert found
        return found

    def _open(self, folder: ModelFolder) -> Engine:
        if folder.version in self.refuses:
            raise ModelError(f"{folder.version} does not open", hint="ask for another")
        self.opened.append(folder.version)
        return Engine.open(folder, threads=1, slots=self.slots)


def ship(home: Path, *folders: Path) -> Path:
    """A folder of shipped models, locked."""
    home.mkdir(exist_ok=True)
    for folder in folders:
        (home / folder.name).mkdir()
        for file in folder.iterdir():
            (home / folder.name / file.name).write_bytes(file.read_bytes())
    write_lock(home)
    return home
