"""Request: an asked completion on an engine: prompts fitted, choices begun, tokens counted.

* Several prompts, several choices each, are written at the same time: all begin, or none does.
* A prompt too long for the context loses its beginning (`prompt.fit`), and it is said by how
  many tokens.
* `usage` counts every prompt once and every choice's tokens.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.completions.prompt import Fitted, fit
from models.completions.schema import MAX_CHOICES, CompletionAsked, Usage
from models.engine import Piece, Stream
from models.engine.sampling import Sampling
from models.errors import InvalidRequest, ModelError

OBJECT = "text_completion"
REASONS = {"end": "stop", "stop": "stop", "length": "length", "deadline": "length"}


class Decoder(Protocol):
    """`models.engine.Engine`."""

    name: str
    version: str
    context: int

    def count(self, text: str) -> int:
        """Tokens of `text`."""
        ...

    def submit(self, prompt: str, sampling: Sampling, deadline_s: float | None = None) -> Stream:
        """Starts writing. Raises Overloaded, ModelError."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """The answers being written, `n` for each prompt."""

    prompts: Sequence[Fitted]
    streams: Sequence[Stream]
    n: int

    def echo(self, number: int) -> str:
        """The prompt of choice `number`, as the model read it."""
        return self.prompts[number // self.n].text

    @property
    def truncated(self) -> int:
        """Tokens that did not fit."""
        return sum(prompt.dropped for prompt in self.prompts)

    @property
    def note(self) -> Mapping[str, object] | None:
        """What of the answer has no place in OpenAI's form."""
        return {"truncated_tokens": self.truncated} if self.truncated else None

    @property
    def usage(self) -> Usage:
        """Tokens so far."""
        read = sum(prompt.tokens for prompt in self.prompts)
        written = sum(stream.tokens for stream in self.streams)
        return Usage(read, written, read + written)


def begin(asked: CompletionAsked, engine: Decoder, deadline_s: float | None) -> Begun:
    """Starts all the choices of `asked`.

    Raises InvalidRequest: they cannot be written. Overloaded: the queue has no room for all.
    """
    if len(asked.prompts) * asked.n > MAX_CHOICES:
        raise InvalidRequest(f"more than {MAX_CHOICES} choices in one request", param="n")
    room = engine.context - asked.max_tokens
    if room < 1:
        raise InvalidRequest(
            f"max_tokens is {asked.max_tokens}, and prompt and answer have {engine.context}"
            " tokens together",
            param="max_tokens",
            code="context_length_exceeded",
        )
    prompts = [fit(prompt, room, engine.count) for prompt in asked.prompts]
    first, streams = secrets.randbelow(2**31), list[Stream]()
    try:
        for prompt in prompts:
            for _ in range(asked.n):
                sampling = asked.sampling(asked.max_tokens, len(streams), first)
                streams.append(engine.submit(prompt.text, sampling, deadline_s))
    except ModelError:
        for stream in streams:
            stream.cancel()
        raise
    return Begun(prompts, streams, asked.n)


def reason(piece: Piece) -> str | None:
    """Why the answer ends with `piece`, in a client's words."""
    return REASONS.get(piece.reason, "stop") if piece.done else None


def choice(number: int, text: str, ended: str | None) -> dict[str, object]:
    """One choice as OpenAI's form has it."""
    return {"index": number, "text": text, "finish_reason": ended, "logprobs": None}


def fields(kind: str, name: str, engine: Decoder, now: float) -> dict[str, object]:
    """What every answer begins with: `kind` is the prefix of its id, `name` its object."""
    return {
        "id": f"{kind}-{secrets.token_hex(12)}",
        "object": name,
        "created": int(now),
        "model": engine.name,
        "system_fingerprint": engine.version,
    }
