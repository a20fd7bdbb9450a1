"""What travels first, and how much of it: never over the budget, nothing lost, same every time."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.interests import InterestsTable, Traits
from node.planner import Missed, Part, Planner, Wanted, portion

LESSON = Traits("lesson", "primaria-4", "es", "matematica")


def wanted(path: str = "lessons/a.es.json", priority: int = 50, **more: object) -> Wanted:
    return Wanted(path, priority, **({"traits": LESSON} | more))  # type: ignore[arg-type]


def part(number: int, size: int = 100, **more: object) -> Part:
    entry = wanted(f"lessons/l{number}.es.json", **more)  # type: ignore[arg-type]
    return Part(number, size, (entry,), size)


PLAIN = Planner(InterestsTable())
traits = st.builds(
    Traits,
    st.sampled_from(("lesson", "asset", "model")),
    st.sampled_from(("", "primaria-1", "secundaria-2")),
    st.sampled_from(("", "es", "qu")),
    st.sampled_from(("", "salud", "matematica")),
)
entries = st.builds(
    Wanted,
    st.just("lessons/x.es.json"),
    st.integers(0, 99),
    traits,
    st.frozensets(st.sampled_from(("agua", "papa", "sol"))),
    st.booleans(),
)
parts = st.lists(
    st.tuples(
        st.integers(0, 5000), st.integers(0, 5000), st.lists(entries, min_size=1, max_size=4)
    ),
    max_size=12,
).map(
    lambda made: [
        Part(n, size, tuple(inside), missing) for n, (size, missing, inside) in enumerate(made)
    ]
)
weights = st.one_of(
    st.just(()),
    st.lists(st.sampled_from(("es", "primaria-1", "salud", "lesson")), max_size=2).map(tuple),
    st.dictionaries(
        st.sampled_from(("es", "primaria-1", "salud", "lesson")), st.floats(0, 10), max_size=3
    ),
)
planners = st.builds(
    Planner,
    st.builds(InterestsTable, weights, weights, weights, weights),
    st.lists(
        st.builds(
            Missed, st.frozensets(st.sampled_from(("agua", "papa", "sol"))), st.integers(1, 50)
        ),
        max_size=3,
    ),
)


@given(planners, parts, st.one_of(st.none(), st.integers(-10, 20_000)))
def test_a_portion_is_never_over_the_budget_and_loses_nothing(
    planner: Planner, made: list[Part], budget: int | None
) -> None:
    ordered = planner.order(made)
    cut = portion(ordered, budget)
    assert sorted(p.number for p in ordered) == list(range(len(made)))
    assert sorted(p.number for p in (*cut.now, *cut.later)) == list(range(len(made)))
    if budget is None:
        assert not cut.later
    else:
        assert cut.size <= max(0, budget)
    if cut.begun:
        assert 0 <= cut.begun_bytes < cut.begun.missing


@given(planners, parts)
def test_what_is_worth_more_a_byte_comes_first(planner: Planner, made: list[Part]) -> None:
    def density(one: Part) -> float:
        return sum(planner.worth(entry) for entry in one.entries) / max(1, one.size)

    ordered = planner.order(made)
    assert all(density(a) >= density(b) for a, b in itertools.pairwise(ordered))
    # What fits not at all is last.
    seen = [density(one) > 0 for one in ordered]
    assert seen == sorted(seen, reverse=True)


@given(planners, parts, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_it_was_asked(
    planner: Planner, made: list[Part], chance: object
) -> None:
    shuffled = list(made)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert planner.order(shuffled) == planner.order(made)


def test_without_wishes_the_signed_priority_decides() -> None:
    made = [part(0, priority=60), part(1, priority=10), part(2, priority=30)]
    assert [one.number for one in PLAIN.order(made)] == [1, 2, 0]


def test_among_equals_the_order_of_the_bundle_stays() -> None:
    assert [one.number for one in PLAIN.order([part(2), part(0), part(1)])] == [0, 1, 2]


def test_a_small_part_goes_before_a_large_one_worth_the_same() -> None:
    assert [one.number for one in PLAIN.order([part(0, 9000), part(1, 100)])] == [1, 0]


def test_the_description_of_the_channel_is_before_everything() -> None:
    about = Part(7, 60_000, (wanted("channel.json", 99, traits=Traits("channel")),), 60_000)
    assert PLAIN.order([part(0, 10, priority=0), about])[0] is about


def test_a_missed_search_brings_its_lesson_forward() -> None:
    asked = Planner(InterestsTable(), [Missed(frozenset({"agu", "segur"}), 3)])
    water = part(1, words=frozenset({"agu", "segur", "herv"}))
    assert [one.number for one in asked.order([part(0), water])] == [1, 0]
    half = part(1, words=frozenset({"agu"}))
    assert [one.number for one in asked.order([part(0), half])] == [1, 0]
    none = part(1, words=frozenset({"papa"}))
    assert [one.number for one in asked.order([part(0), none])] == [0, 1]


def test_a_lesson_that_a_class_works_with_comes_forward() -> None:
    assert [one.number for one in PLAIN.order([part(0), part(1, assigned=True)])] == [1, 0]


@pytest.mark.parametrize(
    ("interests", "fit"),
    [
        (InterestsTable(), 1.0),
        (InterestsTable(grades=("primaria-4",)), 1.0),
        (InterestsTable(grades=("primaria-5",)), 0.0),
        (InterestsTable(languages={"qu": 3.0}), 1.0),
        (InterestsTable(languages={"es": 0.5}, topics={"matematica": 4.0}), 2.0),
        (InterestsTable(kinds=("asset",)), 0.0),
    ],
)
def test_lists_name_what_is_wanted_and_weights_how_much(
    interests: InterestsTable, fit: float
) -> None:
    assert interests.fit(LESSON) == fit


def test_what_an_entry_does_not_say_is_no_reason_against_it() -> None:
    strict = InterestsTable(grades=("primaria-1",), topics=("salud",))
    assert strict.fit(Traits("asset")) == 1.0


@pytest.mark.parametrize("wrong", [{"grades": {"a": 11}}, {"topics": [""]}, {"colours": []}])
def test_wishes_out_of_bounds_are_refused(wrong: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, InterestsTable)


def test_what_does_not_fit_is_begun_with_what_is_left() -> None:
    made = PLAIN.order([part(0, 100), part(1, 500, priority=40), part(2, 50, priority=99)])
    cut = portion(made, 200)
    assert [one.number for one in cut.now] == [0, 2]
    assert cut.begun is not None
    assert (cut.begun.number, cut.begun_bytes, cut.size) == (1, 50, 200)
