"""Parity with transformers, and with Optimum's export of the same checkpoint."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import export
from models import parity as parity_module
from models.adopt import optimum_export
from models.encoder import Encoder
from models.engine import Engine, Sampling
from models.engine.runner import Runner
from models.errors import ModelError
from models.parity import LIMITS, Parity, decoder_parity, encoder_parity
from models.store import ModelStore, write_lock
from tests.models import tiny

TEXTS = ["El agua del lago se evapora.", "¿Cuánto es 3/4 más 1/8?", "agua " * 40]
pytestmark = [pytest.mark.export, pytest.mark.filterwarnings("ignore")]


def test_float32_gpt2_equals_transformers(gpt2_checkpoint: Path, models_folder: Path) -> None:
    parity = decoder_parity(gpt2_checkpoint, models_folder / "writer-32", TEXTS)
    assert parity.largest_difference < 5e-4
    assert parity.argmax == 1
    assert parity.divergence == pytest.approx(0, abs=1e-6)
    assert parity.nats is not None
    assert parity.nats[0] == pytest.approx(parity.nats[1], abs=1e-4)


def test_ragged_batches_chunks_and_copied_prefixes_equal_transformers(
    gpt2_checkpoint: Path, models_folder: Path
) -> None:
    """One slot read at once, one in chunks, one behind a copied prefix, one moved; then all
    decode together."""
    runner = Runner.open(models_folder / "writer-32" / "model.onnx", threads=2, slots=5)
    theirs = parity_module._causal(gpt2_checkpoint, "torch")
    tokens = [tiny.ids(90, seed) for seed in range(4)]
    tokens[2][:32] = tokens[0][:32]
    expected = [theirs(ids) for ids in tokens]
    lengths = [70, 64, 41, 55]
    read = [runner.append(0, tokens[0][:70], 0, range(70))]
    read.append(np.concatenate([
        runner.append(1, tokens[1][at : at + 16], at, range(16)).copy() for at in range(0, 64, 16)
    ]))  # fmt: skip
    runner.load(2, 0, runner.copy(0, 0, 32))
    behind = runner.append(2, tokens[2][32:41], 32, range(9))
    np.testing.assert_allclose(behind, expected[2][32:41], atol=1e-4)
    runner.append(4, tokens[3][:55], 0)
    runner.move(4, 3, 55)
    for ours, logits in zip(read, expected, strict=False):
        np.testing.assert_allclose(ours, logits[: len(ours)], atol=1e-4)
    for step in range(20):
        now = [length + step for length in lengths]
        ours = runner.decode([ids[at] for ids, at in zip(tokens, now, strict=True)], now)
        for row, logits, at in zip(ours, expected, now, strict=True):
            np.testing.assert_allclose(row, logits[at], atol=1e-4)


def test_int8_gpt2_stays_near_transformers(gpt2_checkpoint: Path, models_folder: Path) -> None:
    parity = decoder_parity(gpt2_checkpoint, models_folder / "writer-8", TEXTS)
    assert parity.cosine_min > 0.99
    assert parity.argmax is not None
    assert parity.argmax > 0.8


def test_float32_bert_equals_transformers(bert_checkpoint: Path, models_folder: Path) -> None:
    parity = encoder_parity(bert_checkpoint, models_folder / "reader-32", TEXTS)
    assert parity.largest_difference < 1e-5
    assert parity.cosine_min == pytest.approx(1, abs=1e-6)


def test_our_graph_equals_optimums_export(
    tmp_path: Path, gpt2_checkpoint: Path, models_folder: Path
) -> None:
    path = optimum_export(gpt2_checkpoint, tmp_path, "text-generation-with-past")
    assert path.exists()
    parity = decoder_parity(tmp_path, models_folder / "writer-32", TEXTS, "optimum")
    assert parity.largest_difference < 5e-4


@pytest.mark.parametrize("bits", [8, 32])
@pytest.mark.parametrize("name", ["distilbert", "mpnet", "electra"])
def test_another_encoder_is_adopted_and_stays_near(tmp_path: Path, name: str, bits: int) -> None:
    from tests.models.families import OTHERS

    checkpoint = OTHERS[name](tmp_path / "checkpoint")
    done = export.export(checkpoint, tmp_path / "taken", bits, TEXTS)
    assert done.way == "optimum"
    assert done.kind == "encoder"
    assert done.parity.cosine_min > (0.9999 if bits == 32 else 0.98)
    one, two = Encoder.unverified(
        tmp_path / "taken" / "model.onnx", tmp_path / "taken" / "tokenizer.json", threads=1
    ).encode(["agua", "agua y lago"])
    assert float(one @ one) == pytest.approx(1, abs=1e-5)
    assert float(one @ two) < 0.9999


@pytest.mark.parametrize(
    ("name", "bits"), [("gpt2", 8), ("gpt2", 32), ("gpt-neo", 8), ("distilgpt2", 4)]
)
def test_a_decoder_comes_out_as_a_folder_that_the_engine_opens(
    tmp_path: Path, name: str, bits: int
) -> None:
    from tests.models.families import DECODERS

    done = export.export(DECODERS[name](tmp_path / "checkpoint"), tmp_path / "taken", bits, TEXTS)
    assert done.way == "built"
    write_lock(tmp_path)
    folder = ModelStore(tmp_path).open("taken")
    assert folder.card.provisional
    with Engine.open(folder, threads=1) as engine:
        assert engine.generate("El agua", Sampling(max_tokens=5)).tokens == 5


def test_what_drifts_is_refused_and_nothing_is_put_in_place(tmp_path: Path) -> None:
    """One weight of a block is a thousand times the others: int8 keeps nothing of those."""
    from tests.models.families import DECODERS, spoil

    checkpoint = spoil(DECODERS["gpt2"](tmp_path / "checkpoint"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="drifts from torch") as refused:
        export.export(checkpoint, tmp_path / "taken", 4, TEXTS)
    assert "more bits" in refused.value.hint
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "taken"]


@pytest.mark.parametrize("broken", ["cosine_min", "divergence", "nats"])
@pytest.mark.parametrize("bits", sorted(LIMITS))
def test_each_measure_alone_is_enough_to_refuse(bits: int, broken: str) -> None:
    good: dict[str, Any] = {
        "cosine_mean": 1.0, "cosine_min": 1.0, "largest_difference": 0.0, "divergence": 0.0,
        "argmax": 1.0, "nats": (2.0, 2.0),
    }  # fmt: skip
    Parity("torch", 9, **good).check(bits)
    bad = {"cosine_min": 0.5, "divergence": 1.0, "nats": (2.0, 3.0)}[broken]
    for value in (bad, (float("nan"),) * 2 if broken == "nats" else float("nan")):
        with pytest.raises(ModelError, match="drifts"):
            Parity("torch", 9, **(good | {broken: value})).check(bits)


def test_another_network_is_refused(tmp_path: Path, gpt2_checkpoint: Path) -> None:
    shutil.copytree(gpt2_checkpoint, tmp_path / "t5")
    (tmp_path / "t5" / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(ModelError, match="Optimum cannot export"):
        export.export(tmp_path / "t5", tmp_path / "out")
    assert not (tmp_path / "out").exists()
