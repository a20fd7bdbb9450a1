"""Tiny models, built once for the whole folder of tests."""

from pathlib import Path

import pytest

from models import build_bert, build_gpt2
from models.calibrate import calibrate
from models.engine.runner import Runner
from models.store import ModelFolder, ModelStore, write_lock
from models.tokenizer import Tokenizer
from tests.models import tiny


@pytest.fixture(scope="session")
def gpt2_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gpt2(tmp_path_factory.mktemp("gpt2") / "checkpoint")


@pytest.fixture(scope="session")
def bert_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert") / "checkpoint")


@pytest.fixture(scope="session")
def models_folder(
    tmp_path_factory: pytest.TempPathFactory, gpt2_checkpoint: Path, bert_checkpoint: Path
) -> Path:
    """Locked models: a decoder and an encoder, each in int8 and in float32."""
    folder = tmp_path_factory.mktemp("models")
    for bits in (8, 32):
        build_gpt2.build(gpt2_checkpoint, folder / f"writer-{bits}", bits)
        tiny.write_card(folder / f"writer-{bits}", "decoder")
        build_bert.build(bert_checkpoint, folder / f"reader-{bits}", bits)
        tiny.write_card(folder / f"reader-{bits}", "encoder")
    write_lock(folder)
    return folder


@pytest.fixture(scope="session")
def store(models_folder: Path) -> ModelStore:
    return ModelStore(models_folder)


@pytest.fixture(scope="session")
def writer(store: ModelStore) -> ModelFolder:
    """The float32 decoder."""
    return store.open("writer-32")


@pytest.fixture(scope="session")
def thrifty(tmp_path_factory: pytest.TempPathFactory, store: ModelStore) -> ModelFolder:
    """The int8 decoder with int8 keys and values."""
    plain = store.open("writer-8")
    folder = tmp_path_factory.mktemp("thrifty")
    out = folder / "writer-kv8"
    calibrate(plain.model, [tiny.ids(90, seed) for seed in range(4)], out / plain.model.name)
    (out / plain.tokenizer.name).write_bytes(plain.tokenizer.read_bytes())
    tiny.write_card(out, "decoder")
    write_lock(folder)
    return ModelStore(folder).open("writer-kv8")


@pytest.fixture(scope="session")
def tokenizer(writer: ModelFolder) -> Tokenizer:
    return Tokenizer.open(writer.tokenizer)


@pytest.fixture(scope="session")
def shipped(root: Path) -> ModelStore:
    """The models that ship."""
    return ModelStore(root / "models" / "onnx")


@pytest.fixture
def runner(writer: ModelFolder) -> Runner:
    return Runner.open(writer.model, threads=1, slots=4)
