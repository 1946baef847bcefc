"""The bitmap of rows stands for the array of their numbers, whatever the gaps and the lengths of the masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosspoint3d.data.row_index import RowIndex


def random_mask(length: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(length) < share


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 700), max_size=8),
    st.sampled_from([0.0, 0.002, 0.3, 0.8, 0.999, 1.0]),
    st.integers(0, 99),
)
def test_it_is_the_array_of_the_true_rows(lengths: list[int], share: float, seed: int) -> None:
    masks = [random_mask(length, share, seed + i) for i, length in enumerate(lengths)]
    whole = np.concatenate([np.empty(0, dtype=bool), *masks])
    rows, index = np.flatnonzero(whole), RowIndex.of(masks)
    assert len(index) == len(rows)
    generator = np.random.default_rng(seed)
    places = generator.integers(0, len(rows), 50) if len(rows) else np.empty(0, dtype=np.int64)
    np.testing.assert_array_equal(index[places], rows[places])
    np.testing.assert_array_equal(index[np.arange(len(rows))], rows)
    np.testing.assert_array_equal(np.concatenate([np.empty(0, dtype=np.int64), *index.pieces()]), rows)
    start, stop = sorted(generator.integers(0, len(whole) + 1, 2).tolist())
    np.testing.assert_array_equal(index.mask(start, stop), whole[start:stop])


def test_gaps_larger_than_a_piece_and_many_pieces() -> None:
    mask = np.zeros(20_000_000, dtype=bool)
    mask[[0, 255, 256, 1_048_575, 1_048_576, 19_999_999]] = True
    index = RowIndex.of(np.split(mask, 3 * [7_000_001]))
    assert index[np.array([5, 4, 3, 2, 1, 0])].tolist() == [19_999_999, 1_048_576, 1_048_575, 256, 255, 0]
    assert np.concatenate(list(index.pieces())).tolist() == np.flatnonzero(mask).tolist()
    assert index.nbytes < 20_000_000 / 8 * 1.26


@settings(deadline=None)
@given(st.integers(0, 2000), st.integers(0, 99))
def test_rows_are_left_out(length: int, seed: int) -> None:
    mask = random_mask(length, 0.7, seed)
    index = RowIndex.of([mask])
    out = np.random.default_rng(seed).integers(0, length + 300, 40)
    rest = np.setdiff1d(np.flatnonzero(mask), out)
    left = index.without(out)
    np.testing.assert_array_equal(left[np.arange(len(left))], rest)
    assert len(index) == mask.sum()  # the one before is as it was


@pytest.mark.parametrize("places", [[-1], [3], [0, 7]])
def test_places_beyond_are_refused(places: list[int]) -> None:
    with pytest.raises(IndexError, match="of an index of 3 rows"):
        RowIndex.of([np.ones(3, dtype=bool)])[np.array(places)]
