"""Schema: what is asked and answered, after OpenAI's reference for completions and chat.

* What a client may send and this engine cannot do is refused by name, not ignored: an answer
  that silently lacks what was asked for is worse than none. Neutral values are let through,
  and so are fields that only say who asks.
* Bounds are those of a small machine; temperature and top_p default to 1 as clients expect.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from models.engine.sampling import Sampling
from models.errors import InvalidRequest, ModelError

MAX_CHOICES = 8
MAX_PROMPT_CHARS = 64_000
MAX_MESSAGES = 200

Text = Annotated[str, Meta(max_length=MAX_PROMPT_CHARS)]
NEUTRAL: dict[str, tuple[object, ...]] = {
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "suffix": (None, ""),
    "best_of": (None, 1),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
}
"""What this engine cannot do, and the values that do not ask for it."""


class StreamOptions(msgspec.Struct, frozen=True):
    """`stream_options`."""

    include_usage: bool = False


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What both kinds of request share."""

    model: Annotated[str, Meta(max_length=200)] = ""
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] = 1
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1000)] = 0
    repetition_penalty: Annotated[float, Meta(ge=1, le=2)] = 1.0
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def usage_wanted(self) -> bool:
        """A stream ends with the count of its tokens."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, max_tokens: int, number: int, seed: int, *more: str) -> Sampling:
        """How choice `number` is drawn; `more` are stops of ours. Raises InvalidRequest."""
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        try:
            return Sampling(
                max_tokens=max_tokens,
                temperature=1.0 if self.temperature is None else self.temperature,
                top_k=self.top_k,
                top_p=1.0 if self.top_p is None else self.top_p,
                repetition_penalty=self.repetition_penalty,
                seed=((self.seed if self.seed is not None else seed) + number) % 2**32,
                stop=tuple(text for text in stop if text) + more,
            )
        except ModelError as error:
            raise InvalidRequest(str(error)) from error


class CompletionAsked(Asked, frozen=True, kw_only=True):
    """The body of POST /v1/completions."""

    prompt: Text | Annotated[tuple[Text, ...], Meta(min_length=1, max_length=MAX_CHOICES)] = ""
    max_tokens: Annotated[int, Meta(ge=1, le=4096)] = 16
    echo: bool = False

    @property
    def prompts(self) -> tuple[str, ...]:
        """One or several."""
        return (self.prompt,) if isinstance(self.prompt, str) else self.prompt


class Part(msgspec.Struct, frozen=True):
    """A part of a message; only text is read here."""

    type: Literal["text"]
    text: Text


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | tuple[Part, ...] = ""

    @property
    def text(self) -> str:
        """Its words."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class ChatAsked(Asked, frozen=True, kw_only=True):
    """The body of POST /v1/chat/completions; `language` is ours, else the node's own."""

    messages: Annotated[tuple[Message, ...], Meta(min_length=1, max_length=MAX_MESSAGES)]
    max_tokens: Annotated[int, Meta(ge=1, le=4096)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=4096)] | None = None
    language: Literal["es", "qu", "en"] | None = None


Body = TypeVar("Body", bound=Asked)


class Usage(msgspec.Struct, frozen=True):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


def read(data: bytes, kind: type[Body]) -> Body:
    """The request in `data`. Raises InvalidRequest that names the field."""
    try:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        for name, neutral in NEUTRAL.items():
            if name in fields and fields[name] not in neutral:
                raise InvalidRequest(f"{name} is not supported here", param=name)
        asked = msgspec.convert(fields, kind)
        for text in _texts(fields):
            text.encode()
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), param=_field(str(error))) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON in UTF-8: {error}") from error
    return asked


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in inner for text in _texts(part)]


def _field(message: str) -> str | None:
    """The field that msgspec complains about: "… - at `$.temperature`"."""
    _, _, path = message.partition("`$.")
    return path.partition("`")[0] or None
