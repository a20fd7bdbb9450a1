"""The editorial half on the models that ship: real drafts, real ranks."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.cli import main
from hub.config import HubConfig, HubTable
from hub.library import Library
from hub.office import Office
from hub.ranker import text_vector


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "hub.toml"
    path.write_text(
        '[hub]\ndata = "data"\n[generator]\nmax_tokens = 40\n[gates]\nmin_words = 5\n',
        encoding="utf-8",
    )
    return path


def run(config: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, ["--config", str(config), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_missed_searches_become_ranked_drafts_with_their_model_and_seed(
    config: Path, root: Path
) -> None:
    sample, folder = root / "hub" / "sample_library", config.parent / "library"
    folder.mkdir()
    for name in ("channel.toml", "salud/dengue.es.md", "ciencia-y-tecnologia/la-palanca.es.md"):
        shutil.copy(sample / name, folder)
    shutil.copytree(sample / "assets", folder / "assets")
    shutil.copy(sample / "files.toml", folder)
    run(config, "import", str(folder), "--approver", "Rosa", "--approver", "Ana")
    with Library(config.parent / "data" / "hub.db") as opened:
        opened.add_missed_search("cómo mueve peso una barra", "es", "village", 1.0)
    made = json.loads(run(config, "generate", "--from-missed", "--count", "2", "--json"))
    assert len(made["candidates"]) + made["empty"] == 2
    assert made["candidates"]
    for candidate in made["candidates"]:
        assert candidate["model"].startswith("tutor-es-small@")
        assert {f["name"] for f in candidate["factors"]} == {
            "relevance", "support", "novelty", "fluency", "gates",
        }  # fmt: skip
        assert 0 < candidate["score"] < 1
    assert len({c["seed"] for c in made["candidates"]}) == len(made["candidates"])
    assert "nothing to do" in run(config, "generate", "--from-missed")
    assert "minilm-l6" in run(config, "models", "list", "--json")


def test_the_encoder_finds_the_lesson_that_a_text_is_about(tmp_path: Path) -> None:
    with Office(lambda: HubConfig(HubTable(data=str(tmp_path)))) as office:
        quena, dengue, asked = (
            text_vector(office.encoder, text)
            for text in (
                "The quena is a flute: the air inside the tube vibrates and makes the sound.",
                "The mosquito that carries dengue lays its eggs in clean standing water.",
                "why does a flute sound",
            )
        )
    assert float(asked @ quena) > float(asked @ dengue)


def test_the_selftest_tries_every_part(config: Path) -> None:
    run(config, "keys", "create")
    told = run(config, "selftest")
    assert "all well" in told
    assert "tutor-es-small" in told
