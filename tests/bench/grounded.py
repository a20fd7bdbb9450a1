"""Grounded: what prefix reuse and guessing bring to answers that quote a passage.

Several questions about one passage, one after the other, greedily: with both, with one of
them, and with none. The ways take turns; each figure is the median of the rounds.

| cell | model | answers |
|---|---|---|
| `tutor` | the shipped tutor | what it says to the quiz questions of the sample library |
| `gpt2` | GPT-2 124M in shape, random weights, int8 keys and values | sentences of the passage: \
`choices` of one, since random weights would not quote |

`speedup`: effective tokens a second (written, over the whole time) with both against none, of
cell `gpt2`; `speedup_cpu` is the same for CPU time, which other programs on the machine disturb
less; `identical`: in both cells every text is the same whatever the way.

    python -m tests.bench.grounded [--quick] [--threads 2]
"""

import re
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models import prompts
from models.engine import Engine, EngineStats, Sampling
from models.store import ModelFolder, ModelStore
from models.training.tasks import LessonFile, read_lessons
from tests.bench import weights
from tests.bench.report import finish, options, say

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "hub" / "sample_library"
MODELS = ROOT / "models" / "onnx"
PASSAGE_CHARS = 700
MAX_TOKENS = 120
SHORT_PASSAGE = 400  # characters, and as many tokens of one byte
QUOTE = (40, 100)  # characters
WAYS = {
    "both": (True, True),
    "reuse": (True, False),
    "guess": (False, True),
    "none": (False, False),
}
"""Name -> prefix reuse, guessing."""
Asked = list[tuple[str, Sampling]]


@dataclass
class Run:
    """One way to serve, over all rounds."""

    speeds: list[float] = field(default_factory=list)
    """Tokens a second, by the clock on the wall."""
    work: list[float] = field(default_factory=list)
    """Tokens a second of this process's CPU time."""
    texts: list[str] = field(default_factory=list)
    stats: EngineStats | None = None


def passage(lesson: LessonFile, size: int) -> str:
    """The first blocks of a lesson: what a class that reads it asks about."""
    text = ""
    for block in lesson.body.split("\n\n"):
        if not block.startswith("#") and len(text) + len(block) <= size:
            text += " " + " ".join(block.replace("*", "").split())
    return text.strip()


def spanish() -> list[LessonFile]:
    """The lessons of the sample library that the tutor reads best."""
    return [lesson for lesson in read_lessons(LIBRARY) if lesson.language == "es"]


def questions(lessons: int) -> Asked:
    """Quiz questions, those about one passage side by side."""
    sampling = Sampling(max_tokens=MAX_TOKENS, stop=("\n",))
    return [
        (prompts.answer(passage(lesson, PASSAGE_CHARS), question, lesson.language), sampling)
        for lesson in spanish()[:lessons]
        for question, _ in lesson.quiz
    ]


def quotes(lessons: int) -> Asked:
    """Questions whose answer is one sentence of the passage, whatever the weights."""
    asked: Asked = []
    for lesson in spanish():
        text = passage(lesson, SHORT_PASSAGE)
        sentences = [s for s in re.split(r"(?<=[.!?]) ", text) if QUOTE[0] <= len(s) <= QUOTE[1]]
        for (question, _), sentence in zip(lesson.quiz, sentences, strict=False):
            prompt = prompts.answer(text, question, lesson.language)
            asked.append((prompt, Sampling(max_tokens=200, choices=(" " + sentence,))))
        if len(asked) >= 3 * lessons:
            break
    return asked


def serve(run: Run, engine: Engine, asked: Asked) -> None:
    """All questions, one after the other."""
    began, worked = time.perf_counter(), time.process_time()
    answers = [engine.generate(prompt, sampling) for prompt, sampling in asked]
    tokens = sum(answer.tokens for answer in answers)
    run.speeds.append(tokens / (time.perf_counter() - began))
    run.work.append(tokens / (time.process_time() - worked))
    run.texts = [answer.text for answer in answers]
    run.stats = engine.stats()


def measure(folder: ModelFolder, asked: Asked, rounds: int, threads: int) -> dict[str, Any]:
    """One cell. Each round has its own engines: what one kept of prompts helps no other."""
    runs = {name: Run() for name in WAYS}
    for number in range(rounds):
        for name, (reuse, guess) in WAYS.items():
            with Engine.open(folder, threads=threads, reuse=reuse, guess=guess) as engine:
                engine.generate("Hola", asked[0][1])
                serve(runs[name], engine, asked)
            say(f"{folder.name}, {number + 1}, {name}: {runs[name].speeds[-1]:.0f} tokens/s")
    speeds = {name: statistics.median(run.speeds) for name, run in runs.items()}
    both, none = runs["both"], runs["none"]
    ratios = [a / b for a, b in zip(both.speeds, none.speeds, strict=True)]
    work = [a / b for a, b in zip(both.work, none.work, strict=True)]
    return {
        "model": folder.name,
        "answers": len(asked),
        "speedup": round(statistics.median(ratios), 2),
        "speedup_cpu": round(statistics.median(work), 2),
        "identical": all(run.texts == runs["none"].texts for run in runs.values()),
        "tokens_per_s": {name: round(speed, 1) for name, speed in speeds.items()},
        **shares(runs["both"].stats),
    }


def shares(stats: EngineStats | None) -> dict[str, Any]:
    """How much was copied and how much of what was guessed came true."""
    if stats is None:
        return {}
    seen = stats.reused_tokens_total + stats.prompt_tokens_total
    return {
        "guessing": stats.guessing,
        "prompt_reused": round(stats.reused_tokens_total / seen, 3),
        "guessed_right": round(stats.guessed_right_total / max(1, stats.guessed_tokens_total), 3),
        "guessed_share": round(stats.guessed_right_total / max(1, stats.tokens_total), 3),
    }


def main() -> None:
    """Run it."""
    parser = options(__doc__ or "")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tutor = ModelStore(MODELS).open("tutor-es-small")
    with tempfile.TemporaryDirectory() as folder:
        large = weights.gpt2(Path(folder), thrifty=True)
        lessons, rounds = (2, 1) if arguments.quick else (6, 5)
        cells = {"gpt2": measure(large, quotes(lessons), rounds, arguments.threads)}
        lessons, rounds = (8, 3) if arguments.quick else (40, 5)
        cells["tutor"] = measure(tutor, questions(lessons), rounds, arguments.threads)
    identical = all(cell["identical"] for cell in cells.values())
    first = cells["gpt2"]
    ratios = {name: first[name] for name in ("speedup", "speedup_cpu")}
    finish({**ratios, "identical": identical, "cells": cells})


if __name__ == "__main__":
    main()
