"""A school whose node writes with the shipped model, asked by the client that others use."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from openai import AsyncOpenAI
from pytest_aiohttp.plugin import AiohttpClient

from models.engine import Engine
from models.store import ModelStore
from node.api.app import TOKENS
from node.api.tokens import Tokens
from node.model.seat import Seat
from node.portal.app import build_portal
from node.services import Services
from node.tutor import Tutor
from tests.portal.school import NOW, School, full_school

Client = TestClient[web.Request, web.Application]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """A school with the whole sample library. Tests only read it."""
    made = full_school(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def engine(root: Path) -> Iterator[Engine]:
    """The shipped model, with room for four and a queue of four."""
    folder = ModelStore(root / "models" / "onnx").open("tutor-es-small")
    with Engine.open(folder, threads=1, slots=4, queue_limit=4) as opened:
        yield opened


@pytest.fixture
def services(library: School, engine: Engine) -> Services:
    """The node's parts, with that model."""
    library.forget()
    village, seat = library.village, Seat(engine)
    return dataclasses.replace(
        library.services, seat=seat, tutor=Tutor(village.search, village.library, seat)
    )


@pytest.fixture
def token(services: Services) -> Iterator[str]:
    """A token of this node."""
    tokens = Tokens(Path(services.settings.node.data) / TOKENS)
    yield tokens.make("aula", NOW)
    tokens.revoke("aula")


@pytest.fixture
async def client(services: Services, aiohttp_client: AiohttpClient) -> Client:
    """Somebody who can say anything to the node."""
    return await aiohttp_client(build_portal(services, tick=0.02))


@pytest.fixture
async def openai(client: Client, token: str) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's own client, told nothing but the address and the token."""
    address = str(client.make_url("/v1"))
    async with AsyncOpenAI(base_url=address, api_key=token, max_retries=0) as made:
        yield made
