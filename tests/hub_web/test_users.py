"""Who may come in, and how long a guesser waits."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.users import MAX_PASSWORD_CHARS, Passwords, Throttle, Users
from sync.errors import BusyError, ContentError, SettingsError
from tests.hub.fakes import Clock
from tests.hub_web.world import CHEAP


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    with Users(tmp_path / "users.db", CHEAP, Clock(5.0)) as made:
        yield made


def test_a_password_is_shown_once_and_kept_as_argon2(users: Users, tmp_path: Path) -> None:
    password = users.add("rosa", "editor")
    rosa = users.find("rosa")
    assert rosa is not None
    assert (rosa.role, rosa.since, rosa.edits) == ("editor", 5.0, True)
    assert rosa.hash.startswith("$argon2id$")
    assert CHEAP.matches(rosa, password)
    assert not CHEAP.matches(rosa, password + "x")
    everything = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert password.encode() not in everything
    assert (tmp_path / "users.db").stat().st_mode & 0o777 == 0o600


def test_passwords_are_long_and_can_be_dictated() -> None:
    made = {Passwords.generate() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        assert [len(group) for group in password.split("-")] == [4, 4, 4, 4]
        assert not set(password) & set("il1o0")


def test_nobody_has_no_password(users: Users) -> None:
    assert users.find("nadie") is None
    assert not CHEAP.matches(None, "the password of nobody")


def test_a_very_long_password_costs_nothing(users: Users) -> None:
    users.add("rosa", "editor")
    assert not CHEAP.matches(users.find("rosa"), "x" * (MAX_PASSWORD_CHARS + 1))


def test_a_name_is_given_once(users: Users) -> None:
    users.add("rosa", "editor")
    with pytest.raises(BusyError):
        users.add("rosa", "admin")
    assert [u.role for u in users.all()] == ["editor"]


@pytest.mark.parametrize("name", ["", "Rosa", "rosa quispe", "ñusta", "a" * 41, "-a", "a,b"])
def test_a_bad_name_is_refused(users: Users, name: str) -> None:
    with pytest.raises(SettingsError):
        users.add(name, "editor")


def test_an_unknown_role_is_refused(users: Users) -> None:
    with pytest.raises(SettingsError, match="no role 'king'"):
        users.add("rosa", "king")


def test_a_new_password_ends_the_old_one_and_its_sessions(users: Users) -> None:
    old_password = users.add("rosa", "editor")
    old = users.find("rosa")
    new_password = users.renew("rosa")
    new = users.find("rosa")
    assert old is not None
    assert new is not None
    assert old.stamp != new.stamp
    assert CHEAP.matches(new, new_password)
    assert not CHEAP.matches(new, old_password)
    with pytest.raises(SettingsError):
        users.renew("nadie")


def test_a_damaged_hash_lets_nobody_in(users: Users, tmp_path: Path) -> None:
    password = users.add("rosa", "editor")
    with sqlite3.connect(tmp_path / "users.db") as db:
        db.execute("UPDATE users SET hash = 'gone'")
    db.close()
    assert not CHEAP.matches(users.find("rosa"), password)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.write_bytes(b"not a database, but long enough to look like one " * 40)
    with pytest.raises(ContentError, match=r"users\.db"):
        Users(path, CHEAP)


def guess(throttle: Throttle, name: str, address: str, times: int) -> float:
    for _ in range(times):
        throttle.failed(name, address)
    return throttle.wait(name, address)


def test_a_guesser_waits_longer_each_time() -> None:
    clock = Clock(0.0)
    throttle = Throttle(clock, free=3, pause=10.0, longest=60.0)
    assert guess(throttle, "rosa", "a", 2) == 0
    assert guess(throttle, "rosa", "a", 1) == 10
    assert guess(throttle, "rosa", "a", 1) == 20
    assert guess(throttle, "rosa", "a", 10) == 60
    clock.now = 60.0
    assert throttle.wait("rosa", "a") == 0


def test_a_guesser_does_not_lock_the_owner_out() -> None:
    throttle = Throttle(Clock(0.0), free=3)
    assert guess(throttle, "rosa", "stranger", 5) > 0
    assert throttle.wait("rosa", "home") == 0


def test_guessing_at_many_names_from_one_address_ends_too() -> None:
    throttle = Throttle(Clock(0.0), free=3)
    for number in range(12):
        throttle.failed(f"name{number}", "a")
    assert throttle.wait("another", "a") > 0
    assert throttle.wait("another", "b") == 0


def test_a_success_forgets_the_name_but_not_the_address() -> None:
    throttle = Throttle(Clock(0.0), free=3)
    for number in range(12):
        throttle.failed(f"name{number}", "a")
    throttle.failed("rosa", "a")
    throttle.succeeded("rosa", "a")
    assert throttle.wait("rosa", "b") == 0
    assert throttle.wait("another", "a") > 0


def test_a_whole_staff_signs_in_from_one_address() -> None:
    throttle = Throttle(Clock(0.0), free=3)
    for number in range(100):
        assert throttle.wait(f"name{number}", "a") == 0
        throttle.failed(f"name{number}", "a")
        throttle.succeeded(f"name{number}", "a")


def test_the_memory_of_failures_is_bounded() -> None:
    throttle = Throttle(Clock(0.0), free=1, keys=30)
    for number in range(100):
        throttle.failed(f"name{number}", f"address{number}")
    assert throttle.wait("name0", "address0") == 0
    assert throttle.wait("name99", "address99") > 0
