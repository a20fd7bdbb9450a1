"""A self-test passes for a sound model and finds every way of being no good, in a process that
may be spoilt."""

import shutil
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from models import build_bert, selftest
from models.errors import ModelError
from models.examiner import Examiner
from models.report import Report
from models.selftest import SelfTest, check, measure, to_bytes
from models.store import SELFTEST, ModelStore, unlocked
from tests.models import editions, spoilt, tiny


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editions.decoder(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    shutil.copytree(sound, tmp_path / sound.name)
    return tmp_path / sound.name


def examine(folder: Path, **bounds: float) -> Report:
    examiner = Examiner(
        seconds=bounds.get("seconds", 60), megabytes=int(bounds.get("megabytes", 1024))
    )
    report = examiner.examine(folder)
    assert report
    return report


def test_a_sound_decoder_passes_and_tells_what_it_took(sound: Path) -> None:
    report = examine(sound)
    assert report.passed, report.detail
    assert "nats a token" in report.detail
    assert report.peak_bytes > 10_000_000


@pytest.mark.parametrize("name", ["minilm-l6", "tutor-es-small"])
def test_the_models_that_ship_pass_theirs(root: Path, name: str) -> None:
    folder = ModelStore(root / "models" / "onnx").open(name)
    report = examine(folder.path)
    assert report.passed, report.detail


@pytest.mark.parametrize("way", sorted(spoilt.WAYS))
def test_a_spoilt_decoder_fails_for_its_own_reason(folder: Path, way: str) -> None:
    why = spoilt.spoil(folder, way)
    bounds = {"seconds": 8.0} if why == "slow" else {"megabytes": 600} if why == "memory" else {}
    report = examine(folder, **bounds)
    assert report.why == why, report.detail


@pytest.mark.parametrize("part", ["attn", "mlp", "ln"])
def test_one_zeroed_layer_of_the_shipped_tutor_is_found(
    root: Path, tmp_path: Path, part: str
) -> None:
    """The tolerance is wide enough for other CPUs and narrow enough for this."""
    folder = tmp_path / "tutor-es-small"
    shutil.copytree(root / "models" / "onnx" / "tutor-es-small", folder)
    assert spoilt.zero_one(folder, part)
    spoilt.claim(folder)
    assert check(unlocked(folder), 1).why == "answer"


def test_an_encoder_is_tested_by_how_near_its_sentences_are(
    tmp_path: Path, bert_checkpoint: Path
) -> None:
    folder = tmp_path / "reader"
    build_bert.build(bert_checkpoint, folder, 8)
    tiny.write_card(folder, "encoder")
    (folder / SELFTEST).write_bytes(to_bytes(measure(unlocked(folder), 1)))
    assert examine(folder).passed
    spoilt.weights(lambda a: a * 0 + 1)(folder)
    spoilt.claim(folder)
    assert examine(folder).why == "answer"


def test_a_model_without_knowledge_is_not_even_measured(folder: Path) -> None:
    spoilt.WAYS["zeroed"][0](folder)
    with pytest.raises(ModelError, match="as likely as any other"):
        measure(unlocked(folder), 1)


def test_the_self_test_of_another_version_is_none(folder: Path) -> None:
    spoilt.WAYS["scaled"][0](folder)
    report = examine(folder)
    assert report.why == "invalid"
    assert "is of version" in report.detail


@pytest.mark.parametrize("data", [b"", b"{}", b'{"version": "0123456789ab"}', b"\xff\xfe"])
def test_a_self_test_that_says_nothing_passes_nothing(folder: Path, data: bytes) -> None:
    (folder / SELFTEST).write_bytes(data)
    assert examine(folder).why == "invalid"


def test_values_that_are_missing_or_no_numbers_differ() -> None:
    nan = float("nan")
    assert selftest.differs("cosine", (1.0,), (1.0, 2.0), 1)
    assert selftest.differs("cosine", (nan,), (1.0,), 1)
    assert selftest.differs("cosine", (1.0,), (nan,), 1)
    assert not selftest.differs("cosine", (1.0,), (1.05,), 0.1)


DIES = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
HANGS = "import time; time.sleep(600)"
CHATTERS = "import sys; sys.stdout.write('x' * 5_000_000)"
LIES = "print('{\"why\": 7}')"
EXITS = "raise SystemExit(3)"


@pytest.mark.parametrize(
    ("program", "why", "told"),
    [
        (DIES, "crash", "SIGSEGV"),
        (HANGS, "slow", "no answer within"),
        (CHATTERS, "crash", "nothing that can be read"),
        (LIES, "crash", "nothing that can be read"),
        (EXITS, "crash", "code 3"),
    ],
)
def test_whatever_the_process_does_comes_back_as_a_report(
    sound: Path, program: str, why: str, told: str
) -> None:
    examiner = Examiner(seconds=2, command=(sys.executable, "-c", program))
    report = examiner.examine(sound)
    assert report
    assert report.why == why
    assert told in report.detail


def test_a_stopped_examiner_finds_nothing_out(sound: Path) -> None:
    examiner = Examiner()
    examiner.stop()
    assert examiner.examine(sound) is None


def test_a_self_test_is_written_and_checked_on_the_command_line(folder: Path) -> None:
    before = (folder / SELFTEST).read_bytes()
    (folder / SELFTEST).unlink()
    assert CliRunner().invoke(selftest.main, ["write", str(folder)]).exit_code == 0
    assert (folder / SELFTEST).read_bytes() == before
    done = CliRunner().invoke(selftest.main, ["check", str(folder)])
    assert done.exit_code == 0
    assert "nats a token" in done.output
    spoilt.spoil(folder, "zeroed")
    failed = CliRunner().invoke(selftest.main, ["check", str(folder)])
    assert isinstance(failed.exception, ModelError)


def test_another_machine_may_round_differently(folder: Path) -> None:
    held = msgspec.json.decode((folder / SELFTEST).read_bytes(), type=SelfTest)
    assert held.decoder
    other = msgspec.structs.replace(
        held.decoder, nats=held.decoder.nats + 0.05, answer="something else"
    )
    (folder / SELFTEST).write_bytes(to_bytes(msgspec.structs.replace(held, decoder=other)))
    report = examine(folder)
    assert report.passed
    assert "other words" in report.detail
