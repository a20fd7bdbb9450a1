"""What villages told, at the terminal: learning, reports, missed searches, uploads, keys."""

import json
import time
from pathlib import Path

import pytest

from hub.blocks import Blocks
from hub.demand import gathered, stems
from hub.hearing import hear, hear_upload
from hub.library import Library
from hub.records import Missed
from sync.canonical import digest
from sync.events import Event, EventBlock, event
from sync.identity import NodeKey
from sync.parcel import to_bytes
from tests.hub.test_cli import Run, lessons, run
from tests.pictures import jpeg
from tests.sync.test_parcel import handed

__all__ = ["lessons", "run"]  # the fixtures


def tell(folder: Path, *told: Event, node: str = "puno-1", seq: int = 1) -> None:
    """As a block that the hub took."""
    with Library(folder / "data" / "hub.db") as library:
        hear(library, EventBlock(node, "e", seq, told), time.time())


def said(kind: str, **data: str) -> Event:
    now = int(time.time() * 1000)
    return event(kind, now, {"lesson": "sumar", "language": "es"} | data)  # type: ignore[arg-type]


@pytest.fixture
def hub(run: Run, lessons: Path, tmp_path: Path) -> Run:
    """A hub with a lesson, of which villages told."""
    run("import", lessons, "--approver", "Rosa", "--approver", "Julián")
    tell(
        tmp_path, said("learned", opened="9", finished="3", quizzes="2", right="3", total="4",
                       missed="0.1"),
        said("feedback", verdict="wrong", note="son [b]seis[/b]"),
    )  # fmt: skip
    return run


def test_learning_is_shown_by_lesson(hub: Run) -> None:
    (one,) = json.loads(hub("learning", "--json").stdout)
    assert (one["opened"], one["finished"], one["share"], one["hardest"]) == (9, 3, 0.75, 2)
    assert json.loads(hub("learning", "--lesson", "nada", "--json").stdout) == []
    shown = hub("learning").stdout
    assert "75%" in shown
    assert "no village" in hub("learning", "--lesson", "nada").stdout


def test_a_report_is_listed_and_closed_once(hub: Run) -> None:
    assert "1 reports from villages are open" in hub("review", "list").stdout
    (one,) = json.loads(hub("reports", "list", "--json").stdout)
    assert (one["verdict"], one["note"]) == ("wrong", "son [b]seis[/b]")
    assert "[b]seis[/b]" in " ".join(hub("reports", "list").stdout.split())
    hub("reports", "close", "1", "--editor", "Rosa", "--outcome", "corregido")
    assert (
        "by Rosa already"
        in hub("reports", "close", "1", "--editor", "Julián", "--outcome", "x", code=1).stderr
    )
    assert "no report is open" in hub("reports", "list").stdout
    (done,) = json.loads(hub("reports", "list", "--closed", "--json").stdout)
    assert (done["person"], done["outcome"]) == ("Rosa", "corregido")
    assert "corregido" in hub("reports", "list", "--closed").stdout


def test_searches_that_are_one_wish_are_one_line(hub: Run, tmp_path: Path) -> None:
    queries = ["los volcanes", "volcan", "¿qué es un volcán?", "ríos", "Volcánes"]
    told = [event("search_missed", 0, {"query": q, "language": "es"}) for q in queries]
    tell(tmp_path, *told, seq=2)
    tell(tmp_path, told[0], node="puno-2")
    first, second = json.loads(hub("missed", "list", "--json").stdout)
    assert (first["query"], first["times"], first["nodes"]) == ("los volcanes", 5, 2)
    assert second["query"] == "ríos"
    assert "los volcanes" in hub("missed", "list").stdout
    assert "nobody looked for" in hub("missed", "brief", "quipu", code=1).stderr


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("los volcanes", "VOLCÁN", True),
        ("fotosintesis", "la fotosíntesis", True),
        ("multiplicación", "multiplicar", False),
        ("sumar fracciones", "fracciones", False),
        ("suma de fracciones", "sumas de fraccion", True),
        ("papa", "papá", True),
        ("agua", "luz", False),
        ("?", "!", False),
    ],
)
def test_how_two_searches_are_one_wish(one: str, other: str, same: bool) -> None:
    searches = [Missed(one, "es", 2, 1, 0.0), Missed(other, "es", 1, 1, 0.0)]
    assert (len(gathered(searches)) == 1) == same, (stems(one), stems(other))
    assert len(gathered([searches[0], Missed(one, "qu", 1, 1, 0.0)])) == 2


def test_an_upload_is_reviewed_with_its_files(hub: Run, tmp_path: Path) -> None:
    data = to_bytes(handed(files=[("chacra.jpg", jpeg())]))
    with Library(tmp_path / "data" / "hub.db") as library:
        number = hear_upload(library, "puno-1", digest(data), data, time.time())
        assert hear_upload(library, "puno-2", digest(data), data, time.time()) == number
    (row,) = json.loads(hub("review", "list", "--json").stdout)
    assert (row["origin"], row["title"]) == ("upload", "El ayni")
    assert "file 0: chacra.jpg, jpeg" in hub("review", "show", number).stdout
    hub("review", "file", number, "0", "--out", tmp_path / "x.jpg")
    assert (tmp_path / "x.jpg").read_bytes() == jpeg(told=b"")
    assert "has no file 9" in hub("review", "file", number, 9, "--out", "x", code=1).stderr
    hub("review", "approve", number, "--editor", "Rosa")
    assert row["id"] in hub("lesson", "list").stdout


def test_an_enrolled_node_has_a_key_that_the_hub_knows(hub: Run, tmp_path: Path) -> None:
    hub("keys", "create")
    path = tmp_path / "village" / "node.toml"
    path.parent.mkdir()
    hub("enrol", "ocongate", "--out", path)
    key = NodeKey.read(path.parent / "node.pem")
    assert (path.parent / "node.pem").stat().st_mode & 0o777 == 0o600
    blocks = Blocks(tmp_path / "data" / "intake.db", max_names=9, max_bytes=999)
    assert blocks.key("ocongate") == key.public
    blocks.close()
    hub("enrol", "ocongate", "--out", path, code=9)
    hub("enrol", "ocongate", "--out", path, "--force")
    assert NodeKey.read(path.parent / "node.pem").public != key.public
