"""A model comes with the channel: tested, switched to, proven; or left, remembered, told of."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.engine import Engine, Sampling
from models.errors import ModelError
from models.store import ModelFolder, measured, unlocked, version
from node.model import hand
from node.model.pointer import MAX_BOOTS, MAX_TESTS, Attempt
from node.model.switch import ANSWERS, SECONDS
from node.store.blobs import Blobs
from tests.models import editions, spoilt
from tests.node.thinker import Thinker, carry, ship


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three versions of one model: shipped, and two that the channel carries."""
    home = tmp_path_factory.mktemp("made")
    return {
        "shipped": editions.decoder(home / "0", seed=3),
        "first": editions.decoder(home / "1"),
        "second": editions.decoder(home / "2", further=0.01),
    }


@pytest.fixture
def node(tmp_path: Path, made: dict[str, Path]) -> Iterator[Thinker]:
    (tmp_path / "data").mkdir()
    thinker = Thinker(tmp_path / "data", ship(tmp_path / "shipped", made["shipped"]))
    thinker.switch.start()
    yield thinker
    thinker.close()


def v(folder: Path) -> str:
    return unlocked(folder).version


def kinds(node: Thinker) -> list[tuple[str, str]]:
    return [(change.kind, change.why) for change in node.told]


def answer(node: Thinker, times: int = 1) -> None:
    for _ in range(times):
        with node.seat.lend() as engine:
            assert engine
            assert engine.generate("El agua", Sampling(max_tokens=4)).tokens


def take(node: Thinker, number: int, folder: Path) -> None:
    """The channel carries `folder` from version `number` on."""
    carry(node.place, number, folder)
    node.switch.look()


def spoilt_copy(folder: Path, home: Path, way: str) -> Path:
    shutil.copytree(folder, home / way / folder.name)
    spoilt.spoil(home / way / folder.name, way)
    return home / way / folder.name


def test_without_one_in_the_channel_the_shipped_model_answers(
    node: Thinker, made: dict[str, Path]
) -> None:
    carry(node.place, 1)
    node.switch.look()
    assert node.version == v(made["shipped"])
    status = node.switch.status()
    assert (status.state, status.source, status.trouble, status.last) == (
        "running", "shipped", "", None,
    )  # fmt: skip


def test_the_channels_model_is_tested_switched_to_and_proven(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    assert node.version == v(made["first"])
    assert node.switch.status().state == "trial"
    assert node.switch.status().source == "channel"
    assert kinds(node) == [("switched", "")]
    answer(node, ANSWERS)
    node.switch.look()
    assert node.switch.status().state == "running"
    node.again()
    assert node.version == v(made["first"])


def test_time_proves_a_model_that_nobody_asks(node: Thinker, made: dict[str, Path]) -> None:
    take(node, 1, made["first"])
    node.ticks += SECONDS
    node.switch.look()
    assert node.switch.status().state == "running"


def test_the_files_of_a_copy_are_the_objects_themselves(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    copy = node.models.copies.path(node.edition(made["first"]))
    for name, file in measured(copy).items():
        assert (copy / name).samefile(node.place.blobs.path(file.sha256))  # type: ignore[arg-type]


def test_the_version_before_is_kept_and_older_ones_go(node: Thinker, made: dict[str, Path]) -> None:
    take(node, 1, made["first"])
    answer(node, ANSWERS)
    node.switch.look()
    take(node, 2, made["second"])
    assert node.version == v(made["second"])
    assert node.kept == {node.edition(made[n]).id for n in ("first", "second")}
    answer(node, ANSWERS)
    node.switch.look()
    third = editions.decoder(node.folder / "made", further=0.02)
    take(node, 3, third)
    assert node.kept == {node.edition(f).id for f in (made["second"], third)}


def test_what_was_never_proven_is_not_kept_as_the_way_back(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    take(node, 2, made["second"])
    node.refuses.add(v(made["second"]))
    node.killed()
    assert node.version == v(made["shipped"])


@pytest.mark.parametrize("way", ["nan", "truncated", "zeroed"])
def test_a_model_that_fails_its_test_is_refused_once_and_told_of(
    node: Thinker, made: dict[str, Path], tmp_path: Path, way: str
) -> None:
    take(node, 1, made["first"])
    bad = spoilt_copy(made["second"], tmp_path, way)
    take(node, 2, bad)
    assert node.version == v(made["first"])
    assert kinds(node) == [("switched", ""), ("refused", spoilt.WAYS[way][1])]
    assert node.edition(bad).id not in node.kept
    node.switch.news()
    node.switch.look()
    node.again()
    node.switch.look()
    assert len(node.told) == 2, "it is not tried again"
    take(node, 3, made["second"])
    assert node.version == v(made["second"])


def test_a_model_that_passes_and_then_does_not_open_leads_back(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    node.refuses.add(v(made["second"]))
    take(node, 2, made["second"])
    assert node.version == v(made["first"]) or node.version == v(made["shipped"])
    assert kinds(node)[-1] == ("rolled_back", "open")
    assert node.switch.status().last


@pytest.mark.parametrize("error", [MemoryError(), OSError(5, "Input/output error")])
def test_want_of_memory_or_a_bad_disk_while_opening_costs_no_school_its_lessons(
    node: Thinker, made: dict[str, Path], error: Exception
) -> None:
    take(node, 1, made["first"])
    inner = node._open

    def open_(folder: ModelFolder) -> Engine:
        if folder.version == v(made["first"]):
            raise error
        return inner(folder)

    node.switch.close()
    node.born()
    node.switch._open = open_
    node.switch.start()
    assert node.version == v(made["shipped"])
    refused = node.models.copies.read().refusal(node.edition(made["first"]).id)
    assert (refused is None) == isinstance(error, OSError), "a disk says nothing of a model"


def test_a_program_that_dies_with_a_new_model_goes_back_to_the_old_one(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    for _ in range(MAX_BOOTS):
        node.killed()
        assert node.version == v(made["first"])
    node.killed()
    assert node.version == v(made["shipped"])
    assert kinds(node)[-1] == ("rolled_back", "boots")
    node.switch.look()
    assert node.version == v(made["shipped"]), "it is not tried again"


def test_restarts_in_order_are_no_sign_against_a_model(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    for _ in range(2 * MAX_BOOTS):
        node.again()
    assert node.version == v(made["first"])


def break_engine(node: Thinker) -> None:
    """Stops it as an engine does whose model failed."""
    engine = node.seat.engine
    assert engine
    loop = engine._loop
    with loop._changed:
        loop._stopped = ModelError("the model sank")
        loop._changed.notify_all()


def test_an_engine_that_stops_on_trial_leads_back_at_once(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    break_engine(node)
    node.switch.look()
    assert node.version == v(made["shipped"])
    assert kinds(node)[-1] == ("rolled_back", "engine")
    answer(node)


def test_a_proven_engine_that_stops_is_opened_again_and_then_on_trial(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    answer(node, ANSWERS)
    node.switch.look()
    break_engine(node)
    node.switch.look()
    assert node.version == v(made["first"])
    assert node.switch.status().state == "trial"
    break_engine(node)
    node.switch.look()
    assert node.version == v(made["shipped"])


def test_an_engine_with_nothing_to_go_back_to_is_opened_again_a_few_times(
    node: Thinker,
) -> None:
    for _ in range(3):
        break_engine(node)
        node.switch.look()
        answer(node)
    break_engine(node)
    node.switch.look()
    assert node.switch.status().state == "stopped"
    node.switch.news()
    node.switch.look()
    answer(node)


def test_a_self_test_that_never_ends_is_not_begun_for_ever(
    node: Thinker, made: dict[str, Path]
) -> None:
    """It may fell the machine each time."""
    chosen = node.edition(made["first"])
    node.models.copies.change(
        lambda held: type(held)(held.name, attempt=Attempt(chosen.id, MAX_TESTS))
    )
    take(node, 1, made["first"])
    assert kinds(node) == [("refused", "crash")]
    assert node.version == v(made["shipped"])


def test_a_model_that_is_withdrawn_gives_way_to_the_shipped_one(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    carry(node.place, 2)
    node.switch.look()
    assert node.version == v(made["shipped"])


def test_a_channel_that_carries_what_ships_costs_no_copy(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["shipped"])
    assert node.told == []
    assert node.kept == set()


def test_a_rollback_of_the_channel_takes_the_model_back_too(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    answer(node, ANSWERS)
    node.switch.look()
    take(node, 2, made["second"])
    node.place.store.turn_back(node.place.blobs.get, node.now)
    node.switch.look()
    assert node.version == v(made["first"])


def test_answers_that_are_being_written_are_finished_by_who_began_them(
    node: Thinker, made: dict[str, Path]
) -> None:
    with node.seat.lend() as engine:
        assert engine
        alone = engine.generate("El agua", Sampling(max_tokens=60)).text
        stream = engine.submit("El agua", Sampling(max_tokens=60))
    changed = threading.Thread(target=take, args=(node, 1, made["first"]))
    changed.start()
    assert stream.completion().text == alone
    changed.join()
    assert node.version == v(made["first"])
    stats = node.switch.stats()
    assert stats
    assert stats.requests_total == 2, "figures go on when the engine changes"


def test_where_memory_is_short_one_model_leaves_before_the_other_comes(
    node: Thinker, made: dict[str, Path]
) -> None:
    sits: list[bool] = []
    node.memory = 0
    inner = node._open

    def open_(folder: ModelFolder) -> Engine:
        sits.append(node.seat.engine is not None)
        return inner(folder)

    node.switch._open = open_
    take(node, 1, made["first"])
    assert sits == [False]
    assert node.version == v(made["first"])


def test_where_memory_is_short_a_refused_model_leaves_the_old_one_answering(
    node: Thinker, made: dict[str, Path], tmp_path: Path
) -> None:
    node.memory = 0
    take(node, 1, spoilt_copy(made["first"], tmp_path, "nan"))
    assert node.version == v(made["shipped"])
    answer(node)


def test_a_copy_that_rots_is_made_anew_from_the_objects(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    file = node.models.copies.path(node.edition(made["first"])) / "model.onnx"
    whole = file.read_bytes()
    file.unlink()
    file.write_bytes(whole[:-1])
    node.killed()
    assert node.version == v(made["first"])
    assert file.read_bytes() == whole


def test_a_rotten_object_costs_nothing_but_the_new_model_until_it_is_mended(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    path = node.models.copies.path(node.edition(made["first"])) / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")  # the object and the copy are one file
    node.killed()
    status = node.switch.status()
    assert node.version == v(made["shipped"])
    assert "model.onnx" in status.trouble
    blobs = Blobs(node.folder / "objects")
    manifest = node.place.store.manifest()
    assert manifest
    assert [e.path for e in blobs.missing(manifest)] == ["models/tutor-tiny/model.onnx"]
    blobs.put(whole)
    node.switch.news()
    node.switch.look()
    assert node.version == v(made["first"])
    assert node.switch.status().trouble == ""


def test_objects_that_are_still_on_their_way_are_waited_for(
    node: Thinker, made: dict[str, Path]
) -> None:
    carry(node.place, 1, made["first"])
    file = measured(made["first"])["model.onnx"]
    whole = node.place.blobs.get(file.sha256)  # type: ignore[arg-type]
    node.place.blobs.remove(file.sha256)  # type: ignore[arg-type]
    node.switch.look()
    assert node.version == v(made["shipped"])
    assert "not here" in node.switch.status().pending
    assert node.told == []
    node.place.blobs.put(whole)
    node.switch.news()
    node.switch.look()
    assert node.version == v(made["first"])


def test_a_channel_whose_model_is_none_changes_nothing(
    node: Thinker, made: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(made["first"], tmp_path / "half" / made["first"].name)
    half = tmp_path / "half" / made["first"].name
    (half / "selftest.json").unlink()
    take(node, 1, half)
    assert node.version == v(made["shipped"])
    assert "selftest.json is missing" in node.switch.status().pending


def test_a_pointer_that_cannot_be_read_counts_as_none(node: Thinker, made: dict[str, Path]) -> None:
    take(node, 1, made["first"])
    (node.folder / "models" / "tutor-tiny" / "pointer.json").write_bytes(b'{"name": 3')
    node.killed()
    assert node.version == v(made["shipped"])
    node.switch.look()
    assert node.version == v(made["first"])


def test_a_person_goes_back_and_forth_beside_a_node_that_serves(
    node: Thinker, made: dict[str, Path]
) -> None:
    take(node, 1, made["first"])
    answer(node, ANSWERS)
    node.switch.look()
    take(node, 2, made["second"])
    hand.rollback(node.models, node.now)
    node.switch.look()
    assert node.version == v(made["first"])
    assert kinds(node)[-1] == ("rolled_back", "hand"), "the hub hears of it"
    node.switch.news()
    node.switch.look()
    assert node.version == v(made["first"]), "a sync does not undo it"
    manifest = node.place.store.manifest()
    listed = {line.version: line for line in hand.lines(node.models, manifest)}
    refused = listed[v(made["second"])]
    assert (refused.use, refused.carried) == ("refused", True)
    hand.use(node.models, manifest, v(made["second"]), node.examiner(), node.now)
    node.switch.look()
    assert node.version == v(made["second"])
    hand.use(node.models, manifest, "shipped", node.examiner(), node.now)
    node.switch.look()
    assert node.version == v(made["shipped"])
    node.switch.look()
    assert node.version == v(made["shipped"])


def test_a_person_cannot_ask_for_what_is_not_there_or_no_good(
    node: Thinker, made: dict[str, Path], tmp_path: Path
) -> None:
    bad = spoilt_copy(made["first"], tmp_path, "scaled")
    take(node, 1, bad)
    manifest = node.place.store.manifest()
    with pytest.raises(ModelError, match="there is no version"):
        hand.use(node.models, manifest, "0123456789ab", node.examiner(), node.now)
    with pytest.raises(ModelError, match="fails its self-test"):
        hand.use(node.models, manifest, v(bad), node.examiner(), node.now)
    with pytest.raises(ModelError, match="no model before"):
        hand.rollback(node.models, node.now)
    assert node.version == v(made["shipped"])


def test_a_damaged_shipped_model_is_told_apart_from_a_missing_one(
    tmp_path: Path, made: dict[str, Path]
) -> None:
    home = ship(tmp_path / "shipped", made["shipped"])
    (home / "tutor-tiny" / "model.onnx").write_bytes(b"rot")
    (tmp_path / "a").mkdir()
    damaged = Thinker(tmp_path / "a", home)
    damaged.switch.start()
    assert damaged.switch.status().state == "damaged"
    take(damaged, 1, made["first"])
    assert damaged.version == v(made["first"])
    damaged.close()
    (tmp_path / "b").mkdir()
    missing = Thinker(tmp_path / "b", ship(tmp_path / "none"))
    missing.switch.start()
    assert missing.switch.status().state == "missing"
    missing.close()


def test_a_model_known_by_its_files_alone_has_the_version_of_its_folder(
    node: Thinker, made: dict[str, Path]
) -> None:
    assert node.edition(made["first"]).version == version(measured(made["first"]))
