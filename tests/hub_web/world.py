"""A hub with a library, keys and three users, served on loopback; and a browser for it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from hub.app import build_app
from hub.brief import Brief
from hub.candidate import Factor, GateResult
from hub.config import HubConfig, HubTable, ServerTable
from hub.library import Library
from hub.users import Passwords, Role, Users
from sync.lesson import Lesson, Provenance
from tests.hub.fakes import Clock, a_lesson
from tests.hub.publishing import Hub

CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
ROLES: dict[str, Role] = {"rosa": "editor", "julian": "admin", "olga": "operator"}
BRIEF = Brief("matematica", "Restar papas", "primaria-1", "es", ("resta",), ("Quito dos.",))
Client = TestClient[web.Request, web.Application]


@dataclass
class World:
    """A hub on disk: one lesson approved, nothing published, nobody served yet."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    passwords: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.library = Library(self.folder / "hub.db")
        self.hub = Hub(self.folder, self.library, self.clock)
        with Users(self.config.users, CHEAP, self.clock) as users:
            self.passwords = {name: users.add(name, role) for name, role in ROLES.items()}

    @property
    def config(self) -> HubConfig:
        return HubConfig(HubTable(str(self.folder)), ServerTable(port=0))

    def close(self) -> None:
        self.library.close()

    def publish(self) -> str:
        """Publishes what is approved; the manifest's root."""
        return self.hub.publisher().publish().root

    def draft(self, **changes: Any) -> int:
        """Puts a machine's draft on the review list; its number."""
        brief = self.library.add_brief(BRIEF, 1, self.clock.now)
        lesson = machine_lesson(**changes)
        return self.library.add_candidate(
            "generated", lesson, self.clock.now, brief=brief, score=0.5,
            factors=[Factor("relevance", 0.8, 3.0, 0.75), Factor("fluency", 0.4, 2.0, 0.25)],
            gates=[
                GateResult("length", True, 120, "120 words; 60 to 700 are wanted"),
                GateResult("repetition", False, 0.4, "40% of its 4-word runs repeat"),
            ],
        )  # fmt: skip

    @asynccontextmanager
    async def served(
        self, config: HubConfig | None = None, *, stall_seconds: float = 60.0
    ) -> AsyncIterator[Client]:
        """The hub's server, and a client with a cookie jar of its own."""
        app = build_app(
            config or self.config, clock=self.clock, passwords=CHEAP, stall_seconds=stall_seconds
        )
        async with TestClient(TestServer(app)) as client:
            yield client


def machine_lesson(**changes: Any) -> Lesson:
    """A lesson that a model wrote."""
    by = Provenance("modelo x", "CC-BY-4.0", "generated", model="x@0123", seed=7)
    return a_lesson("restar", **{"title": "Restar <papas>", "provenance": by, **changes})


class Browser:
    """Follows redirects, keeps cookies, sends the form token that the last page had."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.status = 0
        self.path = ""
        self.page = ""

    @property
    def text(self) -> str:
        """What a person reads of the last page."""
        body = re.sub(r"(?s)<head>.*?</head>", "", self.page)
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())

    async def get(self, path: str) -> str:
        """Opens a page; what it says."""
        return await self._take("GET", path, None)

    async def post(self, path: str, **fields: str) -> str:
        """Sends a form with the last page's token; what the page after it says."""
        token = re.search(r'name="token" value="([^"]*)"', self.page)
        return await self._take("POST", path, {"token": token.group(1) if token else "", **fields})

    async def sign_in(self, name: str, password: str) -> str:
        await self.get("/studio/entrar")
        return await self.post("/studio/entrar", name=name, password=password)

    async def _take(self, method: str, path: str, data: dict[str, str] | None) -> str:
        async with self.client.request(method, path, data=data) as response:
            self.status, self.path = response.status, response.url.path
            self.page = await response.text()
        return self.text
