"""What it takes to become a lesson, and what is refused."""

from collections.abc import Sequence
from typing import Any

import pytest

from hub.brief import Brief
from hub.candidate import GateResult, State
from hub.config import ReviewTable
from hub.errors import DecidedError, UnknownError
from hub.library import Library
from hub.review import Review
from sync.errors import ContentError
from sync.lesson import Lesson, Provenance
from tests.hub.fakes import Clock, a_lesson

MACHINE = Provenance("modelo m", "CC-BY-4.0", "generated", "m@1", 7)


@pytest.fixture
def review(library: Library, clock: Clock) -> Review:
    return Review(library, ReviewTable(), clock)


def drafted(
    library: Library, count: int = 1, *, gates: Sequence[GateResult] = (), **changes: Any
) -> list[int]:
    """Waiting drafts of one brief."""
    lesson = a_lesson(provenance=MACHINE, **changes)
    brief = library.add_brief(
        Brief(lesson.topic, lesson.title, lesson.grade, lesson.language), count, 1.0
    )
    state: State = "stopped" if gates else "waiting"
    return [
        library.add_candidate("generated", lesson, 1.0, brief=brief, gates=gates, state=state)
        for _ in range(count)
    ]


def test_an_approved_draft_is_a_lesson_that_says_who_wrote_and_who_approved_it(
    library: Library, review: Review, clock: Clock
) -> None:
    (number,) = drafted(library)
    outcome = review.approve(number, "Rosa")
    assert (outcome.state, outcome.revision) == ("approved", 1)
    lesson = library.lesson("sumar", "es").lesson
    assert lesson.provenance == Provenance(
        "modelo m", "CC-BY-4.0", "generated", "m@1", 7, approver="Rosa"
    )
    (decision,) = library.candidate(number).decisions
    assert (decision.person, decision.verdict, decision.at) == ("Rosa", "approve", clock.now)


def test_what_was_decided_cannot_be_decided_again(library: Library, review: Review) -> None:
    (number,) = drafted(library)
    review.approve(number, "Rosa")
    with pytest.raises(DecidedError, match=f"candidate {number} was approved by Rosa"):
        review.approve(number, "Julián")
    with pytest.raises(DecidedError):
        review.reject(number, "Julián", "late")
    assert len(library.history("sumar", "es")) == 1


@pytest.mark.parametrize("changes", [{"language": "qu"}, {"topic": "salud"}])
def test_quechua_and_health_need_two_different_persons(
    library: Library, review: Review, changes: dict[str, Any]
) -> None:
    (number,) = drafted(library, **changes)
    first = review.approve(number, "Rosa")
    assert (first.state, first.missing) == ("waiting", 1)
    assert library.lessons() == []
    with pytest.raises(DecidedError, match="ROSA approved"):
        review.approve(number, " ROSA ")
    second = review.approve(number, "Julián")
    assert second.state == "approved"
    (made,) = library.lessons()
    assert made.lesson.provenance.approver == "Rosa, Julián"


def test_which_lessons_need_two_persons_is_a_setting(library: Library) -> None:
    review = Review(library, ReviewTable(careful_topics=("matematica",), careful_languages=()))
    assert review.persons_needed(a_lesson()) == 2
    assert review.persons_needed(a_lesson(language="qu", topic="salud")) == 1


def test_a_rejection_keeps_its_reason_and_needs_one(library: Library, review: Review) -> None:
    (number,) = drafted(library, topic="salud")
    review.approve(number, "Rosa")
    with pytest.raises(ContentError, match="reason"):
        review.reject(number, "Rosa", "  ")
    assert review.reject(number, "Rosa", "wrong  dose").state == "rejected"
    found = library.candidate(number)
    assert found.state == "rejected"
    assert [d.reason for d in found.decisions] == ["", "wrong dose"]


def test_of_one_brief_only_one_draft_is_approved(library: Library, review: Review) -> None:
    first, second = drafted(library, 2)
    review.approve(first, "Rosa")
    with pytest.raises(DecidedError, match=f"candidate {first} of the same brief"):
        review.approve(second, "Rosa")
    assert review.reject(second, "Rosa", "one is enough").state == "rejected"


def test_a_draft_never_takes_the_place_of_a_lesson_that_there_is(
    library: Library, review: Review
) -> None:
    review.bring_in(a_lesson(), ["Rosa"])
    (number,) = drafted(library)
    assert review.approve(number, "Rosa").lesson.id == "sumar-2"
    assert len(library.history("sumar", "es")) == 1


def test_a_draft_that_a_hard_gate_stopped_cannot_be_approved(
    library: Library, review: Review
) -> None:
    (number,) = drafted(library, gates=[GateResult("copy", False, 0.9, "90% stand", hard=True)])
    with pytest.raises(DecidedError, match="90% stand"):
        review.approve(number, "Rosa")


def test_an_unknown_candidate_is_said_so(review: Review) -> None:
    with pytest.raises(UnknownError, match="no candidate 7"):
        review.approve(7, "Rosa")


@pytest.mark.parametrize("name", ["", "  ", "Rosa, Julián", "x" * 61, "a\x00b"])
def test_a_name_that_could_not_be_kept_is_refused(
    library: Library, review: Review, name: str
) -> None:
    (number,) = drafted(library)
    with pytest.raises(ContentError, match="name of a person"):
        review.approve(number, name)


def test_a_file_brought_in_without_approver_waits(library: Library, review: Review) -> None:
    outcome = review.bring_in(a_lesson(topic="salud"), [])
    assert (outcome.state, outcome.missing) == ("waiting", 2)
    assert library.lessons() == []


def test_the_same_file_twice_is_brought_in_once(library: Library, review: Review) -> None:
    lesson = a_lesson(topic="salud")
    assert review.bring_in(lesson, ["Rosa"]).state == "waiting"
    assert review.bring_in(lesson, ["Rosa"]).state == "waiting"
    assert review.bring_in(lesson, ["Rosa", "Julián"]).state == "approved"
    assert review.bring_in(lesson, ["Rosa", "Julián"]).state == "unchanged"
    assert len(library.candidates()) == 1


def test_two_approvers_carry_a_careful_lesson_through_and_one_is_enough_else(
    library: Library, review: Review
) -> None:
    assert review.bring_in(a_lesson(topic="salud"), ["Rosa", "Julián"]).state == "approved"
    assert review.bring_in(a_lesson("restar"), ["Rosa", "Julián"]).state == "approved"
    approvers = {r.lesson.id: r.lesson.provenance.approver for r in library.lessons()}
    assert approvers == {"sumar": "Rosa, Julián", "restar": "Rosa"}


def test_an_edit_is_a_new_revision_approved_by_its_editor(library: Library, review: Review) -> None:
    review.bring_in(a_lesson(), ["Rosa"])
    outcome = review.edit(a_lesson(title="Sumar bien"), "Julián")
    assert (outcome.state, outcome.revision) == ("approved", 2)
    assert library.lesson("sumar", "es").lesson.provenance.approver == "Julián"


def test_an_edit_that_changes_nothing_makes_no_revision(library: Library, review: Review) -> None:
    review.bring_in(a_lesson(), ["Rosa"])
    assert review.edit(a_lesson(), "Julián").state == "unchanged"
    assert len(library.candidates()) == 1


def test_an_edit_of_what_is_not_there_is_refused(review: Review) -> None:
    with pytest.raises(UnknownError):
        review.edit(a_lesson(), "Julián")


def test_no_edit_hides_that_a_machine_wrote_it(library: Library, review: Review) -> None:
    (number,) = drafted(library)
    review.approve(number, "Rosa")
    edited = a_lesson(provenance=Provenance("Julián", "CC-BY-4.0", "original"))
    review.edit(edited, "Julián")
    by = library.lesson("sumar", "es").lesson.provenance
    assert (by.author, by.model, by.seed) == ("Julián", "m@1", 7)


def test_a_text_that_a_newer_one_overtook_cannot_be_approved(
    library: Library, review: Review
) -> None:
    def health(title: str) -> Lesson:
        return a_lesson(topic="salud", title=title)

    review.bring_in(health("Uno"), ["Rosa", "Julián"])
    old = review.edit(health("Dos"), "Rosa").candidate
    new = review.edit(health("Tres"), "Julián").candidate
    assert review.approve(new, "Rosa").state == "approved"
    with pytest.raises(DecidedError, match="newer text"):
        review.approve(old, "Julián")
    assert library.lesson("sumar", "es").lesson.title == "Tres"
