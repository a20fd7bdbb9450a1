"""Keys made, replaced and revoked from the command line; what nodes believe afterwards."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from hub.keyring import Keyring
from hub.publisher import trusted_state
from hub.shelf import Shelf
from sync import keys
from sync.errors import SettingsError
from sync.head import PUBLISHING, head_from_bytes
from sync.roots import RootInfo, read
from sync.trust import Floors, TrustedState
from tests.hub.test_cli import lessons, run

__all__ = ["lessons", "run"]  # the fixtures
Run = Callable[..., Result]


@pytest.fixture
def drawers(tmp_path: Path) -> list[Path]:
    """Three places for root keys."""
    return [tmp_path / name for name in ("drawer", "bank", "school")]


def offline(folders: list[Path]) -> list[str]:
    return [word for folder in folders for word in ("--offline-root", str(folder))]


def shown(run: Run) -> Any:
    return json.loads(run("keys", "show", "--json").stdout)


def ids(told: Any, role: str) -> list[str]:
    return next(list(one["keys"]) for one in told["roles"] if one["role"] == role)


def believed(folder: Path) -> int:
    """The version that a node which knows root 1 believes now."""
    shelf = Shelf(folder / "data" / "published")
    state = trusted_state(shelf, "escuela")
    head = shelf.head("escuela")
    assert head is not None
    return state.judge(head_from_bytes(head), 0.0).version


def test_the_root_keys_are_not_on_the_server(
    run: Run, tmp_path: Path, lessons: Path, drawers: list[Path]
) -> None:
    run("keys", "create", *offline(drawers), "--threshold", "2")
    here = {p.name for p in (tmp_path / "data" / "keys").iterdir()}
    assert here == {f"{role}.pem" for role in PUBLISHING}
    assert [oct((d / "root.pem").stat().st_mode & 0o777) for d in drawers] == ["0o600"] * 3
    told = shown(run)
    assert (told["version"], len(ids(told, "root"))) == (1, 3)
    assert "2 of 3" in run("keys", "show").stdout
    for drawer in drawers:
        drawer.rename(drawer.with_name(f"{drawer.name}-away"))
    run("import", lessons, "--approver", "Rosa", "--approver", "Ana")
    run("publish")
    assert believed(tmp_path) == 1


def test_a_threshold_that_cannot_be_met_makes_nothing(
    run: Run, tmp_path: Path, drawers: list[Path]
) -> None:
    said = run("keys", "create", *offline(drawers), "--threshold", "4", code=3).stderr
    assert "4 with 3 root keys" in said
    assert not (tmp_path / "data" / "keys").exists()
    assert not any(drawer.exists() for drawer in drawers)


@pytest.mark.parametrize("role", PUBLISHING)
def test_a_replaced_key_signs_the_head_again_at_once(
    run: Run, tmp_path: Path, lessons: Path, drawers: list[Path], role: str
) -> None:
    run("keys", "create", *offline(drawers[:1]))
    run("import", lessons, "--approver", "Rosa", "--approver", "Ana")
    run("publish")
    before = shown(run)
    said = run("keys", "rotate", role, *offline(drawers[:1])).stdout
    assert "root version 2 is published" in said
    assert "signed again" in said
    after = shown(run)
    assert [r for r in PUBLISHING if ids(before, r) != ids(after, r)] == [role]
    assert ids(before, "root") == ids(after, "root")
    assert believed(tmp_path) == 1
    assert "nothing to publish" in run("publish").stdout
    old = tmp_path / "data" / "keys" / "retired" / f"{role}.{ids(before, role)[0][:8]}.pem"
    assert oct(old.stat().st_mode & 0o777) == "0o600"


def test_without_the_root_key_nothing_changes(
    run: Run, tmp_path: Path, drawers: list[Path]
) -> None:
    run("keys", "create", *offline(drawers), "--threshold", "2")
    assert "root.pem is missing" in run("keys", "rotate", "timestamp", code=3).stderr
    few = run("keys", "rotate", "timestamp", *offline(drawers[:1]), code=5).stderr
    assert "signature" in few
    assert shown(run)["version"] == 1
    assert "version 2" in run("keys", "rotate", "timestamp", *offline(drawers[1:])).stdout


def test_root_keys_are_replaced_all_at_once(
    run: Run, tmp_path: Path, lessons: Path, drawers: list[Path]
) -> None:
    run("keys", "create", *offline(drawers), "--threshold", "2")
    run("import", lessons, "--approver", "Rosa", "--approver", "Ana")
    run("publish")
    before = shown(run)
    run("keys", "rotate", "root", *offline(drawers[:2]))
    after = shown(run)
    assert len(ids(after, "root")) == 2
    assert not set(ids(before, "root")) & set(ids(after, "root"))
    assert believed(tmp_path) == 1
    old = run("keys", "rotate", "snapshot", *offline(drawers[2:]), code=5).stderr
    assert "signature" in old
    run("keys", "rotate", "snapshot", *offline(drawers[:2]))


def test_a_root_key_that_was_lost_counts_no_more(run: Run, drawers: list[Path]) -> None:
    run("keys", "create", *offline(drawers), "--threshold", "2")
    lost = keys.load(drawers[2], "root").public_key.keyid
    shutil.rmtree(drawers[2])
    run("keys", "revoke", lost[:10], *offline(drawers[:2]))
    told = shown(run)
    assert lost not in ids(told, "root")
    assert "2 root keys would have to sign" in (
        run("keys", "revoke", ids(told, "root")[0], *offline(drawers[:2]), code=3).stderr
    )


def test_revoking_a_key_that_signs_heads_gives_its_role_a_new_one(
    run: Run, drawers: list[Path]
) -> None:
    run("keys", "create")
    (old,) = ids(shown(run), "targets")
    run("keys", "revoke", old[:8])
    (new,) = ids(shown(run), "targets")
    assert new != old
    run("keys", "revoke", "targets")
    assert ids(shown(run), "targets") != [new]


@pytest.mark.parametrize("key", ["", "abc", "root", "zzzzzzzzzz"])
def test_what_is_not_one_key_is_not_revoked(run: Run, key: str) -> None:
    run("keys", "create")
    assert "is not one key" in run("keys", "revoke", key, code=3).stderr
    assert shown(run)["version"] == 1


def test_without_keys_there_is_nothing_to_show(run: Run) -> None:
    assert "no keys yet" in run("keys", "show", code=3).stderr
    assert "no keys yet" in run("keys", "rotate", "timestamp", code=3).stderr


# After a crash


class Cut(Exception):  # noqa: N818 - it is no error of ours
    """The machine went off."""


class CutShelf(Shelf):
    """A shelf whose machine goes off just before, or just after, root 2 is on it."""

    def __init__(self, folder: Path, when: str) -> None:
        super().__init__(folder)
        self.when = when

    def put_root(self, n: int, data: bytes) -> None:
        if n == 2 and self.when == "before":
            raise Cut
        super().put_root(n, data)
        if n == 2 and self.when == "after":
            raise Cut


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rotation_that_was_cut_off_is_finished_by_the_next(tmp_path: Path, when: str) -> None:
    shelf = CutShelf(tmp_path / "published", when)
    ring = Keyring(shelf, tmp_path / "keys", lambda: 1_800_000_000.0)
    ring.create()
    with pytest.raises(Cut):
        ring.rotate("timestamp")
    shelf.when = ""
    info = ring.rotate("snapshot")
    assert info.version == (3 if when == "after" else 2)
    for role in PUBLISHING:
        assert info.role(role).keys == (keys.load(tmp_path / "keys", role).public_key.keyid,)
    state = TrustedState(shelf.root(1) or b"", Floors())
    for number in list(shelf.roots())[1:]:
        state.update_root(shelf.root(number) or b"")


def test_publishing_signs_again_a_head_that_a_rotation_left_behind(
    run: Run, tmp_path: Path, lessons: Path
) -> None:
    run("keys", "create")
    run("import", lessons, "--approver", "Rosa", "--approver", "Ana")
    run("publish")
    Keyring(Shelf(tmp_path / "data" / "published"), tmp_path / "data" / "keys").rotate("targets")
    assert "signed again" in run("publish").stdout
    assert believed(tmp_path) == 1


def test_a_root_in_words_is_what_was_made(tmp_path: Path) -> None:
    ring = Keyring(Shelf(tmp_path / "published"), tmp_path / "keys", lambda: 1_800_000_000.0)
    ring.create([tmp_path / "a", tmp_path / "b"], 2)
    info: RootInfo = ring.show()
    assert (info.version, info.signed_at) == (1, 1_800_000_000)
    assert (info.role("root").threshold, len(info.role("root").keys)) == (2, 2)
    assert info == read(ring.shelf.root(1) or b"")
    with pytest.raises(SettingsError, match="made already"):
        ring.create()
