"""What the planner remembers: survives a restart, and no clock brings a day back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.planner import Missed
from node.store.ledger import DAY_SECONDS, MAX_MISSED, MISSED_DAYS, Ledger
from node.store.store import Store
from tests.node.village import AT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "node.db")
    yield made
    made.close()


def test_what_came_down_is_remembered_over_a_power_cut(store: Store, tmp_path: Path) -> None:
    Ledger(store).spend(20_000, 700)
    Ledger(store).spend(20_000, 50)
    again = Store(tmp_path / "node.db")
    assert Ledger(again).spent(20_000) == 750
    again.close()


def test_a_new_day_begins_with_nothing_spent(store: Store) -> None:
    ledger = Ledger(store)
    ledger.spend(20_000, 700)
    assert ledger.spent(20_001) == 0
    ledger.spend(20_001, 5)
    assert ledger.spent(20_001) == 5


def test_a_clock_that_falls_into_the_past_finds_no_fresh_allowance(store: Store) -> None:
    ledger = Ledger(store)
    ledger.spend(20_000, 700)
    assert ledger.spent(0) == 700
    ledger.spend(0, 100)
    assert ledger.spent(20_000) == 800


def test_what_was_set_aside_and_not_used_is_given_back(store: Store) -> None:
    ledger = Ledger(store)
    ledger.spend(20_000, 700)
    ledger.spend(20_000, -300)
    assert ledger.spent(20_000) == 400


def test_a_search_in_vain_counts_however_its_words_stand(store: Store) -> None:
    ledger = Ledger(store)
    ledger.miss(["agu", "segur"], "es", AT)
    ledger.miss(["segur", "agu"], "es", AT + 1)
    ledger.miss(["yaku"], "qu", AT)
    assert ledger.missed("es") == [Missed(frozenset({"agu", "segur"}), 2)]
    assert ledger.missed("qu") == [Missed(frozenset({"yaku"}), 1)]


def test_old_searches_and_too_many_are_forgotten(store: Store) -> None:
    ledger = Ledger(store)
    ledger.miss(["viejo"], "es", AT)
    for number in range(MAX_MISSED + 5):
        ledger.miss([f"w{number}"], "es", AT + 1 + number)
    held = {word for one in ledger.missed("es") for word in one.words}
    assert len(held) == MAX_MISSED
    assert held.isdisjoint({"viejo", "w0", "w4"})
    assert "w5" in held
    ledger.miss(["nuevo"], "es", AT + (MISSED_DAYS + 1) * DAY_SECONDS)
    assert ledger.missed("es") == [Missed(frozenset({"nuevo"}), 1)]


def test_a_pause_survives_a_restart(store: Store, tmp_path: Path) -> None:
    ledger = Ledger(store)
    ledger.go_on()
    assert not ledger.paused()
    ledger.pause(AT)
    ledger.pause(AT)
    again = Store(tmp_path / "node.db")
    assert Ledger(again).paused()
    Ledger(again).go_on()
    assert not ledger.paused()
    again.close()
