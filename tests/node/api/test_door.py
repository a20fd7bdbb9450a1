"""Who may come in at /v1, and how many at once."""

import asyncio
from pathlib import Path

import openai as library
import pytest
from openai import AsyncOpenAI

from node.api.tokens import MAX_TOKENS, Tokens
from node.services import Services
from sync.errors import ChaskiError, ContentError, SettingsError
from tests.node.api.conftest import Client
from tests.portal.school import NOW


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer chaski-" + "a" * 32},
        {"Authorization": "Basic YTpi"},
        {"Cookie": "chaski=1", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_a_stranger_is_kept_out(client: Client, headers: dict[str, str]) -> None:
    for path in ("/v1/models", "/v1/completions", "/v1/nothing"):
        async with client.get(path, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "chaski-node tokens create" in (await answer.json())["error"]["message"]


async def test_unknown_paths_and_methods_are_told_in_their_form(client: Client, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for path, status in (("/v1/embeddings", 404), ("/v1/completions", 405)):
        async with client.get(path, headers=headers) as answer:
            assert answer.status == status
            assert (await answer.json())["error"]["type"] == "invalid_request_error"


async def test_a_revoked_token_is_a_strangers_at_once(
    client: Client, services: Services, token: str
) -> None:
    tokens = Tokens(Path(services.settings.node.data) / "tokens.json")
    spare = tokens.make("otra", NOW)
    headers = {"Authorization": f"Bearer {spare}"}
    async with client.get("/v1/models", headers=headers) as answer:
        assert answer.status == 200
    tokens.revoke("otra")
    async with client.get("/v1/models", headers=headers) as answer:
        assert answer.status == 401


async def test_one_token_does_not_crowd_out_the_pupils(openai: AsyncOpenAI) -> None:
    asked = [
        openai.completions.create(model="tutor-es-small", prompt="El agua", max_tokens=60, seed=1)
        for _ in range(3)
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, library.RateLimitError)]
    assert [error.code for error in refused] == ["too_many_open"]


def test_the_file_never_holds_the_secret(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    secret = tokens.make("aula", NOW)
    assert secret not in (tmp_path / "tokens.json").read_text()
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0
    assert Tokens(tmp_path / "tokens.json").find(secret) == tokens.all()[0]
    assert tokens.find(secret + "x") is None


def test_names_are_taken_once_and_are_slugs(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    tokens.make("aula", NOW)
    for name in ("aula", "Aula", "a b", "", "x" * 41):
        with pytest.raises(SettingsError):
            tokens.make(name, NOW)
    with pytest.raises(ChaskiError):
        tokens.revoke("nadie")
    assert [token.name for token in tokens.all()] == ["aula"]


def test_tokens_are_bounded_and_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    for number in range(MAX_TOKENS):
        tokens.make(f"t{number}", NOW)
    with pytest.raises(SettingsError):
        tokens.make("more", NOW)
    (tmp_path / "tokens.json").write_bytes(b"[{]")
    with pytest.raises(ContentError):
        tokens.find("chaski-x")
