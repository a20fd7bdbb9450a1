"""The portal of a school, asked over real sockets on loopback."""

from collections.abc import Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from tests.portal.school import School, full_school

Client = TestClient[web.Request, web.Application]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """A school with the whole sample library. Tests only read it."""
    made = full_school(tmp_path_factory.mktemp("school"))
    yield made
    made.close()


@pytest.fixture
def place(library: School) -> School:
    """The school with the whole sample library; what it wrote down is forgotten."""
    library.forget()
    return library


@pytest.fixture
async def client(place: School, aiohttp_client: AiohttpClient) -> Client:
    """A phone in that school."""
    return await aiohttp_client(place.portal())
