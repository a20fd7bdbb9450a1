"""Reading safetensors: types, homes, and a damage catalogue."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from models.checkpoint import Checkpoint
from models.errors import ModelError
from tests.models.tiny import write_safetensors

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3) / 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    upper_halves = (VALUES.view(np.uint32) >> 16).astype("<u2")
    write_safetensors(
        folder / "model.safetensors",
        {"whole": VALUES, "half": VALUES.astype("<f2"), "brain": upper_halves},
    )
    (folder / "config.json").write_text('{"layers": 2, "name": "x"}')
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["whole", "half", "brain"])
def test_each_float_type_reads_as_float32(folder: Path, name: str) -> None:
    tensor = Checkpoint.open(folder).tensor(name, (2, 3))
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, VALUES)


def test_a_wheel_reads_as_its_folder(folder: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "model-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/__init__.py", "")
        for path in folder.iterdir():
            archive.write(path, f"model/data/{path.name}")
    inside, outside = Checkpoint.open(wheel), Checkpoint.open(folder)
    assert inside.sha256 == outside.sha256
    np.testing.assert_array_equal(inside.tensor("whole", (2, 3)), VALUES)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("model/__init__.py", "")
    with pytest.raises(ModelError, match="holds 0 checkpoints"):
        Checkpoint.open(wheel)


def test_what_is_not_there_is_named(folder: Path) -> None:
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.integer("layers") == 2
    with pytest.raises(ModelError, match="heads = None"):
        checkpoint.integer("heads")
    with pytest.raises(ModelError, match="name = 'x'"):
        checkpoint.integer("name")
    with pytest.raises(ModelError, match="tensor other is missing"):
        checkpoint.tensor("other", (1,))
    with pytest.raises(ModelError, match=r"has shape \(2, 3\), not \(3, 2\)"):
        checkpoint.tensor("whole", (3, 2))


def with_header(**entry: object) -> bytes:
    text = json.dumps({"t": entry}).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * 8


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\0\0",
        b"\xff" * 8 + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{]",
        with_header(dtype="F32", shape=[2]),
        with_header(dtype="F32", shape=[2], data_offsets=[0, 4]),
        with_header(dtype="F32", shape=[3], data_offsets=[0, 12]),
        with_header(dtype="F32", shape=[2], data_offsets=[4, 12]),
        with_header(dtype="F32", shape=[-2], data_offsets=[8, 0]),
        with_header(dtype="F32", shape=[1 << 62, 4], data_offsets=[0, 0]),
        with_header(dtype="F99", shape=[1], data_offsets=[0, 4]),
    ],
)
def test_damaged_weights_are_refused(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="is damaged"):
        Checkpoint.open(folder)


def test_integers_are_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(
        with_header(dtype="I64", shape=[1], data_offsets=[0, 8])
    )
    with pytest.raises(ModelError, match="not a float"):
        Checkpoint.open(folder).tensor("t", (1,))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_is_a_model_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match="cannot read the checkpoint") as caught:
        Checkpoint.open(folder)
    assert "tokenizer.json" in caught.value.hint


def test_a_damaged_config_is_a_model_error(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match="is damaged"):
        Checkpoint.open(folder)


def pickled(path: Path, thing: object, **members: bytes) -> None:
    """A pytorch_model.bin with any pickle in it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(thing, 2))
        for name, data in members.items():
            archive.writestr(f"archive/data/{name}", data)


class Evil:
    """Runs a command when it is unpickled the naive way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_that_names_code_is_not_opened(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    for evil in ({"t": Evil(tmp_path / "ran")}, Evil(tmp_path / "ran"), {"t": print}):
        pickled(folder / "pytorch_model.bin", evil)
        with pytest.raises(ModelError, match="is no tensor; not opened"):
            Checkpoint.open(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"\x80\x02}q\x00."], ids=["empty", "half", "before 1.6"]
)
def test_a_damaged_bin_is_a_model_error(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(data)
    with pytest.raises(ModelError, match="is damaged"):
        Checkpoint.open(folder)


def test_a_bin_without_tensors_or_with_a_broken_pickle_is_a_model_error(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    pickled(path, ["no table"])
    with pytest.raises(ModelError, match="no table"):
        Checkpoint.open(folder)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00(X\xff\xff\xff\xff")
    with pytest.raises(ModelError, match="pickle is damaged"):
        Checkpoint.open(folder)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "x")
    with pytest.raises(ModelError, match=r"no data\.pkl"):
        Checkpoint.open(folder)
