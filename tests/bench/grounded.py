"""Grounded: what prefix reuse and guessing bring to answers that quote a passage.

The tutor answers the quiz questions of the sample library's lessons, several about one
passage, one after the other, greedily: with both, with one of them, and with none. The runs
take turns; each figure is the median of the rounds. `speedup` is effective tokens a second
(written, over the whole time) with both against none; `identical`: every text is the same.

    python -m tests.bench.grounded [--quick] [--model FOLDER]
"""

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from models import prompts
from models.engine import Engine, EngineStats, Sampling
from models.store import ModelFolder, ModelStore
from models.training.tasks import LessonFile, read_lessons
from tests.bench.report import finish, options, say

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "hub" / "sample_library"
MODELS = ROOT / "models" / "onnx"
PASSAGE_CHARS = 700
MAX_TOKENS = 120
WAYS = {
    "both": (True, True),
    "reuse": (True, False),
    "guess": (False, True),
    "none": (False, False),
}
"""Name -> prefix reuse, guessing."""


@dataclass
class Run:
    """One way to serve, over all rounds."""

    speeds: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    stats: EngineStats | None = None


def passage(lesson: LessonFile) -> str:
    """The first blocks of a lesson: what a class that reads it asks about."""
    text = ""
    for block in lesson.body.split("\n\n"):
        if not block.startswith("#") and len(text) + len(block) <= PASSAGE_CHARS:
            text += " " + " ".join(block.replace("*", "").split())
    return text.strip()


def questions(lessons: int) -> list[str]:
    """The prompts, those about one passage side by side."""
    spanish = [lesson for lesson in read_lessons(LIBRARY) if lesson.language == "es"][:lessons]
    return [
        prompts.answer(passage(lesson), question, lesson.language)
        for lesson in spanish
        for question, _ in lesson.quiz
    ]


def serve(run: Run, engine: Engine, asked: list[str]) -> None:
    """All questions, one after the other."""
    sampling = Sampling(max_tokens=MAX_TOKENS, stop=("\n",))
    began = time.perf_counter()
    answers = [engine.generate(prompt, sampling) for prompt in asked]
    run.speeds.append(sum(answer.tokens for answer in answers) / (time.perf_counter() - began))
    run.texts = [answer.text for answer in answers]
    run.stats = engine.stats()


def measure(folder: ModelFolder, asked: list[str], rounds: int, threads: int) -> dict[str, object]:
    """The last line. Each round has its own engines: what one kept of prompts helps no other."""
    runs = {name: Run() for name in WAYS}
    for number in range(rounds):
        for name, (reuse, guess) in WAYS.items():
            with Engine.open(folder, threads=threads, reuse=reuse, guess=guess) as engine:
                engine.generate(prompts.answer("Hola.", "¿Qué?"))
                serve(runs[name], engine, asked)
            say(f"round {number + 1}, {name}: {runs[name].speeds[-1]:.0f} tokens/s")
    speeds = {name: statistics.median(run.speeds) for name, run in runs.items()}
    ratios = [a / b for a, b in zip(runs["both"].speeds, runs["none"].speeds, strict=True)]
    return {
        "model": folder.name,
        "answers": len(asked),
        "speedup": round(statistics.median(ratios), 2),
        "identical": all(run.texts == runs["none"].texts for run in runs.values()),
        "tokens_per_s": {name: round(speed, 1) for name, speed in speeds.items()},
        **shares(runs["both"].stats),
    }


def shares(stats: EngineStats | None) -> dict[str, object]:
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
    parser.add_argument("--model", default="tutor-es-small", help="a decoder in models/onnx")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    folder = ModelStore(MODELS).open(arguments.model)
    lessons, rounds = (8, 3) if arguments.quick else (40, 5)
    finish(measure(folder, questions(lessons), rounds, arguments.threads))


if __name__ == "__main__":
    main()
