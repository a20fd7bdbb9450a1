"""Generator: from a brief to drafts, by the decoder that the engine runs.

* Every draft has a seed of its own, which with the model's version writes the same draft
  again; seeds follow from the brief and a counter, so asking twice never repeats one.
* As many drafts as fill the engine's slots are in flight, and a few more wait, so that its
  batch stays full until the last one.
* A draft that was cut off ends at its last whole sentence. A draft without text is none.
* Nothing is judged here; see `hub.gates` and `hub.ranker`.
"""

import hashlib
import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from hub.brief import Brief, slug
from hub.candidate import Draft
from hub.config import GeneratorTable
from models import prompts
from models.engine.sampling import Sampling
from models.engine.stream import Piece
from sync.lesson import Lesson, Provenance, blocks

MAX_DRAFTS = 256
MAX_WAITING = 16  # the engine's queue takes 32
MAX_SUMMARY_CHARS = 300
WHOLE = ("end", "stop")
_SENTENCE_END = re.compile(r"[.!?…](?=[\s»”\")]|\Z)[»”\")]*")


class Stream(Protocol):
    """A draft being written; `models.engine`'s."""

    tokens: int

    def __iter__(self) -> Iterator[Piece]:
        """Its pieces, until one is done."""
        ...

    def cancel(self) -> None:
        """Stops writing."""
        ...


class Drafter(Protocol):
    """A decoder; `models.engine.engine.Engine`."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def version(self) -> str:
        """The first digits of the model's digest."""
        ...

    def submit(self, prompt: str, sampling: Sampling, deadline_s: float | None = None) -> Stream:
        """Queues one text. Raises Overloaded."""
        ...


class Generator:
    """Writes drafts with `drafter`; `license` is that of the channel."""

    def __init__(self, drafter: Drafter, settings: GeneratorTable, license_name: str) -> None:
        self._drafter = drafter
        self._settings = settings
        self._license = license_name
        self._window = settings.slots + min(settings.slots, MAX_WAITING)

    def generate(self, brief: Brief, n: int, first: int = 0) -> list[Draft]:
        """Up to `n` drafts for `brief`, with the seeds from number `first` on.

        Fewer when the model wrote nothing for some. Raises ModelError.
        """
        seeds = deque(seed(brief, first + i) for i in range(min(n, MAX_DRAFTS)))
        flying: deque[tuple[int, Stream]] = deque()
        drafts: list[Draft] = []
        try:
            while seeds or flying:
                while seeds and len(flying) < self._window:
                    number = seeds.popleft()
                    flying.append((number, self._submit(brief, number)))
                if draft := self._draft(brief, *flying[0]):
                    drafts.append(draft)
                flying.popleft()
        finally:
            for _, stream in flying:
                stream.cancel()
        return drafts

    def _submit(self, brief: Brief, number: int) -> Stream:
        s = self._settings
        prompt = prompts.lesson(brief.title, brief.topic, brief.grade, brief.language)
        sampling = Sampling(
            max_tokens=s.max_tokens, temperature=s.temperature, top_p=s.top_p,
            repetition_penalty=s.repetition_penalty, seed=number,
            stop=(f"\n{prompts.words(brief.language).lesson}:",),
        )  # fmt: skip
        return self._drafter.submit(prompt, sampling, s.deadline_seconds)

    def _draft(self, brief: Brief, number: int, stream: Stream) -> Draft | None:
        text, reason = "", ""
        for piece in stream:
            text += piece.text
            reason = piece.reason or reason
        body = blocks(clean(text, whole=reason in WHOLE))
        if not body:
            return None
        model = self._drafter.name
        lesson = Lesson(
            id=slug(brief.title), language=brief.language, title=brief.title, topic=brief.topic,
            grade=brief.grade, summary=summary(body), keywords=brief.keywords, body=body,
            provenance=Provenance(
                f"modelo {model}", self._license, "generated",
                f"{model}@{self._drafter.version}", number,
            ),
        )  # fmt: skip
        return Draft(lesson, stream.tokens, reason)


def seed(brief: Brief, number: int) -> int:
    """The seed of draft `number` of a brief: 31 bits that follow from its content."""
    return int.from_bytes(hashlib.sha256(f"{brief.digest}:{number}".encode()).digest()[:4]) >> 1


def clean(text: str, *, whole: bool) -> str:
    """What the model wrote, without control characters; not `whole`: to its last sentence's end."""
    plain = "".join(c for c in text if c == "\n" or unicodedata.category(c)[0] != "C")
    plain = plain.replace("\ufffd", "").strip()
    if whole:
        return plain
    ends = [match.end() for match in _SENTENCE_END.finditer(plain)]
    return plain[: ends[-1]] if ends else plain


def summary(body: Sequence[str]) -> str:
    """The first sentence of the first block that is not a heading, in one line."""
    block = next((b for b in body if not b.startswith("#")), body[0])
    line = " ".join(block.replace("*", "").split())
    if end := _SENTENCE_END.search(line):
        line = line[: end.end()]
    return line[:MAX_SUMMARY_CHARS].strip() or "…"
