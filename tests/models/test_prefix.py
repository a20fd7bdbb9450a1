"""What is kept of prompts: bounded, exact, and never an orphan."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine import Engine, Sampling
from models.engine.loop import CHUNK
from models.engine.prefix import Prefixes
from models.engine.runner import Runner
from models.store import ModelFolder, ModelStore
from tests.models import tiny

SIZE = 4
BLOCK = 4 * SIZE  # bytes
# Few tokens, so that prompts begin alike.
PROMPTS = st.lists(st.lists(st.integers(0, 2), max_size=14), max_size=30)


def block(tokens: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """What stands for the keys and values of the last chunk: its tokens."""
    return np.array(tokens[-SIZE:], np.int32)


@given(PROMPTS, st.integers(0, 12))
def test_what_is_found_is_what_was_read_and_never_more_than_the_limit(
    prompts: list[list[int]], blocks: int
) -> None:
    kept = Prefixes(blocks * BLOCK, SIZE)
    for prompt in prompts:
        held = kept.held(prompt)
        assert held % SIZE == 0
        assert held <= len(prompt)
        found = kept.find(prompt[:held])
        assert [part.tolist() for part in found] == [
            prompt[at : at + SIZE] for at in range(0, held, SIZE)
        ]
        for stop in range(held + SIZE, len(prompt) + 1, SIZE):
            assert kept.wants(prompt[:stop]) == (blocks > 0)
            kept.keep(prompt[:stop], block(prompt[:stop]))
            assert kept.bytes == len(kept) * BLOCK <= blocks * BLOCK


@given(PROMPTS)
def test_no_block_is_left_without_those_before_it(prompts: list[list[int]]) -> None:
    kept = Prefixes(5 * BLOCK, SIZE)
    for prompt in prompts:
        for stop in range(SIZE, len(prompt) + 1, SIZE):
            kept.keep(prompt[:stop], block(prompt[:stop]))
    reached = {tuple(p[:stop]) for p in prompts for stop in range(SIZE, kept.held(p) + 1, SIZE)}
    assert len(reached) == len(kept)


def test_the_one_that_was_not_used_goes_first() -> None:
    kept = Prefixes(2 * BLOCK, SIZE)
    first, second, third = ([n] * SIZE for n in (1, 2, 3))
    kept.keep(first, block(first))
    kept.keep(second, block(second))
    kept.find(first)
    kept.keep(third, block(third))
    assert [kept.held(tokens) for tokens in (first, second, third)] == [SIZE, 0, SIZE]
    kept.clear()
    assert (kept.held(first), kept.bytes, len(kept)) == (0, 0, 0)


@pytest.mark.parametrize("name", ["writer-8", "writer-32", "kv8"])
def test_logits_behind_a_copied_prefix_are_the_same_to_the_bit(
    store: ModelStore, thrifty: ModelFolder, name: str
) -> None:
    """Whatever the kernels: the cuts are the same, so the very same runs are saved or made."""
    folder = thrifty if name == "kv8" else store.open(name)
    runner = Runner.open(folder.model, threads=1, slots=3)
    tokens = tiny.ids(90)
    cuts = list(range(0, 90, 16))
    read = [runner.append(0, tokens[at : at + 16], at, range(len(tokens[at:][:16]))).copy()
            for at in cuts]  # fmt: skip
    runner.append(2, tokens[::-1], 0)
    for shared in (1, 3, 5):
        for number in range(shared):
            runner.load(2, 16 * number, runner.copy(0, 16 * number, 16 * number + 16))
        for at, expected in list(zip(cuts, read, strict=True))[shared:]:
            rest = tokens[at : at + 16]
            ours = runner.append(2, rest, at, range(len(rest)))
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_answers_are_the_same_with_and_without_reuse(store: ModelStore, temperature: float) -> None:
    lesson = "El agua del lago se evapora. " * 6
    asked = [f"{lesson[:cut]}{question}" for cut in (125, 115, 125) for question in ("¿Qué?", "a")]
    sampling = Sampling(max_tokens=10, temperature=temperature)
    texts = []
    for reuse in (False, True):
        folder = store.open("writer-8")
        with Engine.open(folder, threads=1, slots=2, reuse=reuse, guess=False) as engine:
            streams = [engine.submit(prompt, sampling) for prompt in asked]
            texts.append([stream.completion() for stream in streams])
            stats = engine.stats()
            total = sum(1 + engine.count(prompt) for prompt in asked)
            assert stats.prompt_tokens_total + stats.reused_tokens_total == total
            assert (stats.reused_tokens_total >= CHUNK) == reuse
            assert (stats.prefix_bytes > 0) == reuse
    assert texts[0] == texts[1]
