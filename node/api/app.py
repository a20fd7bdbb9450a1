"""App: the routes of `/v1` and what stands around them: the door, errors in their form.

* Nobody comes in without a token (`chaski-node tokens create`). Cookies mean nothing here, so
  no page can make a browser ask.
* One token has at most `MAX_OPEN` requests open: programs must not crowd out pupils.
* Every failure is JSON as OpenAI's clients read it.
"""

import logging
from collections import Counter
from pathlib import Path

from aiohttp import web

from models.errors import ModelError
from node.api.context import Context
from node.api.errors import (
    RETRY_SECONDS,
    ApiError,
    BusyError,
    InvalidError,
    StrangerError,
    told,
)
from node.api.tokens import Tokens
from node.portal.pages import Handler
from node.services import Services

MAX_OPEN = 2
TICK_SECONDS = 1.0
TOKENS = "tokens.json"

log = logging.getLogger(__name__)


def build_api(services: Services, tick: float = TICK_SECONDS) -> web.Application:
    """The application below `/v1`; who went away is noticed within `tick` seconds."""
    settings = services.settings
    context = Context(
        lambda: services.engine, services.clock.now, settings.tutor.deadline_seconds, tick
    )
    door = Door(Tokens(Path(settings.node.data) / TOKENS))
    desk = Desk(context, services)
    app = web.Application(middlewares=[plain_errors, door.checked])
    app.add_routes(
        [
            web.get("/models", desk.models, name="models"),
            web.post("/completions", desk.complete, name="completions"),
            web.post("/chat/completions", desk.chat, name="chat"),
        ]
    )
    return app


class Desk:
    """Answers. The model's runtime is loaded when somebody asks, not before."""

    def __init__(self, context: Context, services: Services) -> None:
        self._context = context
        self._services = services

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models"""
        engine = self._context.model()
        card = {
            "id": engine.name,
            "object": "model",
            "created": int(self._context.now()),
            "owned_by": "chaski",
        } if engine else None  # fmt: skip
        return web.json_response({"object": "list", "data": [card] if card else []})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions. Raises ApiError, ModelError."""
        from node.api.completions import Completions

        return await Completions(self._context).complete(request)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions. Raises ApiError, ModelError."""
        from node.api.chat import Chat

        settings = self._services.settings
        chat = Chat(
            self._context,
            self._services.tutor,
            settings.node.language,
            settings.tutor.max_tokens,
        )
        return await chat.chat(request)


class Door:
    """Lets in who has a token, a few requests at a time."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._open: Counter[str] = Counter()

    @web.middleware
    async def checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises ApiError."""
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.find(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise StrangerError(
                "no known token; the node's operator makes one: `chaski-node tokens create NAME`",
                code="invalid_api_key",
            )
        if self._open[token.name] >= MAX_OPEN:
            raise BusyError(
                f"{token.name} has {MAX_OPEN} requests open already",
                code="too_many_open",
                retry_s=RETRY_SECONDS,
            )
        self._open[token.name] += 1
        try:
            return await handler(request)
        finally:
            self._open[token.name] -= 1


@web.middleware
async def plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure as JSON; an unexpected one is logged and told as 500."""
    try:
        return await handler(request)
    except (ApiError, ModelError) as error:
        return told(error).response()
    except web.HTTPException as error:
        refused = InvalidError(f"{request.method} {request.path}: {error.reason}")
        refused.status = error.status
        return refused.response()
    except ConnectionError:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return ApiError("the node failed; its operator finds why in the log").response()
