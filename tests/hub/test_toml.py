"""What is written as TOML is read back as it was."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import toml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
plain = st.one_of(texts, st.integers(-(2**53), 2**53), st.booleans(), st.lists(texts, max_size=3))
tables = st.dictionaries(texts, plain, max_size=4)
documents = st.dictionaries(
    texts, st.one_of(plain, tables, st.lists(tables, min_size=1, max_size=3)), max_size=4
)


@given(documents)
def test_tomllib_reads_back_what_was_written(document: dict[str, object]) -> None:
    assert tomllib.loads(toml.dumps(document)) == document


def test_a_value_toml_has_no_word_for_is_a_defect() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml.dumps({"a": None})
