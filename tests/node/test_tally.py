"""Of what pupils did, counts leave the node and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from node.telemetry.tally import DAY_MS, tallied
from sync.events import Event, EventBlock, decode_events, encode_events, event

AT = 1_772_000_000_000


def quiz(right: int, marks: str, at: int = AT, lesson: str = "suma") -> Event:
    data = {
        "lesson": lesson, "language": "es", "right": str(right),
        "total": str(len(marks.split("."))), "answers": "1.-.0", "marks": marks,
    }  # fmt: skip
    return event("quiz_answered", at, data)


def opened(lesson: str = "suma", at: int = AT) -> Event:
    return event("lesson_opened", at, {"lesson": lesson, "language": "es"})


def test_a_day_of_a_lesson_is_one_event() -> None:
    told = tallied(
        [opened(), opened(at=AT + 5), quiz(1, "1.0.-"), quiz(0, "0.0"),
         event("lesson_finished", AT, {"lesson": "suma", "language": "es"})]
    )  # fmt: skip
    assert told == (
        Event(
            "learned", AT - AT % DAY_MS,
            {
                "lesson": "suma", "language": "es", "day": "2026-02-25", "opened": "2",
                "finished": "1", "quizzes": "2", "right": "1", "total": "5", "missed": "1.2.0",
            },
        ),
    )  # fmt: skip


def test_other_days_lessons_and_languages_are_other_events() -> None:
    quechua = event("lesson_opened", AT, {"lesson": "suma", "language": "qu"})
    told = tallied([opened(), opened(at=AT + DAY_MS), opened("resta"), quechua, opened()])
    assert [e.data["opened"] for e in told] == ["2", "1", "1", "1"]


def test_what_is_not_about_learning_stays_as_it_is() -> None:
    missed = event("search_missed", AT, {"query": "volcanes", "language": "es"})
    assert tallied([opened(), missed])[0] == missed
    assert tallied([]) == ()


def test_a_node_in_1970_and_a_very_long_quiz_are_counted() -> None:
    (told,) = tallied([quiz(0, ".".join("0" * 100), at=5)])
    assert told.data["day"] == "1970-01-01"
    assert told.data["missed"] == ".".join("1" * 100)


@given(st.lists(st.builds(quiz, st.integers(0, 3), st.sampled_from(["1", "0.1", "-.-.0"]))))
def test_the_counts_fit_a_block_and_add_up(done: list[Event]) -> None:
    told = tallied(done)
    block = EventBlock("n", "e", 1, told)
    assert decode_events(encode_events(block)) == block
    assert sum(int(e.data.get("quizzes", 0)) for e in told) == len(done)
