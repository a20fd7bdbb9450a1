"""Review: a person turns a candidate into a lesson, or does not. The rules of that.

* Only what waits can be decided; every decision is one transaction, kept with its person.
* Careful languages (Quechua) and topics (health) need two different persons.
* A candidate that a hard gate stopped, or that a newer text overtook, cannot be approved.
* Of one brief at most one draft is approved; it gets a lesson id that nobody has yet.
* A text that shows a picture is approved when the channel carries it, and it is described.
* Rejecting needs a reason. Who approved is written into the lesson; what machine wrote it
  stays in there through every later edit.
"""

import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from hub.candidate import Candidate, Decision
from hub.config import ReviewTable
from hub.errors import DecidedError, UnknownError
from hub.library import Library
from hub.pictures import check_pictures
from sync.errors import ContentError
from sync.lesson import Lesson

MAX_PERSON_CHARS = 60
MAX_REASON_CHARS = 1000
State = Literal["approved", "waiting", "rejected", "unchanged"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision came to. `missing`: persons still needed; `revision`: when approved."""

    candidate: int
    state: State
    lesson: Lesson
    revision: int | None = None
    missing: int = 0


class Review:
    """Decides about candidates in `library`; `clock` gives unix seconds."""

    def __init__(
        self, library: Library, rules: ReviewTable, clock: Callable[[], float] = time.time
    ) -> None:
        self._library = library
        self._rules = rules
        self._clock = clock

    def persons_needed(self, lesson: Lesson) -> int:
        """How many must approve this lesson."""
        careful = (
            lesson.language in self._rules.careful_languages
            or lesson.topic in self._rules.careful_topics
        )
        return 2 if careful else 1

    def approve(self, candidate: int, person: str) -> Outcome:
        """One person's yes; a lesson when it was the last one needed.

        Raises UnknownError: no such candidate. DecidedError: it was decided already, by this
        person too, or may not be approved.
        """
        with self._library.transaction():
            return self._approve(self._library.candidate(candidate), _person(person))

    def reject(self, candidate: int, person: str, reason: str) -> Outcome:
        """One person's no, with the reason. Raises UnknownError, DecidedError, ContentError."""
        reason = " ".join(reason.split())[:MAX_REASON_CHARS]
        if not reason:
            raise ContentError(
                "a rejection needs a reason", hint="say in a few words what is wrong"
            )
        with self._library.transaction():
            found = self._library.candidate(candidate)
            _refuse_decided(found)
            decision = Decision(candidate, "reject", _person(person), reason, self._clock())
            self._library.add_decision(decision)
            self._library.set_state(candidate, "rejected")
            return Outcome(candidate, "rejected", found.lesson)

    def edit(self, lesson: Lesson, editor: str) -> Outcome:
        """A new text for a lesson that there is; the editor's approval is the first.

        Raises UnknownError: there is no such lesson in that language.
        """
        person = _person(editor)
        with self._library.transaction():
            now = self._library.lesson(lesson.id, lesson.language).lesson
            by = now.provenance
            kept = msgspec.structs.replace(lesson.provenance, model=by.model, seed=by.seed)
            lesson = msgspec.structs.replace(lesson, provenance=kept)
            if _text(lesson) == _text(now):
                return Outcome(0, "unchanged", now)
            return self._approve(self._proposed(lesson, "edit"), person)

    def bring_in(self, lesson: Lesson, approvers: Sequence[str]) -> Outcome:
        """A lesson from a file: onto the review list, and through it as far as `approvers` carry.

        The same text twice is brought in once.
        """
        persons = [_person(p) for p in approvers]
        with self._library.transaction():
            current = self._current(lesson)
            if current and _text(current) == _text(lesson):
                return Outcome(0, "unchanged", current)
            candidate = self._proposed(lesson, "import")
            outcome = Outcome(
                candidate.id, "waiting", lesson, None, self._missing(candidate.id, lesson)
            )
            for person in persons:
                if outcome.state == "waiting" and not _said_yes(candidate, person):
                    outcome = self._approve(candidate, person)
                    candidate = self._library.candidate(candidate.id)
            return outcome

    def _approve(self, candidate: Candidate, person: str) -> Outcome:
        _refuse_decided(candidate)
        self._refuse_overtaken(candidate)
        check_pictures(candidate.lesson, self._library.carries)
        if _said_yes(candidate, person):
            raise DecidedError(
                f"{person} approved candidate {candidate.id} already",
                hint="it waits for a second person",
            )
        now = self._clock()
        self._library.add_decision(Decision(candidate.id, "approve", person, "", now))
        if missing := self._missing(candidate.id, candidate.lesson):
            return Outcome(candidate.id, "waiting", candidate.lesson, None, missing)
        approvers = self._library.candidate(candidate.id).approvers
        lesson = self._final(candidate, ", ".join(approvers))
        revision = self._library.add_revision(lesson, candidate.id, now)
        self._library.set_state(candidate.id, "approved")
        return Outcome(candidate.id, "approved", lesson, revision)

    def _missing(self, candidate: int, lesson: Lesson) -> int:
        approvers = self._library.candidate(candidate).approvers
        return max(0, self.persons_needed(lesson) - len(approvers))

    def _final(self, candidate: Candidate, approvers: str) -> Lesson:
        lesson = candidate.lesson
        provenance = msgspec.structs.replace(lesson.provenance, approver=approvers)
        lesson_id = lesson.id
        if candidate.origin == "generated":
            number = 2
            while self._library.has_lesson(lesson_id):
                lesson_id, number = f"{lesson.id}-{number}", number + 1
        return msgspec.structs.replace(lesson, id=lesson_id, provenance=provenance)

    def _proposed(self, lesson: Lesson, origin: Literal["import", "edit"]) -> Candidate:
        """The waiting candidate with this text, new when there is none."""
        for waiting in self._library.waiting_for(lesson.id, lesson.language):
            if waiting.origin != "generated" and _text(waiting.lesson) == _text(lesson):
                return waiting
        return self._library.candidate(self._library.add_candidate(origin, lesson, self._clock()))

    def _current(self, lesson: Lesson) -> Lesson | None:
        try:
            return self._library.lesson(lesson.id, lesson.language).lesson
        except UnknownError:
            return None

    def _refuse_overtaken(self, candidate: Candidate) -> None:
        if candidate.origin == "generated":
            assert candidate.brief is not None
            for other in self._library.of_brief(candidate.brief):
                if other.state == "approved":
                    raise DecidedError(
                        f"candidate {other.id} of the same brief is approved already",
                        hint="reject this one, or edit the lesson that there is",
                    )
            return
        lesson = candidate.lesson
        newer = [
            r.candidate
            for r in self._library.history(lesson.id, lesson.language)
            if r.candidate > candidate.id
        ]
        if newer:
            raise DecidedError(
                f"lesson {lesson.id} in {lesson.language!r} has a newer text since "
                f"candidate {candidate.id}",
                hint="reject this one; then export the lesson and edit that",
            )


def _text(lesson: Lesson) -> Lesson:
    """`lesson` without who approved it: equal means that nothing was written anew."""
    return msgspec.structs.replace(
        lesson, provenance=msgspec.structs.replace(lesson.provenance, approver="")
    )


def _said_yes(candidate: Candidate, person: str) -> bool:
    return person.casefold() in {p.casefold() for p in candidate.approvers}


def _person(name: str) -> str:
    """A name as it is kept. Raises ContentError for none, or one that could read as two."""
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not plain or len(plain) > MAX_PERSON_CHARS or "," in plain or not plain.isprintable():
        raise ContentError(
            f"not the name of a person: {name[:80]!r}",
            hint=f"give up to {MAX_PERSON_CHARS} characters, no comma",
        )
    return plain


def _refuse_decided(candidate: Candidate) -> None:
    if candidate.state == "waiting":
        return
    if candidate.state == "stopped":
        reasons = "; ".join(g.reason for g in candidate.gates if g.hard and not g.passed)
        raise DecidedError(
            f"candidate {candidate.id} was stopped at a gate: {reasons}",
            hint="generate the brief again",
        )
    last = candidate.decisions[-1]
    raise DecidedError(
        f"candidate {candidate.id} was {candidate.state} by {last.person} already",
        hint="`chaski-hub review list` shows what waits",
    )
