"""An engine under load: classes, pre-emption, too little memory, ten thousand requests."""

import contextlib
import gc
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from models import build_gpt2
from models.engine import Engine, OutOfMemory, Overloaded, Sampling
from models.engine.driver import Driver, Progress
from models.engine.loop import CHUNK
from models.engine.memory import PREFIX_BYTES, Memory
from models.engine.prefix import Prefixes
from models.engine.scheduler import Chunk, Load, Plan, Turn
from models.engine.sequence import Sequence
from models.engine.slabs import Slabs
from models.engine.speculate import Pace
from models.engine.stream import Stream
from models.engine.ticket import PRIORITIES
from models.errors import ModelError
from models.store import ModelFolder
from models.tokenizer import Tokenizer
from tests.models import tiny
from tests.models.scripted import ScriptedModel

SOAK = 10_000


def rss() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_a_batch_gives_its_slot_to_a_pupil_and_ends_as_if_it_had_not(tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(0)
    model = ScriptedModel(tokenizer.size, slots=1, gate=gate, context=300)
    with Engine(model, tokenizer, name="fake", version="0") as engine:
        long = "b" * (CHUNK + 20)
        batch = engine.submit(long, Sampling(max_tokens=CHUNK + 60), priority="batch")
        pieces = iter(batch)
        gate.release(CHUNK + 30)  # two chunks of its prompt, and more than a chunk of its answer
        text = next(pieces).text
        pupil = engine.submit("a", Sampling(max_tokens=5))
        gate.release(100_000)
        assert pupil.completion().reason == "length"
        text += "".join(piece.text for piece in pieces)
        assert engine.stats().preempted_total == 1
        assert engine.stats().reused_tokens_total == CHUNK
    prompt = [0, *tokenizer.encode(long)]
    assert text == tokenizer.decode(model.oracle(prompt, CHUNK + 60))


@tiny.exact_kernels
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_real_answer_survives_the_loss_of_its_slot(
    thrifty: ModelFolder, temperature: float
) -> None:
    """int8 keys and values: a chunk read again is what was written token by token."""
    sampling = Sampling(max_tokens=60, temperature=temperature, seed=3)
    with Engine.open(thrifty, threads=1, slots=1, guess=False) as engine:
        alone = engine.generate("El agua del lago", sampling)
        stream = engine.submit("El agua del lago", sampling, priority="batch")
        pieces = iter(stream)
        text = ""
        for _ in range(6):
            text += next(pieces).text
            engine.generate("Ñ", Sampling(max_tokens=2))
        text += "".join(piece.text for piece in pieces)
        assert text == alone.text
        assert engine.stats().preempted_total >= 1


def test_each_class_has_a_queue_of_its_own(tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(0)
    model = ScriptedModel(tokenizer.size, slots=1, gate=gate)
    engine = Engine(model, tokenizer, name="fake", version="0", queue_limit=2)
    with engine:
        running = engine.submit("a", Sampling(max_tokens=3))
        while running.position:
            pass
        batches = [engine.submit("b", priority="batch") for _ in range(2)]
        with pytest.raises(Overloaded):
            engine.submit("b", priority="batch")
        pupils = [engine.submit("p", client=name) for name in ("ana", "ana")]
        teacher = engine.submit("t", priority="teacher")
        assert [s.position for s in (*pupils, teacher, *batches)] == [1, 2, 3, 4, 5]
        gate.release(100_000)
        assert [s.completion().reason for s in (*pupils, teacher, *batches)] == ["length"] * 5


def test_memory_is_shared_out_and_too_little_is_refused() -> None:
    def share(limit: int) -> Memory:
        return Memory.share(limit, row_bytes=1000, context=100, slots=8)

    assert share(0) == Memory(800, PREFIX_BYTES)
    assert share(200_000) == Memory(100, 0)
    assert share(600_000) == Memory(400, 100_000)
    assert share(10**9) == Memory(800, PREFIX_BYTES)
    for limit in range(200_000, 1_000_000, 7_001):
        memory = share(limit)
        assert memory.rows * 1000 + memory.prefix_bytes + 100_000 <= limit
        assert 100 <= memory.rows <= 800
    with pytest.raises(ModelError, match="do not hold one request") as caught:
        share(199_999)
    assert "must be 0.2 MB" in caught.value.hint


def test_few_rows_are_promised_once(tokenizer: Tokenizer) -> None:
    """Memory for one and a half contexts: two long requests wait for each other."""
    model = ScriptedModel(tokenizer.size, slots=4, context=100)
    limit = 100 * model.row_bytes + 150 * model.row_bytes
    with Engine(model, tokenizer, name="fake", version="0", max_memory=limit) as engine:
        streams = [engine.submit("b" * 20, Sampling(max_tokens=70)) for _ in range(6)]
        seen = []
        for stream in streams:
            for _ in stream:
                stats = engine.stats()
                seen.append((stats.active, stats.rows))
        assert max(rows for _, rows in seen) <= 138  # 150 less a quarter of the free 50
        assert max(active for active, _ in seen) == 1
        assert engine.stats().ended_total == {"length": 6}


def test_a_run_without_memory_ends_its_requests_and_the_engine_goes_on(
    tokenizer: Tokenizer,
) -> None:
    gate = threading.Semaphore(3)
    model = ScriptedModel(tokenizer.size, slots=2, gate=gate)
    with Engine(model, tokenizer, name="fake", version="0") as engine:
        first, second = (engine.submit(p, Sampling(max_tokens=50)) for p in "ab")
        model.full = True
        gate.release(2)
        for stream in (first, second):
            with pytest.raises(OutOfMemory, match="not enough memory") as caught:
                list(stream)
            assert caught.value.hint
        model.full = False
        gate.release(100_000)
        assert engine.generate("c", Sampling(max_tokens=4)).reason == "length"
        model.full = True
        with pytest.raises(OutOfMemory):
            engine.score(["agua"])
        model.full = False
        assert engine.score(["agua"])[0] > 0
        assert engine.stats().ended_total == {"failed": 2, "length": 1}
        assert (engine.stats().active, engine.stats().prefix_bytes) == (0, 0)


def test_lack_of_memory_does_not_harm_who_starts_from_a_kept_prefix(tokenizer: Tokenizer) -> None:
    """One step: the turn of the first finds no memory, the second takes what is kept."""
    model = ScriptedModel(tokenizer.size, slots=2)
    prefixes = Prefixes(1 << 20, CHUNK)
    driver = Driver(model, prefixes)
    words = [tiny.ids(5), tiny.ids(CHUNK + 9)]
    streams = [Stream(lambda: None, lambda: 0) for _ in words]
    requests = {
        number: Sequence(tokens, Sampling(), 9, tokenizer, stream)
        for number, (tokens, stream) in enumerate(zip(words, streams, strict=True))
    }
    driver.carry_out(Plan(chunk=Chunk(1, 1, 0, CHUNK, last=False), used=2), requests)
    driver.carry_out(Plan(chunk=Chunk(0, 0, 0, 5, last=True), used=1), requests)
    assert prefixes.held(words[1]) == CHUNK
    model.full_for = 1
    chunk = Chunk(1, 1, CHUNK, CHUNK + 9, last=True)
    plan = Plan(turns=(Turn(0, 5),), load=Load(1, 1, CHUNK), chunk=chunk, used=2)
    assert driver.carry_out(plan, requests) == [Progress(0, reason="failed"), Progress(1, 1)]
    assert (driver.tally.reused, prefixes.bytes) == (CHUNK, 0)
    assert model.held[1] == words[1]


STARVED = """
import json, resource, sys
from pathlib import Path
from models.engine import Engine, OutOfMemory, Sampling
from models.store import ModelFolder

folder = ModelFolder("wide", Path(sys.argv[1]), None, "0")
said = []


def ask(prompt):
    try:
        said.append(engine.generate(prompt, Sampling(max_tokens=5)).reason)
    except OutOfMemory:
        said.append("out of memory")


with Engine.open(folder, threads=1, slots=2, reuse=False) as engine:
    ask("El lago")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used, most))
    held = []
    try:
        while True:
            held.append(bytearray(1 << 16))
    except MemoryError:
        pass
    ask("a" * 90)
    held.clear()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    ask("a" * 90)
print(json.dumps(said))
"""


def test_a_machine_without_memory_is_told_from_a_broken_model(tmp_path: Path, root: Path) -> None:
    """In a process of its own whose address space is used up: there is no room for what the
    layers pass on. In one arena: else each thread has 64 MB in reserve."""
    checkpoint = tiny.gpt2(tmp_path / "checkpoint", width=1024, layers=1)
    build_gpt2.build(checkpoint, tmp_path / "wide")
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(tmp_path / "wide")],
        cwd=root, env=os.environ | {"MALLOC_ARENA_MAX": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == ["length", "out of memory", "length"]


def test_memory_goes_back_when_a_slot_is_left() -> None:
    slabs = Slabs([f"{n}" for n in range(8)], (16, 4, 1024, 64), np.float32)
    before = rss()
    for slot in range(16):
        slabs.load(slot, 0, np.ones((8, 4, 1024, 64), np.float32))
    slabs.load(16, 0, np.ones((8, 4, 1024, 64), np.float32))
    gc.collect()
    full = rss() - before
    assert full > 130_000_000
    slabs.release(8)
    assert rss() - before < full * 0.6
    assert (slabs.copy(16, 1000, 1024) == 1).all()
    assert (slabs.copy(7, 1000, 1024) == 1).all()
    slabs.release(0)
    assert rss() - before < full * 0.25
    slabs.load(0, 5, np.full((8, 4, 3, 64), 2, np.float32))
    assert slabs.copy(0, 4, 9)[0, 0, :, 0].tolist() == [0, 2, 2, 2, 0]


def test_a_battery_takes_fewer_threads_and_the_same_words(thrifty: ModelFolder) -> None:
    answers = []
    for battery in (False, True):
        with Engine.open(thrifty, threads=2, slots=1, battery=battery) as engine:
            answers.append(engine.generate("El agua", Sampling(max_tokens=20)))
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_ten_thousand_requests_with_random_cancels_leak_nothing(tokenizer: Tokenizer) -> None:
    random.seed(5)
    model = ScriptedModel(tokenizer.size, slots=4, context=400, pace=Pace(1.0, 0.05))
    engine = Engine(model, tokenizer, name="fake", version="0", queue_limit=8)
    heads = ["El agua del lago se evapora. " * n for n in (1, 4, 9)]
    ended: dict[str, int] = {}
    sizes: list[int] = []
    with engine:
        flying = []
        for number in range(SOAK):
            prompt = f"{random.choice(heads)}{random.choice('abc')}"
            priority = random.choice(PRIORITIES)
            sampling = Sampling(max_tokens=random.randint(1, 6), temperature=number % 2)
            with contextlib.suppress(Overloaded):
                flying.append(engine.submit(prompt, sampling, priority=priority, client=prompt))
            if random.random() < 0.3 and flying:
                random.choice(flying).cancel()
            while len(flying) > 10:
                reason = flying.pop(random.randrange(len(flying))).completion().reason
                ended[reason] = ended.get(reason, 0) + 1
            if number % (SOAK // 10) == 0:
                gc.collect()
                sizes.append(rss())
        for stream in flying:
            reason = stream.completion().reason
            ended[reason] = ended.get(reason, 0) + 1
        stats = engine.stats()
        assert (stats.active, stats.waiting, stats.rows) == (0, 0, 0)
        assert stats.requests_total == sum(ended.values())
        assert stats.requests_total + stats.refused_total == SOAK
        assert dict(stats.ended_total) == ended
        assert ended["cancelled"] > SOAK // 50
        assert engine._loop._requests == {}
        assert list(engine._loop._scheduler._line) == []
    assert sizes[-1] - sizes[2] < 30_000_000
