"""The lock over model folders, and what damage to each file costs."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.command import run
from models.errors import ModelError
from models.store import ModelStore, main, write_lock
from tests.models import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models of a few bytes each, locked."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(b"weights of " + name.encode())
        (tmp_path / name / "tokenizer.json").write_text("{}")
        tiny.write_card(tmp_path / name, "decoder")
    write_lock(tmp_path)
    return tmp_path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def test_a_whole_model_opens_with_its_card(folder: Path) -> None:
    store = ModelStore(folder)
    assert store.names() == ["one", "two"]
    model = store.open("one")
    assert (model.name, model.card.title, len(model.version)) == ("one", "A tiny model", 12)
    assert model.model.read_bytes() == b"weights of one"


def test_the_version_is_of_what_changes_an_answer(folder: Path) -> None:
    before = ModelStore(folder).open("one").version
    card = folder / "one" / "card.toml"
    card.write_text(card.read_text().replace("A tiny model", "A small model"))
    write_lock(folder)
    assert ModelStore(folder).open("one").version == before
    flip(folder / "one" / "tokenizer.json")
    write_lock(folder)
    assert ModelStore(folder).open("one").version != before


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: flip(f / "one" / "model.onnx"), r"model\.onnx is damaged"),
        (lambda f: (f / "one" / "model.onnx").write_bytes(b"short"), "has 5 bytes"),
        (lambda f: (f / "one" / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda f: flip(f / "one" / "card.toml"), "card.toml is damaged"),
        (lambda f: shutil.rmtree(f / "one"), "is missing"),
        (lambda f: (f / "models.lock.json").unlink(), "cannot read"),
        (lambda f: (f / "models.lock.json").write_text("{}"), "is damaged"),
        (lambda f: (f / "models.lock.json").write_bytes(b" " * (1 << 20) + b"{}"), "larger than"),
    ],
)
def test_damage_is_named_and_the_model_stays_shut(
    folder: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(folder)
    with pytest.raises(ModelError, match=words) as caught:
        ModelStore(folder).open("one")
    assert caught.value.hint
    assert caught.value.exit_code == 6


def test_damage_to_one_model_leaves_the_other(folder: Path) -> None:
    flip(folder / "one" / "model.onnx")
    assert ModelStore(folder).open("two").name == "two"


def test_an_unknown_name_is_told_what_there_is(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"no model '\.\./one'") as caught:
        ModelStore(folder).open("../one")
    assert "one, two" in caught.value.hint


def test_a_lock_cannot_point_outside_its_model(folder: Path) -> None:
    lock = folder / "models.lock.json"
    lock.write_text(lock.read_text().replace('"card.toml"', '"../two/card.toml"', 1))
    with pytest.raises(ModelError, match="damaged"):
        ModelStore(folder).names()


def test_a_lock_wants_a_valid_card_of_the_folders_own_name(folder: Path) -> None:
    card = folder / "one" / "card.toml"
    whole = card.read_text()
    card.write_text(whole.replace('name = "one"', 'name = "two"'))
    with pytest.raises(ModelError, match="is of 'two'"):
        write_lock(folder)
    card.write_text(whole + "\nsurprise = 1\n")
    with pytest.raises(ModelError, match="surprise"):
        write_lock(folder)
    card.write_text(whole)
    (folder / "one" / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"has no model\.onnx"):
        write_lock(folder)


def test_the_command_checks_and_ends_with_the_model_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["store", "verify", str(folder)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 0
    assert "two" in capsys.readouterr().out

    flip(folder / "one" / "model.onnx")
    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 6
    assert "error: model one" in (told := capsys.readouterr().err)
    assert "hint: " in told

    monkeypatch.setattr(sys, "argv", ["store", "lock", str(folder)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 0
    assert ModelStore(folder).open("one").name == "one"


def test_what_ships_is_whole_and_of_the_right_kind(shipped: ModelStore) -> None:
    kinds = {name: shipped.open(name).card.kind for name in shipped.names()}
    assert kinds == {"minilm-l6": "encoder", "tutor-es-small": "decoder"}


def test_what_ships_carries_its_licence_and_stays_small(shipped: ModelStore) -> None:
    for name, limit in (("minilm-l6", 24_000_000), ("tutor-es-small", 16_000_000)):
        folder = shipped.open(name)
        assert folder.model.stat().st_size <= limit
        assert (folder.path / "LICENSE").exists()
    assert "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db" in (
        shipped.open("minilm-l6").card.source
    )
