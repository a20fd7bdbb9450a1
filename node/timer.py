"""Timer: the same work again and again, not in step with other nodes.

The work's own errors never stop it: those for people become one line in the log, a defect
keeps its traceback.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn

from sync.errors import ChaskiError

SPREAD = 0.1
"""Share of the interval by which each wait is longer or shorter, at random: fifty schools that
lost the same link do not come back in the same second."""

log = logging.getLogger(__name__)


async def repeat(
    seconds: float,
    work: Callable[[], Awaitable[object]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> NoReturn:
    """Does `work` now and about every `seconds`, until it is cancelled."""
    while True:
        await guarded(work)
        await sleep(seconds * (1 + SPREAD * (2 * chance() - 1)))


async def guarded(work: Callable[[], Awaitable[object]]) -> None:
    """Does `work` once; what goes wrong is logged."""
    try:
        await work()
    except ChaskiError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("%s failed", getattr(work, "__qualname__", work))
