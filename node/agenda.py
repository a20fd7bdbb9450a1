"""Agenda: what this node goes by when something is to come: link, budget, wishes, demand.

`terms` reads settings, clock and ledger and answers with a value; what follows from it is pure
(`planner.py`, `link.py`). A stick, or a hub that is a folder, costs nothing and has no end.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from node.config import NodeConfig
from node.interests import InterestsTable, Traits
from node.link import HEADS_SHARE, LinkTable, Pace, budget, pace, window_seconds
from node.outcome import from_bytes
from node.planner import Missed, Planner, Wanted
from node.roads import by_wire
from node.store import pins
from node.store.ledger import DAY_SECONDS, Ledger
from node.store.schema import LANGUAGES
from node.store.store import Store
from node.store.words import content, stems
from sync.bundle import Label
from sync.lesson import Language
from sync.transport.windowed import minute_of_day, window

RECENT_SYNCS = 50


@dataclass(frozen=True, slots=True)
class Known:
    """What the node knows of a lesson that it has."""

    title: str
    topic: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one sync. `budget` in bytes; None: no limit."""

    planner: Planner = field(default_factory=lambda: Planner(InterestsTable()))
    pace: Pace | None = None
    """None: it takes no time worth counting (a stick)."""
    budget: int | None = None
    patience_s: float = 0.0
    known: Mapping[str, Known] = field(default_factory=dict)
    assigned: frozenset[str] = frozenset()

    def at_once(self, size: int) -> bool:
        """True when `size` bytes are better fetched whole than lesson by lesson."""
        if self.budget is not None and size > self.budget:
            return False
        return self.pace is None or self.pace.seconds(size) <= self.patience_s

    def wanted(self, label: Label) -> Wanted:
        """What an entry to come is to this node."""
        kind, priority, grade, language = label.row
        known = self.known.get(label.path)
        topic = known.topic if known else ""
        said = f"{label.path.rpartition('/')[2]} {known.title if known else ''} {topic}"
        words = (
            frozenset(f"{language}:{stem}" for stem in stems(said, language))
            if language in LANGUAGES
            else frozenset()
        )
        traits = Traits(kind, grade, language, topic)
        return Wanted(label.path, priority, traits, words, label.path in self.assigned)


class Agenda:
    """Makes terms. `now` gives Unix seconds that never fall behind what was signed."""

    def __init__(
        self, config: NodeConfig, store: Store, ledger: Ledger, now: Callable[[], float]
    ) -> None:
        self._config = config
        self._store = store
        self._ledger = ledger
        self._now = now
        self._wired = any(map(by_wire, config.roads))
        self._windows = tuple(window(text) for text in config.sync.windows)

    @property
    def link(self) -> LinkTable:
        """The link's settings."""
        return self._config.link

    def terms(self, *, stick: bool = False) -> Terms:
        """What holds now."""
        free = stick or not self._wired
        rows = self._store.reader().execute("SELECT id, language, title, topic FROM lessons")
        known = {f"lessons/{id_}.{lang}.json": Known(*rest) for id_, lang, *rest in rows}
        missed = [
            Missed(frozenset(f"{language}:{word}" for word in one.words), one.times)
            for language in LANGUAGES
            for one in self._ledger.missed(language)
        ]
        going = self.pace()
        return Terms(
            planner=Planner(self._config.interests, missed),
            pace=None if free else going,
            budget=None if free else budget(self._left(), self._window_s(), going),
            patience_s=self.link.patience_seconds,
            known=known,
            assigned=frozenset(pin.path for pin in pins.pins(self._store.reader())),
        )

    def pace(self) -> Pace:
        """How fast the link is."""
        syncs = map(from_bytes, self._store.last_syncs(RECENT_SYNCS))
        return pace(self.link, self._config.sync.kilobits_per_second, syncs)

    def left(self) -> int:
        """See `Allowance`: bytes of bundles that may still come today."""
        return self._left() or 0

    def spend(self, size: int) -> None:
        """See `Allowance`."""
        self._ledger.spend(day_of(self._now()), size)

    def miss(self, query: str, language: Language) -> None:
        """A pupil found nothing for `query`. Raises SpaceError."""
        if words := content(query, language):
            self._ledger.miss(words, language, self._now())

    def _left(self) -> int | None:
        limit = self.link.bytes_per_day
        if limit is None:
            return None
        content_limit = limit - int(limit * HEADS_SHARE)
        return max(0, content_limit - self._ledger.spent(day_of(self._now())))

    def _window_s(self) -> float | None:
        return window_seconds(self._windows, minute_of_day(self._now()))


def day_of(now: float) -> int:
    """The local day at `now` (Unix seconds), counted from 1970."""
    return int((now + time.localtime(now).tm_gmtoff) // DAY_SECONDS)
