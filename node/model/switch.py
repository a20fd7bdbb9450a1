"""Switch: brings the tutor's model to what the channel carries, and back when it is no good.

* Place -> hash -> self-test in a process of its own -> pointer -> engine. Until the pointer is
  written nothing has changed; a cut at any step leaves the old model or the new one.
* The pointer is what should be, the seat is what is: `look` brings the second to the first, so a
  command that writes the pointer is obeyed by a node that serves.
* A new model is on trial until it has answered `ANSWERS` questions or run for `SECONDS`. Not
  opening, stopping, or three starts that ended without order lead back by themselves.
* Where memory is short the old model leaves before the new one is opened; questions are
  answered with quotes meanwhile.
* One thread calls everything but `status`, `news` and `stop`. Nothing here raises for what a
  model, the disk or the channel did: that is logged, told and shown.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from models.edition import Edition
from models.errors import DamagedModelError, ModelError
from models.examiner import Examiner
from models.store import ModelFolder
from node.model import pointer as pointers
from node.model.choice import Try, choose, first_of
from node.model.memory import available_bytes, fits_beside
from node.model.models import Models
from node.model.pointer import Change, Pointer, Why, id_of
from node.model.seat import Seat, Tally, see_out
from node.model.status import ModelStatus, State
from node.store.store import Installed, no_step
from sync.errors import ChaskiError
from sync.manifest import Manifest

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import Engine, EngineStats

LOOK_SECONDS = 5.0
ANSWERS = 5
SECONDS = 600.0
DRAIN_SECONDS = 65.0
RESTARTS = 3
"""How often an engine that has nothing to go back to is opened again."""
GOOD = ("end", "stop", "length")
"""Reasons of answers that were written to their end."""

log = logging.getLogger(__name__)


class Channel(Protocol):
    """What is installed; `node.store.store.Store`."""

    def installed(self) -> Installed | None:
        """Which version."""
        ...

    def manifest(self) -> Manifest | None:
        """Its manifest."""
        ...


class Told(Protocol):
    """Hears of every change, once."""

    def __call__(self, change: Change, seconds: float) -> None:
        """`seconds` are those of the self-test, 0 where there was none."""
        ...


class Switch:
    """Looks after the model in `seat`. Close it."""

    def __init__(
        self,
        models: Models,
        channel: Channel,
        seat: "Seat[Engine]",
        open_engine: "Callable[[ModelFolder], Engine]",
        examiner: Examiner,
        clock: Callable[[], float],
        *,
        told: Told = lambda change, seconds: None,
        available: Callable[[], int | None] = available_bytes,
        monotonic: Callable[[], float] = time.monotonic,
        drain_seconds: float = DRAIN_SECONDS,
        step: Callable[[str], None] = no_step,
    ) -> None:
        """`clock` gives Unix seconds; answers get `drain_seconds` to end when another model
        takes over; `step` hears each step before it is taken."""
        self._models = models
        self._channel = channel
        self._seat = seat
        self._open = open_engine
        self._examiner = examiner
        self._clock = clock
        self._told = told
        self._available = available
        self._monotonic = monotonic
        self._drain = drain_seconds
        self._step = step
        self._stop = threading.Event()
        self._tally = Tally(lambda: seat.engine)
        self._sits = ""
        self._opened = 0.0
        self._restarts = 0
        self._pointer = Pointer(models.name)
        self._stamp = (0, 0)
        self._considered: tuple[object, ...] = ()
        self._fresh = False
        self._testing = False
        self._pending = ""
        self._trouble: tuple[State, str] | None = None

    # From any thread.

    def status(self) -> ModelStatus:
        """How it is now."""
        engine, pointer = self._seat.engine, self._pointer
        state: State = "running"
        trouble = self._trouble
        if engine is None:  # without trouble: one has left, the next has not come yet
            state = trouble[0] if trouble else "testing"
        elif self._testing:
            state = "testing"
        elif pointer.trial:
            state = "trial"
        return ModelStatus(
            state=state,
            name=self._models.name,
            version=engine.version if engine else "",
            source=("shipped" if self._sits == pointers.SHIPPED else "channel") if engine else "",
            trouble=trouble[1] if trouble else "",
            pending=self._pending,
            last=pointer.last,
        )

    def stats(self) -> "EngineStats | None":
        """Figures of the engine, and of those before it in this run."""
        return self._tally.stats()

    def news(self) -> None:
        """A sync ended: what could not be done before may be possible now."""
        self._fresh = True

    def stop(self) -> None:
        """Ends what takes long; the next start takes it up."""
        self._stop.set()
        self._examiner.stop()

    # From one thread.

    def start(self) -> None:
        """The first engine of this run."""
        try:
            self._change(lambda held: pointers.boot(held, self._clock()))
        except (ChaskiError, OSError) as error:  # a full disk must not cost the tutor
            log.warning("the start of model %s is not counted: %s", self._models.name, error)
            self._read()
        self._serve()

    def look(self) -> None:
        """Does what is due: mend, prove, or try what the channel carries."""
        try:
            if self._fresh:
                self._begin_anew()
            self._mind()
            self._prove()
            self._consider()
        except (ChaskiError, ModelError, OSError) as error:
            log.warning("model %s: %s", self._models.name, error)

    def close(self) -> None:
        """Closes the engine; this run ended in order."""
        if engine := self._seat.put(None):
            engine.close()
        try:
            self._change(pointers.rest)
        except (ChaskiError, OSError) as error:
            log.warning("model %s: %s", self._models.name, error)

    def _begin_anew(self) -> None:
        """After a sync: objects may have been mended, space may have been made."""
        self._fresh = False
        self._restarts = 0
        self._considered = ()
        if self._trouble:
            self._serve()

    def _mind(self) -> None:
        """An engine that stopped; a pointer that somebody else moved."""
        engine = self._seat.engine
        if engine and engine.failure and not self._stop.is_set():
            self._fail(engine, str(engine.failure))
        elif self._models.copies.stamp() != self._stamp:
            before = self._pointer.last
            self._read()
            self._tell(before)
            self._serve()
            self._considered = ()

    def _fail(self, engine: "Engine", detail: str) -> None:
        log.warning("%s", detail)
        self._seat.put(None)
        self._sits = ""
        see_out(self._seat, engine, 0, self._stop, self._tally.left)
        if self._way_back():
            self._change(lambda held: pointers.fail(held, detail, self._clock()))
        else:
            self._restarts += 1
        if self._restarts > RESTARTS:
            self._trouble = "stopped", detail
            return
        self._serve()

    def _prove(self) -> None:
        engine = self._seat.engine
        if not (engine and self._pointer.trial and self._sits == id_of(self._pointer.current)):
            return
        ended = engine.stats().ended_total
        answered = sum(count for reason, count in ended.items() if reason in GOOD)
        if answered >= ANSWERS or self._monotonic() - self._opened >= SECONDS:
            self._change(pointers.prove)
            log.info("model %s %s has proven itself", self._models.name, engine.version)

    def _consider(self) -> None:
        """What the channel carries, once a version of it, or after news; whole ones only."""
        installed = self._channel.installed()
        if installed and installed.part:
            return
        about = (installed and installed.root, self._models.copies.stamp())
        if about == self._considered:
            return
        self._considered = about
        self._pending = ""
        try:
            carried = self._models.carried(self._channel.manifest())
            choice = choose(self._pointer, carried, self._models.shipped_version())
            if isinstance(choice, Try):
                self._take(choice.edition)
        except (ChaskiError, ModelError, OSError) as error:
            self._pending = str(error)
            raise
        finally:
            if self._seat.engine is None and not self._stop.is_set():
                self._serve()  # the old model may have left for the test

    def _take(self, edition: Edition | None) -> None:
        """Tries an edition and switches to it, or refuses it."""
        seconds = 0.0
        if edition:
            self._step("place")
            folder = self._models.copies.place(edition)
            if not self._begin(edition):
                return
            self._make_room(edition.size)
            tested = self._test(folder)
            if tested is None:
                return
            why, detail, seconds = tested
            if why:
                self._refuse(edition, why, detail, seconds)
                return
        self._step("switch")
        self._change(lambda held: pointers.switch(held, edition, self._clock()), seconds)
        self._serve()
        self._step("tidy")
        self._models.copies.tidy()

    def _begin(self, edition: Edition) -> bool:
        """Notes that a self-test begins; False when it was begun too often without an end."""
        held = self._change(lambda held: pointers.begin_test(held, edition))
        if held.attempt and held.attempt.tries > pointers.MAX_TESTS:
            tries = held.attempt.tries - 1
            self._refuse(edition, "crash", f"{tries} self-tests began and none came to an end", 0)
            return False
        return True

    def _test(self, folder: ModelFolder) -> tuple[Why | None, str, float] | None:
        """Why the self-test failed (None: it did not), detail, seconds; None: it was stopped."""
        self._step("test")
        self._testing = True
        began = self._monotonic()
        try:
            report = self._examiner.examine(folder.path)
        finally:
            self._testing = False
        if report is None:
            self._change(pointers.end_test)
            return None
        seconds = self._monotonic() - began
        return report.why or None, report.detail, seconds

    def _refuse(self, edition: Edition, why: Why, detail: str, seconds: float) -> None:
        self._change(
            lambda held: pointers.refuse(held, edition, why, detail, self._clock()), seconds
        )
        self._models.copies.tidy()

    def _serve(self) -> None:
        """Seats the best edition that can be opened, if another or none sits there."""
        self._trouble = None
        for edition in first_of(self._pointer):
            if self._sits == id_of(edition) and self._seat.engine:
                return
            try:
                folder = self._models.folder(edition)
                self._seat_down(folder, edition)
            except (ModelError, ChaskiError, OSError, MemoryError) as error:
                self._cannot(edition, error)
                continue
            return
        log.warning("no model opens: questions are answered with quotes only")

    def _cannot(self, edition: Edition | None, error: Exception) -> None:
        """An edition that cannot be opened: the first to be so is the trouble."""
        hint = getattr(error, "hint", "")
        detail = str(error) or type(error).__name__
        log.warning("model %s: %s%s", self._models.name, detail, f" ({hint})" if hint else "")
        files = isinstance(error, DamagedModelError | ChaskiError | OSError)
        if self._trouble is None:
            whole = edition or self._models.shipped_version() is not None
            state: State = "damaged" if files else "stopped" if whole else "missing"
            self._trouble = state, detail
        if edition and not files and self._pointer.current == edition and self._way_back():
            self._change(lambda held: pointers.back(held, "open", detail, self._clock()))

    def _seat_down(self, folder: ModelFolder, edition: Edition | None) -> None:
        self._make_room(folder.model.stat().st_size)
        self._step("open")
        engine = self._open(folder)
        before = self._seat.put(engine)
        self._sits = id_of(edition)
        self._opened = self._monotonic()
        self._step("seated")
        if before:
            self._see_out(before)

    def _make_room(self, size: int) -> None:
        """Sends the engine away when there is no room for a second model."""
        if self._seat.engine and not fits_beside(size, self._available()):
            engine = self._seat.put(None)
            self._sits = ""
            if engine:
                self._see_out(engine)

    def _see_out(self, engine: "Engine") -> None:
        self._tally.leaves(engine)
        see_out(self._seat, engine, self._drain, self._stop, self._tally.left)

    def _way_back(self) -> bool:
        """True when there is something to go back to."""
        held = self._pointer
        shipped = held.current is not None and self._models.shipped_version() is not None
        return held.previous is not None or shipped

    def _read(self) -> None:
        self._stamp = self._models.copies.stamp()
        self._pointer = self._models.copies.read()

    def _change(self, decide: Callable[[Pointer], Pointer], seconds: float = 0.0) -> Pointer:
        """Writes the pointer and tells of what happened."""
        before: Change | None = None

        def noting(held: Pointer) -> Pointer:
            nonlocal before
            before = held.last
            return decide(held)

        self._pointer = self._models.copies.change(noting)
        self._stamp = self._models.copies.stamp()
        self._tell(before, seconds)
        return self._pointer

    def _tell(self, before: Change | None, seconds: float = 0.0) -> None:
        last = self._pointer.last
        if last is None or last == before:
            return
        level = logging.INFO if last.kind == "switched" else logging.WARNING
        why = f" ({last.why}: {last.detail})" if last.why else ""
        log.log(
            level, "model %s: %s %s -> %s%s", self._models.name, last.kind,
            last.from_version, last.to_version, why,
        )  # fmt: skip
        self._told(last, seconds)
