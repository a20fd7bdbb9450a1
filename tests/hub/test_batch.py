"""A batch: every line answered once, whatever interrupts it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import batch
from models.engine import Engine, Sampling, Stream
from models.errors import ModelError
from models.store import ModelStore
from sync.errors import ContentError


@pytest.fixture(scope="module")
def engine(root: Path) -> Iterator[Engine]:
    """The shipped model, four at a time."""
    folder = ModelStore(root / "models" / "onnx").open("tutor-es-small")
    with Engine.open(folder, threads=1, slots=4) as opened:
        yield opened


class Dying:
    """An engine that stops after `left` submissions."""

    def __init__(self, engine: Engine, left: int) -> None:
        self.name, self.version, self.context = engine.name, engine.version, engine.context
        self.count = engine.count
        self._engine, self._left = engine, left

    def submit(self, prompt: str, sampling: Sampling, deadline_s: float | None = None) -> Stream:
        self._left -= 1
        if self._left < 0:
            raise ModelError("the engine sank")
        return self._engine.submit(prompt, sampling, deadline_s)


def request(number: int, **body: object) -> str:
    asked = {"prompt": f"Lección: tema {number}\n", "max_tokens": 8, "seed": number} | body
    return json.dumps({"custom_id": f"n{number}", "body": asked})


def written(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts(path: Path) -> list[object]:
    """The answers without what differs from run to run."""
    return [
        [choice["text"] for choice in answer["response"]["body"]["choices"]]  # type: ignore[index]
        for answer in written(path)
    ]


@pytest.fixture
def asked(tmp_path: Path) -> list[batch.Line]:
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(request(n, n=1 + n % 3) for n in range(12)) + "\n\n")
    return batch.lines(path)


def test_a_small_queue_makes_it_slower_not_wrong(
    asked: list[batch.Line], tmp_path: Path, root: Path, engine: Engine
) -> None:
    batch.run(asked, tmp_path / "whole", engine, now)
    folder = ModelStore(root / "models" / "onnx").open("tutor-es-small")
    with Engine.open(folder, threads=1, slots=2, queue_limit=3) as small:
        batch.run(asked, tmp_path / "out", small, now)
    assert texts(tmp_path / "out") == texts(tmp_path / "whole")


def now() -> float:
    return 1_800_000_000.0


def test_answers_stand_in_the_order_of_the_questions(
    asked: list[batch.Line], tmp_path: Path, engine: Engine
) -> None:
    told: list[int] = []
    done = batch.run(asked, tmp_path / "out", engine, now, lambda n, of: told.append(n))
    answers = written(tmp_path / "out")
    assert [answer["custom_id"] for answer in answers] == [line.custom_id for line in asked]
    assert told == list(range(13))
    assert (done.written, done.held, done.refused) == (12, 0, 0)
    assert done.tokens == sum(
        answer["response"]["body"]["usage"]["completion_tokens"]  # type: ignore[index]
        for answer in answers
    )


@pytest.mark.parametrize("left", [0, 1, 7, 15])
def test_a_broken_run_goes_on_and_ends_with_the_same_answers(
    asked: list[batch.Line], tmp_path: Path, engine: Engine, left: int
) -> None:
    batch.run(asked, tmp_path / "whole", engine, now)
    with pytest.raises(ModelError):
        batch.run(asked, tmp_path / "out", Dying(engine, left), now)
    while engine.stats().waiting:
        engine.generate("", Sampling(max_tokens=1))
    held = len(written(tmp_path / "out"))
    done = batch.run(asked, tmp_path / "out", engine, now)
    assert (done.held, done.written) == (held, 12 - held)
    assert texts(tmp_path / "out") == texts(tmp_path / "whole")


def test_a_power_cut_at_any_byte_costs_one_answer_at_most(
    asked: list[batch.Line], tmp_path: Path, engine: Engine
) -> None:
    out = tmp_path / "out"
    batch.run(asked[:3], out, engine, now)
    whole = out.read_bytes()
    for cut in range(0, len(whole), 37):
        out.write_bytes(whole[:cut])
        done = batch.run(asked[:3], out, engine, now)
        assert done.held == whole[:cut].count(b"\n")
        assert len(written(out)) == 3


def test_a_line_that_the_model_cannot_meet_is_answered_with_its_error(
    tmp_path: Path, engine: Engine
) -> None:
    path = tmp_path / "in.jsonl"
    lines = [request(1, logprobs=3), request(2, model="gpt-5"), request(3, n=99), request(4)]
    path.write_text("\n".join(lines))
    done = batch.run(batch.lines(path), tmp_path / "out", engine, now)
    assert (done.written, done.refused) == (4, 3)
    errors = [answer["error"] for answer in written(tmp_path / "out")]
    assert [error["param"] for error in errors if error] == ["logprobs", "model", "n"]  # type: ignore[index]
    assert errors[3] is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (request(1) + "\nnonsense", "line 2"),
        (request(1) + "\n" + request(1), "line 2"),
        ('{"custom_id": "a"}', "line 1"),
        ('{"custom_id": "a", "body": {}, "url": "/v1/embeddings"}', "line 1"),
        ("\n \n", "no request"),
    ],
)
def test_what_is_no_batch_is_refused_before_anything_is_written(
    tmp_path: Path, text: str, named: str
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(text)
    with pytest.raises(ContentError, match=named):
        batch.lines(path)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError):
        batch.lines(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b'{"custom_id": "\xff"}')
    with pytest.raises(ContentError, match="line 1"):
        batch.lines(tmp_path / "binary")
    (tmp_path / "long").write_bytes(b"x" * (batch.MAX_LINE_BYTES + 1))
    with pytest.raises(ContentError, match="longer"):
        batch.lines(tmp_path / "long")


def test_the_answers_of_another_batch_are_left_alone(
    asked: list[batch.Line], tmp_path: Path, engine: Engine
) -> None:
    out = tmp_path / "out"
    out.write_text('{"custom_id": "other"}\n')
    with pytest.raises(ContentError, match="line 1"):
        batch.run(asked, out, engine, now)
    assert out.read_text() == '{"custom_id": "other"}\n'
