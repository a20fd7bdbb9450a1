"""The BERT graph against plain numpy, and the encoder around it."""

import json
from pathlib import Path

import numpy as np
import pytest

from models import build_bert
from models.encoder import Encoder
from models.errors import ModelError
from models.store import ModelStore
from models.tokenizer import Tokenizer
from tests.models import reference, tiny

TEXTS = ["agua", "el lago y el agua.", "la papa del ande?", "agua agua " * 10, "x"]


def test_every_vector_equals_the_numpy_reference(store: ModelStore, bert_checkpoint: Path) -> None:
    folder = store.open("reader-32")
    ours = Encoder.open(folder, 1).encode(TEXTS)
    rows = Tokenizer.open(folder.tokenizer, 64).encode_batch(TEXTS)
    expected = np.stack([reference.bert(bert_checkpoint, ids) for ids in rows])
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["reader-32", pytest.param("reader-8", marks=tiny.exact_kernels)])
def test_a_vector_does_not_depend_on_its_neighbours(store: ModelStore, name: str) -> None:
    encoder = Encoder.open(store.open(name), 1)
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


@tiny.exact_kernels
def test_a_shipped_vector_does_not_depend_on_its_neighbours(shipped: ModelStore) -> None:
    """Odd counts of tokens are the hard ones: the last row takes another kernel."""
    encoder = Encoder.open(shipped.open("minilm-l6"), 1)
    texts = ["agua " * count for count in (1, 3, 4, 11, 12)]
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_int8_stays_near_float32(store: ModelStore) -> None:
    small, large = (Encoder.open(store.open(f"reader-{bits}"), 1) for bits in (8, 32))
    assert (small.encode(TEXTS) * large.encode(TEXTS)).sum(-1).min() > 0.995


def test_many_texts_keep_their_order_and_none_is_fine(store: ModelStore) -> None:
    encoder = Encoder.open(store.open("reader-32"), 1)
    many = [f"lago {'agua ' * (n * 7 % 11)}{n}" for n in range(40)]
    vectors = encoder.encode(many)
    assert vectors.shape == (40, encoder.dimension) == (40, 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[17], encoder.encode([many[17]])[0], atol=1e-6)
    assert encoder.encode([]).shape == (0, 64)


def test_a_text_past_the_context_is_cut(store: ModelStore) -> None:
    encoder = Encoder.open(store.open("reader-32"), 1)
    long, longer = encoder.encode(["agua " * 64, "agua " * 64 + "lago " * 500])
    np.testing.assert_allclose(long, longer, atol=1e-6)


def test_a_decoder_is_no_encoder(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="no encoder"):
        Encoder.open(store.open("writer-8"), 1)


def test_another_network_is_refused(tmp_path: Path, bert_checkpoint: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((bert_checkpoint / name).read_bytes())
    config = json.loads((bert_checkpoint / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    with pytest.raises(ModelError, match="not a BERT"):
        build_bert.build(tmp_path, tmp_path / "out")


def test_the_shipped_encoder_knows_what_is_near(shipped: ModelStore) -> None:
    encoder = Encoder.open(shipped.open("minilm-l6"), 1)
    water, rain, war, agua, lluvia, guerra = encoder.encode(
        [
            "Water evaporates from the lake and forms clouds.",
            "Rain falls when the drops in a cloud grow heavy.",
            "The battle of Ayacucho ended the war of independence.",
            "El agua del lago se evapora y forma nubes.",
            "La lluvia cae cuando el agua se junta en las nubes.",
            "La batalla de Ayacucho selló la independencia.",
        ]
    )
    assert encoder.dimension == 384
    assert water @ rain > water @ war + 0.2
    assert agua @ lluvia > agua @ guerra + 0.1
