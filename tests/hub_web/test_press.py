"""Publishing goes on beside the pages, one at a time."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from hub.metrics import Metrics
from hub.publisher import Publication
from hub.studio.press import Failure, Press
from hub.worker import Worker
from sync.canonical import Digest
from sync.errors import SpaceError

DONE = Publication("published", "escuela", 1, Digest("0" * 64), 1, 10, 0.1)


class Machine:
    """Publishes when it is let; raises `fault` when it has one."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.times = 0
        self.fault: Exception | None = None

    def __call__(self) -> Publication:
        self.let.wait()
        self.times += 1
        if self.fault:
            raise self.fault
        return DONE


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    made = Worker("press", limit=2)
    yield made
    await made.close()


def outcomes(metrics: Metrics, outcome: str) -> float | None:
    name = "chaski_hub_publishes_total"
    return metrics.registry.get_sample_value(name, {"outcome": outcome})


def state(press: Press) -> tuple[bool, Publication | Failure | None]:
    return press.running, press.outcome


async def test_asking_twice_publishes_once(worker: Worker) -> None:
    machine, metrics = Machine(), Metrics(CollectorRegistry())
    press = Press(worker, machine, metrics)
    assert not await press.start(0)
    assert not await press.start(0)
    assert state(press) == (True, None)
    machine.let.set()
    await press.finish()
    assert state(press) == (False, DONE)
    assert machine.times == 1
    assert outcomes(metrics, "done") == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (SpaceError("the disk is full", "free some"), Failure("the disk is full", "free some")),
        (OSError(28, "No space left on device", "x"), None),
        (ZeroDivisionError(), Failure("", "")),
    ],
)
async def test_a_failure_is_told_and_the_next_try_is_free(
    worker: Worker, fault: Exception, told: Failure | None
) -> None:
    machine, metrics = Machine(), Metrics(CollectorRegistry())
    machine.fault = fault
    machine.let.set()
    press = Press(worker, machine, metrics)
    await press.start(60)
    failure = press.outcome
    assert isinstance(failure, Failure)
    assert told is None or failure == told
    machine.fault = None
    await press.start(60)
    assert state(press) == (False, DONE)
    assert (outcomes(metrics, "failed"), outcomes(metrics, "done")) == (1, 1)


async def test_finishing_waits_for_nothing_when_nothing_runs(worker: Worker) -> None:
    press = Press(worker, Machine(), Metrics(CollectorRegistry()))
    await asyncio.wait_for(press.finish(), 60)
