"""Text to tokens and back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ModelError
from models.tokenizer import END_OF_TEXT, TEXT_LIMIT, Detokenizer, Tokenizer, pad
from tests.models import tiny


@pytest.fixture(scope="module")
def words(bert_checkpoint: Path) -> Tokenizer:
    return Tokenizer.open(bert_checkpoint / "tokenizer.json", 8)


LETTERS = Tokenizer(tiny.byte_level_tokenizer())


def streamed(ids: list[int]) -> str:
    detokenizer = Detokenizer(LETTERS)
    return "".join([*(detokenizer.push(i) for i in ids), detokenizer.flush()])


@given(st.text())
def test_any_text_comes_back_whole(text: str) -> None:
    ids = LETTERS.encode(text)
    assert LETTERS.decode(ids) == text
    assert streamed(ids) == text


@given(st.lists(st.integers(0, LETTERS.size - 1)))
def test_any_tokens_stream_to_the_text_they_decode_to(ids: list[int]) -> None:
    assert streamed(ids) == LETTERS.decode(ids)


def test_a_character_waits_until_it_is_whole() -> None:
    ids = LETTERS.encode("🦙")
    detokenizer = Detokenizer(LETTERS)
    pieces = [detokenizer.push(i) for i in ids]
    assert len(ids) == 4
    assert pieces == ["", "", "", "🦙"]


def test_half_a_character_at_the_end_is_marked() -> None:
    detokenizer = Detokenizer(LETTERS)
    for token in LETTERS.encode("🦙")[:2]:
        assert detokenizer.push(token) == ""
    assert detokenizer.flush() == "\ufffd"


def test_a_typed_marker_is_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(f"a{END_OF_TEXT}b")
    assert tokenizer.end == 0
    assert tokenizer.end not in ids
    assert tokenizer.decode(ids) == f"a{END_OF_TEXT}b"


def test_a_marker_writes_nothing() -> None:
    assert LETTERS.spelling(0) == b""
    assert LETTERS.decode([0]) == ""
    with pytest.raises(ModelError, match="not in the vocabulary"):
        LETTERS.spelling(LETTERS.size)


def test_a_batch_is_marked_and_cut(words: Tokenizer) -> None:
    short, long = words.encode_batch(["agua", "lago " * 50])
    assert short == [2, 5, 3]
    assert long == [2, *[6] * 6, 3]
    assert words.end is None
    typed = words.encode_batch(["[SEP]"])[0]
    assert typed.count(3) == 1


def test_padding_is_masked() -> None:
    ids, mask = pad([[7, 8, 9], [5]])
    assert ids.tolist() == [[7, 8, 9], [5, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_only_bytes_can_be_streamed(words: Tokenizer) -> None:
    with pytest.raises(ModelError, match="byte-level"):
        Detokenizer(words)


def test_a_text_has_a_limit() -> None:
    with pytest.raises(ModelError, match="exceeds the limit"):
        LETTERS.encode("a" * (TEXT_LIMIT + 1))
    with pytest.raises(ModelError, match="exceeds the limit"):
        LETTERS.encode_batch(["a" * (TEXT_LIMIT + 1)])


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xfe", b'{"model": 3}'])
def test_a_damaged_file_is_a_model_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="cannot read the tokenizer"):
        Tokenizer.open(path)
    with pytest.raises(ModelError, match="cannot read the tokenizer"):
        Tokenizer.open(tmp_path / "absent.json")
