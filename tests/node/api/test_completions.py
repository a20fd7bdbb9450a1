"""/v1/completions as OpenAI's client uses it, over a real socket and the shipped model."""

import asyncio
import json

import openai as library
import pytest
from openai import AsyncOpenAI

from models.engine import Engine, Sampling
from tests.node.api.conftest import Client

PROMPT = "Lección: El agua\nTema: ciencia. Grado: primaria-alta.\n\n"
MODEL = "tutor-es-small"


async def test_greedy_text_is_what_the_engine_writes(openai: AsyncOpenAI, engine: Engine) -> None:
    answer = await openai.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=24, temperature=0
    )
    expected = await asyncio.to_thread(engine.generate, PROMPT, Sampling(max_tokens=24))
    assert answer.choices[0].text == expected.text
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == expected.tokens == 24
    assert answer.usage.prompt_tokens == engine.count(PROMPT)


async def test_a_stream_adds_up_to_the_whole(openai: AsyncOpenAI) -> None:
    whole = await openai.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=40, temperature=0.8, seed=5
    )
    parts = await openai.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=40, temperature=0.8, seed=5, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = [chunk async for chunk in parts]
    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in told) == whole.choices[0].text
    assert [choice.finish_reason for choice in told if choice.finish_reason] == ["length"]
    assert chunks[-1].usage == whole.usage


async def test_several_prompts_and_choices_keep_their_numbers(openai: AsyncOpenAI) -> None:
    async def ask(prompt: str | list[str], n: int, seed: int) -> list[str]:
        answer = await openai.completions.create(
            model=MODEL, prompt=prompt, n=n, max_tokens=12, temperature=1.0, seed=seed
        )
        assert [choice.index for choice in answer.choices] == list(range(len(answer.choices)))
        return [choice.text for choice in answer.choices]

    both = await ask(["El agua", "La papa"], 2, 7)
    assert both[:2] == await ask("El agua", 2, 7)
    assert both[2:] == await ask("La papa", 2, 9)


async def test_stops_end_the_text_and_echo_begins_it(openai: AsyncOpenAI) -> None:
    answer = await openai.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=200, temperature=0, stop=["."], echo=True
    )
    text = answer.choices[0].text
    assert text.startswith(PROMPT)
    assert "." not in text[len(PROMPT) :]
    assert answer.choices[0].finish_reason == "stop"


async def test_an_empty_prompt_begins_a_text(openai: AsyncOpenAI) -> None:
    answer = await openai.completions.create(model=MODEL, prompt="", max_tokens=8, seed=1)
    assert answer.choices[0].text


async def test_a_prompt_over_the_context_loses_its_first_paragraphs_and_says_so(
    openai: AsyncOpenAI, engine: Engine
) -> None:
    paragraphs = [f"Párrafo {n}: el agua del río baja hacia el valle." for n in range(200)]
    raw = await openai.completions.with_raw_response.create(
        model=MODEL, prompt="\n\n".join(paragraphs), max_tokens=20, temperature=0, echo=True
    )
    answer = json.loads(raw.text)
    kept = answer["choices"][0]["text"]
    first = kept.partition("\n\n")[0]
    assert first in paragraphs
    assert paragraphs[-1] in kept
    dropped = answer["chaski"]["truncated_tokens"]
    assert raw.headers["X-Chaski-Truncated-Tokens"] == str(dropped)
    assert answer["usage"]["prompt_tokens"] <= engine.context - 20
    whole = engine.count("\n\n".join(paragraphs))
    assert dropped == whole - answer["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logprobs": 3}, "logprobs"),
        ({"best_of": 4}, "best_of"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"temperature": 9}, "temperature"),
        ({"n": 99}, "n"),
        ({"max_tokens": 4000}, "max_tokens"),
        ({"prompt": [1, 2, 3]}, "prompt[0]"),
        ({"prompt": ["a"] * 5, "n": 2}, "n"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    openai: AsyncOpenAI, fields: dict[str, object], param: str
) -> None:
    with pytest.raises(library.BadRequestError) as refused:
        await openai.completions.create(
            model=MODEL, prompt="El agua", max_tokens=16, extra_body=fields
        )
    assert refused.value.param == param


async def test_too_many_and_too_long_stops_are_refused(openai: AsyncOpenAI) -> None:
    for stop in (["a"] * 30, ["x" * 500]):
        with pytest.raises(library.BadRequestError, match="stop"):
            await openai.completions.create(model=MODEL, prompt="El agua", stop=stop)


async def test_another_model_is_not_found(openai: AsyncOpenAI) -> None:
    with pytest.raises(library.NotFoundError, match="tutor-es-small") as refused:
        await openai.completions.create(model="gpt-5", prompt="El agua")
    assert refused.value.code == "model_not_found"


async def test_the_model_on_board_is_listed(openai: AsyncOpenAI) -> None:
    assert [model.id async for model in openai.models.list()] == [MODEL]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b'{"prompt": "\xff"}', b'{"prompt": "\\ud800"}', b"[" * 100_000],
)
async def test_a_body_that_is_no_request_is_refused(
    client: Client, token: str, body: bytes
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with client.post("/v1/completions", data=body, headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


async def test_a_body_without_end_is_not_read(client: Client, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with client.post("/v1/completions", data=b" " * 400_000, headers=headers) as answer:
        assert answer.status == 413


async def test_a_full_queue_is_told_to_come_again(openai: AsyncOpenAI) -> None:
    with pytest.raises(library.RateLimitError) as refused:
        await asyncio.gather(
            *(
                openai.completions.create(model=MODEL, prompt=PROMPT, n=8, max_tokens=300)
                for _ in range(2)
            )
        )
    assert refused.value.code == "queue_full"
    assert refused.value.response.headers["Retry-After"] == "10"


async def test_who_goes_away_frees_the_places(client: Client, token: str, engine: Engine) -> None:
    body = {"prompt": PROMPT, "max_tokens": 400, "n": 4, "stream": True, "seed": 3}
    headers = {"Authorization": f"Bearer {token}"}
    before = engine.stats().ended_total.get("cancelled", 0)
    answer = await client.post("/v1/completions", json=body, headers=headers)
    assert await answer.content.readline()
    answer.close()
    async with asyncio.timeout(30):
        while engine.stats().active or engine.stats().waiting:
            await asyncio.to_thread(engine.generate, "", Sampling(max_tokens=1))
    assert engine.stats().ended_total.get("cancelled", 0) > before
