"""Hearing: what the library makes of the events that nodes send. One way for each kind.

| kind | becomes |
|---|---|
| `search_missed` | a missed search, demand for a brief |
| `question` | a count beside the lesson that answered; a refusal was told as a missed search |
| `feedback` | a count beside the lesson, and a report when something is wrong |
| `learned`, `lesson_opened`, `lesson_finished`, `quiz_answered` | counts by lesson and day |
| `sync` | the node's last sync, on the fleet page |
| `upload_part` | nothing here: the intake kept it with its block (`arrivals.py`) |

* What an event may not say (an unknown lesson, an impossible number) is refused with a reason;
  the other events of its block are kept.
* All of a block is one transaction of the library, with its name: a block is heard once, also
  when the program dies before the intake learns that it was.
"""

from collections.abc import Callable, Mapping
from typing import get_args

from hub.brief import slug
from hub.heard import NodeSync
from hub.ingest import markdown
from hub.learning import MAX_COUNT, credible_day, day_of
from hub.library import Library
from hub.reports import VERDICTS
from sync import parcel as parcels
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.events import Event, EventBlock
from sync.lesson import Language, Lesson, Provenance, blocks
from sync.parcel import Parcel

LANGUAGES = frozenset(get_args(Language))
MAX_QUESTIONS = 40
MAX_SUMMARY_CHARS = 200
Refusals = tuple[tuple[str, str], ...]


class _PassedOverError(Exception):
    """An event is refused; the argument is the reason, one word."""


def hear(
    library: Library,
    block: EventBlock,
    now: float,
    waits: Callable[[], bool] = lambda: True,
    settled: EventBlock | None = None,
) -> Refusals:
    """Takes in all events of `block`, once; (kind, reason) of each that was refused.

    `waits` says, when the library is ours, whether nobody else did it meanwhile. `settled` is
    a block of before, of which the intake knows by now that it was heard.
    """
    refused: list[tuple[str, str]] = []
    with library.transaction():
        if settled:
            library.heard.forget(settled.node, settled.epoch, settled.seq)
        if library.heard.knows(block.node, block.epoch, block.seq) or not waits():
            return ()
        ways = _Ways(library, block.node, now)
        for event in block.events:
            try:
                ways.take(event)
            except _PassedOverError as error:
                refused.append((event.kind, str(error)))
        library.learning.forget(now)
        library.heard.note(block.node, block.epoch, block.seq)
    return tuple(refused)


def hear_upload(library: Library, node: str, upload: Digest, data: bytes, at: float) -> int:
    """Puts a parcel on the review list, once; the number of its candidate.

    Raises ContentError when it is no parcel, or breaks a rule.
    """
    if digest(data) != upload:
        raise ContentError(f"upload {upload[:12]} of {node}: its digest does not fit")
    parcel = parcels.from_bytes(data)
    lesson = lesson_of(parcel, upload, node, at)
    with library.transaction():
        held = library.heard.candidate(upload)
        if held is not None:
            return held
        number = library.add_candidate("upload", lesson, at)
        library.heard.add_upload(upload, node, parcel, number, at)
        return number


def lesson_of(parcel: Parcel, upload: Digest, node: str, at: float) -> Lesson:
    """The lesson in a parcel. A file of ours (with front matter) keeps its quiz and keywords.

    Raises ContentError: front matter that is broken, or too much of something.
    """
    cover = parcel.cover
    by = Provenance(cover.author, cover.licence, f"upload {node} {day_of(at)}")
    name = parcels.lesson_id(upload, cover.title)
    text = cover.text
    if text.startswith("+++\n"):
        written = markdown.parse(text, f"upload {upload[:12]}")
        return _checked(
            Lesson(
                id=name, language=cover.language, title=cover.title, topic=cover.topic,
                grade=cover.grade, summary=written.summary, keywords=written.keywords,
                body=written.body, quiz=written.quiz, provenance=by,
            )
        )  # fmt: skip
    body = blocks(text)
    if not body:
        body = tuple(f"[{file.name}]" for file in cover.files)
    first = " ".join(body[0].lstrip("# ").split())
    return _checked(
        Lesson(
            id=name, language=cover.language, title=cover.title, topic=cover.topic,
            grade=cover.grade, summary=first[:MAX_SUMMARY_CHARS] or cover.title, keywords=(),
            body=body, provenance=by,
        )
    )  # fmt: skip


def _checked(lesson: Lesson) -> Lesson:
    return markdown.checked(lesson, f"upload {slug(lesson.title)}")


class _Ways:
    """One block of `node`, event by event."""

    def __init__(self, library: Library, node: str, now: float) -> None:
        self._library, self._node, self._now = library, node, now
        self._known: dict[tuple[str, str], bool] = {}

    def take(self, event: Event) -> None:
        """Raises _PassedOverError."""
        data = event.data
        match event.kind:
            case "search_missed":
                self._missed(data, event.at / 1000)
            case "question":
                if "lesson" in data and data.get("answer") != "refusal":
                    self._count(data, self._day(event), {"asked": 1})
            case "feedback":
                self._feedback(data, event)
            case "lesson_opened":
                self._count(data, self._day(event), {"opened": 1})
            case "lesson_finished":
                self._count(data, self._day(event), {"finished": 1})
            case "quiz_answered":
                counts = {"quizzes": 1, "right": _whole(data, "right", MAX_QUESTIONS),
                          "total": _whole(data, "total", MAX_QUESTIONS)}  # fmt: skip
                marks = data.get("marks", "").split(".")
                self._count(data, self._day(event), counts, tuple(int(m == "0") for m in marks))
            case "learned":
                self._learned(data)
            case "sync":
                self._synced(data, event.at / 1000)
            case "upload_part":
                pass  # with its block, in the intake

    def _missed(self, data: Mapping[str, str], at: float) -> None:
        query, language = data.get("query", ""), data.get("language", "")
        if not query or language not in LANGUAGES:
            raise _PassedOverError("incomplete")
        self._library.add_missed_search(query, language, self._node, min(at, self._now))

    def _feedback(self, data: Mapping[str, str], event: Event) -> None:
        verdict = data.get("verdict", "")
        if verdict != "yes" and verdict not in VERDICTS:
            raise _PassedOverError("incomplete")
        count = {"yes": {"helped": 1}, "no": {"failed": 1}}.get(verdict, {})
        self._count(data, self._day(event), count)
        if verdict != "yes":
            at = min(event.at / 1000, self._now)
            kept = self._library.reports.add(
                data["lesson"], data["language"], self._node, verdict, data.get("question", ""),
                data.get("note", ""), at,
            )  # fmt: skip
            if not kept:
                raise _PassedOverError("reports")

    def _learned(self, data: Mapping[str, str]) -> None:
        names = ("opened", "finished", "quizzes", "right", "total")
        counts = {name: _whole(data, name, MAX_COUNT) for name in names}
        missed = tuple(int(n) for n in data["missed"].split(".")) if "missed" in data else ()
        if counts["right"] > counts["total"] or any(n > counts["quizzes"] for n in missed):
            raise _PassedOverError("number")
        self._count(data, credible_day(data.get("day", ""), self._now), counts, missed)

    def _synced(self, data: Mapping[str, str], at: float) -> None:
        most = 2**53
        self._library.heard.keep_sync(
            NodeSync(
                self._node, min(at, self._now), data.get("outcome", ""), data.get("message", ""),
                _whole(data, "to_version", most), _whole(data, "bytes_down", most),
                _whole(data, "full_size", most),
            )
        )  # fmt: skip

    def _count(
        self,
        data: Mapping[str, str],
        day: str,
        counts: Mapping[str, int],
        missed: tuple[int, ...] = (),
    ) -> None:
        name = data.get("lesson", ""), data.get("language", "")
        if name not in self._known:
            self._known[name] = self._library.has_text(*name)
        if not self._known[name]:
            raise _PassedOverError("lesson")
        if len(missed) > MAX_QUESTIONS:
            raise _PassedOverError("number")
        self._library.learning.add(*name, self._node, day, counts, missed)

    def _day(self, event: Event) -> str:
        return credible_day(day_of(event.at / 1000) if event.at < 2**46 else "", self._now)


def _whole(data: Mapping[str, str], key: str, most: int) -> int:
    text = data.get(key, "0")
    if not text.isdigit() or int(text) > most:
        raise _PassedOverError("number")
    return int(text)
