"""The command line, as a person and as a program use it: one folder, real keys, real files."""

import json
import os
import re
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from hub.cli import main
from hub.ingest import markdown
from hub.library import Library
from sync.lesson import Lesson
from sync.trust import Floors, TrustedState
from tests.hub.fakes import a_lesson

Run = Callable[..., Result]

CHANNEL = """id = "escuela"
license = "CC-BY-4.0"
titles = { es = "Escuela" }
description = { es = "Lecciones" }
topics = [
  { id = "matematica", icon = "x", titles = { es = "Matemática" } },
  { id = "salud", icon = "y", titles = { es = "Salud" } },
]
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command of the hub in `tmp_path`; `code` is the exit code expected."""
    config = tmp_path / "hub.toml"
    config.write_text('[hub]\ndata = "data"\nmodels = "models"\n', encoding="utf-8")

    def invoke(*arguments: str | Path, code: int = 0) -> Result:
        words = ["--config", str(config), *map(str, arguments)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """A folder of two lessons, one of which needs two persons."""
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "channel.toml").write_text(CHANNEL, encoding="utf-8")
    for lesson in (a_lesson(), a_lesson("suero", topic="salud", title="Suero")):
        write(folder / f"{lesson.id}.es.md", lesson)
    return folder


def write(path: Path, lesson: Lesson) -> Path:
    path.write_text(markdown.render(lesson), encoding="utf-8")
    return path


def told(result: Result) -> Any:
    """The one JSON value on stdout."""
    return json.loads(result.stdout)


def test_from_keys_to_a_second_version(run: Run, lessons: Path, tmp_path: Path) -> None:
    run("keys", "create")
    assert "2 approved" in run("import", lessons, "--approver", "Rosa", "--approver", "Ana").stdout
    first = told(run("publish", "--json"))
    assert (first["state"], first["version"], first["lessons"]) == ("published", 1, 2)
    assert "nothing to publish" in run("publish").stdout
    edited = write(tmp_path / "new.md", a_lesson(title="Sumar bien"))
    assert "revision 2" in run("lesson", "edit", "sumar", "es", edited, "--editor", "Ana").stdout
    second = told(run("publish", "--json"))
    assert second["version"] == 2
    assert [b["base_version"] for b in second["bundles"]] == [None, 1]
    status = told(run("status", "--json"))
    assert (status["version"], status["root"]) == (2, second["root"])
    assert status["lessons"] == 2
    assert status["bytes"]["published"] > status["bytes"]["channel"] > 0
    assert "escuela version 2" in run("status").stdout


def test_one_approver_leaves_health_waiting_for_a_second(run: Run, lessons: Path) -> None:
    counts = told(run("import", lessons, "--approver", "Rosa", "--json"))
    assert (counts["approved"], counts["waiting"]) == (1, 1)
    (waiting,) = told(run("review", "list", "--json"))
    assert (waiting["id"], waiting["approvers"]) == ("suero", ["Rosa"])
    number = str(waiting["candidate"])
    again = run("review", "approve", number, "--editor", "rosa", code=1)
    assert "approved candidate" in again.stderr
    assert (
        told(run("review", "approve", number, "--editor", "Ana", "--json"))["state"] == "approved"
    )
    twice = run("review", "approve", number, "--editor", "Eva", code=1)
    assert "approved by Ana already" in twice.stderr
    assert "nothing waits" in run("review", "list").stdout


def test_a_rejection_keeps_its_reason(run: Run, lessons: Path) -> None:
    run("import", lessons)
    found = {c["id"]: str(c["candidate"]) for c in told(run("review", "list", "--json"))}
    run("review", "reject", found["sumar"], "--editor", "Ana", "--reason", "too short")
    shown = run("review", "show", found["sumar"]).stdout
    assert "Ana: reject too short" in shown
    assert "Tengo dos papas" in shown
    states = [c["state"] for c in told(run("review", "list", "--all", "--json"))]
    assert sorted(states) == ["rejected", "waiting"]
    assert told(run("review", "show", found["suero"], "--json"))["lesson"]["id"] == "suero"


def test_a_lesson_goes_out_and_comes_back_the_same(run: Run, lessons: Path, tmp_path: Path) -> None:
    run("import", lessons, "--approver", "Rosa")
    exported = run("lesson", "export", "sumar", "es").stdout
    assert exported == (lessons / "sumar.es.md").read_text(encoding="utf-8")
    path = tmp_path / "out" / "x.md"
    run("lesson", "export", "sumar", "es", "--out", path)
    said = told(run("lesson", "edit", "sumar", "es", path, "--editor", "Ana", "--json"))
    assert said["state"] == "unchanged"
    (listed,) = told(run("lesson", "list", "--json"))
    assert (listed["id"], listed["revision"], listed["approver"]) == ("sumar", 1, "Rosa")
    assert "sumar" in run("lesson", "list").stdout


def test_importing_twice_changes_nothing(run: Run, lessons: Path) -> None:
    run("import", lessons, "--approver", "Rosa", "--approver", "Ana")
    again = told(run("import", lessons, "--approver", "Rosa", "--approver", "Ana", "--json"))
    assert (again["approved"], again["unchanged"]) == (0, 2)


def test_enrolling_a_node_gives_it_a_root_it_can_trust(run: Run, tmp_path: Path) -> None:
    assert "no keys yet" in run("enrol", "village", "--out", tmp_path / "n.toml", code=3).stderr
    run("keys", "create")
    path = tmp_path / "stick" / "node.toml"
    run("enrol", "village", "--out", path, "--hub", "http://10.0.0.1:8080")
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    assert config["node"]["id"] == "village"
    assert config["sync"] == {
        "hub": "http://10.0.0.1:8080", "channel": "escuela", "root": "root.json",
    }  # fmt: skip
    root = (path.parent / config["sync"]["root"]).read_bytes()
    assert TrustedState(root, Floors()).root_version == 1
    assert "is there already" in run("enrol", "village", "--out", path, code=9).stderr
    run("enrol", "other", "--out", path, "--force")
    assert tomllib.loads(path.read_text(encoding="utf-8"))["portal"] == {"host": "0.0.0.0"}
    run("enrol", "other", "--out", path, "--force", "--no-hub", "--host", "127.0.0.1")
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    assert (config["sync"]["hub"], config["portal"]["host"]) == ("", "127.0.0.1")
    for wrong in ("", "ftp://hub", "127.0.0.1:8080"):
        hint = run("enrol", "other", "--out", path, "--force", "--hub", wrong, code=3).stderr
        assert "--no-hub" in hint
    run("enrol", "other", "--out", path, "--no-hub", "--hub", "http://a", code=2)
    run("enrol", "other", code=2)
    assert "kafka.bootstrap" in run("enrol", "other", "--out", path, "--kafka", code=3).stderr
    assert "not the name" in run("enrol", "../x", "--out", path, code=3).stderr


def test_a_node_is_enrolled_on_a_stick_that_is_plugged_in(run: Run, tmp_path: Path) -> None:
    run("keys", "create")
    stick = tmp_path / "ROJA"
    assert "plug the stick in" in run("enrol", "village", "--stick", stick, code=8).stderr
    stick.mkdir()
    run("enrol", "village", "--stick", stick, "--no-hub")
    place = stick / "chaski" / "nodes" / "village"
    config = tomllib.loads((place / "node.toml").read_text(encoding="utf-8"))
    assert config["node"] == {"id": "village", "data": "/var/lib/chaski", "key": "node.pem"}
    assert (place / "node.pem").stat().st_mode & 0o077 == 0
    assert TrustedState((place / "root.json").read_bytes(), Floors()).root_version == 1
    run("enrol", "village", "--stick", stick, code=9)


def test_keys_are_made_once_and_readable_by_their_owner_only(run: Run, tmp_path: Path) -> None:
    run("keys", "create")
    made = {p.name: p.read_bytes() for p in (tmp_path / "data" / "keys").iterdir()}
    assert {oct(p.stat().st_mode & 0o777) for p in (tmp_path / "data" / "keys").iterdir()} == {
        "0o600"
    }
    assert "made already" in run("keys", "create", code=3).stderr
    assert {p.name: p.read_bytes() for p in (tmp_path / "data" / "keys").iterdir()} == made


def test_keys_whose_root_was_never_written_get_one(run: Run, tmp_path: Path) -> None:
    run("keys", "create")
    root = tmp_path / "data" / "published" / "root" / "1.root.json"
    root.unlink()
    run("keys", "create")
    assert TrustedState(root.read_bytes(), Floors()).root_version == 1


def test_a_user_gets_a_password_once(run: Run) -> None:
    made = told(run("users", "add", "ana", "--role", "editor", "--json"))
    assert len(made["password"]) >= 16
    assert made["password"] not in run("users", "list", "--json").stdout
    assert told(run("users", "renew", "ana", "--json"))["password"] != made["password"]
    assert "ana" in run("users", "list").stdout
    run("users", "add", "ana", "--role", "editor", code=9)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("publish",), 3, "no keys yet"),
        (("review", "approve", "7", "--editor", "Ana"), 1, "no candidate 7"),
        (("review", "show", "7"), 1, "no candidate 7"),
        (("lesson", "export", "nada", "es"), 1, "no lesson 'nada'"),
        (("lesson", "export", "nada", "xx"), 2, "'xx' is not one of"),
        (("import", "nowhere"), 4, "nowhere/channel.toml: No such file"),
        (("models", "list"), 6, "models.lock.json"),
        (("selftest",), 6, "models.lock.json"),
        (("generate", "--title", "x"), 2, "give --topic"),
        (("generate", "--from-missed", "--title", "x"), 2, "--from-missed"),
    ],
)
def test_a_mistake_is_one_line_a_hint_and_a_code(
    run: Run, command: tuple[str, ...], code: int, says: str
) -> None:
    result = run(*command, code=code)
    assert says in result.stderr
    if code != 2:
        assert re.search(r"^error: .+\nhint: .+\n\Z", result.stderr)


def test_generating_needs_a_channel_a_topic_of_it_and_a_model(run: Run, lessons: Path) -> None:
    asked = ("--title", "El cóndor", "--grade", "primaria-1")
    nothing = run("generate", "--topic", "salud", *asked, code=4)
    assert "no channel 'escuela'" in nothing.stderr
    run("import", lessons, "--approver", "Rosa")
    assert "topics: matematica, salud" in run("generate", "--topic", "x", *asked, code=1).stderr
    assert "models.lock.json" in run("generate", "--topic", "salud", *asked, code=6).stderr


def test_nothing_missed_is_no_reason_to_open_a_model(run: Run) -> None:
    assert "nothing to do" in run("generate", "--from-missed").stdout


def test_a_wrong_lesson_file_is_named_with_its_key(run: Run, lessons: Path) -> None:
    run("import", lessons, "--approver", "Rosa")
    path = lessons / "sumar.es.md"
    path.write_text(path.read_text("utf-8").replace("primaria-1", "kinder"), encoding="utf-8")
    edit = run("lesson", "edit", "sumar", "es", path, "--editor", "Ana", code=4)
    assert "sumar.es.md" in edit.stderr
    assert "grade" in edit.stderr
    assert "grade" in run("import", lessons, code=4).stderr


def test_a_file_of_another_lesson_is_not_taken_for_this_one(run: Run, lessons: Path) -> None:
    run("import", lessons, "--approver", "Rosa", "--approver", "Ana")
    wrong = run("lesson", "edit", "sumar", "es", lessons / "suero.es.md", "--editor", "Ana", code=4)
    assert "key id is 'suero'" in wrong.stderr


def test_a_wrong_file_keeps_the_whole_folder_out(run: Run, lessons: Path, tmp_path: Path) -> None:
    (lessons / "zeta.es.md").write_text("no front matter", encoding="utf-8")
    assert "zeta.es.md" in run("import", lessons, "--approver", "Rosa", code=4).stderr
    with Library(tmp_path / "data" / "hub.db") as library:
        assert library.candidates() == []


def test_a_folder_of_another_channel_is_refused(run: Run, lessons: Path) -> None:
    text = CHANNEL.replace('"escuela"', '"otra"', 1)
    (lessons / "channel.toml").write_text(text, encoding="utf-8")
    assert "key id is 'otra'" in run("import", lessons, code=4).stderr


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "none.toml"), "status"])
    assert result.exit_code == 3
    assert "none.toml: No such file" in result.stderr
    bare = {name: None for name in os.environ if name.startswith("CHASKI_HUB")}
    assert CliRunner(env=bare).invoke(main, ["status"]).exit_code == 3


def test_a_data_folder_that_cannot_be_made_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    assert "data cannot be made" in run("status", code=3).stderr


def test_a_title_or_keyword_out_of_bounds_is_refused(run: Run, lessons: Path) -> None:
    run("import", lessons)
    brief = ("generate", "--topic", "salud", "--grade", "primaria-1")
    assert "--title" in run(*brief, "--title", "x" * 201, code=2).stderr
    assert "--keyword" in run(*brief, "--title", "x", "--keyword", "y" * 201, code=2).stderr


def test_help_needs_no_configuration() -> None:
    for command in ([], ["generate"], ["review", "approve"]):
        assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0


def test_every_command_and_option_says_what_it_does() -> None:
    def silent(command: click.Command, name: str) -> list[str]:
        found = [] if command.help else [name]
        if isinstance(command, click.Group):
            for inner, child in command.commands.items():
                found += silent(child, f"{name} {inner}")
        return found

    assert silent(main, "chaski-hub") == []


def test_serving_on_a_taken_port_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("CHASKI_HUB__SERVER__PORT", str(taken.getsockname()[1]))
        assert "is taken" in run("serve", code=9).stderr


def test_the_tables_hold_what_they_show(run: Run, lessons: Path) -> None:
    run("import", lessons)
    listed = run("review", "list").stdout
    assert "Sumar" in listed
    assert "Suero" in listed


def test_a_batch_is_written_and_gone_on_with(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(root / "models" / "onnx")
    asked = [{"custom_id": str(n), "body": {"prompt": "El agua", "max_tokens": 4}} for n in (1, 2)]
    requests = tmp_path / "in.jsonl"
    requests.write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    done = run("batch", requests, tmp_path / "out.jsonl", "--json")
    assert json.loads(done.stdout) == {"written": 2, "held": 0, "refused": 0, "tokens": 8}
    assert "0 answered, 2 were there" in run("batch", requests, tmp_path / "out.jsonl").stdout
    run("batch", tmp_path / "nowhere.jsonl", tmp_path / "out.jsonl", code=4)
