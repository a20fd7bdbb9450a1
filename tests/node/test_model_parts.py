"""The small parts of a change of models: what is decided, what is on the disk, who sits where."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.edition import Edition, edition
from models.errors import DamagedModelError, ModelError
from models.examiner import Examiner
from models.store import measured
from node.model import pointer as pointers
from node.model.choice import Stay, Try, choose, first_of
from node.model.copies import Copies
from node.model.memory import BASE_BYTES, SPARE_BYTES, available_bytes, fits_beside
from node.model.pointer import MAX_BOOTS, MAX_REFUSED, Pointer
from node.model.seat import Seat
from sync.errors import SpaceError
from sync.files import ObjectStore
from sync.manifest import Entry
from sync.modelfiles import model_entries
from tests.models import editions
from tests.models.editions import NAME
from tests.node.thinker import Thinker, carry, ship


def an_edition(number: int) -> Edition:
    names = ("card.toml", "model.onnx", "selftest.json", "tokenizer.json")
    return edition(NAME, dict.fromkeys(names, (f"{number:064x}", 10)))


A, B, C = (an_edition(n) for n in range(1, 4))
NEW = Pointer(NAME)


# What is decided


def test_the_channels_model_is_tried_and_the_shipped_one_is_the_rest() -> None:
    assert choose(NEW, A, "0" * 12) == Try(A)
    assert choose(NEW, None, "0" * 12) == Stay()
    assert choose(NEW, None, None) == Stay()
    using = pointers.switch(NEW, A, 1)
    assert choose(using, A, None) == Stay()
    assert choose(using, B, None) == Try(B)
    assert choose(using, None, "0" * 12) == Try(None)
    assert choose(using, None, None) == Stay()
    assert choose(using, B, B.version) == Try(None)
    assert choose(pointers.refuse(using, B, "answer", "", 2), B, None) == Stay()


def test_the_way_back_leads_to_what_has_proven_itself() -> None:
    proven = pointers.prove(pointers.switch(NEW, A, 1))
    trial = pointers.switch(proven, B, 2)
    assert first_of(trial) == (B, A, None)
    later = pointers.switch(trial, C, 3)
    assert (later.current, later.previous) == (C, A)
    back = pointers.back(later, "engine", "it sank", 4)
    assert (back.current, back.previous, back.trial) == (A, None, None)
    assert back.last
    assert (back.last.kind, back.last.to_version) == ("rolled_back", A.version)
    refusal = back.refusal(C.id)
    assert refusal
    assert refusal.why == "engine"


def test_what_is_gone_back_to_is_not_refused_any_longer() -> None:
    held = pointers.switch(pointers.prove(pointers.switch(NEW, A, 1)), B, 2)
    held = pointers.refuse(held, A, "hand", "", 3)
    assert pointers.back(held, "hand", "", 4).refusal(A.id) is None


def test_from_the_shipped_model_there_is_no_way_back() -> None:
    assert pointers.back(NEW, "engine", "", 1) == NEW


def test_boots_count_on_trial_only() -> None:
    assert pointers.boot(NEW, 1) == NEW
    held = pointers.switch(NEW, A, 1)
    for _ in range(MAX_BOOTS):
        held = pointers.boot(held, 2)
        assert held.current == A
    assert pointers.boot(pointers.rest(held), 2).current == A
    assert pointers.boot(held, 2).current is None


def test_what_is_known_of_others_is_bounded() -> None:
    held = NEW
    for number in range(10, 10 + 2 * MAX_REFUSED):
        held = pointers.refuse(held, an_edition(number), "answer", "x" * 10_000, 1)
    assert len(held.refused) == MAX_REFUSED
    assert max(len(one.detail) for one in held.refused) == pointers.MAX_DETAIL


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"model.onnx": ("0" * 64, 1)},
        dict.fromkeys(A.files, ("0" * 64, 2**40)),
        dict.fromkeys(A.files, ("zz", 1)),
        dict.fromkeys((*A.files, "-rf"), ("0" * 64, 1)),
        dict.fromkeys((*A.files, *(f"model.{n}" for n in range(40))), ("0" * 64, 1)),
    ],
)
def test_what_is_no_model_folder_is_no_edition(files: dict[str, tuple[str, int]]) -> None:
    with pytest.raises(ModelError):
        edition(NAME, files)


def test_only_files_of_the_model_itself_are_its_files() -> None:
    paths = {
        "models/tutor-tiny/card.toml": "model", "models/tutor-tiny-2/card.toml": "model",
        "models/tutor-tiny/x": "asset", "lessons/tutor-tiny.es.json": "lesson",
    }  # fmt: skip
    made = [Entry(path, "0" * 64, 1, kind) for path, kind in paths.items()]  # type: ignore[arg-type]
    assert list(model_entries(made, NAME)) == ["card.toml"]


# Memory


def test_a_second_model_needs_twice_its_bytes_and_something_for_pages() -> None:
    need = 2 * 10**7 + BASE_BYTES + SPARE_BYTES
    assert fits_beside(10**7, need)
    assert not fits_beside(10**7, need - 1)
    assert fits_beside(10**12, None), "where nobody knows, it is tried"


def test_available_memory_is_what_the_system_says(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal: 8 kB\nMemAvailable:    4 kB\n")
    assert available_bytes(path) == 4096
    path.write_text("MemAvailable: much\n")
    assert available_bytes(path) is None
    assert available_bytes(tmp_path / "none") is None


# The seat


def test_who_is_lent_is_not_seen_out() -> None:
    seat = Seat("old")
    with seat.lend() as engine:
        assert engine == "old"
        assert seat.put("new") == "old"
        assert not seat.returned("old", 0)
        with seat.lend() as other:
            assert other == "new"
    assert seat.returned("old", 0)


def test_an_empty_seat_lends_nobody() -> None:
    seat: Seat[str] = Seat()
    with seat.lend() as engine:
        assert engine is None


# The disk


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editions.decoder(tmp_path_factory.mktemp("model"))


def stocked(folder: Path, model: Path) -> tuple[ObjectStore, Edition]:
    """Objects of a model in `folder`, and the edition they make."""
    objects = ObjectStore(folder)
    for file in model.iterdir():
        objects.put(file.read_bytes())
    files = {name: (file.sha256, file.size) for name, file in measured(model).items()}
    return objects, edition(NAME, files)


def test_a_copy_that_costs_nothing_needs_no_space(tmp_path: Path, model: Path) -> None:
    objects, wanted = stocked(tmp_path / "objects", model)
    copies = Copies(tmp_path / "models", NAME, objects, floor_bytes=10**18)
    assert copies.place(wanted).version == wanted.version


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another disk than `tmp_path`: memory, where there is such a folder."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system to write to (/dev/shm)")
    home = memory / f"chaski-{os.getpid()}"
    home.mkdir()
    yield home
    for path in sorted(home.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    home.rmdir()


def test_across_disks_a_copy_is_made_if_there_is_space(
    tmp_path: Path, elsewhere: Path, model: Path
) -> None:
    objects, wanted = stocked(elsewhere / "objects", model)
    full = Copies(tmp_path / "models", NAME, objects, floor_bytes=10**18)
    with pytest.raises(SpaceError, match="must stay free"):
        full.place(wanted)
    assert not full.has(wanted)
    assert not [p for p in (tmp_path / "models" / NAME).iterdir() if p.is_dir()]
    room = Copies(tmp_path / "models", NAME, objects)
    assert room.place(wanted).version == wanted.version


def test_an_object_that_is_not_here_leaves_no_half_copy(tmp_path: Path, model: Path) -> None:
    objects, wanted = stocked(tmp_path / "objects", model)
    objects.remove(wanted.files["tokenizer.json"].sha256)  # type: ignore[arg-type]
    copies = Copies(tmp_path / "models", NAME, objects)
    with pytest.raises(DamagedModelError, match=r"tokenizer\.json is not here"):
        copies.place(wanted)
    assert not [p for p in (tmp_path / "models" / NAME).iterdir() if p.is_dir()]


def count(folder: Path, times: int) -> None:
    """Boots so often, from another process."""
    copies = Copies(folder, NAME, ObjectStore(folder / "objects"))
    for _ in range(times):
        copies.change(
            lambda held: pointers.refuse(held, an_edition(len(held.refused)), "hand", "", 1)
        )


def test_two_programs_may_change_the_pointer(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=count, args=(tmp_path, 5)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    copies = Copies(tmp_path, NAME, ObjectStore(tmp_path / "objects"))
    assert len(copies.read().refused) == 10


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"name": "other"}', b'{"name": "tutor-tiny", "format": 2}']
)
def test_a_pointer_that_says_nothing_sound_is_none(tmp_path: Path, data: bytes) -> None:
    copies = Copies(tmp_path, NAME, ObjectStore(tmp_path / "objects"))
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "pointer.json").write_bytes(data)
    assert copies.read() == NEW
    assert copies.change(lambda held: pointers.switch(held, A, 1)).current == A
    assert copies.read().current == A


# The end of the program


HANGS = "import time; time.sleep(600)"


def test_a_program_that_ends_does_not_wait_for_a_self_test(tmp_path: Path, model: Path) -> None:
    (tmp_path / "data").mkdir()
    shipped = ship(tmp_path / "shipped", editions.decoder(tmp_path / "0", seed=3))
    begun = threading.Event()
    node = Thinker(
        tmp_path / "data", shipped,
        examiner=lambda: Examiner(seconds=300, command=(sys.executable, "-c", HANGS)),
        step=lambda name: begun.set() if name == "test" else None,
    )  # fmt: skip
    node.switch.start()
    carry(node.place, 1, model)
    looking = threading.Thread(target=node.switch.look)
    looking.start()
    assert begun.wait(60)
    node.switch.stop()
    looking.join(60)
    assert not looking.is_alive()
    pointer = node.models.copies.read()
    assert (pointer.current, pointer.attempt, node.told) == (None, None, [])
    node.close()
