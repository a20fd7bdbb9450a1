"""Whole small fakes of the hub's models and clock, and lessons to work with."""

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.engine.sampling import Sampling
from models.engine.stream import Piece, Reason
from sync.lesson import Channel, Lesson, Provenance, Topic

GOOD = """El cóndor es el ave más grande que vuela sobre los Andes y vive en las peñas altas.

Cada mañana espera a que el sol caliente las laderas, porque el aire tibio sube y lo levanta
sin que mueva las alas. Así recorre más de cien kilómetros en un solo día para buscar comida.

No caza animales vivos: come los que ya murieron, y por eso limpia los cerros de restos que
traerían enfermedades. La pareja cría un solo pichón cada dos años, de modo que si la gente
lo molesta el pueblo pierde pronto a sus cóndores. Cuidar el nido es cuidar la quebrada."""


class Clock:
    """Unix seconds that only move when told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeStream:
    """A text in pieces, counted in `flying` while it is not read to its end."""

    def __init__(self, text: str, reason: Reason, ended: Callable[[], None]) -> None:
        self.tokens = len(text.split())
        self.cancelled = False
        self._text, self._reason, self._ended = text, reason, ended

    def __iter__(self) -> Iterator[Piece]:
        for word in re.findall(r"\S+\s*", self._text):
            yield Piece(word)
        self._ended()
        yield Piece("", done=True, reason=self._reason)

    def cancel(self) -> None:
        self.cancelled = True


class FakeEngine:
    """Writes the text that `write` gives for a seed. Faults: `fail_at` (submission, from 1)."""

    name = "fake-decoder"
    version = "0123456789ab"

    def __init__(
        self, write: Callable[[int], str] = lambda seed: GOOD, *, reason: Reason = "end"
    ) -> None:
        self.submitted: list[tuple[str, Sampling]] = []
        self.streams: list[FakeStream] = []
        self.flying = self.most_flying = 0
        self.fail_at = 0
        self.nats = 3.0
        self._write, self._reason = write, reason

    def submit(
        self, prompt: str, sampling: Sampling, deadline_s: float | None = None
    ) -> FakeStream:
        self.submitted.append((prompt, sampling))
        if len(self.submitted) == self.fail_at:
            raise RuntimeError("the model failed")
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        stream = FakeStream(self._write(sampling.seed), self._reason, self._landed)
        self.streams.append(stream)
        return stream

    def score(self, texts: Sequence[str]) -> list[float]:
        return [self.nats for _ in texts]

    def _landed(self) -> None:
        self.flying -= 1


class FakeEncoder:
    """Bags of hashed words: texts that share words are near. Counts what it encodes."""

    dimension = 256
    version = "ba9876543210"

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += len(texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % self.dimension] += 1.0
            row /= np.linalg.norm(row) or 1.0
        return rows


class FakeLanguages:
    """Sure of one language."""

    def __init__(self, language: str = "es") -> None:
        self._language = language

    def confidence(self, text: str, language: str) -> float:
        return 1.0 if language == self._language else 0.0


CHANNEL = Channel(
    "escuela", {"es": "Escuela"}, {"es": "Lecciones"}, "CC-BY-4.0",
    (Topic("matematica", {"es": "Matemática"}, "🧮"), Topic("salud", {"es": "Salud"}, "🩺")),
)  # fmt: skip


def a_lesson(lesson_id: str = "sumar", **changes: Any) -> Lesson:
    """A lesson with `changes`."""
    lesson = Lesson(
        id=lesson_id, language="es", title="Sumar", topic="matematica", grade="primaria-1",
        summary="Juntar cantidades.", keywords=("suma",),
        body=("Tengo dos papas y me dan tres.", "¿Cuántas tengo? Cinco."),
        provenance=Provenance("Ana", "CC-BY-4.0", "original"),
    )  # fmt: skip
    return msgspec.structs.replace(lesson, **changes)
