"""Our GPT-2 graph against plain numpy, alone and in ragged batches."""

import json
from pathlib import Path

import numpy as np
import pytest

from models import build_gpt2
from models.engine.runner import Runner
from models.errors import ModelError
from models.store import ModelStore
from tests.models import reference, tiny

IDS = [int(i) for i in np.random.default_rng(5).integers(1, 280, 90)]


def test_every_logit_equals_the_numpy_reference(runner: Runner, gpt2_checkpoint: Path) -> None:
    ours = runner.append(runner.scratch, IDS, 0, range(len(IDS)))
    np.testing.assert_allclose(ours, reference.gpt2(gpt2_checkpoint, IDS), atol=2e-4)


def test_a_prompt_read_in_chunks_gives_the_same_logits(
    runner: Runner, gpt2_checkpoint: Path
) -> None:
    parts = [
        runner.append(2, IDS[at : at + 37], at, range(len(IDS[at : at + 37])))
        for at in range(0, len(IDS), 37)
    ]
    ours = np.concatenate(parts)
    np.testing.assert_allclose(ours, reference.gpt2(gpt2_checkpoint, IDS), atol=2e-4)


def test_only_the_rows_asked_for_are_made(runner: Runner) -> None:
    whole = runner.append(0, IDS, 0, range(len(IDS)))
    some = runner.append(1, IDS, 0, (3, 50))
    assert some.shape == (2, runner.shape.vocabulary)
    np.testing.assert_array_equal(some, whole[[3, 50]])
    np.testing.assert_array_equal(runner.append(1, IDS, 0), whole[-1:])


def test_slots_of_different_length_decode_as_one_batch(
    runner: Runner, gpt2_checkpoint: Path
) -> None:
    expected = reference.gpt2(gpt2_checkpoint, IDS)
    lengths = [40, 7, 61, 23]
    for slot, length in enumerate(lengths):
        runner.append(slot, IDS[:length], 0)
    for step in range(20):
        now = [length + step for length in lengths]
        ours = runner.decode([IDS[at] for at in now], now)
        np.testing.assert_allclose(ours, expected[now], atol=2e-4)


def test_a_moved_slot_goes_on_where_it_was(runner: Runner, gpt2_checkpoint: Path) -> None:
    expected = reference.gpt2(gpt2_checkpoint, IDS)
    runner.append(0, IDS[::-1], 0)
    runner.append(3, IDS[:50], 0)
    runner.move(3, 0, 50)
    np.testing.assert_allclose(runner.decode([IDS[50]], [50])[0], expected[50], atol=2e-4)


def test_a_slot_may_be_filled_to_its_last_place(runner: Runner) -> None:
    full = [*IDS, 1, 2, 3, 4, 5]
    runner.append(0, full, 0)
    logits = runner.decode([6], [runner.context - 1])
    assert np.isfinite(logits).all()


def test_int8_stays_near_float32(store: ModelStore, gpt2_checkpoint: Path) -> None:
    runner = Runner.open(store.open("writer-8").model, threads=1, slots=1)
    ours = runner.append(0, IDS, 0, range(len(IDS)))
    expected = reference.gpt2(gpt2_checkpoint, IDS)
    cosine = (ours * expected).sum(-1) / np.linalg.norm(ours, axis=-1)
    cosine /= np.linalg.norm(expected, axis=-1)
    assert cosine.min() > 0.99


@tiny.exact_kernels
def test_int8_logits_do_not_depend_on_batch_mates(tmp_path: Path) -> None:
    """The reason for blocks of 64."""
    checkpoint = tiny.gpt2(tmp_path / "c", width=256, heads=4)
    build_gpt2.build(checkpoint, tmp_path / "m")
    model = tmp_path / "m" / "model.onnx"
    alone, together = (Runner.open(model, threads=1, slots=3) for _ in range(2))
    alone.append(0, IDS[:20], 0)
    for slot, length in enumerate((20, 31, 9)):
        together.append(slot, IDS[:length], 0)
    for step in range(30):
        one = alone.decode([IDS[20 + step]], [20 + step])
        three = together.decode(
            [IDS[at + step] for at in (20, 31, 9)], [20 + step, 31 + step, 9 + step]
        )
        np.testing.assert_allclose(one[0], three[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("width", "heads"), [(32, 2), (96, 3), (256, 4)])
@pytest.mark.parametrize("bits", [4, 8])
def test_every_width_finds_a_block(tmp_path: Path, width: int, heads: int, bits: int) -> None:
    checkpoint = tiny.gpt2(tmp_path / "c", width=width, heads=heads, layers=1, context=16)
    build_gpt2.build(checkpoint, tmp_path / "m", bits, block=128)
    runner = Runner.open(tmp_path / "m" / "model.onnx", threads=1, slots=1)
    assert runner.shape.head_size == width // heads
    assert np.isfinite(runner.append(0, [1, 2, 3], 0)).all()


def test_two_builds_are_the_same_bytes(tmp_path: Path, gpt2_checkpoint: Path) -> None:
    for name in ("a", "b"):
        build_gpt2.build(gpt2_checkpoint, tmp_path / name)
    first, second = ((tmp_path / name / "model.onnx").read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model_type", "bert", "no decoder"),
        ("activation_function", "relu", "'relu' is not known"),
        ("n_head", 5, "does not split"),
        ("n_layer", 0, "n_layer"),
        ("n_positions", 95, "shape"),
    ],
)
def test_another_network_is_refused(
    tmp_path: Path, gpt2_checkpoint: Path, key: str, value: object, words: str
) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((gpt2_checkpoint / name).read_bytes())
    config = json.loads((gpt2_checkpoint / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(ModelError, match=words):
        build_gpt2.build(tmp_path, tmp_path / "out")


def test_a_graph_of_another_kind_is_no_decoder(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no decoder"):
        Runner.open(store.open("reader-8").model, threads=1, slots=1)
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="cannot load"):
        Runner.open(tmp_path / "model.onnx", threads=1, slots=1)
