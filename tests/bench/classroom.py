"""Classroom: a class asks at once; together in one batch against one after the other.

Every pupil asks a quiz question of the sample library at the same moment. `together`: the
engine as the node opens it. `serial`: one slot, nothing kept of prompts, no guesses. Time to
the first token counts from the moment all asked, so it holds the waiting in the line.
`speedup_vs_serial` is total tokens a second; the texts of both are compared (`identical`).

    python -m tests.bench.classroom [--students 30] [--slots 4] [--same] [--quick]

`--same`: all ask about the same lesson.
"""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from models.engine import Engine, Sampling, Stream
from models.store import ModelFolder, ModelStore
from tests.bench.grounded import MODELS, Asked, questions
from tests.bench.report import finish, options, say


@dataclass
class Heard:
    """What one pupil saw."""

    first_s: float = 0.0
    tokens: int = 0
    text: str = ""


@dataclass
class Lesson:
    """One class, served once."""

    heard: list[Heard]
    seconds: float

    @property
    def tokens_per_s(self) -> float:
        return sum(h.tokens for h in self.heard) / self.seconds

    def first_ms(self, share: float) -> float:
        """Time to the first token within which `share` of the pupils had it."""
        times = sorted(h.first_s for h in self.heard)
        return 1000 * times[min(len(times) - 1, round(share * (len(times) - 1)))]


def serve(engine: Engine, asked: Asked) -> Lesson:
    """All ask at once; each stream has a reader of its own, as each browser has."""
    heard = [Heard() for _ in asked]
    began = time.perf_counter()
    streams = [
        engine.submit(prompt, sampling, client=f"pupil {number}")
        for number, (prompt, sampling) in enumerate(asked)
    ]

    def listen(stream: Stream, seen: Heard) -> None:
        for piece in stream:
            if not seen.first_s:
                seen.first_s = time.perf_counter() - began
            seen.text += piece.text
        seen.tokens = stream.tokens

    readers = [
        threading.Thread(target=listen, args=pair) for pair in zip(streams, heard, strict=True)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return Lesson(heard, time.perf_counter() - began)


def measure(
    ways: dict[str, Callable[[], Engine]], asked: Asked, rounds: int
) -> dict[str, list[Lesson]]:
    """Each way in turn, with a fresh engine."""
    lessons: dict[str, list[Lesson]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, opened in ways.items():
            with opened() as engine:
                engine.generate("Hola", Sampling(max_tokens=4))
                lessons[name].append(serve(engine, asked))
            last = lessons[name][-1]
            say(
                f"{number + 1}, {name}: {last.tokens_per_s:.0f} tokens/s, "
                f"first token p95 {last.first_ms(0.95):.0f} ms"
            )
    return lessons


def figures(lessons: Sequence[Lesson]) -> dict[str, float]:
    """Medians of the rounds."""
    return {
        "ttft_p50_ms": round(statistics.median(x.first_ms(0.5) for x in lessons), 1),
        "ttft_p95_ms": round(statistics.median(x.first_ms(0.95) for x in lessons), 1),
        "tokens_per_s": round(statistics.median(x.tokens_per_s for x in lessons), 1),
    }


def openers(
    folder: ModelFolder, slots: int, threads: int, waiting: int
) -> dict[str, Callable[[], Engine]]:
    """The two ways to serve."""
    return {
        "together": lambda: Engine.open(folder, threads=threads, slots=slots, queue_limit=waiting),
        "serial": lambda: Engine.open(
            folder, threads=threads, slots=1, queue_limit=waiting, reuse=False, guess=False
        ),
    }


def main() -> None:
    """Run it."""
    parser = options(__doc__ or "")
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--same", action="store_true")
    a = parser.parse_args()
    folder = ModelStore(MODELS).open("tutor-es-small")
    asked = questions(1 if a.same else 40)
    asked = [asked[number * len(asked) // a.students % len(asked)] for number in range(a.students)]
    ways = openers(folder, a.slots, a.threads, a.students)
    lessons = measure(ways, asked, 3 if a.quick else 7)
    found = {name: figures(served) for name, served in lessons.items()}
    pairs = zip(lessons["together"], lessons["serial"], strict=True)
    ratios = [together.tokens_per_s / serial.tokens_per_s for together, serial in pairs]
    texts = {tuple(h.text for h in x.heard) for served in lessons.values() for x in served}
    result: dict[str, Any] = {
        "students": a.students,
        **found["together"],
        "speedup_vs_serial": round(statistics.median(ratios), 2),
        "identical": len(texts) == 1,
        "slots": a.slots,
        "serial": found["serial"],
    }
    finish(result)


if __name__ == "__main__":
    main()
