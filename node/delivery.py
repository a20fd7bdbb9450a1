"""Delivery: what people steer of what comes to the node: look first, pause, go on, pin.

* A look costs the head and a header, and only when somebody asks for it; what it told is kept
  and shown until the next one, or until something was installed.
* A pause holds for what travels and for what the timer would begin, over restarts too. Who asks
  for a sync, or brings a stick, goes on.
"""

from collections.abc import Callable

from node.agenda import Agenda
from node.carrier import Progress
from node.link import Pace
from node.outcome import Outcome
from node.preview import Preview, preview
from node.store.ledger import Ledger
from node.store.pins import Pins
from node.store.store import Store
from node.updater import Updater


class Delivery:
    """The delivery of one node. `now` gives Unix seconds."""

    def __init__(
        self,
        updater: Updater,
        agenda: Agenda,
        ledger: Ledger,
        pins: Pins,
        store: Store,
        now: Callable[[], float],
    ) -> None:
        self.pins = pins
        self._updater = updater
        self._agenda = agenda
        self._ledger = ledger
        self._store = store
        self._now = now
        self._seen: Preview | None = None
        updater.halt(halted=ledger.paused())

    @property
    def paused(self) -> bool:
        """True when somebody said to wait."""
        return self._ledger.paused()

    @property
    def progress(self) -> Progress | None:
        """What is on its way in just now."""
        return self._updater.progress

    @property
    def pace(self) -> Pace:
        """How fast the link is."""
        return self._agenda.pace()

    @property
    def seen(self) -> Preview | None:
        """What the last look told, while it still holds."""
        installed = self._store.installed()
        seen = self._seen
        if seen and installed and installed.applied_at > seen.at:
            return None
        return seen

    async def look(self) -> Preview:
        """Asks the hub what it has. Raises ChaskiError."""
        glimpse = await self._updater.look()
        about = Preview(
            at=self._now(),
            version=glimpse.verdict.version,
            installed=self._store.whole_version(),
            left_today=self._agenda.terms().budget,
        )
        if glimpse.download and glimpse.reader:
            about = preview(
                about,
                glimpse.download,
                glimpse.reader,
                self._store.shown(),
                self._agenda.terms(),
                self._agenda.link,
            )
        self.saw(about)
        return about

    def saw(self, seen: Preview) -> None:
        """Keeps what a look told."""
        self._seen = seen

    async def on_time(self) -> Outcome | None:
        """The sync of the timer: none while somebody said to wait."""
        return None if self.paused else await self._updater.sync()

    def pause(self) -> None:
        """Nothing is fetched from now on. Raises SpaceError."""
        self._ledger.pause(self._now())
        self._updater.halt(halted=True)

    def go_on(self) -> None:
        """What was paused may go on. Raises SpaceError."""
        self._ledger.go_on()
        self._updater.halt(halted=False)
