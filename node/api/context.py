"""Context: what the answers of `/v1` need of the node."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from node.api.errors import TooLargeError, UnavailableError, UnknownModelError

if TYPE_CHECKING:  # a node that nobody asks here does not load the model runtime
    from models.engine import Engine

MAX_BODY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """What the answers need of the node. `now` gives Unix seconds."""

    model: "Callable[[], Engine | None]"
    now: Callable[[], float]
    deadline_s: float
    tick: float

    def engine(self, asked: str) -> "Engine":
        """The model on board; `asked` is its name, or nothing. Raises ApiError."""
        engine = self.model()
        if engine is None:
            raise UnavailableError("no model is on board, or it is switched off")
        if asked and asked != engine.name:
            raise UnknownModelError(
                f"the model {asked!r} is not on board, {engine.name!r} is",
                param="model",
                code="model_not_found",
            )
        return engine

    async def body(self, request: web.Request) -> bytes:
        """The body, of bounded size. Raises TooLargeError."""
        data = bytearray()
        async for part in request.content.iter_any():
            data += part
            if len(data) > MAX_BODY_BYTES:
                raise TooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")
        return bytes(data)
