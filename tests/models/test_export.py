"""Parity with transformers, and with Optimum's export of the same checkpoint."""

from pathlib import Path

import numpy as np
import pytest

from models import export
from models.engine.runner import Runner
from models.errors import ModelError
from tests.models import tiny

TEXTS = ["El agua del lago se evapora.", "¿Cuánto es 3/4 más 1/8?", "agua " * 40]
pytestmark = [pytest.mark.export, pytest.mark.filterwarnings("ignore")]


def test_float32_gpt2_equals_transformers(gpt2_checkpoint: Path, models_folder: Path) -> None:
    parity = export.decoder_parity(gpt2_checkpoint, models_folder / "writer-32", TEXTS)
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
    theirs = export._causal(gpt2_checkpoint, "torch")
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
    parity = export.decoder_parity(gpt2_checkpoint, models_folder / "writer-8", TEXTS)
    assert parity.cosine_min > 0.99
    assert parity.argmax is not None
    assert parity.argmax > 0.8


def test_float32_bert_equals_transformers(bert_checkpoint: Path, models_folder: Path) -> None:
    parity = export.encoder_parity(bert_checkpoint, models_folder / "reader-32", TEXTS)
    assert parity.largest_difference < 1e-5
    assert parity.cosine_min == pytest.approx(1, abs=1e-6)


def test_our_graph_equals_optimums_export(
    tmp_path: Path, gpt2_checkpoint: Path, models_folder: Path
) -> None:
    path = export.optimum_export(gpt2_checkpoint, tmp_path)
    assert path.exists()
    parity = export.decoder_parity(tmp_path, models_folder / "writer-32", TEXTS, "optimum")
    assert parity.largest_difference < 5e-4


def test_another_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ModelError, match="is a t5"):
        export.optimum_export(tmp_path, tmp_path / "out")
