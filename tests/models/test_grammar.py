"""What an answer may be made of: promises that no logits can break."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine import Engine, Sampling
from models.engine.grammar import MARKS, Grammar, Grammars
from models.engine.sampler import Sampler
from models.engine.sampling import LETTERS
from models.errors import ModelError
from models.store import ModelFolder, ModelStore
from models.tokenizer import Detokenizer, Tokenizer
from tests.models.scripted import ScriptedModel


def made(tokenizer: Tokenizer, sampling: Sampling) -> Grammar:
    grammar = Grammars(tokenizer, tokenizer.size).of(sampling)
    assert grammar is not None
    return grammar


def written(tokenizer: Tokenizer, sampling: Sampling, seed: int, most: int = 30) -> str:
    """A text from random logits, ended where the grammar or the end token ends it."""
    grammar, random = made(tokenizer, sampling), np.random.default_rng(seed)
    sampler, detokenizer = Sampler(sampling), Detokenizer(tokenizer)
    text = ""
    for _ in range(most):
        allowed = grammar.allowed()
        if allowed is None:
            return text + detokenizer.flush()
        token = sampler.choose(random.standard_normal(tokenizer.size).astype(np.float32), allowed)
        if token == tokenizer.end:
            return text + detokenizer.flush()
        grammar.push(token)
        text += detokenizer.push(token)
    return text


@given(st.sampled_from([("es",), ("qu",), ("en",), ("es", "qu")]), st.integers(0, 2**32))
def test_random_logits_write_only_letters_of_the_languages(
    tokenizer: Tokenizer, languages: tuple[str, ...], seed: int
) -> None:
    letters = "".join(LETTERS[language] for language in languages)
    text = written(tokenizer, Sampling(languages=languages, temperature=1, seed=seed), seed)
    assert set(text) <= set(letters + letters.upper() + MARKS)


def test_a_character_of_several_tokens_is_finished_or_not_begun(tokenizer: Tokenizer) -> None:
    """ñ is two bytes, each a token here: behind the first only ñ's sisters may come."""
    first, second = (tokenizer.encode("Ñ")[0], tokenizer.encode("Ñ")[1])
    spanish = made(tokenizer, Sampling(languages=("es",)))
    english = made(tokenizer, Sampling(languages=("en",)))
    for grammar, lets in ((spanish, True), (english, False)):
        allowed = grammar.allowed()
        assert allowed is not None
        if not lets:
            continue
        assert allowed[first]
        assert not allowed[second]
        assert allowed[tokenizer.end]
        grammar.push(first)
        inside = grammar.allowed()
        assert inside is not None
        assert inside[second]
        assert not inside[tokenizer.end]
        assert not inside[tokenizer.encode("a")[0]]
        grammar.push(second)
        np.testing.assert_array_equal(grammar.allowed(), allowed)
    for symbol in "🦙漢я":
        token = tokenizer.encode(symbol)[0]
        mask = made(tokenizer, Sampling(languages=("es", "qu", "en"))).allowed()
        assert mask is not None
        assert not mask[token]


@given(
    st.lists(st.text("abñ12 ", min_size=1, max_size=6), min_size=1, max_size=5),
    st.integers(0, 2**32),
)
def test_an_answer_is_one_of_the_choices(
    tokenizer: Tokenizer, choices: list[str], seed: int
) -> None:
    sampling = Sampling(choices=tuple(choices), temperature=1, seed=seed)
    assert written(tokenizer, sampling, seed) in choices


def test_a_choice_that_begins_another_may_end_or_go_on(tokenizer: Tokenizer) -> None:
    sampling = Sampling(choices=("sí", "sí, pero no"), temperature=1)
    texts = {written(tokenizer, sampling, seed) for seed in range(60)}
    assert texts == {"sí", "sí, pero no"}


def test_the_likeliest_choice_wins(tokenizer: Tokenizer) -> None:
    """The model wants to say `no` and may not say it bare."""
    grammar = made(tokenizer, Sampling(choices=("si", "no se", "nada")))
    logits = np.zeros(tokenizer.size, np.float32)
    wanted = tokenizer.encode("n")[0]
    logits[wanted] = 5
    logits[tokenizer.encode("z")[0]] = 9
    assert Sampler(Sampling()).choose(logits, grammar.allowed()) == wanted


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_an_engine_keeps_the_promise(store: ModelStore, temperature: float) -> None:
    """Random weights would write anything."""
    choices = (" el lago", " la chacra", " el lago Titicaca")
    with Engine.open(store.open("writer-32"), threads=1, slots=3) as engine:
        streams = [
            engine.submit("¿Dónde?", Sampling(choices=choices, temperature=temperature, seed=n))
            for n in range(8)
        ]
        answers = [stream.completion() for stream in streams]
        assert {a.text for a in answers} <= set(choices)
        assert {a.reason for a in answers} == {"end"}
        plain = Sampling(languages=("es",), temperature=temperature, max_tokens=40)
        letters = LETTERS["es"]
        assert set(engine.generate("Hola", plain).text) <= {*letters, *letters.upper(), *MARKS}


def test_a_grammar_and_guesses_go_together(thrifty: ModelFolder) -> None:
    said = " papa y oca y papa y oca y papa y oca y papa"
    with Engine.open(thrifty, threads=1, slots=1) as engine:
        assert engine.generate("¿Qué?", Sampling(choices=(said,), max_tokens=90)).text == said


def test_a_text_that_no_token_may_begin_is_empty(tokenizer: Tokenizer) -> None:
    model = ScriptedModel(tokenizer.size)
    with Engine(model, tokenizer, name="fake", version="0") as engine:
        short = Sampling(choices=("agua",), max_tokens=1)
        assert engine.generate("x", short).reason == "length"


@pytest.mark.parametrize(
    "wrong",
    [
        {"languages": ("xx",)},
        {"choices": ("",)},
        {"choices": ("x" * 201,)},
        {"choices": ("x",) * 65},
        {"choices": ("x",), "languages": ("es",)},
        {"choices": ("x",), "stop": ("y",)},
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(wrong: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]
