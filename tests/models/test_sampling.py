"""One row of logits, one choice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine import Sampling
from models.engine.sampler import Sampler
from models.errors import ModelError

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))


def drawn(sampling: Sampling, count: int = 2000) -> set[int]:
    sampler = Sampler(sampling)
    return {sampler.choose(LOGITS) for _ in range(count)}


def test_greedy_takes_the_likeliest() -> None:
    assert drawn(Sampling()) == {0}


def test_a_draw_follows_the_probabilities() -> None:
    sampler = Sampler(Sampling(temperature=1))
    counts = np.bincount([sampler.choose(LOGITS) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(counts, [0.5, 0.3, 0.15, 0.05], atol=0.03)


def test_heat_flattens_and_cold_sharpens() -> None:
    def share(temperature: float) -> float:
        sampler = Sampler(Sampling(temperature=temperature))
        return sum(sampler.choose(LOGITS) == 0 for _ in range(1000)) / 1000

    assert share(0.2) > 0.9 > share(1) > 0.4 > share(5) > 0.2


def test_top_k_and_top_p_cut_the_tail() -> None:
    assert drawn(Sampling(temperature=1)) == {0, 1, 2, 3}
    assert drawn(Sampling(temperature=1, top_k=2)) == {0, 1}
    assert drawn(Sampling(temperature=1, top_k=99)) == {0, 1, 2, 3}
    assert drawn(Sampling(temperature=1, top_p=0.75)) == {0, 1}
    assert drawn(Sampling(temperature=1, top_p=0.0001)) == {0}


def test_the_same_seed_draws_the_same() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1, seed=seed))
        return [sampler.choose(LOGITS) for _ in range(50)]

    assert draws(7) == draws(7) != draws(8)


def test_what_was_written_becomes_less_likely() -> None:
    sampler = Sampler(Sampling(repetition_penalty=2))
    logits = np.array([2.0, 1.5, -1.0], np.float32)
    before = logits.copy()
    assert [sampler.choose(logits) for _ in range(3)] == [0, 1, 0]
    np.testing.assert_array_equal(logits, before)


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40),
    st.floats(0.01, 5),
    st.integers(0, 50),
    st.floats(0.01, 1),
    st.integers(0, 2**64 - 1),
)
def test_any_row_gives_a_token(
    row: list[float], temperature: float, top_k: int, top_p: float, seed: int
) -> None:
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    assert 0 <= Sampler(sampling).choose(np.array(row, np.float32)) < len(row)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"max_tokens": 10**6},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"repetition_penalty": 0.5},
        {"seed": -1},
        {"stop": ("",)},
        {"stop": ("x",) * 9},
        {"stop": ("x" * 65,)},
    ],
)
def test_what_is_out_of_bounds_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]
