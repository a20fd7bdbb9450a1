"""One thread, one owner, a bounded queue."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator

import pytest

from hub.worker import OverloadedError, Worker


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    made = Worker("test", limit=3)
    yield made
    await made.close()


async def test_everything_runs_in_one_thread_that_is_not_the_loop(worker: Worker) -> None:
    """SQLite itself checks: a connection refuses every thread but its own."""
    db = worker.make(sqlite3.connect, ":memory:")
    await worker.call(db.execute, "CREATE TABLE t (x)")
    with pytest.raises(sqlite3.ProgrammingError):
        db.execute("SELECT * FROM t")
    assert await worker.call(threading.current_thread) is not threading.current_thread()
    await worker.call(db.close)


async def test_what_is_raised_there_is_raised_here(worker: Worker) -> None:
    with pytest.raises(ZeroDivisionError):
        await worker.call(divmod, 1, 0)
    assert worker.waiting == 0


async def test_a_full_queue_says_so_at_once(worker: Worker) -> None:
    gate = threading.Event()
    calls = [asyncio.create_task(worker.call(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    assert worker.waiting == 3
    with pytest.raises(OverloadedError) as caught:
        await worker.call(gate.wait)
    assert caught.value.hint
    gate.set()
    assert await asyncio.gather(*calls) == [True, True, True]
    assert worker.waiting == 0


async def test_a_caller_that_leaves_does_not_stop_the_work(worker: Worker) -> None:
    gate, done = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait()
        done.set()

    call = asyncio.create_task(worker.call(work))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert worker.waiting == 1
    gate.set()
    await worker.call(lambda: None)
    assert done.is_set()


async def test_closing_waits_for_what_was_accepted() -> None:
    worker, order = Worker("closing"), list[str]()
    first = asyncio.create_task(worker.call(order.append, "first"))
    second = asyncio.create_task(worker.call(order.append, "second"))
    await asyncio.sleep(0)
    await worker.close()
    await asyncio.gather(first, second)
    assert order == ["first", "second"]
