"""A manifest is one channel version; its root names the content and nothing else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import manifest as manifests
from sync.canonical import digest
from sync.errors import ContentError
from sync.manifest import Entry, Manifest, diff, manifest

CONTENTS = st.dictionaries(
    st.sampled_from([f"lessons/l{i}.es.json" for i in range(12)]), st.sampled_from("abcdef")
)


def version(contents: dict[str, str]) -> Manifest:
    return manifest("escuela", (entry(p, c) for p, c in contents.items()))


def entry(path: str, content: str = "x") -> Entry:
    return Entry(path, digest(content.encode()), len(content), "lesson")


@given(CONTENTS)
def test_the_root_does_not_depend_on_the_order_of_making(contents: dict[str, str]) -> None:
    assert version(contents).root == version(dict(reversed(contents.items()))).root


@given(CONTENTS, CONTENTS)
def test_carrying_out_a_delta_gives_the_target(old: dict[str, str], new: dict[str, str]) -> None:
    base, target = version(old), version(new)
    delta = diff(base, target)
    paths = base.by_path()
    for gone in (*delta.removed, *(a for a, _ in delta.moved)):
        del paths[gone.path]
    for come in (*delta.added, *(b for _, b in delta.moved), *(b for _, b in delta.changed)):
        paths[come.path] = come
    assert manifest("escuela", paths.values()) == target
    assert delta.empty == (base == target)


def test_a_rename_is_a_move_not_new_content() -> None:
    delta = diff(version({"lessons/a": "same"}), version({"lessons/b": "same"}))
    assert [(a.path, b.path) for a, b in delta.moved] == [("lessons/a", "lessons/b")]
    assert not delta.added
    assert not delta.removed


def test_equal_content_is_counted_once() -> None:
    assert version({"a": "xyz", "b": "xyz"}).size == 3


@pytest.mark.fault(11, "upwards and absolute")
@pytest.mark.fault(11, "NUL, backslash and control characters")
@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\\b", "c:x", "a\0b", "a\nb",
        "a /b", "a./b", "cafe\u0301", "x" * 241, "a*", "\u202eab",
    ],
)  # fmt: skip
def test_a_path_that_could_escape_or_collide_is_refused(path: str) -> None:
    with pytest.raises(ContentError, match="unsafe path"):
        manifest("escuela", [entry(path)])


@pytest.mark.fault(11, "names that Windows keeps")
@pytest.mark.parametrize(
    "path", ["CON", "lessons/nul.txt", "aux/a", "Com1.es.json", "a/LPT9", "prn .x", "a ", "a."]
)
def test_a_name_that_windows_keeps_for_itself_is_refused(path: str) -> None:
    with pytest.raises(ContentError, match="unsafe path"):
        manifest("escuela", [entry(path)])


def test_a_name_that_only_begins_like_a_device_is_a_name() -> None:
    assert manifest("escuela", [entry("lessons/contar.json"), entry("com10"), entry("nulo")])


def test_a_file_is_no_folder() -> None:
    with pytest.raises(ContentError, match="collide"):
        manifest("escuela", [entry("Lessons"), entry("lessons/papa")])


@pytest.mark.fault(11, "equal but for NFC")
@pytest.mark.parametrize(
    ("one", "two"), [("café", "cafe\u0301"), ("fin", "\ufb01n"), ("Å", "\u212b"), ("ss", "ß")]
)
def test_names_that_another_system_takes_for_the_same_are_refused(one: str, two: str) -> None:
    with pytest.raises(ContentError, match=r"collide|unsafe path"):
        manifest("escuela", [entry(one), entry(two)])


@pytest.mark.fault(11, "equal but for case")
def test_paths_that_differ_only_in_case_collide() -> None:
    with pytest.raises(ContentError, match="collide"):
        manifest("escuela", [entry("lessons/Papa"), entry("lessons/papa")])


def test_a_manifest_comes_back_from_its_bytes() -> None:
    value = version({"lessons/a": "x", "channel.json": "y"})
    assert manifests.from_bytes(manifests.to_bytes(value)) == value


def test_entries_out_of_order_are_refused() -> None:
    value = version({"lessons/a": "x", "lessons/b": "y"})
    shuffled = msgspec.structs.replace(value, entries=value.entries[::-1])
    with pytest.raises(ContentError, match="not sorted"):
        manifests.from_bytes(manifests.to_bytes(shuffled))


def test_a_hash_that_is_none_is_refused() -> None:
    wrong = msgspec.structs.replace(entry("lessons/a"), hash="zz")
    with pytest.raises(ContentError, match="not a SHA-256"):
        manifest("escuela", [wrong])
