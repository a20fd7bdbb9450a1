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

from node.api.answer import RETRY_SECONDS, Context
from node.api.chat import Chat
from node.api.completions import Completions
from node.api.errors import ApiError, BusyError, InvalidError, StrangerError
from node.api.tokens import Tokens
from node.api.writing import TICK_SECONDS
from node.portal.pages import Handler
from node.services import Services

MAX_OPEN = 2
TOKENS = "tokens.json"

log = logging.getLogger(__name__)


def build_api(services: Services, tick: float = TICK_SECONDS) -> web.Application:
    """The application below `/v1`; who went away is noticed within `tick` seconds."""
    settings = services.settings
    context = Context(
        lambda: services.engine, services.clock.now, settings.tutor.deadline_seconds, tick
    )
    door = Door(Tokens(Path(settings.node.data) / TOKENS))
    completions = Completions(context)
    chat = Chat(context, services.tutor, settings.node.language, settings.tutor.max_tokens)
    app = web.Application(middlewares=[plain_errors, door.checked])
    app.add_routes(
        [
            web.get("/models", Models(context).models, name="models"),
            web.post("/completions", completions.complete, name="completions"),
            web.post("/chat/completions", chat.chat, name="chat"),
        ]
    )
    return app


class Models:
    """Says which model is on board."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models"""
        engine = self._context.model()
        data = [] if engine is None else [
            {
                "id": engine.name,
                "object": "model",
                "created": int(self._context.now()),
                "owned_by": "chaski",
            }
        ]  # fmt: skip
        return web.json_response({"object": "list", "data": data})


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
    except ApiError as error:
        return error.response()
    except web.HTTPException as error:
        told = InvalidError(f"{request.method} {request.path}: {error.reason}")
        told.status = error.status
        return told.response()
    except ConnectionError:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return ApiError("the node failed; its operator finds why in the log").response()
