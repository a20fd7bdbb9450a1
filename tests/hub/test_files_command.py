"""Files from the command line: in with provenance, listed, out; whole folders and bound books."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.cli import main
from tests.bench.histories import SAMPLE
from tests.hub import zips
from tests.hub.test_book import check

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
LESSON = (SAMPLE / "salud" / "dengue.es.md").read_text(encoding="utf-8")
ONE = """
[[files]]
path = "assets/agua.svg"
title = "El agua"
author = "Ana"
license = "CC-BY-4.0"
"""
SAID = ("--title", "El agua", "--author", "Ana", "--license", "CC0", "--editor", "Rosa")


class Desk:
    """A hub with one lesson folder, and its command line."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "hub.toml"
        self.config.write_text(f'[hub]\ndata = "{folder / "data"}"\n', encoding="utf-8")
        self.folder = folder / "library"
        (self.folder / "assets").mkdir(parents=True)
        (self.folder / "channel.toml").write_bytes((SAMPLE / "channel.toml").read_bytes())
        self.write("dengue.es.md", LESSON)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *map(str, arguments)])

    def ok(self, *arguments: object) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def imports(self) -> Result:
        return self.run("import", self.folder, "--approver", "Rosa", "--approver", "Luz", "--json")

    def files(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.ok("files", "list", "--json"))
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_folder_brings_its_files_and_the_lessons_that_show_them(desk: Desk) -> None:
    (desk.folder / "assets" / "agua.svg").write_bytes(SVG)
    desk.write("files.toml", ONE)
    desk.write("dengue.es.md", LESSON + "\n![El agua](assets/agua.svg)\n")
    assert json.loads(desk.imports().stdout)["files"] == 1
    assert [(f["path"], f["author"], f["person"]) for f in desk.files()] == [
        ("assets/agua.svg", "Ana", "Rosa")
    ]
    assert json.loads(desk.imports().stdout)["files"] == 0
    refused = desk.run("files", "remove", "assets/agua.svg")
    assert refused.exit_code == 4
    assert "dengue (es)" in refused.output


def test_without_an_approver_files_wait_and_it_says_so(desk: Desk) -> None:
    (desk.folder / "assets" / "agua.svg").write_bytes(SVG)
    desk.write("files.toml", ONE)
    assert "1 files are left out" in desk.ok("import", desk.folder)
    assert desk.files() == []


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("", "says nothing about it"),
        (ONE + ONE, "twice"),
        (ONE + ONE.replace("agua.svg", "no.svg"), "not there"),
        (ONE.replace("assets/agua.svg", "otra/agua.svg"), "not under"),
        (ONE.replace("assets/agua.svg", "../agua.svg"), "unsafe path"),
        (ONE + 'topic = "nada"\n', "not in the channel"),
        (ONE + 'colour = "red"\n', "colour"),
        (ONE + 'grade = "9"\n', "grade"),
        (ONE.replace('license = "CC-BY-4.0"', ""), "license"),
        (ONE + "priority = 100\n", "priority"),
        ("[[files", "files.toml"),
    ],
)
def test_a_table_of_files_that_does_not_fit_changes_nothing(
    desk: Desk, table: str, why: str
) -> None:
    (desk.folder / "assets" / "agua.svg").write_bytes(SVG)
    desk.write("files.toml", table)
    refused = desk.imports()
    assert refused.exit_code == 4
    assert why in refused.output
    assert desk.files() == []


def test_a_link_in_the_folder_is_refused(desk: Desk) -> None:
    (desk.folder / "assets" / "agua.svg").symlink_to("/etc/passwd")
    desk.write("files.toml", ONE)
    assert "a link" in desk.imports().output


def test_a_lesson_whose_picture_is_nowhere_stops_the_import(desk: Desk) -> None:
    desk.write("dengue.es.md", LESSON + "\n![El agua](assets/no.svg)\n")
    refused = desk.imports()
    assert refused.exit_code == 4
    assert "assets/no.svg" in refused.output


def test_files_are_added_replaced_listed_and_removed(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "agua.epub"
    file.write_bytes(zips.made(zips.EPUB))
    assert "books/agua.epub: " in desk.ok("files", "add", file, *SAID)
    assert [(f["path"], f["kind"], f["title"]) for f in desk.files()] == [
        ("books/agua.epub", "archive", "El agua")
    ]
    assert "books/agua.epub" in desk.ok("files", "list")
    file.write_bytes(zips.with_duplicate())
    file = file.rename(tmp_path / "raro.zip")
    assert "in one piece: two members" in desk.ok("files", "add", file, *SAID)
    desk.ok("files", "remove", "books/raro.zip")
    assert "exact" not in desk.ok("files", "list")
    assert desk.run("files", "remove", "books/raro.zip").exit_code == 1
    assert desk.run("files", "add", tmp_path / "no", *SAID).exit_code == 4
    desk.imports()
    assert desk.run("files", "add", tmp_path / "x", *SAID, "--topic", "nada").exit_code == 1


def test_a_model_file_is_carried_for_nodes_and_not_for_readers(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "card.toml"
    file.write_text("x = 1\n", encoding="utf-8")
    desk.ok("files", "add", file, *SAID, "--kind", "model", "--as", "models/m/card.toml")
    assert [f["kind"] for f in desk.files()] == ["model"]


def test_a_topic_is_bound_into_a_book_that_the_channel_carries(desk: Desk, tmp_path: Path) -> None:
    (desk.folder / "assets" / "agua.svg").write_bytes(SVG)
    desk.write("files.toml", ONE)
    desk.write("dengue.es.md", LESSON + "\n![El agua](assets/agua.svg)\n")
    desk.imports()
    desk.ok("files", "book", "salud", "--editor", "Rosa")
    book = next(f for f in desk.files() if f["path"] == "books/salud.es.epub")
    assert (book["kind"], book["title"], book["topic"]) == ("archive", "Salud", "salud")
    out = tmp_path / "salud.epub"
    desk.ok("files", "book", "salud", "--out", out)
    check(out.read_bytes())
    assert book["whole"] == out.stat().st_size
    assert SVG in out.read_bytes()
    before = desk.files()
    desk.ok("files", "book", "salud", "--editor", "Luz")
    assert desk.files() == before
    for wrong in (("nada",), ("matematica",), ("salud", "--language", "en")):
        assert desk.run("files", "book", *wrong, "--editor", "Rosa").exit_code == 1
    assert desk.run("files", "book", "salud").exit_code == 2
    assert list((tmp_path / "data").glob(".*epub")) == []
