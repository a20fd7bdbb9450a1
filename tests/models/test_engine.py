"""Many requests on one model: what each caller gets."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.engine import Engine, Overloaded, Piece, Sampling
from models.engine.loop import CHUNK
from models.errors import ModelError
from models.store import ModelStore
from models.tokenizer import Tokenizer
from tests.models import tiny
from tests.models.scripted import ScriptedModel

PROMPTS = [
    "El agua del lago",
    "¿Cuánto es 3/4 más 1/8?",
    "Ñ",
    "The potato was first grown in the Andes. " * 2,
    "La lluvia cae en la chacra",
    "quipu 🦙 quipu",
    "",
]
Make = Callable[[ScriptedModel], Engine]


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tokenizer: Tokenizer, clock: Clock) -> Iterator[Make]:
    """Engines on scripted models, closed at the end."""
    opened: list[tuple[Engine, ScriptedModel]] = []

    def build(model: ScriptedModel) -> Engine:
        engine = Engine(model, tokenizer, name="fake", version="0", queue_limit=4, clock=clock)
        opened.append((engine, model))
        return engine

    yield build
    for engine, model in opened:
        if model.gate is not None:
            model.gate.release(10_000)
        engine.close()


def budget(tokens: int) -> Sampling:
    return Sampling(max_tokens=tokens)


@pytest.mark.parametrize("name", ["writer-32", pytest.param("writer-8", marks=tiny.exact_kernels)])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_together_or_alone_the_text_is_the_same(
    store: ModelStore, name: str, temperature: float
) -> None:
    samplings = [
        Sampling(max_tokens=8 + 5 * i, temperature=temperature, seed=i, top_p=0.9)
        for i in range(len(PROMPTS))
    ]
    pairs = list(zip(PROMPTS, samplings, strict=True))
    with Engine.open(store.open(name), threads=1, slots=3) as engine:
        alone = [engine.generate(*pair) for pair in pairs]
        together = [stream.completion() for stream in [engine.submit(*pair) for pair in pairs]]
        assert together == alone
        assert len({completion.text for completion in alone}) == len(PROMPTS)


def test_every_request_gets_its_own_continuation(tokenizer: Tokenizer) -> None:
    """Forty requests from eight threads on three slots; any mix-up changes a text."""
    model = ScriptedModel(tokenizer.size, context=700)
    engine = Engine(model, tokenizer, name="fake", version="0", queue_limit=40)
    prompts = [f"{PROMPTS[i % 4]}{i} " * (1 + i % 3) for i in range(40)]
    with engine, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: engine.generate(prompts[i], budget(1 + i)), range(40)))
    for i, answer in enumerate(answers):
        expected = model.oracle([0, *tokenizer.encode(prompts[i])], 1 + i)
        assert (answer.text, answer.tokens) == (tokenizer.decode(expected), 1 + i)
        assert answer.reason == "length"


def test_an_answer_ends_where_the_model_ends_it(make: Make, tokenizer: Tokenizer) -> None:
    words = tokenizer.encode("sí 🦙")
    engine = make(ScriptedModel(tokenizer.size, script=[*words, 0]))
    answer = engine.generate("¿?")
    assert (answer.text, answer.reason, answer.tokens) == ("sí 🦙", "end", len(words))


def test_an_answer_ends_at_a_stop_string_over_several_tokens(
    make: Make, tokenizer: Tokenizer
) -> None:
    engine = make(ScriptedModel(tokenizer.size, script=tokenizer.encode("uno\nPregunta: dos")))
    answer = engine.generate("x", Sampling(stop=("\nPregunta:",)))
    assert (answer.text, answer.reason) == ("uno", "stop")


def test_an_answer_ends_where_the_context_ends(make: Make, tokenizer: Tokenizer) -> None:
    engine = make(ScriptedModel(tokenizer.size, context=50))
    tokens = engine.count("a b c")
    answer = engine.generate("a b c", budget(1000))
    assert (answer.tokens, answer.reason) == (50 - tokens, "length")


def test_a_prompt_that_leaves_no_room_is_refused(make: Make, tokenizer: Tokenizer) -> None:
    engine = make(ScriptedModel(tokenizer.size, context=50))
    assert engine.generate("?" * 49).tokens == 1
    with pytest.raises(ModelError, match=r"the prompt has 50 tokens and fake reads 50"):
        engine.submit("?" * 50)


def test_pieces_hold_whole_characters_and_the_last_says_why(
    make: Make, tokenizer: Tokenizer
) -> None:
    engine = make(ScriptedModel(tokenizer.size, script=[*tokenizer.encode("🦙🦙"), 0]))
    pieces = list(engine.submit("x"))
    assert pieces == [Piece("🦙"), Piece("🦙"), Piece("", done=True, reason="end")]


def test_a_full_queue_refuses_at_once_and_says_the_place(make: Make, tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(0)
    engine = make(ScriptedModel(tokenizer.size, slots=1, gate=gate))
    running = engine.submit("a", budget(5))
    while running.position:  # the engine's thread takes it into its slot
        pass
    queued = [engine.submit(prompt, budget(5)) for prompt in "bcde"]
    assert [stream.position for stream in queued] == [1, 2, 3, 4]
    with pytest.raises(Overloaded, match="busy") as caught:
        engine.submit("f")
    assert (caught.value.position, caught.value.limit, caught.value.exit_code) == (5, 4, 6)
    stats = engine.stats()
    assert (stats.active, stats.waiting, stats.refused_total) == (1, 4, 1)
    gate.release(1000)
    assert {stream.completion().reason for stream in [running, *queued]} == {"length"}
    assert engine.stats().requests_total == 5


def test_a_cancelled_request_frees_its_slot(make: Make, tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(2)
    engine = make(ScriptedModel(tokenizer.size, slots=1, gate=gate))
    stream = engine.submit("a", budget(100))
    following = engine.submit("b", budget(3))
    stream.cancel()
    gate.release(50)
    assert stream.completion().reason == "cancelled"
    assert following.completion().reason == "length"


def test_who_leaves_the_loop_cancels(make: Make, tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(4)
    engine = make(ScriptedModel(tokenizer.size, slots=1, gate=gate))
    stream = engine.submit("a", budget(100))
    pieces = iter(stream)
    next(pieces)
    del pieces
    gate.release(50)
    assert list(stream)[-1].reason == "cancelled"


async def test_an_event_loop_reads_many_streams(make: Make, tokenizer: Tokenizer) -> None:
    engine = make(model := ScriptedModel(tokenizer.size))

    async def read(prompt: str) -> str:
        return "".join([piece.text async for piece in engine.submit(prompt, budget(30))])

    texts = await asyncio.gather(*map(read, PROMPTS[:4]))
    for prompt, text in zip(PROMPTS, texts, strict=False):
        assert text == tokenizer.decode(model.oracle([0, *tokenizer.encode(prompt)], 30))


async def test_a_closed_tab_cancels(make: Make, tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(6)
    engine = make(ScriptedModel(tokenizer.size, slots=1, gate=gate))
    stream = engine.submit("a", budget(100))
    started = asyncio.Event()

    async def read() -> None:
        async for _ in stream:
            started.set()

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.release(50)
    assert (await asyncio.to_thread(lambda: list(stream)))[-1].reason == "cancelled"


def test_a_loop_that_closed_harms_nobody(make: Make, tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(4)
    engine = make(ScriptedModel(tokenizer.size, gate=gate))
    stream = engine.submit("a", budget(20))

    async def first() -> Piece:
        async for piece in stream:
            return piece
        raise AssertionError

    asyncio.run(first())
    gate.release(1000)
    assert engine.generate("b", budget(3)).reason == "length"


def test_a_deadline_ends_an_answer_with_what_it_has(
    make: Make, tokenizer: Tokenizer, clock: Clock
) -> None:
    gate = threading.Semaphore(3)
    engine = make(ScriptedModel(tokenizer.size, slots=1, gate=gate))
    running = engine.submit("a", budget(100), deadline_s=10)
    queued = engine.submit("b", budget(100), deadline_s=5)
    pieces = iter(running)
    first = next(pieces)
    clock.now += 11
    gate.release(50)
    assert list(pieces)[-1].reason == "deadline"
    assert first.text
    assert queued.completion().reason == "deadline"
    assert engine.stats().ended_total == {"deadline": 2}


def test_closing_ends_everybody_and_refuses_the_next(make: Make, tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(2)
    engine = make(ScriptedModel(tokenizer.size, slots=1, gate=gate))
    streams = [engine.submit("a", budget(100)), engine.submit("b", budget(100))]
    closing = threading.Thread(target=engine.close)
    closing.start()
    gate.release(1000)
    closing.join()
    assert {list(stream)[-1].reason for stream in streams} == {"cancelled"}
    with pytest.raises(ModelError, match="closed"):
        engine.submit("c")
    with pytest.raises(ModelError, match="closed"):
        engine.score(["c"])
    engine.close()


def test_a_model_that_fails_leaves_nobody_waiting(make: Make, tokenizer: Tokenizer) -> None:
    gate = threading.Semaphore(2)
    model = ScriptedModel(tokenizer.size, slots=1, gate=gate)
    engine = make(model)
    streams = [engine.submit("a", budget(100)), engine.submit("b", budget(100))]
    model.broken = True
    gate.release(1000)
    for stream in streams:
        with pytest.raises(ModelError, match="a wire came off"):
            list(stream)
    with pytest.raises(ModelError, match="a wire came off"):
        engine.submit("c")


def test_a_score_is_the_mean_surprise(store: ModelStore, tokenizer: Tokenizer) -> None:
    with Engine.open(store.open("writer-32"), threads=1, slots=1) as engine:
        texts = [*PROMPTS[:3], "agua " * 40, "x" * 500]
        scores = engine.score(texts)
        runner = engine._model
        for text, score in zip(texts, scores, strict=True):
            ids = [0, *tokenizer.encode(text)[: engine.context]]
            logits = runner.append(0, ids[:-1], 0, range(len(ids) - 1)).astype(np.float64)
            logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            mean = -logs[np.arange(len(ids) - 1), ids[1:]].mean()
            assert score == pytest.approx(mean, abs=1e-4)
        assert engine.score([]) == []
        with pytest.raises(ModelError, match="empty"):
            engine.score(["a", ""])


def test_scoring_goes_on_beside_the_answers(make: Make, tokenizer: Tokenizer) -> None:
    model = ScriptedModel(tokenizer.size, slots=2)
    engine = make(model)
    prompt = "b" * (2 * CHUNK)
    stream = engine.submit(prompt, budget(40))
    texts = ["agua " * 30, "lago", "lago " * 20, "Ñ", "quipu"]
    together = engine.score(texts)
    expected = model.oracle([0, *tokenizer.encode(prompt)], 40)
    assert stream.completion().text == tokenizer.decode(expected)
    assert together == engine.score(texts)


def test_the_counters_add_up(make: Make, tokenizer: Tokenizer) -> None:
    engine = make(ScriptedModel(tokenizer.size))
    for _ in range(3):
        engine.generate("abc", budget(7))
    stats = engine.stats()
    assert stats.tokens_total == 21
    assert stats.prompt_tokens_total == 3 * (1 + engine.count("abc"))
    assert stats.requests_total == 3
    assert stats.ended_total == {"length": 3}
    assert (stats.active, stats.waiting) == (0, 0)


def test_the_shipped_tutor_writes(shipped: ModelStore) -> None:
    with Engine.open(shipped.open("tutor-es-small"), threads=1) as engine:
        prompt = "Texto: El agua se evapora del lago.\nPregunta: ¿Qué se evapora?\nRespuesta:"
        answer = engine.generate(prompt, budget(12))
        assert answer.text.strip()
        good, bad = engine.score(["El agua se evapora del lago.", "zqx lkj wvu ghb dfk mnp"])
        assert good < bad
