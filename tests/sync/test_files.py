"""Durable files: what is there after success, failure and damage."""

import os
import stat
from pathlib import Path

import pytest

from sync.canonical import Digest, digest
from sync.errors import ContentError, SpaceError
from sync.files import (
    SMALL_BYTES,
    ObjectStore,
    atomic_write,
    free_bytes,
    fsync_dir,
    make_folder,
    reserve,
    space_errors,
    sweep,
)


def test_a_file_is_written_with_its_folders_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "key"
    atomic_write(path, b"secret", mode=0o600)
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    atomic_write(tmp_path / "head", b"old")
    atomic_write(tmp_path / "head", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["head"]
    assert (tmp_path / "head").read_bytes() == b"new"


def test_a_write_that_fails_leaves_the_old_bytes_and_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "head"
    folder.mkdir()
    (folder / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        atomic_write(folder, b"a file cannot replace a folder")
    assert [p.name for p in tmp_path.iterdir()] == ["head"]


def test_a_full_disk_is_a_space_error_with_its_name() -> None:
    with pytest.raises(SpaceError, match="the samples: No space left") as caught:  # noqa: PT012, SIM117
        with space_errors("the samples"):
            handle = os.open("/dev/full", os.O_WRONLY)
            try:
                os.write(handle, b"x")
            finally:
                os.close(handle)
    assert "free some space" in caught.value.hint


def test_other_errors_of_the_system_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), space_errors("x"):
        (tmp_path / "missing").read_bytes()


def test_a_folder_and_its_parents_are_made_once(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    fsync_dir(tmp_path)


def test_space_is_counted_for_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0
    reserve(tmp_path / "not" / "yet", need=1, floor=0)


def test_too_little_space_says_how_much_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="4,611,686,018,427,387,904 bytes are needed"):
        reserve(tmp_path, need=2**62, floor=0)
    with pytest.raises(SpaceError, match="must stay free"):
        reserve(tmp_path, need=0, floor=2**62)


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / ".head.1234.tmp").write_bytes(b"half")
    (tmp_path / "ab" / "head").write_bytes(b"whole")
    assert sweep(tmp_path) == 1
    assert [p.name for p in (tmp_path / "ab").iterdir()] == ["head"]


def test_an_object_is_found_under_its_digest(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    name = store.put(b"papa")
    assert name == digest(b"papa")
    assert store.path(name) == tmp_path / name[:2] / name
    assert store.has(name)
    assert store.get(name) == b"papa"


def test_objects_are_listed_sorted_without_strangers(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    assert list(store.digests()) == []
    names = sorted(store.put(b"%d" % n) for n in range(20))
    folder = store.path(names[0]).parent
    (folder / f".{names[0]}.ffff.tmp").touch()
    (folder / "README").touch()
    (folder.parent / "loose").touch()
    wrong = folder / ("00" if folder.name != "00" else "11").ljust(64, "0")
    wrong.touch()
    assert list(store.digests()) == names


def test_a_damaged_object_is_told_apart_and_put_mends_it(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    name = store.put(b"papa")
    store.path(name).write_bytes(b"pap4")
    with pytest.raises(ContentError, match="damaged"):
        store.get(name)
    store.put(b"papa")
    assert store.get(name) == b"papa"


def test_a_missing_object_and_a_false_name_are_content_errors(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    with pytest.raises(ContentError, match="cannot be read"):
        store.get(digest(b"nothing"))
    with pytest.raises(ContentError, match="not a SHA-256"):
        store.get(Digest("../../etc/passwd"))


def test_a_removed_object_is_gone_and_removing_it_again_is_nothing(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    name = store.put(b"papa")
    store.remove(name)
    store.remove(name)
    assert not store.has(name)


def test_a_file_is_stored_a_piece_at_a_time_and_no_longer_than_allowed(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    file = tmp_path / "book"
    file.write_bytes(bytes(range(256)) * 9000)
    assert store.put_file(file, 2_304_000) == (digest(file.read_bytes()), 2_304_000)
    assert store.get(digest(file.read_bytes())) == file.read_bytes()
    before = sorted((tmp_path / "objects").rglob("*"))
    with pytest.raises(ContentError, match="2,303,999 bytes"):
        store.put_file(file, 2_303_999)
    with pytest.raises(ContentError, match="cannot be read"):
        store.put_file(tmp_path, 9)
    with pytest.raises(ContentError, match="9 bytes"):
        store.put_bounded(iter([b"12345", b"67890"]), 9, "pieces")
    assert sorted((tmp_path / "objects").rglob("*")) == before
    assert store.put_bounded(iter([]), 0, "nothing") == (digest(b""), 0)


@pytest.mark.parametrize("size", [100, SMALL_BYTES, SMALL_BYTES + 1])
def test_a_slice_is_a_part_of_a_sound_object_and_of_no_other(tmp_path: Path, size: int) -> None:
    store = ObjectStore(tmp_path / "objects")
    data = (b"chaski" * size)[:size]
    name = store.put(data)
    for start, length in ((0, 10), (size - 5, 10), (size, 1), (50, 0)):
        assert store.slice(name, start, length) == data[start : start + length]
    path = store.path(name)
    path.write_bytes(b"x" + data[1:])
    os.utime(path, ns=(1, 1))
    with pytest.raises(ContentError, match="damaged"):
        store.slice(name, 0, 1)
    path.unlink()
    with pytest.raises(ContentError, match="cannot be read"):
        store.slice(name, 0, 1)
