"""Every architecture that is taken gives what transformers gives, from both kinds of files."""

from pathlib import Path

import pytest

from models import build_bert, build_gpt2
from models.errors import ModelError
from models.parity import decoder_parity, encoder_parity

TEXTS = ["El agua del lago se evapora.", "¿Cuánto es 3/4 más 1/8?", "agua y papa " * 40]
pytestmark = [pytest.mark.export, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("name", ["gpt2", "distilgpt2", "spanish-gpt2", "gpt-neo"])
def test_a_decoder_equals_transformers(tmp_path: Path, name: str, safe: bool) -> None:
    from tests.models.families import DECODERS

    checkpoint = DECODERS[name](tmp_path / "checkpoint", safe=safe)
    build_gpt2.build(checkpoint, tmp_path / "built", 32)
    parity = decoder_parity(checkpoint, tmp_path / "built", TEXTS)
    assert parity.largest_difference < 5e-4
    assert parity.argmax == 1


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta"])
def test_an_encoder_equals_transformers(tmp_path: Path, name: str, safe: bool) -> None:
    from tests.models.families import ENCODERS

    checkpoint = ENCODERS[name](tmp_path / "checkpoint", safe=safe)
    build_bert.build(checkpoint, tmp_path / "built", 32)
    parity = encoder_parity(checkpoint, tmp_path / "built", TEXTS)
    assert parity.largest_difference < 1e-5


@pytest.mark.parametrize("at", range(0, 4000, 97))
def test_a_bin_cut_anywhere_is_a_model_error_or_the_same(tmp_path: Path, at: int) -> None:
    from tests.models.families import DECODERS

    checkpoint = DECODERS["distilgpt2"](tmp_path / "checkpoint", safe=False)
    path = checkpoint / "pytorch_model.bin"
    data = bytearray(path.read_bytes())
    data[-at - 1] ^= 0x55  # the directory and the last members
    path.write_bytes(bytes(data))
    try:
        build_gpt2.build(checkpoint, tmp_path / "built", 32)
    except ModelError:
        assert not (tmp_path / "built" / "model.onnx").exists()
