"""Models of the channel: accepted when whole and sound, replaced, withdrawn; or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.cli import main
from models.store import LOCK, SELFTEST, unlocked, write_lock
from sync.bundle import header
from sync.modelfiles import PRIORITY, model_path
from tests.hub.fakes import a_lesson
from tests.hub.test_cli import CHANNEL, write
from tests.models import editions, spoilt

Run = Callable[..., Result]
WHO = ("--editor", "Rosa")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("made")
    return {
        "old": editions.decoder(home / "1", width=256),
        "new": editions.decoder(home / "2", width=256, further=0.0005),
    }


@pytest.fixture
def run(tmp_path: Path, made: dict[str, Path]) -> Run:
    """A hub with one lesson approved and one model in its folder of models."""
    config = tmp_path / "hub.toml"
    config.write_text('[hub]\ndata = "data"\nmodels = "models"\n', encoding="utf-8")
    shutil.copytree(made["old"], tmp_path / "models" / made["old"].name)
    write_lock(tmp_path / "models")
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    (lessons / "channel.toml").write_text(CHANNEL, encoding="utf-8")
    write(lessons / "suma.es.md", a_lesson("suma"))

    def invoke(*arguments: str | Path, code: int = 0) -> Result:
        words = ["--config", str(config), *map(str, arguments)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    invoke("keys", "create")
    invoke("import", lessons, "--approver", "Rosa")
    return invoke


def listed(run: Run) -> dict[str, str]:
    return {
        row["name"]: row["channel"] for row in json.loads(run("models", "list", "--json").stdout)
    }


def bundles(run: Run) -> list[int]:
    """Bytes of each bundle of a publication, the whole one first."""
    return [bundle["size"] for bundle in json.loads(run("publish", "--json").stdout)["bundles"]]


def test_a_new_version_of_a_model_travels_as_the_difference_of_its_tensors(
    run: Run, made: dict[str, Path], tmp_path: Path
) -> None:
    run("publish")
    assert listed(run) == {"tutor-tiny": ""}
    said = run("models", "publish", "tutor-tiny", *WHO).stdout
    assert "is accepted" in said
    assert listed(run) == {"tutor-tiny": unlocked(made["old"]).version}
    whole, first = bundles(run)
    size = (made["old"] / "model.onnx").stat().st_size
    assert first > size / 2
    said = run("models", "publish", made["new"], *WHO).stdout
    assert f"it replaces {unlocked(made['old']).version}" in said
    _, delta, _ = bundles(run)
    print(f"fine-tuned: {delta:,} bytes of {size:,}; the whole channel is {whole:,}")  # noqa: T201
    assert delta < size / 3
    assert listed(run) == {"tutor-tiny": unlocked(made["new"]).version}


def test_the_same_again_publishes_nothing(run: Run, made: dict[str, Path]) -> None:
    run("models", "publish", made["old"], *WHO)
    run("publish")
    assert "carries this version already" in run("models", "publish", made["old"], *WHO).stdout
    assert json.loads(run("publish", "--json").stdout)["state"] == "nothing"


def test_a_withdrawn_model_is_out_of_the_next_version(run: Run) -> None:
    run("models", "publish", "tutor-tiny", *WHO)
    run("publish")
    run("models", "withdraw", "tutor-tiny")
    assert json.loads(run("publish", "--json").stdout)["state"] == "published"
    assert listed(run) == {"tutor-tiny": ""}
    assert "carries no model" in run("models", "withdraw", "tutor-tiny", code=1).output


def test_a_model_without_self_test_gets_one(
    run: Run, made: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(made["new"], tmp_path / "own" / "tutor-tiny")
    (folder / SELFTEST).unlink()
    assert "no self-test; this is measured now" in run("models", "publish", folder, *WHO).stdout
    assert not (folder / SELFTEST).exists(), "the builder's folder stays as it is"
    assert listed(run) == {"tutor-tiny": unlocked(folder).version}


@pytest.mark.parametrize(
    ("way", "tested"),
    [
        ("nan", True), ("zeroed", True), ("truncated", True), ("shuffled tokenizer", True),
        ("nan", False), ("zeroed", False), ("truncated", False),
    ],
)  # fmt: skip
def test_a_model_that_is_no_good_is_not_accepted(
    run: Run, made: dict[str, Path], tmp_path: Path, way: str, tested: bool
) -> None:
    folder = shutil.copytree(made["new"], tmp_path / "own" / "tutor-tiny")
    spoilt.spoil(folder, way)
    if not tested:
        (folder / SELFTEST).unlink()
    said = run("models", "publish", folder, *WHO, code=6).output
    assert "hint:" in said
    assert listed(run) == {"tutor-tiny": ""}


def test_a_folder_that_is_not_the_one_in_its_lock_is_not_accepted(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "models" / "tutor-tiny" / "tokenizer.json"
    file.write_bytes(file.read_bytes() + b"\n")
    folder = tmp_path / "models" / "tutor-tiny"
    assert (tmp_path / "models" / LOCK).exists()
    assert "the lock says" in run("models", "publish", folder, *WHO, code=6).output


def test_what_is_no_model_folder_is_refused_in_words(
    run: Run, made: dict[str, Path], tmp_path: Path
) -> None:
    assert "there is no model" in run("models", "publish", "nothing", *WHO, code=6).output
    empty = tmp_path / "empty"
    empty.mkdir()
    run("models", "publish", empty, *WHO, code=6)
    other = shutil.copytree(made["new"], tmp_path / "other-name")
    assert "name it as its card" in run("models", "publish", other, *WHO, code=6).output
    deep = shutil.copytree(made["new"], tmp_path / "own" / "tutor-tiny")
    (deep / "sub").mkdir()
    assert "no folders in it" in run("models", "publish", deep, *WHO, code=6).output
    (deep / "sub").rmdir()
    (deep / "ñ.bin").write_bytes(b"1")
    assert "no name for a file" in run("models", "publish", deep, *WHO, code=6).output
    (deep / "ñ.bin").unlink()
    with (deep / "model.data").open("wb") as file:
        file.truncate(header.MAX_OBJECT_BYTES + 1)
    assert "may travel" in run("models", "publish", deep, *WHO, code=6).output


def test_lessons_travel_before_models() -> None:
    assert PRIORITY == 99
    assert model_path("a", "b") == "models/a/b"
