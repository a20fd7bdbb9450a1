"""Guesses: where they come from, when they are checked, and that they change nothing."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.engine import Engine, Sampling, Stream
from models.engine.runner import Runner
from models.engine.sequence import Sequence
from models.engine.speculate import Lookup, Luck, Pace, reach
from models.store import ModelFolder, ModelStore
from models.tokenizer import Tokenizer
from tests.models import tiny
from tests.models.scripted import ScriptedModel

CHEAP = Pace(fixed=1.0, row=0.05)
PROMPTS = ("uno dos tres uno dos tres uno dos", "la papa", "agua agua agua agua", "¿Qué es? Es")


def test_a_guess_is_what_followed_the_same_tokens_the_last_time() -> None:
    lookup = Lookup([1, 2, 3, 4, 5, 9, 2, 3, 6, 1, 2, 3])
    assert lookup.guess(9) == [4, 5, 9, 2, 3, 6, 1, 2, 3]  # three alike before two alike
    assert lookup.guess(2) == [4, 5]
    assert Lookup([7, 2, 3, 4, 9, 2, 3]).guess(1) == [4]
    assert Lookup([2, 3, 4, 2, 3, 5, 2, 3]).guess(1) == [5]
    assert Lookup([1, 2, 3, 4]).guess(4) == []
    assert Lookup([]).guess(4) == []


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 59), st.integers(1, 8))
def test_growing_token_by_token_finds_the_same(tokens: list[int], cut: int, count: int) -> None:
    grown = Lookup(tokens[:cut])
    for token in tokens[cut:]:
        grown.extend([token])
    whole = Lookup(tokens)
    assert grown.guess(count) == whole.guess(count)
    assert len(whole.guess(count)) <= count


def test_the_less_luck_and_the_dearer_a_row_the_shorter_the_guess() -> None:
    reaches = [reach(CHEAP, rate, 1, 15) for rate in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert reaches == sorted(reaches)
    assert (reaches[0], reaches[-1]) == (0, 15)
    assert reach(Pace(fixed=0.0, row=1.0), 0.99, 1, 15) == 0  # a row costs what a run costs
    assert reach(CHEAP, 1.0, 8, 15) > 0
    assert reach(Pace(fixed=1.0, row=0.4), 0.9, 8, 15) == 0  # eight in a batch are faster
    assert reach(CHEAP, 1.0, 1, 0) == 0


def test_luck_follows_what_was_seen() -> None:
    luck = Luck()
    assert luck.rate > 0.5
    luck.saw(0, 1)
    luck.saw(0, 1)
    luck.saw(0, 1)
    assert luck.rate < 0.4
    for _ in range(8):
        luck.saw(4, 0)
    assert luck.rate > 0.9


def test_pace_comes_from_two_runs() -> None:
    assert Pace.of(5.0, 13.0, 9) == Pace(4.0, 1.0)
    noisy = Pace.of(5.0, 4.0, 9)  # the longer run was faster: no sense, and no zero
    assert noisy.row > 0
    assert noisy.fixed < 5


class Chain:
    """A model of two tokens' memory over a few tokens: every row has its own chances."""

    def __init__(self, size: int = 6) -> None:
        random = np.random.default_rng(3)
        self.rows = (random.standard_normal((size, size, size)) * 1.5).astype(np.float32)

    def row(self, held: list[int]) -> npt.NDArray[np.float32]:
        row: npt.NDArray[np.float32] = self.rows[held[-2], held[-1]]
        return row


def walk(
    chain: Chain, tokenizer: Tokenizer, sampling: Sampling, guesses: list[int]
) -> tuple[int, ...]:
    """Three tokens of a sequence whose guesses are given, and mostly wrong."""
    stream = Stream(lambda: None, lambda: 0)
    sequence = Sequence([1, 2], sampling, 3, tokenizer, stream)
    reason = ""
    while not reason:
        left = 3 - (len(sequence.tokens) - 2)
        guess = guesses[: left - 1]
        held = [[*sequence.tokens, *guess[:n]] for n in range(len(guess) + 1)]
        _, reason = sequence.advance([chain.row(tokens) for tokens in held], guess)
    return tuple(sequence.tokens[2:])


@pytest.mark.parametrize("guesses", [[3], [3, 3], [1, 4]])
def test_sampling_with_guesses_follows_the_same_distribution(
    tokenizer: Tokenizer, guesses: list[int]
) -> None:
    """Against the exact chances of all 125 ways that do not end the text: chi-square."""
    chain = Chain()
    chain.rows[:, :, 0] = -50  # token 0 would end the text
    heat, count = 0.8, 4000
    seen: dict[tuple[int, ...], int] = {}
    for seed in range(count):
        way = walk(chain, tokenizer, Sampling(temperature=heat, seed=seed), guesses)
        seen[way] = seen.get(way, 0) + 1
    expected = {}
    for a in range(1, 6):
        for b in range(1, 6):
            for c in range(1, 6):
                chance, held = 1.0, [1, 2]
                for token in (a, b, c):
                    weights = np.exp(chain.row(held).astype(np.float64) / heat)
                    chance *= float(weights[token] / weights.sum())
                    held.append(token)
                expected[a, b, c] = chance * count
    frequent = {way: n for way, n in expected.items() if n >= 5}
    chi = sum((seen.get(way, 0) - n) ** 2 / n for way, n in frequent.items())
    degrees = len(frequent)
    assert chi < degrees + 4 * np.sqrt(2 * degrees)


@given(st.lists(st.integers(1, 5), max_size=2), st.integers(0, 200))
def test_the_same_seed_writes_the_same_whatever_is_guessed(
    tokenizer: Tokenizer, guesses: list[int], seed: int
) -> None:
    sampling = Sampling(temperature=1.0, top_p=0.9, repetition_penalty=1.3, seed=seed)
    chain = Chain()
    assert walk(chain, tokenizer, sampling, guesses) == walk(chain, tokenizer, sampling, [])


@settings(max_examples=25)
@given(st.lists(st.sampled_from(PROMPTS), min_size=1, max_size=6), st.integers(1, 3))
def test_guessing_changes_no_answer_beside_any_others(
    tokenizer: Tokenizer, prompts: list[str], slots: int
) -> None:
    """A script repeats itself, so that guesses come true; it ends where it must not guess on."""
    script = tokenizer.encode("uno dos tres cuatro uno dos tres cuatro uno dos tres seis ") * 3
    answers, runs = [], []
    for pace in (None, CHEAP):
        model = ScriptedModel(tokenizer.size, slots=slots, script=script, pace=pace)
        with Engine(model, tokenizer, name="fake", version="0", queue_limit=9) as engine:
            streams = [
                engine.submit(prompt, Sampling(max_tokens=60 + 7 * n))
                for n, prompt in enumerate(prompts)
            ]
            answers.append([stream.completion() for stream in streams])
            assert engine.stats().guessing == (pace is not None)
        runs.append(len(model.runs))
    assert answers[0] == answers[1]
    assert runs[1] < runs[0]


@tiny.exact_kernels
def test_int8_keys_and_values_allow_guessing_and_float32_ones_do_not(
    store: ModelStore, thrifty: ModelFolder
) -> None:
    """On the CPUs we measured. Elsewhere `measure` finds out, and guessing stays off."""
    guessing = {}
    for folder in (thrifty, store.open("writer-32")):
        runner = Runner.open(folder.model, threads=1, slots=2)
        guessing[folder.name] = runner.measure() is not None
    assert guessing == {"writer-kv8": True, "writer-32": False}


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_real_model_answers_the_same_with_guesses(
    thrifty: ModelFolder, temperature: float, slots: int
) -> None:
    """True everywhere: where rows differ by their company, `measure` forbids guessing."""
    said = " la papa y la oca" * 4  # so that there is something to guess
    samplings = [
        Sampling(max_tokens=50, temperature=temperature, seed=n, choices=(said[: 8 * n + 40],))
        for n in range(6)
    ]
    prompts = ["El agua del lago " * (n % 3 + 1) for n in range(6)]
    texts = []
    for guess in (False, True):
        with Engine.open(thrifty, threads=1, slots=slots, guess=guess) as engine:
            if engine.stats().guessing:
                engine._model.pace = CHEAP  # so that it does guess, whatever it costs here
            pairs = zip(prompts, samplings, strict=True)
            streams = [engine.submit(*pair) for pair in pairs]
            texts.append([stream.completion() for stream in streams])
            guessed = engine.stats().guessed_tokens_total
            assert (guessed > 0) == engine.stats().guessing
    assert texts[0] == texts[1]
