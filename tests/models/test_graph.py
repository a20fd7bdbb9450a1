"""Quantised blocks: how far they may be from the matrix they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import ModelError
from models.graph import Blocks, Float

MATRICES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.sampled_from([32, 64, 96])),
    elements=st.floats(-100, 100, width=32),
)


@given(MATRICES)
def test_eight_bits_are_within_half_a_step(matrix: Float) -> None:
    blocks = Blocks.of(matrix, 8, 32)
    step = np.repeat(blocks.scales, 32, axis=1)
    assert (np.abs(blocks.matrix() - matrix) <= step * 0.5001 + 1e-6).all()


@given(MATRICES)
def test_four_bits_are_within_a_step_and_keep_the_extreme(matrix: Float) -> None:
    blocks = Blocks.of(matrix, 4, 32)
    step = np.abs(np.repeat(blocks.scales, 32, axis=1))
    assert (np.abs(blocks.matrix() - matrix) <= step * 1.0001 + 1e-6).all()
    flat = matrix.reshape(-1, 32)
    at = np.abs(flat).argmax(-1)[:, None]
    kept = np.take_along_axis(blocks.matrix().reshape(-1, 32), at, -1)
    np.testing.assert_allclose(kept, np.take_along_axis(flat, at, -1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("width", "largest", "block"),
    [(256, 128, 128), (256, 64, 64), (192, 128, 64), (96, 128, 32), (384, 128, 128)],
)
def test_the_largest_block_that_fits_is_taken(width: int, largest: int, block: int) -> None:
    assert Blocks.of(np.ones((1, width), np.float32), 8, largest).block == block


def test_a_width_that_fits_no_block_is_refused() -> None:
    with pytest.raises(ModelError, match="no block fits"):
        Blocks.of(np.ones((1, 48), np.float32), 8, 128)
    with pytest.raises(ModelError, match="to 5 bits"):
        Blocks.of(np.ones((1, 64), np.float32), 5, 64)
