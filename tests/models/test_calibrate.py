"""int8 keys and values: how near they stay, how much smaller they are, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from models.calibrate import calibrate, compare, main, token_windows
from models.engine.runner import Runner
from models.errors import ModelError
from models.store import ModelFolder, ModelStore
from models.tokenizer import Tokenizer
from tests.models import tiny


def test_the_keys_and_values_take_a_quarter_of_the_memory(
    thrifty: ModelFolder, store: ModelStore
) -> None:
    small, large = (
        Runner.open(folder.model, threads=1, slots=1)
        for folder in (thrifty, store.open("writer-8"))
    )
    assert small.row_bytes * 4 == large.row_bytes == 2 * 2 * 64 * 4


def test_what_it_thinks_stays_near(thrifty: ModelFolder, store: ModelStore) -> None:
    unseen = [tiny.ids(90, seed) for seed in (11, 12, 13)]
    found = compare(store.open("writer-8").model, thrifty.model, unseen)
    assert found.tokens == 270
    assert 0 < found.kl_nats < 0.02
    assert 0.98 < found.perplexity_ratio < 1.02
    assert found.same_likeliest > 0.9
    same = compare(thrifty.model, thrifty.model, unseen)
    assert (same.kl_nats, same.perplexity_ratio, same.same_likeliest) == (0, 1, 1)


@tiny.exact_kernels
def test_one_row_or_many_give_the_same_logits_to_the_bit(thrifty: ModelFolder) -> None:
    """What float32 ones do not do: a guess may be checked, and words read again, unnoticed."""
    runner = Runner.open(thrifty.model, threads=2, slots=3)
    tokens = tiny.ids(90)
    for slot in range(2):
        runner.append(slot, tokens[:40], 0)
    singly = []
    for place in range(40, 70):
        both = runner.decode([tokens[place]] * 2, [place] * 2)
        np.testing.assert_array_equal(both[0], both[1])
        singly.append(both[0].copy())
    for size in (2, 3, 5, 16, 30):
        runner.append(2, tokens[:40], 0)
        for at in range(0, 30, size):
            part = tokens[40 + at : min(40 + at + size, 70)]
            rows = runner.append(2, part, 40 + at, range(len(part)))
            np.testing.assert_array_equal(rows, np.stack(singly[at : at + len(part)]))


def test_two_calibrations_are_the_same_bytes_and_a_third_is_refused(
    store: ModelStore, tmp_path: Path
) -> None:
    plain, windows = store.open("writer-8").model, [tiny.ids(50)]
    for name in "ab":
        calibrate(plain, windows, tmp_path / name / "model.onnx")
    made = tmp_path / "a" / "model.onnx"
    assert made.read_bytes() == (tmp_path / "b" / "model.onnx").read_bytes()
    with pytest.raises(ModelError, match="int8 keys and values already"):
        calibrate(made, windows, tmp_path / "c")
    with pytest.raises(ModelError, match="no text"):
        calibrate(plain, [], tmp_path / "c")
    with pytest.raises(ModelError, match="no decoder"):
        calibrate(store.open("reader-8").model, windows, tmp_path / "c")


def test_windows_cover_the_text_behind_end_of_text(tokenizer: Tokenizer) -> None:
    text = "El agua del lago. " * 20
    windows = token_windows(tokenizer, text, 32)
    assert [window[0] for window in windows] == [tokenizer.end] * len(windows)
    assert [token for window in windows for token in window[1:]] == tokenizer.encode(text)
    assert max(map(len, windows)) == 32
    assert token_windows(tokenizer, "", 32) == []


def test_the_command_writes_a_folder_and_says_what_it_costs(
    store: ModelStore, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("El agua del lago Titicaca se evapora. " * 60, encoding="utf-8")
    folder = store.open("writer-8").path
    done = CliRunner().invoke(main, [str(folder), str(text), str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "perplexity x" in done.output
    made = Runner.open(tmp_path / "out" / "model.onnx", threads=1, slots=1)
    assert np.isfinite(made.append(0, tiny.ids(20), 0)).all()
