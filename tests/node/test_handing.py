"""A lesson that is handed in waits, leaves, and comes back as a lesson."""

import asyncio
import json
import random
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from node.cli import main
from node.config import load
from node.handing import Handing
from node.telemetry.clock import Clock
from node.telemetry.forwarder import Forwarder
from node.telemetry.spool import MAX_REFUSALS, Spool
from node.worker import Worker
from sync.errors import SpaceError
from sync.lesson import Provenance
from sync.transport import RefusedError
from tests.node.test_app import serving
from tests.node.village import AT, Village, lesson, village
from tests.pictures import jpeg, pdf
from tests.sync.test_parcel import handed

LIMIT = 400_000


class Desk:
    """A node's spool and library, and what is handed in."""

    def __init__(self, folder: Path, limit: int = LIMIT, keep_free: int = 0) -> None:
        self.village: Village = village(folder)
        self.spool = Spool(folder / "spool.db", limit, "boot")
        clock = Clock(wall=lambda: AT)
        self.handing = Handing(self.spool, self.village.library, clock, "n", folder, keep_free)

    def close(self) -> None:
        self.spool.close()
        self.village.store.close()

    @property
    def states(self) -> list[str]:
        return [one.state for one in self.handing.handed()]


class Sink:
    """Takes everything, or says no; notes the order in which it came."""

    def __init__(self, *, no: bool = False) -> None:
        self.no, self.came = no, list[str]()

    async def samples(self, block: bytes) -> bool:
        return self._take("samples")

    async def events(self, block: bytes) -> bool:
        return self._take("events")

    def _take(self, kind: str) -> bool:
        self.came.append(kind)
        if self.no:
            raise RefusedError("no")
        return True


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(Desk(tmp_path)) as made:
        yield made


def photo(size: int) -> bytes:
    """One that nothing can squeeze."""
    return jpeg(told=b"", body=random.Random(size).randbytes(size).replace(b"\xff", b"\xfe"))


async def forward(desk: Desk, sink: Sink, **how: bool) -> None:
    await Forwarder(desk.spool, sink, Worker("t"), **how).forward()


async def test_a_lesson_waits_is_sent_and_received_and_published(desk: Desk) -> None:
    one = desk.handing.hand_in(handed(files=[("a.jpg", photo(100_000))]))
    assert (one.state, one.parts, one.gone, one.title) == ("waiting", 3, 0, "El ayni")
    await forward(desk, Sink(), hub_answers=True)
    assert desk.states == ["received"]
    by = Provenance("Rosa Quispe", "CC-BY-4.0", "upload n 2027-01-15")
    desk.village.install(1, [lesson(one.lesson, provenance=msgspec.to_builtins(by))])
    assert desk.states == ["published"]


async def test_a_road_without_answer_of_the_hub_says_sent(desk: Desk) -> None:
    desk.handing.hand_in(handed())
    await forward(desk, Sink(), keep=True)
    assert desk.states == ["waiting"]
    await forward(desk, Sink())
    assert desk.states == ["sent"]


async def test_what_the_hub_will_not_take_is_said(desk: Desk) -> None:
    desk.handing.hand_in(handed())
    for _ in range(MAX_REFUSALS):
        await forward(desk, Sink(no=True))
    assert desk.states == ["refused"]
    assert desk.spool.dropped()["refused"] == 1


async def test_it_goes_behind_everything_else(desk: Desk) -> None:
    desk.handing.hand_in(handed())
    desk.spool.add("samples", b"s")
    desk.spool.add("events", b"e")
    for kind in ("samples", "events"):
        desk.spool.seal(kind, 9, lambda epoch, seq, rows: rows[0])
    sink = Sink()
    await forward(desk, sink)
    assert sink.came == ["events", "samples", "events"]


def test_the_same_lesson_twice_is_one(desk: Desk) -> None:
    first = desk.handing.hand_in(handed(files=[("a.pdf", pdf())]))
    again = desk.handing.hand_in(handed(files=[("a.pdf", pdf())]))
    assert first == again
    assert desk.spool.depth().blocks == 1


def test_what_does_not_fit_is_refused_early_and_leaves_no_trace(desk: Desk) -> None:
    desk.handing.hand_in(handed(files=[("a.jpg", photo(90_000))]))
    before = desk.spool.depth()
    with pytest.raises(SpaceError, match="do not fit") as caught:
        desk.handing.hand_in(handed(title="Otra", files=[("a.jpg", photo(150_000))]))
    assert "wait until a link" in caught.value.hint
    assert desk.spool.depth() == before
    assert len(desk.handing.handed()) == 1
    assert desk.handing.hand_in(handed(title="Pequeña")).state == "waiting"


def test_a_full_spool_drops_figures_and_never_a_teachers_lesson(desk: Desk) -> None:
    one = desk.handing.hand_in(handed(files=[("a.jpg", photo(150_000))]))
    for _ in range(80):
        desk.spool.add("samples", bytes(5_000))
    assert desk.spool.depth().bytes <= LIMIT
    assert len(desk.spool.waiting("uploads")) == one.parts
    assert desk.spool.dropped()["space"] > 0


def test_a_disk_that_is_nearly_full_takes_nothing(tmp_path: Path) -> None:
    with closing(Desk(tmp_path, keep_free=2**60)) as desk:
        with pytest.raises(SpaceError, match="must stay free"):
            desk.handing.hand_in(handed())
        assert desk.states == []


def test_it_survives_a_restart(tmp_path: Path) -> None:
    with closing(Desk(tmp_path)) as desk:
        desk.handing.hand_in(handed())
    with closing(Desk(tmp_path)) as desk:
        assert desk.states == ["waiting"]


# The command line


def run(folder: Path, *arguments: str, more: str = "") -> Result:
    config = folder / "node.toml"
    config.write_text('[node]\nid = "n"\ndata = "data"\nkeep_free_megabytes = 0\n' + more)
    return CliRunner().invoke(main, ["--config", str(config), *arguments])


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node with a library, set up in a folder."""
    data = tmp_path / "node" / "data"
    data.mkdir(parents=True)
    made = village(data)
    made.install(1, [lesson()])
    made.store.close()
    return tmp_path / "node"


TEXT = "# El ayni\n\nHoy por ti, mañana por mí.\n"
GIVEN = ("--author", "Rosa", "--topic", "matematica", "--grade", "primaria-3")


def test_a_file_is_handed_in_and_listed(node: Path, tmp_path: Path) -> None:
    file, picture = tmp_path / "ayni.md", tmp_path / "chacra.jpg"
    file.write_text(TEXT, encoding="utf-8")
    picture.write_bytes(jpeg())
    done = run(node, "submit", str(file), str(picture), *GIVEN)
    assert (done.exit_code, done.output.split(":")[0]) == (0, "El ayni"), done.output
    listed = json.loads(run(node, "submitted", "--json").output)
    assert [(one["title"], one["state"], one["author"]) for one in listed] == [
        ("El ayni", "waiting", "Rosa")
    ]
    assert "waits for a link (0 of 1 parts left)  El ayni, Rosa" in run(node, "submitted").output


def test_front_matter_says_what_the_options_do_not(node: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    front = 'title = "El trueque"\nauthor = "Ana"\ntopic = "matematica"\ngrade = "primaria-1"\n'
    file.write_text(f'+++\n{front}license = "CC0-1.0"\n+++\n\nTexto.\n', encoding="utf-8")
    done = run(node, "submit", str(file), "--author", "Rosa", "--json")
    assert json.loads(done.output)["title"] == "El trueque"
    assert json.loads(done.output)["author"] == "Rosa"


@pytest.mark.parametrize(
    ("text", "options", "code", "said"),
    [
        (TEXT, GIVEN[2:], 2, "--author"),
        (TEXT, (*GIVEN[:2], "--topic", "nada", *GIVEN[4:]), 4, "no topic"),
        ("+++\nbroken\n+++\n\nx\n", GIVEN, 4, "front matter"),
        ("", GIVEN, 4, "neither text nor a file"),
        ("x" * 70_000, GIVEN, 4, "text"),
    ],
)
def test_what_cannot_be_handed_in_is_said(
    node: Path, tmp_path: Path, text: str, options: tuple[str, ...], code: int, said: str
) -> None:
    file = tmp_path / "x.md"
    file.write_text(text, encoding="utf-8")
    done = run(node, "submit", str(file), *options)
    assert done.exit_code == code, done.output
    assert said in done.output
    assert json.loads(run(node, "submitted", "--json").output) == []


def test_a_file_that_is_missing_binary_or_huge_is_said(node: Path, tmp_path: Path) -> None:
    assert run(node, "submit", str(tmp_path / "none.md"), *GIVEN).exit_code == 3
    file = tmp_path / "x.md"
    file.write_bytes(b"\xff\xfe\x00")
    assert run(node, "submit", str(file), *GIVEN).exit_code == 4
    file.write_bytes(bytes(5_000_000))
    assert run(node, "submit", str(file), *GIVEN).exit_code == 4


async def test_beside_a_node_that_serves_its_portal_takes_it(node: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "x.md").write_text(TEXT, encoding="utf-8")
    (tmp_path / "x.jpg").write_bytes(jpeg())
    more = f"[portal]\nport = {port}\n[tutor]\nenabled = false\n"
    run(node, "submitted", more=more)
    files = (str(tmp_path / "x.md"), str(tmp_path / "x.jpg"))
    async with serving(load(node / "node.toml", {})):
        done = await asyncio.to_thread(run, node, "submit", *files, *GIVEN, "--json", more=more)
        assert json.loads(done.stdout)["state"] == "waiting", done.output
        bare = await asyncio.to_thread(
            run, node, "submit", files[0], *GIVEN, "--title", "Sin foto", more=more
        )
        assert "Sin foto: waits for a link" in bare.output
        wrong = [*GIVEN[:3], "nada", *GIVEN[4:]]
        done = await asyncio.to_thread(run, node, "submit", *files, *wrong, more=more)
        assert (done.exit_code, "no such topic" in done.output) == (8, True)
    kept = json.loads(run(node, "submitted", "--json").output)
    assert {one["title"] for one in kept} == {"El ayni", "Sin foto"}
