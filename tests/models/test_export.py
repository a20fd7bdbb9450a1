"""Parity with transformers, and with Optimum's export of the same checkpoint."""

from pathlib import Path

import pytest

from models import export
from models.errors import ModelError

TEXTS = ["El agua del lago se evapora.", "¿Cuánto es 3/4 más 1/8?", "agua " * 40]
pytestmark = [pytest.mark.export, pytest.mark.filterwarnings("ignore")]


def test_float32_gpt2_equals_transformers(gpt2_checkpoint: Path, models_folder: Path) -> None:
    parity = export.decoder_parity(gpt2_checkpoint, models_folder / "writer-32", TEXTS)
    assert parity.largest_difference < 5e-4
    assert parity.argmax == 1
    assert parity.divergence == pytest.approx(0, abs=1e-6)
    assert parity.nats is not None
    assert parity.nats[0] == pytest.approx(parity.nats[1], abs=1e-4)


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
