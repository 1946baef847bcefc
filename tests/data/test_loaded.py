from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.loaded import drawn_val
from crosspoint3d.data.split import draw_split
from tests.data.published.test_modelnet import h5, hdf5_folder


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.integers(0, 2**32 - 1))
def test_validation_shapes_are_drawn_as_test_shapes_but_for_categories_of_two(names: list[str], seed: int) -> None:
    spared = np.array([names.count(name) > 2 for name in names], dtype=bool)
    held = drawn_val(names, np.random.default_rng(seed))
    np.testing.assert_array_equal(held, draw_split(names, seed) & spared)


def test_an_empty_test_split_of_a_published_set_is_told(tmp_path: Path) -> None:
    h5(hdf5_folder(tmp_path) / "ply_data_test0.h5", seed=0, shapes=0)
    with pytest.raises(UsageError, match=r"test split \(there is: 12 train, 0 test\); both are needed"):
        load_clouds(f"modelnet40:{tmp_path}", seed=0)
