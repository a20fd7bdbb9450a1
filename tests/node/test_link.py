"""What a link carries, costs and has left."""

import pytest

from node.link import GUESSED_KILOBITS, LinkTable, Pace, budget, pace, window_seconds
from node.outcome import Outcome
from sync.transport.windowed import window


def synced(size: int, seconds: float) -> Outcome:
    return Outcome("updated", 0.0, 1, 2, size, 0, seconds, "")


def test_the_speed_is_the_one_set_else_the_one_measured_else_a_guess() -> None:
    measured = [synced(100, 1.0), synced(40_000, 10.0), synced(10**6, 1.0)]
    assert pace(LinkTable(kilobits_per_second=256), 0, measured) == Pace(256, known=True)
    assert pace(LinkTable(), 0, measured) == Pace(32, known=True)
    assert pace(LinkTable(), 0, []) == Pace(GUESSED_KILOBITS, known=False)


def test_a_download_is_no_faster_than_it_may_be() -> None:
    assert pace(LinkTable(kilobits_per_second=256), 32, []).kilobits_per_second == 32
    assert pace(LinkTable(), 16, [synced(40_000, 10.0)]).kilobits_per_second == 16


def test_minutes_and_cost_follow_from_bytes() -> None:
    assert Pace(32, known=True).seconds(240_000) == 60
    assert Pace(32, known=True).carried(60) == 240_000
    assert LinkTable(cost_per_megabyte=0.5).cost(3_000_000) == 1.5


@pytest.mark.parametrize(
    ("minute", "minutes"),
    [(22 * 60, 480), (5 * 60 + 59, 1), (0, 360), (12 * 60, 60), (13 * 60, 480), (12 * 60 + 30, 30)],
)
def test_a_window_is_what_is_left_of_it_or_the_length_of_the_next(
    minute: int, minutes: int
) -> None:
    windows = [window("22:00-06:00"), window("12:00-13:00")]
    assert window_seconds(windows, minute) == minutes * 60


def test_without_windows_there_is_no_end() -> None:
    assert window_seconds([], 5) is None
    assert window_seconds([window("08:00-08:00")], 9 * 60) == 23 * 3600


@pytest.mark.parametrize(
    ("left", "seconds", "bytes_"),
    [(None, None, None), (1000, None, 1000), (None, 1.0, 4000), (1000, 1.0, 1000), (-5, None, 0)],
)
def test_the_budget_is_the_smaller_of_allowance_and_window(
    left: int | None, seconds: float | None, bytes_: int | None
) -> None:
    assert budget(left, seconds, Pace(32, known=True)) == bytes_


def test_an_allowance_of_nothing_is_no_limit() -> None:
    assert LinkTable().bytes_per_day is None
    assert LinkTable(megabytes_per_day=2.5).bytes_per_day == 2_500_000
