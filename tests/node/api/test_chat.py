"""/v1/chat/completions: the tutor, as other programs know it."""

import asyncio
import dataclasses
import json

import openai as library
import pytest
from openai import AsyncOpenAI
from pytest_aiohttp.plugin import AiohttpClient

from models import prompts
from models.engine import Engine, Sampling
from node.model.seat import Seat
from node.portal.app import build_portal
from node.services import Services
from node.tutor import Tutor

MODEL = "tutor-es-small"
KNOWN = "¿Qué es la fotosíntesis?"
FOREIGN = "¿Quién ganó el mundial de fútbol?"
PASSAGE = (
    "La llama es un animal de los Andes. Su lana sirve para tejer ponchos y mantas. "
    "Los arrieros la usan para llevar carga por los caminos de altura."
)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def ask(openai: AsyncOpenAI, *messages: dict[str, str], **more: object) -> dict[str, object]:
    """The answer as it came."""
    raw = await openai.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=list(messages),
        **more,  # type: ignore[call-overload]
    )
    told: dict[str, object] = json.loads(raw.text)
    return told


async def test_a_known_question_is_answered_by_the_quoted_lesson(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": KNOWN}]
    )
    content = answer.choices[0].message.content
    assert content is not None
    assert content.startswith("«")
    assert "fotosíntesis" in content.lower()
    assert answer.choices[0].finish_reason == "stop"
    note = (await ask(openai, user(KNOWN)))["chaski"]
    assert note["lesson"]["path"].startswith("/leccion/")  # type: ignore[index]
    assert note["checked"] is True  # type: ignore[index]


async def test_a_streamed_answer_says_the_same(openai: AsyncOpenAI) -> None:
    messages: list[library.types.chat.ChatCompletionMessageParam] = [
        {"role": "user", "content": KNOWN}
    ]
    whole = await openai.chat.completions.create(model=MODEL, messages=messages)
    chunks = [
        chunk.choices[0]
        async for chunk in await openai.chat.completions.create(
            model=MODEL, messages=messages, stream=True
        )
    ]
    assert chunks[0].delta.role == "assistant"
    told = "".join(chunk.delta.content or "" for chunk in chunks)
    assert told == whole.choices[0].message.content
    assert chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("language", "words"),
    [("es", "La biblioteca no tiene esa respuesta."), ("en", "The library does not have")],
)
async def test_a_foreign_question_is_refused_in_words_not_guessed(
    openai: AsyncOpenAI, language: str, words: str
) -> None:
    answer = await ask(openai, user(FOREIGN), extra_body={"language": language})
    assert answer["choices"][0]["message"]["content"].startswith(words)  # type: ignore[index]
    assert answer["chaski"]["kind"] == "refusal"  # type: ignore[index]


async def test_a_given_passage_is_answered_from_and_said_to_be_unchecked(
    openai: AsyncOpenAI, engine: Engine
) -> None:
    question = "¿Para qué sirve la lana de la llama?"
    system = {"role": "system", "content": PASSAGE}
    answer = await ask(openai, system, user(question), temperature=0)
    prompt = prompts.answer(PASSAGE, question, "es")
    expected = await asyncio.to_thread(engine.generate, prompt, Sampling(stop=("\n",)))
    assert answer["choices"][0]["message"]["content"] == expected.text.lstrip()  # type: ignore[index]
    assert answer["chaski"] == {"checked": False}


async def test_a_passage_over_the_context_is_cut_and_said_to_be(openai: AsyncOpenAI) -> None:
    system = {"role": "system", "content": "\n\n".join([PASSAGE] * 60)}
    answer = await ask(openai, system, user("¿Qué es la llama?"), temperature=0)
    assert answer["chaski"]["truncated_tokens"] > 0  # type: ignore[index]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": "Hola"}],
        [{"role": "user", "content": "  "}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        [],
    ],
)
async def test_what_is_no_question_is_refused(
    openai: AsyncOpenAI, messages: list[dict[str, object]]
) -> None:
    with pytest.raises(library.BadRequestError):
        await openai.chat.completions.create(model=MODEL, messages=messages)  # type: ignore[arg-type]


async def test_a_node_without_a_model_says_so(
    services: Services, token: str, aiohttp_client: AiohttpClient
) -> None:
    seat: Seat[Engine] = Seat(None)
    bare = dataclasses.replace(
        services, seat=seat, tutor=Tutor(services.search, services.library, seat)
    )
    client = await aiohttp_client(build_portal(bare))
    address = str(client.make_url("/v1"))
    async with AsyncOpenAI(base_url=address, api_key=token, max_retries=0) as asking:
        with pytest.raises(library.InternalServerError) as refused:
            await ask(asking, user(KNOWN))
    assert refused.value.status_code == 503
