"""Press: publishes in a thread of its own, one publication at a time, while pages go on.

* Asking while it runs changes nothing: the running one answers for both.
* The outcome stays until the next one; the page says it in words.
* What goes wrong is a value here, logged once, and the old head stays valid.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from hub.answers import known
from hub.metrics import Metrics
from hub.publisher import Publication
from hub.worker import Worker
from sync.errors import ChaskiError

_log = logging.getLogger("chaski.hub")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a publication did not come about. Both are empty when the log has to say it."""

    message: str
    hint: str


class Press:
    """Runs `publish` in `worker`; `publish` opens what it needs itself."""

    def __init__(
        self, worker: Worker, publish: Callable[[], Publication], metrics: Metrics
    ) -> None:
        self._worker, self._publish, self._metrics = worker, publish, metrics
        self._task: asyncio.Task[None] | None = None
        self.outcome: Publication | Failure | None = None

    @property
    def running(self) -> bool:
        """True while a publication is being made."""
        return self._task is not None and not self._task.done()

    async def start(self, patience: float) -> bool:
        """Begins to publish, or joins the one that runs; True when it ended in `patience` s."""
        if not self.running:
            self.outcome = None
            self._task = asyncio.create_task(self._run())
        assert self._task is not None
        done, _ = await asyncio.wait({self._task}, timeout=patience)
        return bool(done)

    async def finish(self) -> None:
        """Returns when nothing is being published: before the thread is ended."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            self.outcome = await self._worker.call(self._publish)
        except Exception as raised:
            error = known(raised)
            if isinstance(error, ChaskiError):
                _log.error("not published: %s", error)
                self.outcome = Failure(str(error), error.hint)
            else:
                _log.error("not published", exc_info=error)
                self.outcome = Failure("", "")
        failed = isinstance(self.outcome, Failure)
        self._metrics.publishes.labels("failed" if failed else "done").inc()
