"""The plan says early, and in words, what will not fit."""

import pytest

from sync.bundle import Offer
from sync.canonical import digest
from sync.errors import SpaceError
from sync.plan import FLOOR_BYTES, choose

OFFER = Offer("escuela", None, digest(b"t"), digest(b"b"), 1_000, 5_000, 20_000, 1, 1_000)


def test_without_a_budget_all_that_is_missing_is_fetched() -> None:
    plan = choose(OFFER, FLOOR_BYTES + 6_000)
    assert (plan.fetch_bytes, plan.left_bytes, plan.disk_bytes) == (1_000, 0, 6_000)
    assert plan.complete
    assert plan.saved_share == pytest.approx(0.95)


def test_what_has_arrived_is_not_fetched_again() -> None:
    plan = choose(OFFER, FLOOR_BYTES + 5_300, held_bytes=700)
    assert (plan.fetch_bytes, plan.disk_bytes) == (300, 5_300)


@pytest.mark.parametrize(("budget", "fetch"), [(0, 0), (-5, 0), (400, 400), (1_000, 1_000)])
def test_a_budget_cuts_the_download_at_its_end(budget: int, fetch: int) -> None:
    plan = choose(OFFER, 2**40, budget)
    assert (plan.fetch_bytes, plan.left_bytes) == (fetch, 1_000 - fetch)
    assert plan.complete == (fetch == 1_000)


def test_too_little_space_is_said_before_anything_is_fetched() -> None:
    with pytest.raises(SpaceError) as caught:
        choose(OFFER, 70_000_000, floor_bytes=70_000_000)
    assert str(caught.value) == (
        "the new version of escuela needs 0.0 MB of disk (0.0 to download, 0.0 of lessons) and "
        "70.0 must stay free, but only 70.0 are"
    )
    assert "the lessons it has stay" in caught.value.hint


def test_an_empty_channel_saves_nothing() -> None:
    empty = Offer("escuela", None, digest(b"t"), digest(b"b"), 90, 0, 0, 0, 1_000)
    assert choose(empty, 2**40).saved_share == 0.0
