"""Tally: what pupils did, as counts by lesson and day. Pure.

* Opening, finishing and quizzes leave the node only so: no time of day, no single sheet of
  answers, nothing that could be laid beside a class list.
* Everything else stays as it is and in its order; the counts come after it.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from sync.events import MAX_CHARS, Event, event

DAY_MS = 86_400_000


@dataclass(slots=True)
class _Counts:
    opened: int = 0
    finished: int = 0
    quizzes: int = 0
    right: int = 0
    total: int = 0
    missed: list[int] = field(default_factory=list)

    def add(self, one: Event) -> None:
        self.opened += one.kind == "lesson_opened"
        self.finished += one.kind == "lesson_finished"
        if one.kind == "quiz_answered":
            self.quizzes += 1
            self.right += _number(one, "right")
            self.total += _number(one, "total")
            marks = one.data.get("marks", "").split(".")
            self.missed += [0] * (len(marks) - len(self.missed))
            for number, mark in enumerate(marks):
                self.missed[number] += mark == "0"

    def data(self, lesson: str, language: str, day: str) -> dict[str, str]:
        """As the data of an event; what is 0 is left out."""
        counts = {
            "opened": self.opened, "finished": self.finished, "quizzes": self.quizzes,
            "right": self.right, "total": self.total,
        }  # fmt: skip
        told = {name: str(count) for name, count in counts.items() if count}
        missed = ".".join(str(n) for n in self.missed)
        if any(self.missed) and len(missed) <= MAX_CHARS["counts"]:
            told["missed"] = missed
        return {"lesson": lesson, "language": language, "day": day} | told


def tallied(events: Iterable[Event]) -> tuple[Event, ...]:
    """`events` with those about learning put together; their time is the beginning of the day."""
    kept: list[Event] = []
    counts: dict[tuple[str, str, int], _Counts] = {}
    for one in events:
        if one.kind not in ("lesson_opened", "lesson_finished", "quiz_answered"):
            kept.append(one)
            continue
        name = (one.data.get("lesson", ""), one.data.get("language", ""), one.at // DAY_MS)
        counts.setdefault(name, _Counts()).add(one)
    for (lesson, language, day), count in counts.items():
        written = time.strftime("%Y-%m-%d", time.gmtime(day * DAY_MS / 1000))
        kept.append(event("learned", day * DAY_MS, count.data(lesson, language, written)))
    return tuple(kept)


def _number(one: Event, key: str) -> int:
    text = one.data.get(key, "0")
    return int(text) if text.isdigit() else 0
